//! Queues: first in first out, last in first out, least first.
//!
//! ```
//! use manyhands::queue::PriorityQueue;
//!
//! let tasks = PriorityQueue::new(0);
//! tasks.put((2, "wash up")).unwrap();
//! tasks.put((1, "eat")).unwrap();
//! assert_eq!(tasks.get(), Ok((1, "eat")));
//! ```
//!
//! These are the types of [`manyhands_queue`], where they can be had with another
//! [`Exclusion`](crate::sync::Exclusion), too.

#[doc(inline)]
pub use manyhands_queue::*;

/// [`manyhands_queue::FifoQueue`]
#[doc(alias = "queue.Queue")]
#[doc(alias = "queue.SimpleQueue")]
pub type FifoQueue<T> = manyhands_queue::FifoQueue<T>;

/// [`manyhands_queue::LifoQueue`]
#[doc(alias = "queue.LifoQueue")]
pub type LifoQueue<T> = manyhands_queue::LifoQueue<T>;

/// [`manyhands_queue::PriorityQueue`]
#[doc(alias = "queue.PriorityQueue")]
pub type PriorityQueue<T> = manyhands_queue::PriorityQueue<T>;
