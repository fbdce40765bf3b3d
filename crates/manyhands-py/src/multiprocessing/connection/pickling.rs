//! Objects to bytes and back, as multiprocessing.reduction.ForkingPickler does it.
//!
//! That class makes a pickler, a file and a copy of two tables for every message. Here one pickler
//! serves again and again, and looks into the live tables.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use crate::multiprocessing::reducers::Reducers;

/// A pickler that made more than this is not kept: its memory would be, too.
const LONGEST_KEPT: usize = 64 * 1024;

/// The file that a pickler writes to: keeps what it is given, without a copy where that is bytes.
#[pyclass(frozen)]
struct Sink(Mutex<Vec<Py<PyBytes>>>);

impl Sink {
    fn take(&self) -> Vec<Py<PyBytes>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Sink {
    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let bytes = match data.cast_exact::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            // Might change before it is sent.
            Err(_) => data.py().get_type::<PyBytes>().call1((data,))?.cast_into()?,
        };
        let length = bytes.as_bytes().len();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.unbind());
        Ok(length)
    }
}

/// What is looked up once.
struct Pickling {
    new: Py<PyAny>,
    loads: Py<PyAny>,
}

fn pickling(py: Python<'_>) -> PyResult<&Pickling> {
    static PICKLING: PyOnceLock<Pickling> = PyOnceLock::new();
    PICKLING.get_or_try_init(py, || {
        let original = py.import("manyhands._stdlib")?.getattr("original")?;
        let forking = original.call1(("multiprocessing.reduction",))?.getattr("ForkingPickler")?;
        Ok(Pickling {
            new: py.import("pickle")?.getattr("Pickler")?.unbind(),
            loads: forking.getattr("loads")?.unbind(),
        })
    })
}

/// A pickler that nobody uses at the moment.
struct Pickler {
    sink: Py<Sink>,
    dump: Py<PyAny>,
    clear_memo: Py<PyAny>,
}

impl Pickler {
    fn new(py: Python<'_>) -> PyResult<Pickler> {
        let pickling = pickling(py)?;
        let sink = Py::new(py, Sink(Mutex::default()))?;
        let pickler = pickling.new.bind(py).call1((&sink,))?;
        pickler.setattr("dispatch_table", Reducers::of_the_stdlib(py)?)?;
        Ok(Pickler {
            sink,
            dump: pickler.getattr("dump")?.unbind(),
            clear_memo: pickler.getattr("clear_memo")?.unbind(),
        })
    }
}

/// The pickler that is kept. Reducers may pickle, too: whoever finds none makes one.
static SPARE: Mutex<Option<Pickler>> = Mutex::new(None);

/// The pickled object, in pieces.
// py: multiprocessing.reduction.ForkingPickler.dumps
pub(in crate::multiprocessing) fn dump(object: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyBytes>>> {
    let py = object.py();
    // Never waits: a fork may have left it locked for ever.
    let spare = SPARE.try_lock().ok().and_then(|mut spare| spare.take());
    let pickler = match spare {
        Some(pickler) => pickler,
        None => Pickler::new(py)?,
    };
    // One that failed is not used again.
    pickler.dump.bind(py).call1((object,))?;
    let pieces = pickler.sink.get().take();
    if pieces.iter().map(|piece| piece.as_bytes(py).len()).sum::<usize>() <= LONGEST_KEPT {
        // Lets go of the objects.
        pickler.clear_memo.bind(py).call0()?;
        if let Ok(mut spare) = SPARE.try_lock() {
            let before = spare.replace(pickler);
            drop(spare);
            drop(before);
        }
    }
    Ok(pieces)
}

/// The object that was pickled.
// py: multiprocessing.reduction.ForkingPickler.loads
pub(super) fn load<'py>(message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = message.py();
    pickling(py)?.loads.bind(py).call1((message,))
}
