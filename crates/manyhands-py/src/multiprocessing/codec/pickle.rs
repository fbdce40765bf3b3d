//! The way for all objects that have no encoding of our own: one pickler, made once and used again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::buffer::PyUntypedBuffer;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

use super::format::OUT_OF_BAND;
use super::payload::Payload;
use crate::multiprocessing::reducers::Reducers;

/// A pickler of which more was written is not used again: its memo stays as large as it has become, and
/// has to be emptied each time.
const REUSE_LIMIT: usize = 256 * 1024;

/// A C pickler that does what `ForkingPickler` does, and gives large buffers away.
pub(super) struct Pickler {
    pickler: Py<PyAny>,
    sink: Py<Sink>,
}

impl Pickler {
    fn new(py: Python<'_>) -> PyResult<Self> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let class = CLASS.import(py, "_pickle", "Pickler")?;
        let sink = Bound::new(py, Sink::default())?;
        let options = PyDict::new(py);
        options.set_item("protocol", 5)?;
        options.set_item("buffer_callback", &sink)?;
        let pickler = class.call((&sink,), Some(&options))?;
        pickler.setattr("dispatch_table", Reducers::of_the_stdlib(py)?)?;
        Ok(Pickler { pickler: pickler.unbind(), sink: sink.unbind() })
    }

    /// Appends the pickle of an object to `head`, and its out-of-band buffers to `payloads`.
    ///
    /// Runs Python code. A pickler that failed, or has become large, is not left in `cached`.
    pub(super) fn dump(
        cached: &mut Option<Pickler>,
        object: &Bound<'_, PyAny>,
        head: &mut Vec<u8>,
        payloads: &mut Vec<Payload>,
    ) -> PyResult<()> {
        let py = object.py();
        let pickler = match cached.take() {
            Some(pickler) => pickler,
            None => Pickler::new(py)?,
        };
        {
            let mut content = pickler.sink.get().lock();
            content.head = std::mem::take(head);
            content.payloads = std::mem::take(payloads);
        }
        let bound = pickler.pickler.bind(py);
        let dumped = bound.call_method1(intern!(py, "dump"), (object,));
        let content = std::mem::take(&mut *pickler.sink.get().lock());
        *head = content.head;
        *payloads = content.payloads;
        dumped?;
        if head.len() <= REUSE_LIMIT {
            bound.call_method0(intern!(py, "clear_memo"))?;
            *cached = Some(pickler);
        }
        Ok(())
    }
}

/// Where a pickler writes to, and gives its buffers to.
#[pyclass(frozen, module = "manyhands._native.multiprocessing")]
#[derive(Default)]
struct Sink {
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    head: Vec<u8>,
    payloads: Vec<Payload>,
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Sink {
    /// The file's method.
    fn write(&self, chunk: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(bytes) = chunk.cast::<PyBytes>() {
            self.lock().head.extend_from_slice(bytes.as_bytes());
            return Ok(());
        }
        let chunk = pyo3::buffer::PyBuffer::<u8>::get(chunk)?.to_vec(chunk.py())?;
        self.lock().head.extend_from_slice(&chunk);
        Ok(())
    }

    /// The pickler's `buffer_callback`: says whether the buffer shall be in the pickle.
    fn __call__(&self, buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
        // A buffer without dimensions, which this does not like, is a single item.
        let Ok(view) = PyUntypedBuffer::get(buffer) else { return Ok(true) };
        if view.len_bytes() < OUT_OF_BAND {
            return Ok(true);
        }
        // The pickler has seen to it that the buffer is contiguous, in one order or the other.
        self.lock().payloads.push(Payload::of_view(view));
        Ok(false)
    }
}
