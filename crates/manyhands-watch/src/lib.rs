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
//! let waiting = subject.begin_wait("wait", false, None);
//! let seen = snapshot().into_iter().find(|seen| seen.id == subject.id()).unwrap();
//! assert_eq!((seen.kind, seen.waiters.len()), (Kind::Event, 1));
//! drop(waiting);
//! ```

mod agent;
pub mod client;
pub mod graph;
mod local;
mod registry;
pub mod report;
pub mod state;
mod subject;
pub mod traced;

pub use agent::{Deadlocks, LONG, begin, deadlocks, has_lasted, set_deadlocks};
pub use local::{Describe, set_describe, subject_id};
pub use registry::{
    Pending, Shared, is_condemned, prepare_for_forks, set_current_greenlet, set_helpers,
    set_shared, snapshot,
};
pub use subject::{Kind, Seen, Subject, Waiting, WaitingGuard};
