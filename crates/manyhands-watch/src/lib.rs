//! Which objects make threads wait, who owns them, who waits.
//!
//! A primitive becomes a [`Subject`] of the registry the first time that it makes somebody wait,
//! and stays one until it is dropped; one that never did costs nothing. [`snapshot`] returns what
//! is registered as plain data, from any thread.
//!
//! ```
//! use manyhands_watch::{Kind, Subject, snapshot};
//!
//! let subject = Subject::register(Kind::Event);
//! let waiting = subject.begin_wait("wait");
//! let seen = snapshot().into_iter().find(|seen| seen.id == subject.id()).unwrap();
//! assert_eq!((seen.kind, seen.waiters.len()), (Kind::Event, 1));
//! drop(waiting);
//! ```

mod registry;
pub mod state;
mod subject;

pub use registry::{prepare_for_forks, snapshot};
pub use subject::{Kind, Seen, Subject, Waiting, WaitingGuard};
