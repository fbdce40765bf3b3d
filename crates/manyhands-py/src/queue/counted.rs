//! `manyhands.queue.Queue`, `LifoQueue`, `PriorityQueue`

use std::sync::OnceLock;

use manyhands_queue::{GetError, PutError, PutFailure};
use manyhands_sync::{Limit, Protected};
use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyTuple};

use crate::exclusion::Interpreter;
use crate::fast::short_cut;
use crate::gate::Outside;
use crate::made::Made;
use crate::queue::native::Native;
use crate::queue::open::Open;
use crate::queue::{Failure, list_heap};
use crate::threading::{Condition, Lock};
use crate::timeout::{self, Flag};

type Cell<S> = <Interpreter as manyhands_sync::Exclusion>::Cell<S>;

/// A queue whose items leave in the order in which they came.
///
/// `maxsize` is how many items fit; any number if it is 0 or less.
// py: queue.Queue
#[pyclass(frozen, weakref, subclass, dict, generic, module = "manyhands.queue")]
pub(crate) struct Queue {
    made: Made,
    native: Native,
    /// Set once the queue's insides are in use; `native` is retired then.
    open: OnceLock<Open>,
    maxsize: Cell<MaxSize>,
}

/// The attribute `maxsize`: as it was given, and what that means (0 for any number).
struct MaxSize {
    given: Option<Py<PyAny>>,
    items: usize,
}

/// What a subclass overrides to keep its items in its own way.
const HOOKS: [&str; 4] = ["_init", "_qsize", "_put", "_get"];

impl Queue {
    /// The number under which observers know it.
    pub(crate) fn subject(&self) -> Option<u64> {
        self.native.subject()
    }

    fn over(native: Native) -> Queue {
        let maxsize = MaxSize { given: None, items: 0 };
        Queue { made: Made::new(), native, open: OnceLock::new(), maxsize: Cell::new(maxsize) }
    }

    fn assign_maxsize(&self, maxsize: &Bound<'_, PyAny>) -> PyResult<()> {
        let items = match maxsize.extract::<f64>() {
            Ok(number) if number.is_infinite() || number <= 0.0 => 0,
            // A number too large for usize, which is as good as none, saturates.
            Ok(number) => number.ceil() as usize,
            Err(_) => {
                let message =
                    format!("maxsize must be a number, not {}", maxsize.get_type().name()?);
                return Err(PyTypeError::new_err(message));
            }
        };
        let given = Some(maxsize.clone().unbind());
        let old = self.maxsize.with(|old| std::mem::replace(old, MaxSize { given, items }));
        drop(old);
        self.native.set_maxsize(items);
        Ok(())
    }

    /// How many items fit; 0 for any number.
    fn items_that_fit(&self) -> usize {
        self.maxsize.with(|maxsize| maxsize.items)
    }

    /// The insides, which are in use from now on.
    fn opened<'a>(slf: &'a Bound<'_, Self>) -> PyResult<&'a Open> {
        let py = slf.py();
        let this = slf.get();
        loop {
            if let Some(open) = this.open.get() {
                return Ok(open);
            }
            // Python objects are made while the queue is in use; whether they still tell the truth
            // is known in the moment of retiring.
            let items = this.native.copies(py);
            let container = this.container(py, &items)?;
            let unfinished = this.native.unfinished();
            let shut_down = this.native.is_shut_down();
            let open = Open::new(py, Some(container), unfinished, shut_down)?;
            if let Some(remains) = this.native.retire(py, &items)? {
                open.set_unfinished(isize::try_from(remains.unfinished).unwrap_or(isize::MAX));
                open.set_shut_down(remains.shut_down);
                let _ = this.open.set(open);
                drop(remains.items);
            }
        }
    }

    fn container(&self, py: Python<'_>, items: &[Py<PyAny>]) -> PyResult<Py<PyAny>> {
        let list = PyList::new(py, items)?;
        match self.native {
            Native::Fifo(_) => {
                Ok(py.import("collections")?.getattr("deque")?.call1((list,))?.unbind())
            }
            Native::Lifo(_) | Native::Ordered(_) => Ok(list.into_any().unbind()),
        }
    }

    /// Whether its class is one of ours, not a subclass.
    fn is_exact(slf: &Bound<'_, Self>) -> bool {
        let (py, class) = (slf.py(), slf.get_type());
        class.is(py.get_type::<Queue>())
            || class.is(py.get_type::<LifoQueue>())
            || class.is(py.get_type::<PriorityQueue>())
    }

    /// Makes the queue open from the start if its class overrides a hook.
    fn honour_hooks(slf: &Bound<'_, Self>) -> PyResult<()> {
        if Queue::is_exact(slf) {
            return Ok(());
        }
        let (py, class) = (slf.py(), slf.get_type());
        let base = py.get_type::<Queue>();
        for hook in HOOKS {
            if !class.getattr(hook)?.is(base.getattr(hook)?) {
                let open = Queue::opened(slf)?;
                open.set_container(None);
                let maxsize = Queue::maxsize(slf)?;
                slf.call_method1(intern!(py, "_init"), (maxsize,))?;
                break;
            }
        }
        Ok(())
    }

    #[cold]
    fn put_slow(
        slf: &Bound<'_, Self>,
        mut refused: PutError<Py<PyAny>>,
        block: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        // Without a bound, nobody looks at the arguments.
        let limit = if this.items_that_fit() > 0 { limit(block, timeout)? } else { Limit::Forever };
        loop {
            if let Some(open) = this.open.get() {
                let maxsize = || this.items_that_fit();
                return open.put(slf, refused.item, maxsize, limit);
            }
            let PutError { item, why } = match this.native.put(py, refused, limit) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            match why {
                PutFailure::Full | PutFailure::Undecided => return Err(Failure::Full.raise(py)),
                PutFailure::ShutDown => return Err(Failure::ShutDown.raise(py)),
                PutFailure::GivenUp(error) => return Err(error),
                PutFailure::Retired => refused = PutError { item, why: PutFailure::Retired },
            }
        }
    }

    #[cold]
    fn get_slow(
        slf: &Bound<'_, Self>,
        mut why: GetError,
        block: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.get();
        let limit = limit(block, timeout)?;
        loop {
            if let Some(open) = this.open.get() {
                return open.get(slf, limit).map(Bound::unbind);
            }
            match this.native.get(py, why, limit) {
                Ok(item) => return Ok(item),
                Err(GetError::Empty | GetError::Undecided) => return Err(Failure::Empty.raise(py)),
                Err(GetError::ShutDown) => return Err(Failure::ShutDown.raise(py)),
                Err(GetError::GivenUp(error)) => return Err(error),
                Err(GetError::Retired) => why = GetError::Retired,
            }
        }
    }
}

/// The keywords `block=False`.
fn not_blocking(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "block"), false)?;
    Ok(keywords)
}

/// The limit that the arguments of put() and get() say.
fn limit(block: Flag, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Limit> {
    if !block.0 {
        return Ok(Limit::Never);
    }
    timeout.map_or(Ok(Limit::Forever), timeout::non_negative)
}

#[pymethods]
impl Queue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Queue {
        Queue::over(Native::fifo())
    }

    #[pyo3(signature = (maxsize=None))]
    fn __init__(slf: &Bound<'_, Self>, maxsize: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        if let Some(maxsize) = maxsize {
            slf.get().assign_maxsize(maxsize)?;
        }
        Queue::honour_hooks(slf)
    }

    /// Put an item in: at once, or by waiting for room as long as it takes (timeout None) or
    /// `timeout` seconds. Full if there is none; ShutDown if the queue is shut down; ValueError if
    /// the timeout is negative.
    // py: queue.Queue.put
    #[pyo3(signature = (item, block=Flag(true), timeout=None), text_signature = "($self, item, block=True, timeout=None)")]
    fn put(
        slf: &Bound<'_, Self>,
        item: Py<PyAny>,
        block: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if timeout.is_some() && slf.get().items_that_fit() > 0 {
            limit(block, timeout)?;
        }
        match slf.get().native.try_put(slf.py(), item) {
            Ok(()) => Ok(()),
            Err(refused) => Queue::put_slow(slf, refused, block, timeout),
        }
    }

    /// Take the next item out: at once, or by waiting for one as long as it takes (timeout None) or
    /// `timeout` seconds. Empty if there is none; ShutDown if the queue is empty and shut down;
    /// ValueError if the timeout is negative.
    // py: queue.Queue.get
    #[pyo3(signature = (block=Flag(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn get(
        slf: &Bound<'_, Self>,
        block: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if timeout.is_some() {
            limit(block, timeout)?;
        }
        match slf.get().native.try_get() {
            Ok(item) => Ok(item),
            Err(why) => Queue::get_slow(slf, why, block, timeout),
        }
    }

    /// put(item, block=False)
    // py: queue.Queue.put_nowait
    fn put_nowait(slf: &Bound<'_, Self>, item: Py<PyAny>) -> PyResult<()> {
        if Queue::is_exact(slf) {
            return Queue::put(slf, item, Flag(false), None);
        }
        // A subclass may have overridden it.
        let py = slf.py();
        slf.call_method(intern!(py, "put"), (item,), Some(&not_blocking(py)?)).map(drop)
    }

    /// get(block=False)
    // py: queue.Queue.get_nowait
    fn get_nowait(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        if Queue::is_exact(slf) {
            return Queue::get(slf, Flag(false), None);
        }
        let py = slf.py();
        slf.call_method(intern!(py, "get"), (), Some(&not_blocking(py)?)).map(Bound::unbind)
    }

    /// Report an item that was taken out as done; ValueError if that was called more often than
    /// items were put in.
    // py: queue.Queue.task_done
    fn task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().open.get() {
            Some(open) => open.task_done(slf.py()),
            None => {
                let done = slf.get().native.task_done();
                done.map_err(|error| PyValueError::new_err(error.to_string()))
            }
        }
    }

    /// Wait until every item that was put in is reported as done.
    // py: queue.Queue.join
    fn join(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.open.get().is_none() && this.native.join(&Outside(py))? {
            return Ok(());
        }
        Queue::opened(slf)?.join(py)
    }

    /// Take no more items: put() raises ShutDown from now on, and so does get() once the queue is
    /// empty, or at once if `immediate`, which throws the items away.
    // py: queue.Queue.shutdown
    #[pyo3(signature = (immediate=false))]
    fn shutdown(slf: &Bound<'_, Self>, immediate: bool) -> PyResult<()> {
        match slf.get().open.get() {
            Some(open) => open.shut_down(slf, immediate),
            None => slf.get().native.shut_down(slf.py(), immediate),
        }
    }

    /// How many items there are.
    // py: queue.Queue.qsize
    fn qsize(slf: &Bound<'_, Self>) -> PyResult<isize> {
        match slf.get().open.get() {
            Some(open) => open.qsize(slf),
            None => Ok(slf.get().native.len().cast_signed()),
        }
    }

    /// Whether there are no items.
    // py: queue.Queue.empty
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(Queue::qsize(slf)? <= 0)
    }

    /// Whether there is no room.
    // py: queue.Queue.full
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let maxsize = slf.get().items_that_fit();
        Ok(maxsize > 0 && Queue::qsize(slf)?.cast_unsigned() >= maxsize)
    }

    /// How many items fit; any number if it is 0 or less.
    // py: queue.Queue.maxsize
    #[getter]
    fn maxsize<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let cell = &slf.get().maxsize;
        match cell.with(|maxsize| maxsize.given.as_ref().map(|given| given.clone_ref(py))) {
            Some(given) => Ok(given.into_bound(py)),
            None => Ok(PyInt::new(py, 0).into_any()),
        }
    }

    #[setter]
    fn set_maxsize(&self, maxsize: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign_maxsize(maxsize)
    }

    /// How many items were put in and not yet reported as done.
    // py: queue.Queue.unfinished_tasks
    #[getter]
    fn unfinished_tasks(&self) -> isize {
        match self.open.get() {
            Some(open) => open.unfinished(),
            None => self.native.unfinished().cast_signed(),
        }
    }

    #[setter]
    fn set_unfinished_tasks(&self, unfinished: isize) {
        match self.open.get() {
            Some(open) => open.set_unfinished(unfinished),
            None => self.native.set_unfinished(usize::try_from(unfinished).unwrap_or(0)),
        }
    }

    /// Whether the queue is shut down.
    // py: queue.Queue.is_shutdown
    #[getter]
    fn is_shutdown(&self) -> bool {
        match self.open.get() {
            Some(open) => open.is_shut_down(),
            None => self.native.is_shut_down(),
        }
    }

    /// The lock that guards the queue. Asking for it makes the queue work with it from then on, and
    /// slower.
    // py: queue.Queue.mutex
    #[getter]
    fn mutex(slf: &Bound<'_, Self>) -> PyResult<Py<Lock>> {
        Ok(Queue::opened(slf)?.mutex.clone_ref(slf.py()))
    }

    /// The condition for which get() waits, with `mutex` as its lock.
    // py: queue.Queue.not_empty
    #[getter]
    fn not_empty(slf: &Bound<'_, Self>) -> PyResult<Py<Condition>> {
        Ok(Queue::opened(slf)?.not_empty.clone_ref(slf.py()))
    }

    /// The condition for which put() waits, with `mutex` as its lock.
    // py: queue.Queue.not_full
    #[getter]
    fn not_full(slf: &Bound<'_, Self>) -> PyResult<Py<Condition>> {
        Ok(Queue::opened(slf)?.not_full.clone_ref(slf.py()))
    }

    /// The condition for which join() waits, with `mutex` as its lock.
    // py: queue.Queue.all_tasks_done
    #[getter]
    fn all_tasks_done(slf: &Bound<'_, Self>) -> PyResult<Py<Condition>> {
        Ok(Queue::opened(slf)?.all_tasks_done.clone_ref(slf.py()))
    }

    /// The items: a deque, or a list of a LifoQueue or PriorityQueue; to be touched while holding
    /// `mutex`.
    // py: queue.Queue.queue
    #[getter]
    fn queue(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Queue::opened(slf)?
            .container(slf.py())
            .ok_or_else(|| PyAttributeError::new_err("'queue': _init() has not set it"))
    }

    #[setter]
    fn set_queue(slf: &Bound<'_, Self>, container: Py<PyAny>) -> PyResult<()> {
        Queue::opened(slf)?.set_container(Some(container));
        Ok(())
    }

    fn _init(slf: &Bound<'_, Self>, maxsize: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = maxsize;
        let container = slf.get().container(slf.py(), &[])?;
        Queue::set_queue(slf, container)
    }

    fn _qsize(slf: &Bound<'_, Self>) -> PyResult<usize> {
        match slf.get().open.get() {
            Some(_) => Queue::queue(slf)?.bind(slf.py()).len(),
            None => Ok(slf.get().native.len()),
        }
    }

    fn _put(slf: &Bound<'_, Self>, item: Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let container = Queue::queue(slf)?;
        if let (Native::Ordered(_), Ok(list)) =
            (&slf.get().native, container.cast_bound::<PyList>(py))
        {
            return list_heap::push(list, item);
        }
        container.call_method1(py, intern!(py, "append"), (item,)).map(drop)
    }

    fn _get<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let container = Queue::queue(slf)?.into_bound(py);
        match &slf.get().native {
            Native::Fifo(_) => container.call_method0(intern!(py, "popleft")),
            Native::Lifo(_) => container.call_method0(intern!(py, "pop")),
            Native::Ordered(_) => {
                let Ok(list) = container.cast::<PyList>() else {
                    return container.call_method0(intern!(py, "pop"));
                };
                if list.is_empty() {
                    return list.call_method0(intern!(py, "pop"));
                }
                list_heap::pop(list)
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.made.is() {
            return Ok(());
        }
        self.maxsize.with(|maxsize| visit.call(&maxsize.given))?;
        match self.open.get() {
            Some(open) => open.traverse(visit),
            None => self.native.traverse(visit),
        }
    }

    fn __clear__(&self) {
        match self.open.get() {
            Some(open) => open.set_container(None),
            None => self.native.clear(),
        }
    }
}

/// A queue whose latest item leaves first.
// py: queue.LifoQueue
#[pyclass(frozen, extends = Queue, subclass, module = "manyhands.queue")]
pub(crate) struct LifoQueue;

#[pymethods]
impl LifoQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn __new__(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<LifoQueue> {
        PyClassInitializer::from(Queue::over(Native::lifo())).add_subclass(LifoQueue)
    }
}

/// A queue whose least item leaves first; often of (priority, data) tuples.
///
/// A comparison that raises leaves the queue as it was.
// py: queue.PriorityQueue
#[pyclass(frozen, extends = Queue, subclass, module = "manyhands.queue")]
pub(crate) struct PriorityQueue;

#[pymethods]
impl PriorityQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn __new__(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<PriorityQueue> {
        PyClassInitializer::from(Queue::over(Native::ordered())).add_subclass(PriorityQueue)
    }
}

// py: queue.Queue.put
short_cut!(Put, Queue, c"put", |call| {
    let item = call.only()?.to_owned().unbind();
    match call.this.get().native.try_put(call.py(), item) {
        Ok(()) => Some(call.py().None().into_bound(call.py())),
        Err(refused) => {
            // Its caller holds it too, so nothing of it runs here.
            drop(refused.item.into_bound(call.py()));
            None
        }
    }
});

// py: queue.Queue.get
short_cut!(Get, Queue, c"get", |call| {
    if call.count() > 0 {
        return None;
    }
    call.this.get().native.try_get().ok().map(|item| item.into_bound(call.py()))
});
