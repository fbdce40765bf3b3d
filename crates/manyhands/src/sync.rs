//! Lock, rlock, semaphore, event, condition, barrier; and how they wait.
//!
//! ```
//! use manyhands::sync::{Event, Semaphore};
//!
//! let (seats, served) = (Semaphore::new(2), Event::new());
//! seats.acquire();
//! served.set();
//! assert_eq!((seats.value(), served.is_set()), (1, true));
//! ```
//!
//! These are the types of [`manyhands_sync`], where they can be had with another
//! [`Exclusion`], too: a host that runs one thread at a time anyway needs no mutex in each.

#[doc(inline)]
pub use manyhands_sync::*;

/// [`manyhands_sync::Lock`]
#[doc(alias = "threading.Lock")]
pub type Lock = manyhands_sync::Lock<Locked>;

/// [`manyhands_sync::RLock`]
#[doc(alias = "threading.RLock")]
pub type RLock = manyhands_sync::RLock<Locked>;

/// [`manyhands_sync::Semaphore`]
#[doc(alias = "threading.Semaphore")]
#[doc(alias = "threading.BoundedSemaphore")]
pub type Semaphore = manyhands_sync::Semaphore<Locked>;

/// [`manyhands_sync::Event`]
#[doc(alias = "threading.Event")]
pub type Event = manyhands_sync::Event<Locked>;

/// [`manyhands_sync::Condition`]
#[doc(alias = "threading.Condition")]
pub type Condition = manyhands_sync::Condition<Locked>;

/// [`manyhands_sync::Barrier`]
#[doc(alias = "threading.Barrier")]
pub type Barrier = manyhands_sync::Barrier<Locked>;
