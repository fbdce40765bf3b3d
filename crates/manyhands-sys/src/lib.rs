//! The operating-system seam of Manyhands.
//!
//! What needs `unsafe` to talk to the system lives here, behind safe functions. `manyhands-shm` has its
//! own, for what lies in shared memory; the other core crates have none.
//!
//! * [`futex`]: sleep until a word changes, wake who sleeps on it;
//! * [`thread`]: who is calling;
//! * [`time`]: monotonic deadlines;
//! * [`fork`]: notice that this process is a forked child, and have it find what it can use;
//! * [`process`]: start, watch and end processes;
//! * [`limits`]: the names of the limits that the system's errors tell of;
//! * [`liveness`]: whether a process that was once there still is;
//! * [`descriptor`]: file descriptors: pass them, poll them, set their flags;
//! * [`memory`]: memory that processes share;
//! * [`image`]: a process's own copy of a part of that;
//! * [`footprint`]: memory that copies of a process come to need;
//! * [`robust`]: locks that the kernel releases when their holder dies;
//! * [`step`]: dying at a chosen step, for tests.
#![allow(unsafe_code, reason = "this crate is the place for unsafe system interfaces")]

pub mod descriptor;
pub mod footprint;
pub mod fork;
pub mod futex;
pub mod image;
pub mod limits;
pub mod liveness;
pub mod memory;
mod os;
pub mod process;
pub mod robust;
pub mod step;
pub mod thread;
pub mod time;
