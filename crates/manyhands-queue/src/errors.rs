//! Why an operation of a queue failed.

use std::convert::Infallible;
use std::fmt;

use thiserror::Error;

/// Why an item was not put in; it is given back.
///
/// ```
/// use manyhands_queue::{FifoQueue, PutFailure};
///
/// let queue: FifoQueue<String> = FifoQueue::new(1);
/// queue.put("in".to_owned()).unwrap();
/// let refused = queue.try_put("out".to_owned()).unwrap_err();
/// assert_eq!(refused.why, PutFailure::Full);
/// let item_again: String = refused.item;
/// # drop(item_again);
/// ```
#[derive(PartialEq, Eq, Error)]
#[error("{why}")]
pub struct PutError<T, E = Infallible> {
    /// The item.
    pub item: T,
    /// Why.
    pub why: PutFailure<E>,
}

// Of any item, also of one that cannot be shown.
impl<T, E: fmt::Debug> fmt::Debug for PutError<T, E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PutError").field("why", &self.why).finish_non_exhaustive()
    }
}

/// Why an item was not put in.
///
/// ```
/// use manyhands_queue::{FifoQueue, PutFailure};
///
/// let queue: FifoQueue<u32> = FifoQueue::new(1);
/// queue.shutdown();
/// assert_eq!(queue.put(1).unwrap_err().why, PutFailure::ShutDown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PutFailure<E = Infallible> {
    /// There was no room for it within the limit.
    #[error("the queue is full")]
    Full,
    /// The queue is shut down.
    #[error("the queue is shut down")]
    ShutDown,
    /// The queue was retired, see [`Queue::retire`](crate::Queue::retire).
    #[error("the queue is retired: another has taken over its items")]
    Retired,
    /// The store cannot find the item's place by itself.
    #[error("the item's place must be found outside")]
    Undecided,
    /// The gate gave up the wait.
    #[error("the wait was given up: {0}")]
    GivenUp(E),
}

/// Why no item was taken out.
///
/// ```
/// use manyhands_queue::{FifoQueue, GetError};
///
/// let queue: FifoQueue<u32> = FifoQueue::new(0);
/// assert_eq!(queue.try_get(), Err(GetError::Empty));
/// queue.shutdown();
/// assert_eq!(queue.get(), Err(GetError::ShutDown));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GetError<E = Infallible> {
    /// There was none within the limit.
    #[error("the queue is empty")]
    Empty,
    /// There is none, and the queue is shut down.
    #[error("the queue is empty and shut down")]
    ShutDown,
    /// The queue was retired, see [`Queue::retire`](crate::Queue::retire).
    #[error("the queue is retired: another has taken over its items")]
    Retired,
    /// The store cannot say by itself which item is next.
    #[error("the next item must be found outside")]
    Undecided,
    /// The gate gave up the wait.
    #[error("the wait was given up: {0}")]
    GivenUp(E),
}

/// More items were reported as done than were put in.
///
/// ```
/// use manyhands_queue::{FifoQueue, TooManyDone};
///
/// let queue: FifoQueue<u32> = FifoQueue::new(0);
/// assert_eq!(queue.task_done(), Err(TooManyDone));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("task_done() called too many times")]
pub struct TooManyDone;

impl PutFailure {
    /// The same, where a wait can also be given up.
    ///
    /// ```
    /// use manyhands_queue::PutFailure;
    ///
    /// let failure: PutFailure<std::io::Error> = PutFailure::Full.widen();
    /// assert_eq!(failure.to_string(), "the queue is full");
    /// ```
    pub fn widen<E>(self) -> PutFailure<E> {
        match self {
            PutFailure::Full => PutFailure::Full,
            PutFailure::ShutDown => PutFailure::ShutDown,
            PutFailure::Retired => PutFailure::Retired,
            PutFailure::Undecided => PutFailure::Undecided,
        }
    }
}

impl GetError {
    /// The same, where a wait can also be given up.
    ///
    /// ```
    /// use manyhands_queue::GetError;
    ///
    /// let failure: GetError<std::io::Error> = GetError::Empty.widen();
    /// assert_eq!(failure.to_string(), "the queue is empty");
    /// ```
    pub fn widen<E>(self) -> GetError<E> {
        match self {
            GetError::Empty => GetError::Empty,
            GetError::ShutDown => GetError::ShutDown,
            GetError::Retired => GetError::Retired,
            GetError::Undecided => GetError::Undecided,
        }
    }
}
