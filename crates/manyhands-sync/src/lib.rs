#![doc = include_str!("../README.md")]

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
pub use habit::Habit;
pub use lock::{Lock, LockGuard, NotHeld};
pub use manyhands_sys::thread::ThreadId;
pub use manyhands_sys::time::Deadline;
pub use rlock::{NotOwner, RLock, Saved};
pub use semaphore::{Semaphore, TooManyReleases};
pub use waiter::{Parked, Waiter};
pub use waits::{Waits, Wakes};
