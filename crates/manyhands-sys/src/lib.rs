//! The operating-system seam of Manyhands.
//!
//! Everything that needs a system call, a libc function or a raw pointer lives here, behind safe
//! functions; the other core crates contain no `unsafe` of their own for such things.
//!
//! * [`futex`]: sleep until a word changes, wake who sleeps on it;
//! * [`thread`]: who is calling;
//! * [`time`]: monotonic deadlines;
//! * [`fork`]: notice that this process is a forked child.
#![allow(unsafe_code, reason = "this crate is the place for unsafe system interfaces")]

pub mod fork;
pub mod futex;
mod os;
pub mod thread;
pub mod time;
