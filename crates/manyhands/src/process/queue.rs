//! Queues between processes, of anything that serde can write down.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use manyhands_shm as shm;
use manyhands_shm::{ArenaError, DoneError, Limit, Message, Patient, WaitError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Buffers of more bytes are not kept.
const KEEP: usize = 64 << 10;

thread_local! {
    /// What is put, and got, lies here for a moment.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A queue between processes: first in first out, any number of processes that put and that get.
///
/// Items are written down when they are put (by `postcard`: compact, no field names), so both sides
/// have to be the same program.
///
/// ```
/// use manyhands::process::{GetError, Queue};
///
/// let orders = Queue::<(String, u32)>::new(100)?;
/// orders.put(&("steamed bun".to_owned(), 4))?;
/// assert_eq!(orders.get()?, ("steamed bun".to_owned(), 4));
/// assert!(matches!(orders.try_get(), Err(GetError::Empty)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "multiprocessing.Queue")]
#[doc(alias = "multiprocessing.JoinableQueue")]
pub struct Queue<T> {
    queue: shm::Queue,
    items: PhantomData<fn(T) -> T>,
}

/// Why an item was not put.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The queue was full for as long as could be waited.
    #[error("the queue is full")]
    Full,
    /// The queue was shut down.
    #[error("the queue was shut down")]
    ShutDown,
    /// The system gives no memory for it.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// The item cannot be written down.
    #[error("the item cannot be written down: {0}")]
    Format(postcard::Error),
}

/// Why there is no item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The queue was empty for as long as could be waited.
    #[error("the queue is empty")]
    Empty,
    /// The queue was shut down and is empty.
    #[error("the queue was shut down")]
    ShutDown,
    /// This process has no address space for the item, which stays in the queue.
    #[error(transparent)]
    Arena(ArenaError),
    /// What was got is no such item; it is gone.
    #[error("what was got from the queue is no item of it: {0}")]
    Format(postcard::Error),
}

impl<T> Queue<T> {
    /// An empty one for at most `maxsize` items, or any number if that is 0.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn new(maxsize: u32) -> Result<Queue<T>, ArenaError> {
        Ok(Queue { queue: shm::Queue::new(maxsize)?, items: PhantomData })
    }

    /// How many items it holds at most; 0 if any number.
    pub fn maxsize(&self) -> u32 {
        self.queue.maxsize()
    }

    /// How many items it holds.
    ///
    /// # Errors
    /// This process has no address space for what another one has added to the queue.
    #[doc(alias = "multiprocessing.Queue.qsize")]
    pub fn len(&self) -> Result<usize, ArenaError> {
        self.queue.len()
    }

    /// Whether it holds none.
    ///
    /// # Errors
    /// As of [`Queue::len`].
    pub fn is_empty(&self) -> Result<bool, ArenaError> {
        self.queue.is_empty()
    }

    /// Whether it holds as many as it may.
    ///
    /// # Errors
    /// As of [`Queue::len`].
    pub fn is_full(&self) -> Result<bool, ArenaError> {
        self.queue.is_full()
    }

    /// How many items were lost with processes that were killed while putting or getting them.
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// Lets nothing more be put; whoever waits is told. What is there can be got still, unless
    /// `immediate`.
    ///
    /// # Errors
    /// As of [`Queue::len`]: it is not shut down, or not emptied.
    pub fn shut_down(&self, immediate: bool) -> Result<(), ArenaError> {
        self.queue.shut_down(immediate)
    }

    /// Reports an item that was got as done.
    ///
    /// # Errors
    /// As many were reported as were put; and as of [`Queue::len`].
    #[doc(alias = "multiprocessing.JoinableQueue.task_done")]
    pub fn task_done(&self) -> Result<(), DoneError> {
        self.queue.task_done()
    }

    /// Waits until all items are reported done.
    ///
    /// # Errors
    /// As of [`Queue::len`].
    #[doc(alias = "multiprocessing.JoinableQueue.join")]
    pub fn join(&self) -> Result<(), ArenaError> {
        self.queue.join(&Patient, Limit::Forever).map(drop).map_err(|why| match why {
            WaitError::Arena(error) => error,
            WaitError::GivenUp(never) => match never {},
        })
    }
}

impl<T: Serialize> Queue<T> {
    /// Puts an item at the end; waits while the queue is full.
    ///
    /// # Errors
    /// Shut down; no memory; the item cannot be written down.
    pub fn put(&self, item: &T) -> Result<(), PutError> {
        self.put_within(item, Limit::Forever)
    }

    /// Puts an item at the end if the queue is not full.
    ///
    /// # Errors
    /// Full; and as of [`Queue::put`].
    pub fn try_put(&self, item: &T) -> Result<(), PutError> {
        self.put_within(item, Limit::Never)
    }

    /// Puts an item at the end; waits while the queue is full, at most until the limit.
    ///
    /// # Errors
    /// Full; and as of [`Queue::put`].
    pub fn put_within(&self, item: &T, limit: Limit) -> Result<(), PutError> {
        let mut buffer = BUFFER.take();
        buffer.clear();
        let bytes = postcard::to_extend(item, buffer).map_err(PutError::Format)?;
        let put = self.queue.put(&Patient, Message::of(&bytes), limit);
        keep(bytes);
        put.map_err(|error| match error {
            shm::PutError::Full => PutError::Full,
            shm::PutError::ShutDown => PutError::ShutDown,
            shm::PutError::Arena(error) => PutError::Arena(error),
            shm::PutError::GivenUp(never) => match never {},
        })
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// Takes the oldest item; waits while there is none.
    ///
    /// # Errors
    /// Shut down and empty; what was put is no such item.
    pub fn get(&self) -> Result<T, GetError> {
        self.get_within(Limit::Forever)
    }

    /// Takes the oldest item if there is one.
    ///
    /// # Errors
    /// Empty; and as of [`Queue::get`].
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_within(Limit::Never)
    }

    /// Takes the oldest item; waits while there is none, at most until the limit.
    ///
    /// # Errors
    /// Empty; and as of [`Queue::get`].
    pub fn get_within(&self, limit: Limit) -> Result<T, GetError> {
        let mut buffer = BUFFER.take();
        let got = self.queue.get(&Patient, &mut buffer, limit);
        let item = match got {
            Ok(None) => postcard::from_bytes(&buffer).map_err(GetError::Format),
            Ok(Some(parcel)) => postcard::from_bytes(parcel.head()).map_err(GetError::Format),
            Err(shm::GetError::Empty) => Err(GetError::Empty),
            Err(shm::GetError::ShutDown) => Err(GetError::ShutDown),
            Err(shm::GetError::Arena(error)) => Err(GetError::Arena(error)),
            Err(shm::GetError::GivenUp(never)) => match never {},
        };
        keep(buffer);
        item
    }
}

/// Keeps a buffer for the next time.
fn keep(buffer: Vec<u8>) {
    if buffer.capacity() <= KEEP {
        BUFFER.set(buffer);
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { queue: self.queue.clone(), items: PhantomData }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Queue")
            .field("len", &self.len().ok())
            .field("maxsize", &self.maxsize())
            .finish_non_exhaustive()
    }
}
