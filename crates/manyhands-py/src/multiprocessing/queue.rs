//! Queues between processes.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use manyhands_shm::{
    DoneError, GetError, Limit, Message, Parcel, Piece, PutError, Queue, Reference, WaitError,
};
use pyo3::exceptions::{PyException, PyOSError, PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::arena::{Late, Outside, error};
use super::codec::{Buffers, Encoder, Keeper, Payload, Range, decode, encode, with_encoder};
use crate::fast::{self, short_cut};
use crate::queue::Failure;
use crate::timeout::{self, Flag};

/// A scratch buffer that has become larger is not kept.
const KEPT_SCRATCH: usize = 64 << 10;

thread_local! {
    /// What records are copied to before they are decoded.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// This thread's buffer for records, lent; another one if it is in use.
pub(super) struct Scratch(pub(super) Vec<u8>);

impl Scratch {
    pub(super) fn take() -> Scratch {
        Scratch(SCRATCH.try_with(Cell::take).unwrap_or_default())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT_SCRATCH {
            // A thread that ends has no cell any more.
            let _ = SCRATCH.try_with(|cell| cell.set(std::mem::take(&mut self.0)));
        }
    }
}

/// What Queue, JoinableQueue and SimpleQueue have in common.
#[pyclass(frozen, subclass, weakref, dict, generic, module = "manyhands._native.multiprocessing")]
pub(crate) struct QueueBase {
    queue: Late<Queue>,
    /// Whether close() was called in this process.
    closed: AtomicBool,
    /// Whether this process has put anything: what close() does about empty() depends on it.
    used: AtomicBool,
    /// Whether it is a SimpleQueue, which reports being closed in another way.
    simple: AtomicBool,
}

fn limit(block: Flag, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Limit> {
    if block.0 { timeout::optional(timeout) } else { Ok(Limit::Never) }
}

/// Where the payloads lie; good for as long as the encoder has them.
pub(super) fn pieces(encoder: &Encoder) -> Vec<Piece> {
    encoder.payloads().iter().map(piece).collect()
}

/// Where a payload lies.
pub(super) fn piece(payload: &Payload) -> Piece {
    Piece { start: payload.as_ptr(), len: payload.len(), writable: payload.is_writable() }
}

impl QueueBase {
    #[inline]
    fn queue(&self) -> PyResult<&Queue> {
        self.queue.get()
    }

    #[inline]
    fn open_queue(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().closed.load(Ordering::Relaxed) { Err(Self::is_closed(slf)) } else { Ok(()) }
    }

    #[cold]
    fn is_closed(slf: &Bound<'_, Self>) -> PyErr {
        if slf.get().simple.load(Ordering::Relaxed) {
            return PyOSError::new_err("handle is closed");
        }
        match slf.repr() {
            Ok(repr) => PyValueError::new_err(format!("Queue {repr} is closed")),
            Err(error) => error,
        }
    }

    fn put_item(slf: &Bound<'_, Self>, item: &Bound<'_, PyAny>, limit: Limit) -> PyResult<()> {
        Self::open_queue(slf)?;
        let py = slf.py();
        let queue = slf.get().queue()?;
        slf.get().used.store(true, Ordering::Relaxed);
        with_encoder(|encoder| {
            if let Err(error) = encode(item, encoder) {
                return Self::refuse(slf, item, error);
            }
            let done = if encoder.payloads().is_empty() {
                queue.put(&Outside(py), Message::of(encoder.head()), limit)
            } else {
                let pieces = pieces(encoder);
                #[expect(unsafe_code, reason = "the encoder keeps the payloads while it has them")]
                // SAFETY: see there.
                let message = unsafe { Message::with_pieces(encoder.head(), &pieces) };
                queue.put(&Outside(py), message, limit)
            };
            done.map_err(|why| match why {
                PutError::Full => Failure::Full.raise(py),
                PutError::ShutDown => Failure::ShutDown.raise(py),
                PutError::Arena(why) => error(why),
                PutError::GivenUp(error) => error,
            })
        })
    }

    /// An item cannot be pickled: a subclass may want to deal with that itself.
    #[cold]
    fn refuse(slf: &Bound<'_, Self>, item: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
        let py = slf.py();
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        let handles = slf.getattr_opt(intern!(py, "_handles_errors_of_put"))?;
        if !handles.is_some_and(|handles| handles.is_truthy().unwrap_or(false)) {
            return Err(error);
        }
        slf.call_method1(intern!(py, "_on_queue_feeder_error"), (error.into_value(py), item))?;
        Ok(())
    }

    fn get_item<'py>(slf: &Bound<'py, Self>, limit: Limit) -> PyResult<Bound<'py, PyAny>> {
        Self::open_queue(slf)?;
        let py = slf.py();
        let queue = slf.get().queue()?;
        let mut scratch = Scratch::take();
        match queue.get(&Outside(py), &mut scratch.0, limit) {
            Ok(parcel) => decode_message(py, &scratch.0, parcel, 0),
            Err(GetError::Empty) => Err(Failure::Empty.raise(py)),
            Err(GetError::ShutDown) => Err(Failure::ShutDown.raise(py)),
            Err(GetError::Arena(why)) => Err(error(why)),
            Err(GetError::GivenUp(error)) => Err(error),
        }
    }
}

/// The object of a message, which is in `bytes` or a parcel, after so many other bytes of its head.
pub(super) fn decode_message<'py>(
    py: Python<'py>,
    bytes: &[u8],
    parcel: Option<Parcel>,
    skip: usize,
) -> PyResult<Bound<'py, PyAny>> {
    static NOBODY: LazyLock<Keeper> = LazyLock::new(|| Arc::new(()));
    let Some(parcel) = parcel else {
        return decode(py, &bytes[skip..], &Buffers { ranges: &[], keeper: &NOBODY });
    };
    let parcel = Arc::new(parcel);
    let ranges = ranges(&parcel);
    let keeper: Keeper = Arc::<Parcel>::clone(&parcel);
    decode(py, &parcel.head()[skip..], &Buffers { ranges: &ranges, keeper: &keeper })
}

/// The pieces of a parcel, which is to keep them.
pub(super) fn ranges(parcel: &Parcel) -> Vec<Range> {
    parcel
        .pieces()
        .iter()
        .map(|piece| {
            #[expect(unsafe_code, reason = "a parcel's memory becomes that of Python objects")]
            // SAFETY: the parcel keeps it, nobody else uses it, and it is the keeper.
            let range = unsafe { Range::new(piece.start.cast_mut(), piece.len, piece.writable) };
            range
        })
        .collect()
}

#[pymethods]
impl QueueBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> QueueBase {
        QueueBase {
            queue: Late::new(),
            closed: AtomicBool::new(false),
            used: AtomicBool::new(false),
            simple: AtomicBool::new(false),
        }
    }

    #[pyo3(signature = (*_args, **_kwargs))]
    fn __init__(&self, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) {}

    /// Makes it a new, empty queue.
    fn _create(&self, maxsize: i64, simple: bool) -> PyResult<()> {
        let maxsize = u32::try_from(maxsize.max(0)).ok().filter(|&size| size <= i32::MAX as u32);
        let maxsize = maxsize.ok_or_else(|| PyOverflowError::new_err("maxsize is too large"))?;
        self.simple.store(simple, Ordering::Relaxed);
        self.queue.set(Queue::new(maxsize)).map(drop)
    }

    /// Makes it that of another process.
    fn _open(&self, arena: u64, block: u64, simple: bool) -> PyResult<()> {
        self.simple.store(simple, Ordering::Relaxed);
        self.queue.set(Queue::open(Reference { arena, block })).map(drop)
    }

    /// What `_open` of another process takes.
    fn _reference(&self) -> PyResult<(u64, u64)> {
        self.queue.pair(Queue::reference)
    }

    /// What the queue holds at most; 0 if anything.
    #[getter]
    fn _bound(&self) -> PyResult<u32> {
        Ok(self.queue()?.maxsize())
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// How many items were lost with processes that were killed while putting or getting them.
    #[getter]
    fn lost(&self) -> PyResult<u64> {
        Ok(self.queue()?.lost())
    }

    /// Put the item at the end; it is pickled here and now, and what goes wrong with that is raised.
    /// Waits while the queue is full: as long as it takes (timeout None) or `timeout` seconds; Full if
    /// it still is, or if `block` is false. ShutDown after shutdown(), ValueError after close().
    // py: multiprocessing.queues.Queue.put
    #[pyo3(signature = (obj, block=Flag(true), timeout=None), text_signature = "($self, obj, block=True, timeout=None)")]
    fn put(
        slf: &Bound<'_, Self>,
        obj: &Bound<'_, PyAny>,
        block: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Self::open_queue(slf)?;
        Self::put_item(slf, obj, limit(block, timeout)?)
    }

    /// Take the first item. Waits while there is none: as long as it takes (timeout None) or `timeout`
    /// seconds; Empty if there still is none, or if `block` is false. ShutDown after shutdown() when
    /// nothing is left, ValueError after close().
    // py: multiprocessing.queues.Queue.get
    #[pyo3(signature = (block=Flag(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        block: Flag,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::open_queue(slf)?;
        Self::get_item(slf, limit(block, timeout)?)
    }

    /// put() of a SimpleQueue.
    // py: multiprocessing.queues.SimpleQueue.put
    #[pyo3(text_signature = "($self, obj)")]
    fn _put_simply(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::put_item(slf, obj, Limit::Forever)
    }

    /// get() of a SimpleQueue.
    // py: multiprocessing.queues.SimpleQueue.get
    fn _get_simply<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::get_item(slf, Limit::Forever)
    }

    /// put(obj, False).
    // py: multiprocessing.queues.Queue.put_nowait
    fn put_nowait(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::put_item(slf, obj, Limit::Never)
    }

    /// get(False).
    // py: multiprocessing.queues.Queue.get_nowait
    fn get_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::get_item(slf, Limit::Never)
    }

    /// How many items there are.
    // py: multiprocessing.queues.Queue.qsize
    fn qsize(&self) -> PyResult<usize> {
        self.queue()?.len().map_err(error)
    }

    /// Whether there is none. OSError after close(), but not for a Queue that this process has put
    /// nothing into, as in the standard library.
    // py: multiprocessing.queues.Queue.empty
    fn empty(&self) -> PyResult<bool> {
        let told = self.used.load(Ordering::Relaxed) || self.simple.load(Ordering::Relaxed);
        if told && self.closed.load(Ordering::Relaxed) {
            return Err(PyOSError::new_err("handle is closed"));
        }
        self.queue()?.is_empty().map_err(error)
    }

    /// Whether there are as many as there may be.
    // py: multiprocessing.queues.Queue.full
    fn full(&self) -> PyResult<bool> {
        self.queue()?.is_full().map_err(error)
    }

    /// Use it no more in this process.
    // py: multiprocessing.queues.Queue.close
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Let nothing more be put, in any process: put() raises ShutDown, and so does get() once the
    /// queue is empty. With `immediate` it is emptied at once.
    // py: queue.Queue.shutdown
    #[pyo3(signature = (immediate=Flag(false)), text_signature = "($self, immediate=False)")]
    fn shutdown(&self, py: Python<'_>, immediate: Flag) -> PyResult<()> {
        let queue = self.queue()?;
        py.detach(|| queue.shut_down(immediate.0)).map_err(error)
    }

    #[getter]
    fn is_shutdown(&self) -> PyResult<bool> {
        Ok(self.queue()?.is_shut())
    }

    /// Report an item that was got as dealt with; ValueError if there were not so many.
    // py: multiprocessing.queues.JoinableQueue.task_done
    fn _task_done(&self) -> PyResult<()> {
        self.queue()?.task_done().map_err(|why| match why {
            DoneError::TooMany => PyValueError::new_err(why.to_string()),
            DoneError::Arena(why) => error(why),
        })
    }

    /// Wait until all items that were put are reported as dealt with.
    // py: multiprocessing.queues.JoinableQueue.join
    fn _join_tasks(&self, py: Python<'_>) -> PyResult<()> {
        self.queue()?.join(&Outside(py), Limit::Forever).map(drop).map_err(|why| match why {
            WaitError::Arena(why) => error(why),
            WaitError::GivenUp(error) => error,
        })
    }

    /// How many items were put and not reported.
    fn _unfinished(&self) -> PyResult<u32> {
        self.queue()?.unfinished().map_err(error)
    }
}

// py: multiprocessing.queues.Queue.put
short_cut!(Put, QueueBase, c"put", |call| {
    let item = call.only()?;
    let done = QueueBase::put_item(&call.this, &item, Limit::Forever);
    Some(done.map(|()| call.py().None().into_bound(call.py())))
});

// py: multiprocessing.queues.Queue.get
short_cut!(Get, QueueBase, c"get", |call| {
    if call.count() > 0 {
        return None;
    }
    Some(QueueBase::get_item(&call.this, Limit::Forever))
});

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<QueueBase>()?;
    let py = module.py();
    fast::install::<Put>(py)?;
    fast::install::<Get>(py)
}
