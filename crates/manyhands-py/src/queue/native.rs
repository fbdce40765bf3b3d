//! The three queues without what Python can see of them.

use manyhands_queue::{
    FifoQueue, GetError, LifoQueue, PutError, PutFailure, Queue, Store, TooManyDone, heap,
};
use manyhands_sync::{Gate, Limit, Lock, ThreadId};
use manyhands_watch::Kind;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::exclusion::Interpreter;
use crate::gate::Outside;
use crate::queue::ordered::{Entry, PyHeap};

/// The queue behind a `Queue`, `LifoQueue` or `PriorityQueue`.
pub(super) enum Native {
    Fifo(FifoQueue<Py<PyAny>, Interpreter>),
    Lifo(LifoQueue<Py<PyAny>, Interpreter>),
    Ordered(Ordered),
}

/// What a queue was when it retired, its items in the order in which the stdlib keeps them.
pub(super) struct Remains {
    pub(super) items: Vec<Py<PyAny>>,
    pub(super) unfinished: usize,
    pub(super) shut_down: bool,
}

/// Runs an expression on whichever queue it is.
macro_rules! on_each {
    ($native:expr, $queue:ident => $body:expr) => {
        match $native {
            Native::Fifo($queue) => $body,
            Native::Lifo($queue) => $body,
            Native::Ordered(Ordered { queue: $queue, .. }) => $body,
        }
    };
}

impl Native {
    pub(super) fn fifo() -> Native {
        Native::Fifo(Queue::new(0))
    }

    pub(super) fn lifo() -> Native {
        Native::Lifo(Queue::new(0))
    }

    pub(super) fn ordered() -> Native {
        let queue = Queue::over(PyHeap::default(), Kind::PriorityQueue, 0);
        Native::Ordered(Ordered { queue, order: Lock::new() })
    }

    #[inline]
    pub(super) fn try_put(
        &self,
        py: Python<'_>,
        item: Py<PyAny>,
    ) -> Result<(), PutError<Py<PyAny>>> {
        match self {
            Native::Fifo(queue) => queue.try_put(item),
            Native::Lifo(queue) => queue.try_put(item),
            Native::Ordered(ordered) => {
                ordered.queue.try_put(Entry::new(item.into_bound(py))).map_err(bare)
            }
        }
    }

    /// Goes on after a `try_put` that failed.
    pub(super) fn put(
        &self,
        py: Python<'_>,
        refused: PutError<Py<PyAny>>,
        limit: Limit,
    ) -> Result<(), PutError<Py<PyAny>, PyErr>> {
        let PutError { item, why } = refused;
        match (self, why) {
            (Native::Fifo(queue), PutFailure::Full) => queue.put_with(item, &Outside(py), limit),
            (Native::Lifo(queue), PutFailure::Full) => queue.put_with(item, &Outside(py), limit),
            (Native::Ordered(ordered), PutFailure::Full | PutFailure::Undecided) => {
                ordered.put(py, Entry::new(item.into_bound(py)), limit).map_err(bare)
            }
            (_, why) => Err(PutError { item, why: why.widen() }),
        }
    }

    #[inline]
    pub(super) fn try_get(&self) -> Result<Py<PyAny>, GetError> {
        match self {
            Native::Fifo(queue) => queue.try_get(),
            Native::Lifo(queue) => queue.try_get(),
            Native::Ordered(ordered) => ordered.queue.try_get().map(|entry| entry.item),
        }
    }

    /// Goes on after a `try_get` that failed.
    pub(super) fn get(
        &self,
        py: Python<'_>,
        why: GetError,
        limit: Limit,
    ) -> Result<Py<PyAny>, GetError<PyErr>> {
        match (self, why) {
            (Native::Fifo(queue), GetError::Empty) => queue.get_with(&Outside(py), limit),
            (Native::Lifo(queue), GetError::Empty) => queue.get_with(&Outside(py), limit),
            (Native::Ordered(ordered), GetError::Empty | GetError::Undecided) => {
                ordered.get(py, limit).map(|entry| entry.item)
            }
            (_, why) => Err(why.widen()),
        }
    }

    /// The number under which observers know it.
    pub(super) fn subject(&self) -> Option<u64> {
        on_each!(self, queue => queue.subject())
    }

    pub(super) fn len(&self) -> usize {
        on_each!(self, queue => queue.len())
    }

    pub(super) fn unfinished(&self) -> usize {
        on_each!(self, queue => queue.unfinished())
    }

    pub(super) fn set_unfinished(&self, unfinished: usize) {
        on_each!(self, queue => queue.set_unfinished(unfinished));
    }

    pub(super) fn set_maxsize(&self, maxsize: usize) {
        on_each!(self, queue => queue.set_maxsize(maxsize));
    }

    #[inline]
    pub(super) fn task_done(&self) -> Result<(), TooManyDone> {
        on_each!(self, queue => queue.task_done())
    }

    /// False if the queue was retired.
    pub(super) fn join<G: Gate>(&self, gate: &G) -> Result<bool, G::Error> {
        on_each!(self, queue => queue.join_with(gate))
    }

    pub(super) fn is_shut_down(&self) -> bool {
        on_each!(self, queue => queue.is_shut_down())
    }

    pub(super) fn shut_down(&self, py: Python<'_>, immediate: bool) -> PyResult<()> {
        if !immediate {
            on_each!(self, queue => queue.shutdown());
            return Ok(());
        }
        let _claim = self.claim(py)?;
        // The items are released here, where their destructors may do what they want.
        on_each!(self, queue => drop(queue.shutdown_now()));
        Ok(())
    }

    fn claim(&self, py: Python<'_>) -> PyResult<Option<Claim<'_>>> {
        match self {
            Native::Ordered(ordered) => ordered.claim(py).map(Some),
            _ => Ok(None),
        }
    }

    /// Copies of the items, in the order in which the stdlib keeps them.
    pub(super) fn copies(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        match self {
            Native::Fifo(queue) => {
                queue.with_store(|store| store.iter().map(|item| item.clone_ref(py)).collect())
            }
            Native::Lifo(queue) => {
                queue.with_store(|store| store.iter().map(|item| item.clone_ref(py)).collect())
            }
            Native::Ordered(Ordered { queue, .. }) => queue.with_store(|store| {
                store.entries().iter().map(|entry| entry.item.clone_ref(py)).collect()
            }),
        }
    }

    /// Retires the queue if its items are still those.
    pub(super) fn retire(
        &self,
        py: Python<'_>,
        expected: &[Py<PyAny>],
    ) -> PyResult<Option<Remains>> {
        let _claim = self.claim(py)?;
        fn same<'a>(
            mut items: impl Iterator<Item = &'a Py<PyAny>>,
            len: usize,
            expected: &[Py<PyAny>],
        ) -> bool {
            len == expected.len()
                && expected.iter().all(|item| items.next().is_some_and(|its| its.is(item)))
        }
        let remains = match self {
            Native::Fifo(queue) => queue
                .retire(|store| same(store.iter(), store.len(), expected))
                .map(|it| (it.items, it.unfinished, it.shut_down)),
            Native::Lifo(queue) => queue
                .retire(|store| same(store.iter(), store.len(), expected))
                .map(|it| (it.items, it.unfinished, it.shut_down)),
            Native::Ordered(ordered) => ordered
                .queue
                .retire(|store| {
                    let items = store.entries().iter().map(|entry| &entry.item);
                    same(items, store.len(), expected)
                })
                .map(|it| {
                    let items = it.items.into_iter().map(|entry| entry.item).collect();
                    (items, it.unfinished, it.shut_down)
                }),
        };
        Ok(remains.map(|(items, unfinished, shut_down)| Remains { items, unfinished, shut_down }))
    }

    pub(super) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Native::Fifo(queue) => {
                queue.with_store(|store| store.iter().try_for_each(|item| visit.call(item)))
            }
            Native::Lifo(queue) => {
                queue.with_store(|store| store.iter().try_for_each(|item| visit.call(item)))
            }
            Native::Ordered(Ordered { queue, .. }) => queue.with_store(|store| {
                store.entries().iter().try_for_each(|entry| visit.call(&entry.item))
            }),
        }
    }

    pub(super) fn clear(&self) {
        on_each!(self, queue => drop(queue.with_store(Store::drain)));
    }
}

fn bare<E>(refused: PutError<Entry, E>) -> PutError<Py<PyAny>, E> {
    PutError { item: refused.item.item, why: refused.why }
}

/// A queue whose items may have to be compared in Python.
///
/// Whoever does that holds `order` and has `claimed` the heap: comparisons run arbitrary code and
/// let other threads run, but only the holder moves items meanwhile. If a comparison raises,
/// nothing has moved.
pub(super) struct Ordered {
    queue: Queue<PyHeap, Interpreter>,
    order: Lock<Interpreter>,
}

/// The right to move the items of an [`Ordered`].
struct Claim<'a>(&'a Ordered);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.queue.with_store(PyHeap::unclaim);
        let _ = self.0.order.release();
    }
}

impl Ordered {
    fn claim(&self, py: Python<'_>) -> PyResult<Claim<'_>> {
        if self.order.owner() == Some(ThreadId::current()) {
            return Err(PyRuntimeError::new_err(
                "a PriorityQueue was used in a comparison of its own items, or in a signal \
                 handler or destructor that ran during one",
            ));
        }
        if self.queue.with_store(|heap| heap.is_orphaned()) {
            self.queue.with_store(PyHeap::unclaim);
            self.order.reset();
        }
        self.order.acquire_with(&Outside(py), Limit::Forever)?;
        self.queue.with_store(PyHeap::claim);
        Ok(Claim(self))
    }

    fn put(
        &self,
        py: Python<'_>,
        entry: Entry,
        limit: Limit,
    ) -> Result<(), PutError<Entry, PyErr>> {
        let mut entry = Some(entry);
        loop {
            let done = self.try_put_claimed(py, &mut entry);
            let why = match (done, entry.take()) {
                (_, None) => return Ok(()),
                (Err(why), Some(item)) => {
                    entry = Some(item);
                    why
                }
                (Ok(()), Some(item)) => {
                    entry = Some(item);
                    continue;
                }
            };
            let why = match why {
                PutFailure::Full => match self.queue.wait_for_room(&Outside(py), limit) {
                    Ok(()) => continue,
                    Err(why) => why,
                },
                why => why,
            };
            if let Some(item) = entry {
                return Err(PutError { item, why });
            }
        }
    }

    /// Takes the entry if it found its place; `Ok` without that if the queue changed meanwhile.
    fn try_put_claimed(
        &self,
        py: Python<'_>,
        entry: &mut Option<Entry>,
    ) -> Result<(), PutFailure<PyErr>> {
        let claim = self.claim(py).map_err(PutFailure::GivenUp)?;
        self.queue.wait_for_room(&Outside(py), Limit::Never)?;
        let Some(new) = entry.as_ref() else { return Ok(()) };
        let new = new.item.bind(py);
        let place = heap::push_place(self.queue.len(), |at| new.lt(self.item(py, at)));
        match place {
            Ok(place) => {
                self.queue.insert(|heap| {
                    if let Some(entry) = entry.take() {
                        heap.push_at(entry, place);
                    }
                });
                Ok(())
            }
            Err(error) => {
                drop(claim);
                // Who waits for the room that this thread was woken for.
                self.queue.nudge();
                Err(PutFailure::GivenUp(error))
            }
        }
    }

    fn get(&self, py: Python<'_>, limit: Limit) -> Result<Entry, GetError<PyErr>> {
        loop {
            match self.try_get_claimed(py) {
                Ok(Some(entry)) => return Ok(entry),
                Ok(None) => {}
                Err(GetError::Empty) => self.queue.wait_for_item(&Outside(py), limit)?,
                Err(why) => return Err(why),
            }
        }
    }

    /// The next entry; `None` if the queue changed meanwhile.
    fn try_get_claimed(&self, py: Python<'_>) -> Result<Option<Entry>, GetError<PyErr>> {
        let claim = self.claim(py).map_err(GetError::GivenUp)?;
        self.queue.wait_for_item(&Outside(py), Limit::Never)?;
        let less = |i: usize, j: usize| self.item(py, i).bind(py).lt(self.item(py, j));
        match heap::pop_place(self.queue.len(), less) {
            Ok(place) => Ok(self.queue.remove(|heap| heap.pop_at(place)).flatten()),
            Err(error) => {
                drop(claim);
                self.queue.nudge();
                Err(GetError::GivenUp(error))
            }
        }
    }

    fn item(&self, py: Python<'_>, place: usize) -> Py<PyAny> {
        self.queue.with_store(|heap| heap.entries()[place].item.clone_ref(py))
    }
}
