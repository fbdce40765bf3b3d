//! In-process lock, rlock, semaphore, event, condition and barrier, with the meaning that Python's
//! `threading` gives them, for Rust programs and for the binding.
//!
//! How a primitive is built: its state is a plain struct in a cell that an [`Exclusion`] keeps to
//! one thread at a time, for a few instructions; who has to wait gets a [`Waiter`] in one of the
//! state's lines ([`Waits`]) and parks through a [`Gate`], outside of the cell. The [`README`] of
//! this crate argues why no wake-up is lost.
//!
//! ```
//! use manyhands_sync::{Limit, Patient, Semaphore};
//!
//! let seats: Semaphore = Semaphore::new(2);
//! seats.acquire();
//! seats.acquire();
//! assert_eq!(seats.acquire_with(&Patient, Limit::Never), Ok(false));
//! seats.release(1);
//! ```
//!
//! [`README`]: https://docs.rs/crate/manyhands-sync

mod barrier;
mod block;
mod condition;
mod event;
mod exclusion;
mod gate;
mod habit;
mod lock;
mod rlock;
mod semaphore;
mod shim;
mod waiter;
mod waits;

pub use barrier::{Barrier, BarrierError};
pub use block::{Waitable, block};
pub use condition::{Condition, Ticket};
pub use event::Event;
pub use exclusion::{Exclusion, Locked, Protected};
pub use gate::{Gate, Limit, Patient};
pub use lock::{Lock, LockGuard, NotHeld};
pub use manyhands_sys::thread::ThreadId;
pub use manyhands_sys::time::Deadline;
pub use rlock::{NotOwner, RLock, Saved};
pub use semaphore::{Semaphore, TooManyReleases};
pub use waiter::{Parked, Waiter};
pub use waits::{Waits, Wakes};
