//! `manyhands.gevent.queue.Queue`, `LifoQueue` and `PriorityQueue`

use manyhands_sync::Protected;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyTuple};

use super::items::advance;
use super::method::{self, function, this};
use super::passing;
use super::simple_queue::SimpleQueue;
use super::store::Order;

/// A queue that also knows which of the items that were put are done, and can be shut down.
///
/// With `maxsize` None it is never full. `items` are in it from the beginning, and count as unfinished unless `unfinished_tasks`
/// says how many do.
// py: gevent.queue.Queue
#[pyclass(frozen, extends = SimpleQueue, subclass, module = "manyhands.gevent.queue")]
pub(crate) struct Queue;

/// A queue whose latest item leaves first.
// py: gevent.queue.LifoQueue
#[pyclass(frozen, extends = Queue, subclass, module = "manyhands.gevent.queue")]
pub(crate) struct LifoQueue;

/// A queue whose least item leaves first.
// py: gevent.queue.PriorityQueue
#[pyclass(frozen, extends = Queue, subclass, module = "manyhands.gevent.queue")]
pub(crate) struct PriorityQueue;

fn make(order: Order) -> PyClassInitializer<Queue> {
    PyClassInitializer::from(SimpleQueue::make(order, true)).add_subclass(Queue)
}

/// Wakes who waits for that nothing is unfinished.
fn finished(queue: &Bound<'_, SimpleQueue>) {
    queue.get().cell.with(|state| advance(&mut state.joiners, usize::MAX));
}

/// Takes an item off those that are unfinished; false if there is none.
fn done(queue: &Bound<'_, SimpleQueue>) -> bool {
    let left = queue.get().cell.with(|state| {
        let left = state.unfinished.checked_sub(1)?;
        state.unfinished = left;
        Some(left)
    });
    if left == Some(0) {
        finished(queue);
    }
    left.is_some()
}

#[pymethods]
impl Queue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=None, items=(), unfinished_tasks=None)")]
    fn __new__(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Queue> {
        make(Order::Fifo)
    }

    #[pyo3(signature = (maxsize=None, items=None, unfinished_tasks=None))]
    fn __init__(
        slf: &Bound<'_, Self>,
        maxsize: Option<isize>,
        items: Option<Bound<'_, PyAny>>,
        unfinished_tasks: Option<usize>,
    ) -> PyResult<()> {
        let py = slf.py();
        let queue = slf.as_super();
        // Counted before they are taken out of what may be an iterator.
        let items = items.map_or_else(
            || Ok(PyList::empty(py)),
            |items| {
                items
                    .try_iter()?
                    .collect::<PyResult<Vec<_>>>()
                    .and_then(|items| PyList::new(py, items))
            },
        )?;
        SimpleQueue::init(queue, maxsize, &items)?;
        let unfinished = unfinished_tasks.filter(|it| *it > 0).unwrap_or(items.len());
        queue.get().cell.with(|state| state.unfinished = unfinished);
        Ok(())
    }

    /// How many items that were put are not done.
    // py: gevent.queue.Queue.unfinished_tasks
    #[getter]
    fn unfinished_tasks(slf: &Bound<'_, Self>) -> usize {
        slf.as_super().get().cell.with(|state| state.unfinished)
    }

    #[setter]
    fn set_unfinished_tasks(slf: &Bound<'_, Self>, count: usize) {
        slf.as_super().get().cell.with(|state| state.unfinished = count);
        if count == 0 {
            finished(slf.as_super());
        }
    }

    /// Say that an item that was got is done. ValueError if that is said more often than items were put.
    // py: gevent.queue.Queue.task_done
    fn task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        if done(slf.as_super()) {
            return Ok(());
        }
        Err(PyValueError::new_err("task_done() called too many times"))
    }

    /// Let nobody put anything any more: put() raises ShutDown, and get() does when the queue is empty. If `immediate` what is
    /// in it is thrown away, and counts as done. Those who wait go on, and raise ShutDown.
    // py: gevent.queue.Queue.shutdown
    #[pyo3(signature = (immediate=false))]
    fn shutdown(slf: &Bound<'_, Self>, immediate: bool) -> PyResult<()> {
        let queue = slf.as_super();
        queue.get().cell.with(|state| state.is_shut = true);
        if immediate {
            while let Some(item) = SimpleQueue::try_get(queue, true)? {
                drop(item);
                done(queue);
            }
        }
        queue.get().cell.with(|state| {
            advance(&mut state.getters, usize::MAX);
            advance(&mut state.putters, usize::MAX);
        });
        Ok(())
    }

    /// A queue with the same items, of which as many are unfinished.
    // py: gevent.queue.Queue.copy
    fn copy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let queue = slf.as_super();
        let (maxsize, unfinished) = queue.get().cell.with(|it| (it.maxsize, it.unfinished));
        slf.get_type().call1((maxsize, queue.get().items(slf.py())?, unfinished))
    }
}

#[pymethods]
impl LifoQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=None, items=(), unfinished_tasks=None)")]
    fn __new__(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<LifoQueue> {
        make(Order::Lifo).add_subclass(LifoQueue)
    }
}

#[pymethods]
impl PriorityQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=None, items=(), unfinished_tasks=None)")]
    fn __new__(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<PriorityQueue> {
        make(Order::Least).add_subclass(PriorityQueue)
    }
}

// py: gevent.queue.Queue.join
function!(
    Join,
    c"join",
    c"join($self, timeout=None)\n--\n\nWait until all items that were put are done, or so many seconds. Returns whether they are.",
    ["timeout"],
    0,
    |object, arguments| {
        let joined = passing::join(&this::<SimpleQueue>(object), arguments.some(0))?;
        Ok(PyBool::new(object.py(), joined).to_owned().into_any())
    }
);

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Queue>()?;
    module.add_class::<LifoQueue>()?;
    module.add_class::<PriorityQueue>()?;
    method::add_method::<Join>(&module.py().get_type::<Queue>())
}
