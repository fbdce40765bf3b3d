//! In which order items leave a queue.

use std::collections::VecDeque;
use std::convert::Infallible;

use manyhands_watch::Kind;

use crate::heap;

/// Keeps the items of a queue and decides which leaves next.
///
/// Its methods run under the queue's exclusion: they must be short and must not run code of a user
/// who could come back to the same queue. A store that cannot order its items without that says so,
/// see [`Store::push`].
///
/// ```
/// use manyhands_queue::{Queue, Store};
/// use manyhands_watch::Kind;
///
/// /// Keeps only the latest item.
/// #[derive(Default)]
/// struct Latest(Option<u32>);
///
/// impl Store for Latest {
///     type Item = u32;
///
///     fn push(&mut self, item: u32) -> Result<(), u32> {
///         self.0 = Some(item);
///         Ok(())
///     }
///
///     fn pop(&mut self) -> Option<Option<u32>> {
///         self.0.take().map(Some)
///     }
///
///     fn len(&self) -> usize {
///         usize::from(self.0.is_some())
///     }
///
///     fn drain(&mut self) -> Vec<u32> {
///         self.0.take().into_iter().collect()
///     }
/// }
///
/// let queue: Queue<Latest> = Queue::over(Latest::default(), Kind::Queue, 0);
/// queue.put(1).unwrap();
/// queue.put(2).unwrap();
/// assert_eq!((queue.len(), queue.get()), (1, Ok(2)));
/// ```
pub trait Store: Send {
    /// What is kept.
    type Item: Send;

    /// Puts an item in; gives it back if its place cannot be found here.
    ///
    /// # Errors
    /// The item, untouched.
    fn push(&mut self, item: Self::Item) -> Result<(), Self::Item>;

    /// Takes the next item out; `None` if there is none, `Some(None)` if which one is next cannot
    /// be found here.
    fn pop(&mut self) -> Option<Option<Self::Item>>;

    /// How many items there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all items out, in no particular order.
    fn drain(&mut self) -> Vec<Self::Item>;
}

/// First in, first out.
///
/// ```
/// use manyhands_queue::{Fifo, Store};
///
/// let mut store = Fifo::default();
/// store.push(1).unwrap();
/// store.push(2).unwrap();
/// assert_eq!(store.pop(), Some(Some(1)));
/// ```
#[derive(Debug)]
pub struct Fifo<T>(VecDeque<T>);

/// Last in, first out.
///
/// ```
/// use manyhands_queue::{Lifo, Store};
///
/// let mut store = Lifo::default();
/// store.push(1).unwrap();
/// store.push(2).unwrap();
/// assert_eq!(store.pop(), Some(Some(2)));
/// ```
#[derive(Debug)]
pub struct Lifo<T>(Vec<T>);

/// The least first.
///
/// ```
/// use manyhands_queue::{Heap, Store};
///
/// let mut store = Heap::default();
/// store.push(2).unwrap();
/// store.push(1).unwrap();
/// assert_eq!(store.pop(), Some(Some(1)));
/// ```
#[derive(Debug)]
pub struct Heap<T>(Vec<T>);

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Fifo(VecDeque::new())
    }
}

impl<T> Default for Lifo<T> {
    fn default() -> Self {
        Lifo(Vec::new())
    }
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Heap(Vec::new())
    }
}

impl<T> Fifo<T> {
    /// The items, next first.
    ///
    /// ```
    /// use manyhands_queue::{Fifo, Store};
    ///
    /// let mut store = Fifo::default();
    /// store.push(1).unwrap();
    /// store.push(2).unwrap();
    /// assert_eq!(store.iter().copied().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// Has the first item that `is_it` is true of leave next; false if there is none.
    ///
    /// ```
    /// use manyhands_queue::{Fifo, Store};
    ///
    /// let mut store = Fifo::default();
    /// (1..4).for_each(|item| store.push(item).unwrap());
    /// assert!(store.bring_forward(|item| *item == 3));
    /// assert!(!store.bring_forward(|item| *item == 4));
    /// assert_eq!(store.drain(), [3, 1, 2]);
    /// ```
    pub fn bring_forward(&mut self, is_it: impl FnMut(&T) -> bool) -> bool {
        let item = self.0.iter().position(is_it).and_then(|index| self.0.remove(index));
        item.map(|item| self.0.push_front(item)).is_some()
    }
}

impl<T> Lifo<T> {
    /// The items, next last.
    ///
    /// ```
    /// use manyhands_queue::{Lifo, Store};
    ///
    /// let mut store = Lifo::default();
    /// store.push(1).unwrap();
    /// store.push(2).unwrap();
    /// assert_eq!(store.iter().copied().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl<T: Send> Store for Fifo<T> {
    type Item = T;

    #[inline]
    fn push(&mut self, item: T) -> Result<(), T> {
        self.0.push_back(item);
        Ok(())
    }

    #[inline]
    fn pop(&mut self) -> Option<Option<T>> {
        self.0.pop_front().map(Some)
    }

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    fn drain(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0).into()
    }
}

impl<T: Send> Store for Lifo<T> {
    type Item = T;

    #[inline]
    fn push(&mut self, item: T) -> Result<(), T> {
        self.0.push(item);
        Ok(())
    }

    #[inline]
    fn pop(&mut self) -> Option<Option<T>> {
        self.0.pop().map(Some)
    }

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    fn drain(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0)
    }
}

impl<T: Ord + Send> Store for Heap<T> {
    type Item = T;

    fn push(&mut self, item: T) -> Result<(), T> {
        let Ok(place) = heap::push_place(self.0.len(), |i| Ok::<_, Infallible>(item < self.0[i]));
        heap::push(&mut self.0, item, place);
        Ok(())
    }

    fn pop(&mut self) -> Option<Option<T>> {
        if self.0.is_empty() {
            return None;
        }
        let Ok(place) =
            heap::pop_place(self.0.len(), |i, j| Ok::<_, Infallible>(self.0[i] < self.0[j]));
        Some(heap::pop(&mut self.0, place))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn drain(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0)
    }
}

/// What observers see a queue over this store as.
///
/// ```
/// use manyhands_queue::{Heap, Named};
/// use manyhands_watch::Kind;
///
/// assert_eq!(Heap::<u32>::KIND, Kind::PriorityQueue);
/// ```
pub trait Named: Store {
    /// The kind.
    const KIND: Kind;
}

impl<T: Send> Named for Fifo<T> {
    const KIND: Kind = Kind::Queue;
}

impl<T: Send> Named for Lifo<T> {
    const KIND: Kind = Kind::LifoQueue;
}

impl<T: Ord + Send> Named for Heap<T> {
    const KIND: Kind = Kind::PriorityQueue;
}
