//! `manyhands.queue.SimpleQueue`

use manyhands_queue::{Fifo, FifoQueue, GetError, Queue, Store};
use manyhands_watch::Kind;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::exclusion::Interpreter;
use crate::fast::short_cut;
use crate::gate::Outside;
use crate::made::Made;
use crate::queue::Failure;
use crate::timeout::{self, Flag};

/// A queue without a bound, without task_done() and join(), whose put() may be called at any
/// moment: in a signal handler, in `__del__`.
// py: queue.SimpleQueue
#[pyclass(frozen, weakref, subclass, generic, module = "manyhands.queue")]
pub(crate) struct SimpleQueue {
    made: Made,
    queue: FifoQueue<Py<PyAny>, Interpreter>,
}

impl SimpleQueue {
    #[cold]
    fn get_slow(
        &self,
        py: Python<'_>,
        why: GetError,
        block: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if why != GetError::Empty || !block.0 {
            return Err(Failure::Empty.raise(py));
        }
        let limit = match timeout {
            None => manyhands_sync::Limit::Forever,
            Some(timeout) => timeout::non_negative(timeout)?,
        };
        self.queue.get_with(&Outside(py), limit).map_err(|why| match why {
            GetError::GivenUp(error) => error,
            _ => Failure::Empty.raise(py),
        })
    }
}

impl SimpleQueue {
    /// The number under which observers know it.
    pub(crate) fn subject(&self) -> Option<u64> {
        self.queue.subject()
    }
}

#[pymethods]
impl SimpleQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> SimpleQueue {
        SimpleQueue { made: Made::new(), queue: Queue::over(Fifo::default(), Kind::SimpleQueue, 0) }
    }

    fn __init__(&self) {}

    /// Put the item in. Never waits; `block` and `timeout` are there for likeness with Queue.put().
    // py: queue.SimpleQueue.put
    #[pyo3(signature = (item, block=Flag(true), timeout=None), text_signature = "($self, item, block=True, timeout=None)")]
    #[expect(unused_variables, reason = "the names are those that callers may use")]
    fn put(&self, item: Py<PyAny>, block: Flag, timeout: Option<&Bound<'_, PyAny>>) {
        // Without a bound and never shut down there is no failure.
        let _ = self.queue.try_put(item);
    }

    /// Put the item in; as put().
    // py: queue.SimpleQueue.put_nowait
    fn put_nowait(&self, item: Py<PyAny>) {
        let _ = self.queue.try_put(item);
    }

    /// Take the next item out: at once, or by waiting as long as it takes (timeout None) or
    /// `timeout` seconds. Empty if there is none; ValueError if the timeout is negative.
    // py: queue.SimpleQueue.get
    #[pyo3(signature = (block=Flag(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn get(
        &self,
        py: Python<'_>,
        block: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if let Some(timeout) = timeout
            && block.0
        {
            timeout::non_negative(timeout)?;
        }
        match self.queue.try_get() {
            Ok(item) => Ok(item),
            Err(why) => self.get_slow(py, why, block, timeout),
        }
    }

    /// Take the next item out; Empty if there is none.
    // py: queue.SimpleQueue.get_nowait
    fn get_nowait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.queue.try_get().map_err(|_| Failure::Empty.raise(py))
    }

    /// How many items there are.
    // py: queue.SimpleQueue.qsize
    fn qsize(&self) -> usize {
        self.queue.len()
    }

    /// Whether there are no items.
    // py: queue.SimpleQueue.empty
    fn empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.made.is() {
            return Ok(());
        }
        self.queue.with_store(|store| store.iter().try_for_each(|item| visit.call(item)))
    }

    fn __clear__(&self) {
        drop(self.queue.with_store(Store::drain));
    }
}

// py: queue.SimpleQueue.put
short_cut!(Put, SimpleQueue, c"put", |call| {
    let item = call.only()?.to_owned().unbind();
    let _ = call.this.get().queue.try_put(item);
    Some(call.py().None().into_bound(call.py()))
});

// py: queue.SimpleQueue.get
short_cut!(Get, SimpleQueue, c"get", |call| {
    if call.count() > 0 {
        return None;
    }
    call.this.get().queue.try_get().ok().map(|item| item.into_bound(call.py()))
});
