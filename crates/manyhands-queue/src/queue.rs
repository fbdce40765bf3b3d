//! The mechanism of all queues: capacity, waiting, unfinished work, shutting down.

use std::fmt;

use manyhands_sync::{Exclusion, Gate, Limit, Locked, Patient, Protected, Waits, Wakes, block};
use manyhands_watch::Kind;

use crate::state::{GETTERS, JOINERS, PUTTERS, Phase, State};
use crate::store::Named;
use crate::{GetError, PutError, PutFailure, Store, TooManyDone};

/// A queue over a store.
///
/// ```
/// use manyhands_queue::{FifoQueue, GetError};
///
/// let queue: FifoQueue<u32> = FifoQueue::new(2);
/// queue.put(1).unwrap();
/// queue.shutdown();
/// assert!(queue.put(2).is_err());
/// assert_eq!(queue.get(), Ok(1));
/// assert_eq!(queue.get(), Err(GetError::ShutDown));
/// ```
///
/// # Fork safety
/// A forked child has its own copy of the items; threads of the parent no longer wait for them.
///
/// # References
/// `queue` in the Python library reference.
pub struct Queue<S: Store + 'static, X: Exclusion = Locked> {
    cell: X::Cell<State<S>>,
}

impl<S: Named + Default, X: Exclusion> Queue<S, X> {
    /// A queue for `maxsize` items, or any number if that is 0.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(2);
    /// queue.put(1).unwrap();
    /// queue.put(2).unwrap();
    /// assert!(queue.is_full());
    /// ```
    #[doc(alias = "queue.Queue.maxsize")]
    pub fn new(maxsize: usize) -> Self {
        Queue::over(S::default(), S::KIND, maxsize)
    }
}

impl<S: Store + 'static, X: Exclusion> Queue<S, X> {
    /// A queue over that store, which observers see as `kind`.
    ///
    /// ```
    /// use manyhands_queue::{Fifo, Queue};
    /// use manyhands_watch::Kind;
    ///
    /// let queue: Queue<Fifo<u32>> = Queue::over(Fifo::default(), Kind::SimpleQueue, 0);
    /// queue.put(1).unwrap();
    /// ```
    pub fn over(store: S, kind: Kind, maxsize: usize) -> Self {
        Queue::with_getters(store, kind, maxsize, false)
    }

    /// An unbounded queue over that store, for workers: of those who wait for an item, the one that began to
    /// wait last gets the next. Who has just done something is faster than who has slept for long.
    ///
    /// ```
    /// use manyhands_queue::{Fifo, Queue};
    /// use manyhands_watch::Kind;
    ///
    /// let queue: Queue<Fifo<u32>> = Queue::for_workers(Fifo::default(), Kind::SimpleQueue);
    /// queue.put(1).unwrap();
    /// ```
    pub fn for_workers(store: S, kind: Kind) -> Self {
        Queue::with_getters(store, kind, 0, true)
    }

    fn with_getters(store: S, kind: Kind, maxsize: usize, last_first: bool) -> Self {
        let phase = Phase::Open;
        let waits = Waits::default();
        let state = State { store, maxsize, unfinished: 0, phase, kind, last_first, waits };
        Queue { cell: X::Cell::new(state) }
    }

    /// Puts an item in, waiting as long as it takes for room.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(1);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| (0..3).for_each(|item| queue.put(item).unwrap()));
    ///     (0..3).for_each(|item| assert_eq!(queue.get(), Ok(item)));
    /// });
    /// ```
    ///
    /// # Errors
    /// The queue is shut down.
    #[doc(alias = "queue.Queue.put")]
    pub fn put(&self, item: S::Item) -> Result<(), PutError<S::Item>> {
        self.put_with(item, &Patient, Limit::Forever)
    }

    /// Puts an item in if there is room.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(1);
    /// assert!(queue.try_put(1).is_ok());
    /// assert_eq!(queue.try_put(2).unwrap_err().item, 2);
    /// ```
    ///
    /// # Errors
    /// [`PutError`], with the item.
    #[doc(alias = "queue.Queue.put_nowait")]
    #[inline]
    pub fn try_put(&self, item: S::Item) -> Result<(), PutError<S::Item>> {
        let mut wakes = Wakes::default();
        let result = self.cell.with(|state| state.put(item, &mut wakes));
        wakes.send();
        result
    }

    /// Puts an item in within a limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_queue::{FifoQueue, PutFailure};
    /// use manyhands_sync::{Limit, Patient};
    ///
    /// let queue: FifoQueue<u32> = FifoQueue::new(1);
    /// let soon = Limit::after(Duration::from_millis(1));
    /// assert!(queue.put_with(1, &Patient, soon).is_ok());
    /// assert_eq!(queue.put_with(2, &Patient, soon).unwrap_err().why, PutFailure::Full);
    /// ```
    ///
    /// # Errors
    /// [`PutError`], with the item.
    pub fn put_with<G: Gate>(
        &self,
        item: S::Item,
        gate: &G,
        limit: Limit,
    ) -> Result<(), PutError<S::Item, G::Error>> {
        let mut kept = Some(item);
        let done =
            block(
                &self.cell,
                PUTTERS,
                "put",
                gate,
                limit,
                |state: &mut State<S>, wakes| match state.put(kept.take()?, wakes) {
                    Err(PutError { item, why: PutFailure::Full }) => {
                        kept = Some(item);
                        None
                    }
                    Err(PutError { item, why }) => {
                        kept = Some(item);
                        Some(Err(why))
                    }
                    Ok(()) => {
                        if state.has_room() {
                            state.waits.wake_one(PUTTERS, wakes);
                        }
                        Some(Ok(()))
                    }
                },
            );
        let why = match done {
            Ok(Some(Ok(()))) => return Ok(()),
            Ok(Some(Err(why))) => why.widen(),
            Ok(None) => PutFailure::Full,
            Err(error) => PutFailure::GivenUp(error),
        };
        match kept {
            Some(item) => Err(PutError { item, why }),
            None => Ok(()),
        }
    }

    /// Takes the next item out, waiting as long as it takes for one.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.put(1).unwrap();
    /// assert_eq!(queue.get(), Ok(1));
    /// ```
    ///
    /// # Errors
    /// The queue is shut down and empty.
    #[doc(alias = "queue.Queue.get")]
    pub fn get(&self) -> Result<S::Item, GetError> {
        self.get_with(&Patient, Limit::Forever)
    }

    /// Takes the next item out if there is one.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// assert!(queue.try_get().is_err());
    /// queue.put(1).unwrap();
    /// assert_eq!(queue.try_get(), Ok(1));
    /// ```
    ///
    /// # Errors
    /// [`GetError`].
    #[doc(alias = "queue.Queue.get_nowait")]
    #[inline]
    pub fn try_get(&self) -> Result<S::Item, GetError> {
        let mut wakes = Wakes::default();
        let result = self.cell.with(|state| state.get(&mut wakes));
        wakes.send();
        result
    }

    /// Takes the next item out within a limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_queue::{FifoQueue, GetError};
    /// use manyhands_sync::{Limit, Patient};
    ///
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// let soon = Limit::after(Duration::from_millis(1));
    /// assert_eq!(queue.get_with(&Patient, soon), Err(GetError::Empty));
    /// ```
    ///
    /// # Errors
    /// [`GetError`].
    pub fn get_with<G: Gate>(&self, gate: &G, limit: Limit) -> Result<S::Item, GetError<G::Error>> {
        let done =
            block(
                &self.cell,
                GETTERS,
                "get",
                gate,
                limit,
                |state: &mut State<S>, wakes| match state.get(wakes) {
                    Err(GetError::Empty) => None,
                    Ok(item) => {
                        if !state.store.is_empty() {
                            state.waits.wake_one(GETTERS, wakes);
                        }
                        Some(Ok(item))
                    }
                    Err(why) => Some(Err(why)),
                },
            );
        match done {
            Ok(Some(result)) => result.map_err(GetError::widen),
            Ok(None) => Err(GetError::Empty),
            Err(error) => Err(GetError::GivenUp(error)),
        }
    }

    /// Reports an item that was taken out as done.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.put(1).unwrap();
    /// let _item = queue.get().unwrap();
    /// // ... work on it ...
    /// queue.task_done().unwrap();
    /// assert_eq!(queue.unfinished(), 0);
    /// ```
    ///
    /// # Errors
    /// [`TooManyDone`].
    #[doc(alias = "queue.Queue.task_done")]
    #[inline]
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        let mut wakes = Wakes::default();
        let result = self.cell.with(|state| {
            state.unfinished = state.unfinished.checked_sub(1).ok_or(TooManyDone)?;
            if state.unfinished == 0 {
                state.waits.wake_all(JOINERS, &mut wakes);
            }
            Ok(())
        });
        wakes.send();
        result
    }

    /// Waits as long as it takes until all items that were put in are reported as done; false if
    /// the queue was retired meanwhile.
    ///
    /// ```
    /// use manyhands_queue::FifoQueue;
    /// use manyhands_sync::Patient;
    ///
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// assert_eq!(queue.join_with(&Patient), Ok(true));
    /// ```
    ///
    /// # Errors
    /// Those of the gate.
    #[doc(alias = "queue.Queue.join")]
    pub fn join_with<G: Gate>(&self, gate: &G) -> Result<bool, G::Error> {
        let done =
            block(&self.cell, JOINERS, "join", gate, Limit::Forever, |state: &mut State<S>, _| {
                match state.phase {
                    Phase::Retired => Some(false),
                    _ => (state.unfinished == 0).then_some(true),
                }
            })?;
        Ok(done.unwrap_or(false))
    }

    /// Waits as long as it takes until all items that were put in are reported as done.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// std::thread::scope(|scope| {
    ///     queue.put(1).unwrap();
    ///     scope.spawn(|| {
    ///         queue.get().unwrap();
    ///         queue.task_done().unwrap();
    ///     });
    ///     queue.join();
    /// });
    /// ```
    pub fn join(&self) {
        let Ok(_) = self.join_with(&Patient);
    }

    /// Takes no more items from now on; who waits to put or, once the queue is empty, to get, fails.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.put(1).unwrap();
    /// queue.shutdown();
    /// assert!(queue.put(2).is_err());
    /// assert!(queue.get().is_ok());
    /// assert!(queue.get().is_err());
    /// ```
    #[doc(alias = "queue.Queue.shutdown")]
    pub fn shutdown(&self) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| state.shut_down(&mut wakes));
        wakes.send();
    }

    /// As [`Queue::shutdown`], and takes out all items, which count as done.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.put(1).unwrap();
    /// assert_eq!(queue.shutdown_now(), [1]);
    /// assert!(queue.get().is_err());
    /// ```
    pub fn shutdown_now(&self) -> Vec<S::Item> {
        let mut wakes = Wakes::default();
        let items = self.cell.with(|state| {
            let items = state.store.drain();
            state.unfinished = state.unfinished.saturating_sub(items.len());
            state.waits.wake_all(JOINERS, &mut wakes);
            state.shut_down(&mut wakes);
            items
        });
        wakes.send();
        items
    }

    /// Whether the queue is shut down.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.shutdown();
    /// assert!(queue.is_shut_down());
    /// ```
    pub fn is_shut_down(&self) -> bool {
        self.cell.with(|state| state.phase == Phase::ShutDown)
    }

    /// How many items there are.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.put(1).unwrap();
    /// assert_eq!(queue.len(), 1);
    /// ```
    #[doc(alias = "queue.Queue.qsize")]
    #[inline]
    pub fn len(&self) -> usize {
        self.cell.with(|state| state.store.len())
    }

    /// Whether there are no items.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// assert!(queue.is_empty());
    /// ```
    #[doc(alias = "queue.Queue.empty")]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(1);
    /// queue.put(1).unwrap();
    /// assert!(queue.is_full());
    /// ```
    #[doc(alias = "queue.Queue.full")]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.cell.with(|state| !state.has_room())
    }

    /// How many items were put in and not yet reported as done.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.put(1).unwrap();
    /// queue.get().unwrap();
    /// assert_eq!(queue.unfinished(), 1);
    /// ```
    #[doc(alias = "queue.Queue.unfinished_tasks")]
    pub fn unfinished(&self) -> usize {
        self.cell.with(|state| state.unfinished)
    }

    /// Says how many items are not yet done.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.set_unfinished(1);
    /// queue.task_done().unwrap();
    /// ```
    pub fn set_unfinished(&self, unfinished: usize) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| {
            state.unfinished = unfinished;
            if unfinished == 0 {
                state.waits.wake_all(JOINERS, &mut wakes);
            }
        });
        wakes.send();
    }

    /// Says how many items fit from now on; 0 for any number.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(1);
    /// queue.put(1).unwrap();
    /// queue.set_maxsize(2);
    /// assert!(!queue.is_full());
    /// ```
    pub fn set_maxsize(&self, maxsize: usize) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| {
            state.maxsize = maxsize;
            state.waits.wake_one(PUTTERS, &mut wakes);
        });
        wakes.send();
    }

    /// Runs `body` on the store, for what does not change how many items there are.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.put(1).unwrap();
    /// queue.put(2).unwrap();
    /// assert_eq!(queue.with_store(|store| store.iter().sum::<u32>()), 3);
    /// ```
    pub fn with_store<R>(&self, body: impl FnOnce(&mut S) -> R) -> R {
        self.cell.with(|state| body(&mut state.store))
    }

    /// Waits for room within a limit, and takes none of it: another may be faster.
    ///
    /// ```
    /// use manyhands_queue::{FifoQueue, PutFailure};
    /// use manyhands_sync::{Limit, Patient};
    ///
    /// let queue: FifoQueue<u32> = FifoQueue::new(1);
    /// assert_eq!(queue.wait_for_room(&Patient, Limit::Forever), Ok(()));
    /// queue.put(1).unwrap();
    /// assert_eq!(queue.wait_for_room(&Patient, Limit::Never), Err(PutFailure::Full));
    /// ```
    ///
    /// # Errors
    /// [`PutFailure`]; never `Undecided`.
    pub fn wait_for_room<G: Gate>(
        &self,
        gate: &G,
        limit: Limit,
    ) -> Result<(), PutFailure<G::Error>> {
        let done = block(&self.cell, PUTTERS, "put", gate, limit, |state: &mut State<S>, _| {
            match state.phase {
                Phase::Retired => Some(Err(PutFailure::Retired)),
                Phase::ShutDown => Some(Err(PutFailure::ShutDown)),
                Phase::Open => state.has_room().then_some(Ok(())),
            }
        });
        match done {
            Ok(Some(result)) => result,
            Ok(None) => Err(PutFailure::Full),
            Err(error) => Err(PutFailure::GivenUp(error)),
        }
    }

    /// Waits for an item within a limit, and does not take it: another may be faster.
    ///
    /// ```
    /// use manyhands_queue::{FifoQueue, GetError};
    /// use manyhands_sync::{Limit, Patient};
    ///
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// assert_eq!(queue.wait_for_item(&Patient, Limit::Never), Err(GetError::Empty));
    /// queue.put(1).unwrap();
    /// assert_eq!(queue.wait_for_item(&Patient, Limit::Forever), Ok(()));
    /// assert_eq!(queue.len(), 1);
    /// ```
    ///
    /// # Errors
    /// [`GetError`]; never `Undecided`.
    pub fn wait_for_item<G: Gate>(&self, gate: &G, limit: Limit) -> Result<(), GetError<G::Error>> {
        let done = block(&self.cell, GETTERS, "get", gate, limit, |state: &mut State<S>, _| {
            match state.phase {
                Phase::Retired => Some(Err(GetError::Retired)),
                _ if !state.store.is_empty() => Some(Ok(())),
                Phase::ShutDown => Some(Err(GetError::ShutDown)),
                Phase::Open => None,
            }
        });
        match done {
            Ok(Some(result)) => result,
            Ok(None) => Err(GetError::Empty),
            Err(error) => Err(GetError::GivenUp(error)),
        }
    }

    /// Has `body` put one item into the store; false, without running it, if there is no room or the
    /// queue takes no items.
    ///
    /// ```
    /// use manyhands_queue::{FifoQueue, Store};
    ///
    /// let queue: FifoQueue<u32> = FifoQueue::new(1);
    /// assert!(queue.insert(|store| store.push(1).unwrap()));
    /// assert!(!queue.insert(|_| unreachable!("there is no room")));
    /// ```
    pub fn insert(&self, body: impl FnOnce(&mut S)) -> bool {
        let mut wakes = Wakes::default();
        let done = self.cell.with(|state| {
            let may = state.phase == Phase::Open && state.has_room();
            if may {
                body(&mut state.store);
                state.unfinished += 1;
                state.waits.wake_one(GETTERS, &mut wakes);
                if state.has_room() {
                    state.waits.wake_one(PUTTERS, &mut wakes);
                }
            }
            may
        });
        wakes.send();
        done
    }

    /// Has `body` take one item out of the store; `None`, without running it, if there is none or
    /// the queue is retired.
    ///
    /// ```
    /// use manyhands_queue::{FifoQueue, Store};
    ///
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.put(1).unwrap();
    /// assert_eq!(queue.remove(|store| store.pop()), Some(Some(Some(1))));
    /// ```
    pub fn remove<R>(&self, body: impl FnOnce(&mut S) -> R) -> Option<R> {
        let mut wakes = Wakes::default();
        let item = self.cell.with(|state| {
            if state.phase == Phase::Retired || state.store.is_empty() {
                return None;
            }
            let item = body(&mut state.store);
            state.waits.wake_one(PUTTERS, &mut wakes);
            if !state.store.is_empty() {
                state.waits.wake_one(GETTERS, &mut wakes);
            }
            Some(item)
        });
        wakes.send();
        item
    }

    /// Lets one thread that waits to put and one that waits to get look again: for who was woken,
    /// found what it waited for, and then did not take it.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.nudge();
    /// ```
    pub fn nudge(&self) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| {
            state.waits.wake_one(PUTTERS, &mut wakes);
            state.waits.wake_one(GETTERS, &mut wakes);
        });
        wakes.send();
    }

    /// Gives all items, if `ready` agrees to the store as it is, to another implementation: from
    /// then on every operation, also of those who wait, fails with `Retired`. `None` if `ready` does
    /// not agree, or the queue is retired already.
    ///
    /// ```
    /// # use manyhands_queue::FifoQueue;
    /// let queue: FifoQueue<u32> = FifoQueue::new(0);
    /// queue.put(1).unwrap();
    /// let remains = queue.retire(|_| true).unwrap();
    /// assert_eq!((remains.items, remains.unfinished), (vec![1], 1));
    /// assert!(queue.get().is_err());
    /// ```
    pub fn retire(&self, ready: impl FnOnce(&S) -> bool) -> Option<Retired<S::Item>> {
        let mut wakes = Wakes::default();
        let retired = self.cell.with(|state| {
            if state.phase == Phase::Retired || !ready(&state.store) {
                return None;
            }
            let shut_down = state.phase == Phase::ShutDown;
            state.phase = Phase::Retired;
            for line in [GETTERS, PUTTERS, JOINERS] {
                state.waits.wake_all(line, &mut wakes);
            }
            let items = state.store.drain();
            Some(Retired { items, unfinished: state.unfinished, shut_down })
        });
        wakes.send();
        retired
    }

    /// The number under which observers know it, see [`manyhands_watch::Subject::id`]; `None` if
    /// nobody has ever waited for it.
    pub fn subject(&self) -> Option<u64> {
        self.cell.with(|state| state.waits.subject())
    }
}

/// What a queue was when it retired.
///
/// ```
/// # use manyhands_queue::FifoQueue;
/// let queue: FifoQueue<u32> = FifoQueue::new(0);
/// queue.shutdown();
/// let remains = queue.retire(|_| true).unwrap();
/// assert!(remains.items.is_empty() && remains.shut_down);
/// ```
#[derive(Debug)]
pub struct Retired<T> {
    /// Its items, as [`Store::drain`] gives them.
    pub items: Vec<T>,
    /// How many were not yet done.
    pub unfinished: usize,
    /// Whether it was shut down.
    pub shut_down: bool,
}

impl<S: Store + 'static, X: Exclusion> fmt::Debug for Queue<S, X> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Queue").field("len", &self.len()).finish_non_exhaustive()
    }
}
