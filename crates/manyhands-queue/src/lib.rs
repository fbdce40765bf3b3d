#![doc = include_str!("../README.md")]

mod errors;
pub mod heap;
mod queue;
mod state;
mod store;

pub use errors::{GetError, PutError, PutFailure, TooManyDone};
pub use queue::{Queue, Retired};
pub use store::{Fifo, Heap, Lifo, Named, Store};

use manyhands_sync::Locked;

/// A queue whose items leave in the order in which they came.
///
/// ```
/// use manyhands_queue::FifoQueue;
///
/// let queue: FifoQueue<&str> = FifoQueue::new(0);
/// queue.put("first").unwrap();
/// queue.put("second").unwrap();
/// assert_eq!(queue.get(), Ok("first"));
/// ```
#[doc(alias = "queue.Queue")]
#[doc(alias = "queue.SimpleQueue")]
pub type FifoQueue<T, X = Locked> = Queue<Fifo<T>, X>;

/// A queue whose latest item leaves first.
///
/// ```
/// use manyhands_queue::LifoQueue;
///
/// let queue: LifoQueue<&str> = LifoQueue::new(0);
/// queue.put("first").unwrap();
/// queue.put("second").unwrap();
/// assert_eq!(queue.get(), Ok("second"));
/// ```
#[doc(alias = "queue.LifoQueue")]
pub type LifoQueue<T, X = Locked> = Queue<Lifo<T>, X>;

/// A queue whose least item leaves first.
///
/// ```
/// use manyhands_queue::PriorityQueue;
///
/// let queue: PriorityQueue<(u32, &str)> = PriorityQueue::new(0);
/// queue.put((2, "wash up")).unwrap();
/// queue.put((1, "eat")).unwrap();
/// assert_eq!(queue.get(), Ok((1, "eat")));
/// ```
#[doc(alias = "queue.PriorityQueue")]
pub type PriorityQueue<T, X = Locked> = Queue<Heap<T>, X>;
