//! `manyhands.gevent.queue.SimpleQueue`

use manyhands_sync::{Exclusion, Protected};
use pyo3::exceptions::PyStopIteration;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::items::{State, overrides};
use super::method::{self, function, this};
use super::store::{Order, Store};
use super::{park, passing};
use crate::exclusion::Interpreter;

/// A queue: who gets waits while it is empty, who puts waits while it is full, in the order in which they came.
///
/// With `maxsize` None it is never full. `items` are in it from the beginning.
// py: gevent.queue.SimpleQueue
#[pyclass(frozen, weakref, subclass, module = "manyhands.gevent.queue")]
pub(crate) struct SimpleQueue {
    pub(super) order: Order,
    /// Whether it counts what was put and is not done.
    pub(super) counts: bool,
    pub(super) cell: <Interpreter as Exclusion>::Cell<State>,
}

#[pymethods]
impl SimpleQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=None, items=())")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> SimpleQueue {
        SimpleQueue::make(Order::Fifo, false)
    }

    #[pyo3(signature = (maxsize=None, items=None, _warn_depth=2))]
    fn __init__(
        slf: &Bound<'_, Self>,
        maxsize: Option<isize>,
        items: Option<Bound<'_, PyAny>>,
        _warn_depth: isize,
    ) -> PyResult<()> {
        let items = items.unwrap_or_else(|| PyTuple::empty(slf.py()).into_any());
        SimpleQueue::init(slf, maxsize, &items)
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        class.py().import("types")?.getattr("GenericAlias")?.call1((class, item))
    }

    /// How many items fit in; None if that has no limit.
    // py: gevent.queue.SimpleQueue.maxsize
    #[getter]
    fn maxsize(&self) -> Option<usize> {
        self.cell.with(|state| state.maxsize)
    }

    #[setter]
    fn set_maxsize(slf: &Bound<'_, Self>, maxsize: Option<isize>) -> PyResult<()> {
        let maxsize = maxsize.filter(|it| *it > 0).and_then(|it| usize::try_from(it).ok());
        slf.get().cell.with(|state| state.maxsize = maxsize);
        SimpleQueue::advance_putters(slf)
    }

    /// What the items are in: a deque, a list or a heap in a list.
    #[getter]
    fn queue<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let items = this.items(py)?;
        if let Some(container) = this.open_one(py) {
            return Ok(container);
        }
        let container = this.order.container(&items)?;
        this.replace(py, Store::Open(container.clone().unbind()));
        Ok(container)
    }

    #[setter]
    fn set_queue(&self, container: Bound<'_, PyAny>) {
        let py = container.py();
        self.replace(py, Store::Open(container.unbind()));
    }

    /// This thread's hub.
    #[getter]
    fn hub(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        park::hub(py).map(|here| here.greenlet)
    }

    /// Whether it was shut down.
    #[getter]
    fn is_shutdown(&self) -> bool {
        self.cell.with(|state| state.is_shut)
    }

    /// How many items there are.
    // py: gevent.queue.SimpleQueue.qsize
    fn qsize(slf: &Bound<'_, Self>) -> PyResult<usize> {
        SimpleQueue::size(slf)
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        SimpleQueue::size(slf)
    }

    fn __bool__(&self) -> bool {
        true
    }

    /// Whether there are no items.
    // py: gevent.queue.SimpleQueue.empty
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(SimpleQueue::size(slf)? == 0)
    }

    /// Whether there is no room for another item.
    // py: gevent.queue.SimpleQueue.full
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let size = SimpleQueue::size(slf)?;
        Ok(slf.get().cell.with(|state| state.free(size)) == 0)
    }

    /// A queue with the same items.
    // py: gevent.queue.SimpleQueue.copy
    fn copy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get_type().call1((slf.get().maxsize(), slf.get().items(slf.py())?))
    }

    #[pyo3(signature = (maxsize, items=None))]
    fn _init(
        slf: &Bound<'_, Self>,
        maxsize: &Bound<'_, PyAny>,
        items: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let items = items.unwrap_or_else(|| PyTuple::empty(maxsize.py()).into_any());
        if !overrides(&slf.get_type(), &["_create_queue"])? {
            return SimpleQueue::fill(slf, &items);
        }
        let made = slf.as_any().call_method1("_create_queue", (items,))?;
        slf.get().set_queue(made);
        Ok(())
    }

    #[pyo3(signature = (items=None))]
    fn _create_queue<'py>(
        &self,
        py: Python<'py>,
        items: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let items = items.unwrap_or_else(|| PyTuple::empty(py).into_any());
        self.order.container(&items)
    }

    fn _qsize(&self, py: Python<'_>) -> PyResult<usize> {
        self.plain_size(py)
    }

    fn _put(&self, item: &Bound<'_, PyAny>) -> PyResult<()> {
        self.plain_put(item)
    }

    fn _get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.plain_get(py, true)
    }

    fn _peek<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.plain_get(py, false)
    }

    fn _format(slf: &Bound<'_, Self>) -> PyResult<String> {
        SimpleQueue::describe(slf)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let address = slf.as_ptr() as usize;
        Ok(format!("<{} at {address:#x}{}>", slf.get_type().name()?, SimpleQueue::describe(slf)?))
    }

    fn __str__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<{}{}>", slf.get_type().name()?, SimpleQueue::describe(slf)?))
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.cell.with(|state| {
            state.offers.iter().try_for_each(|(_, item)| visit.call(item))?;
            match &state.store {
                Store::Native(items) => items.iter().try_for_each(|item| visit.call(item)),
                Store::Open(container) => visit.call(container),
            }
        })
    }

    fn __clear__(&self) {
        let empty = Store::Native(std::collections::VecDeque::new());
        let items = self.cell.with(|state| std::mem::replace(&mut state.store, empty));
        drop(items);
    }
}

// py: gevent.queue.SimpleQueue.put
function!(
    Put,
    c"put",
    c"put($self, item, block=True, timeout=None)\n--\n\nPut an item in. If the queue is full wait for room, as long as it takes (timeout None) or so many seconds, then\nraise Full; at once if `block` is false.",
    ["item", "block", "timeout"],
    1,
    |object, arguments| {
        let py = object.py();
        let wait = passing::Wait { block: arguments.flag(1, true)?, timeout: arguments.some(2) };
        if let Some(item) = arguments.get(0) {
            passing::put(&this::<SimpleQueue>(object), &item, wait)?;
        }
        Ok(py.None().into_bound(py))
    }
);

// py: gevent.queue.SimpleQueue.put_nowait
function!(
    PutNowait,
    c"put_nowait",
    c"put_nowait($self, item)\n--\n\nThe same as put(item, False).",
    ["item"],
    1,
    |object, arguments| {
        let py = object.py();
        let wait = passing::Wait { block: false, timeout: None };
        if let Some(item) = arguments.get(0) {
            passing::put(&this::<SimpleQueue>(object), &item, wait)?;
        }
        Ok(py.None().into_bound(py))
    }
);

// py: gevent.queue.SimpleQueue.get
function!(
    Get,
    c"get",
    c"get($self, block=True, timeout=None)\n--\n\nTake out the next item and return it. If there is none wait for one, as long as it takes (timeout None) or so many\nseconds, then raise Empty; at once if `block` is false.",
    ["block", "timeout"],
    0,
    |object, arguments| {
        let wait = passing::Wait { block: arguments.flag(0, true)?, timeout: arguments.some(1) };
        passing::get(&this::<SimpleQueue>(object), true, wait)
    }
);

// py: gevent.queue.SimpleQueue.get_nowait
function!(
    GetNowait,
    c"get_nowait",
    c"get_nowait($self, /)\n--\n\nThe same as get(False).",
    [],
    0,
    |object, _arguments| {
        let wait = passing::Wait { block: false, timeout: None };
        passing::get(&this::<SimpleQueue>(object), true, wait)
    }
);

// py: gevent.queue.SimpleQueue.peek
function!(
    Peek,
    c"peek",
    c"peek($self, block=True, timeout=None)\n--\n\nAs get(), but leave the item where it is.",
    ["block", "timeout"],
    0,
    |object, arguments| {
        let wait = passing::Wait { block: arguments.flag(0, true)?, timeout: arguments.some(1) };
        passing::get(&this::<SimpleQueue>(object), false, wait)
    }
);

// py: gevent.queue.SimpleQueue.peek_nowait
function!(
    PeekNowait,
    c"peek_nowait",
    c"peek_nowait($self, /)\n--\n\nThe same as peek(False).",
    [],
    0,
    |object, _arguments| {
        let wait = passing::Wait { block: false, timeout: None };
        passing::get(&this::<SimpleQueue>(object), false, wait)
    }
);

// py: gevent.queue.SimpleQueue.__next__
function!(
    Next,
    c"__next__",
    c"__next__($self, /)\n--\n\nThe same as get(), until that returns the class StopIteration.",
    [],
    0,
    |object, _arguments| {
        let wait = passing::Wait { block: true, timeout: None };
        let item = passing::get(&this::<SimpleQueue>(object), true, wait)?;
        if item.is(object.py().get_type::<PyStopIteration>()) {
            return Err(PyStopIteration::new_err(()));
        }
        Ok(item)
    }
);

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SimpleQueue>()?;
    let class = module.py().get_type::<SimpleQueue>();
    method::add_method::<Put>(&class)?;
    method::add_method::<PutNowait>(&class)?;
    method::add_method::<Get>(&class)?;
    method::add_method::<GetNowait>(&class)?;
    method::add_method::<Peek>(&class)?;
    method::add_method::<PeekNowait>(&class)?;
    method::add_method::<Next>(&class)
}
