//! The calls of proxies: a request over a connection, and its answer.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use manyhands_wire::{ReceiveError, SendError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::brief::{self, Request};
use crate::green::guest;
use crate::multiprocessing::connection::{Connection, Received, dump, of_receiving, of_sending};

thread_local! {
    /// Whether what this thread pickles goes to somebody who may not have this package.
    static TO_OTHERS: Cell<bool> = const { Cell::new(false) };
}

/// What a thread's connection with a manager's server is made of; the class in Python knows how it
/// is opened and mended.
///
/// Only its thread uses it, but for signal handlers and finalizers, which may run in the midst of a
/// request.
#[pyclass(frozen, subclass, module = "manyhands._native.multiprocessing")]
struct Link {
    connection: Mutex<Option<Py<PyAny>>>,
    /// The number of the last request.
    number: AtomicU64,
    /// Whether requests have numbers, as the server is ours.
    is_numbered: AtomicBool,
    /// Whether a request is under way.
    is_busy: AtomicBool,
    /// Whether the last request was sent as a whole.
    is_sent: AtomicBool,
    /// Whether the connection broke at the last request.
    is_broken: AtomicBool,
    /// Whether there is something to be sent as soon as no request is under way.
    has_left: AtomicBool,
    /// Whether it is that of one greenlet only.
    is_beside: AtomicBool,
}

impl Link {
    fn connection(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.as_ref().map(|connection| connection.clone_ref(py))
    }

    fn next_number(&self) -> Option<u64> {
        self.is_numbered
            .load(Ordering::Relaxed)
            .then(|| self.number.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Sends a request, and returns the answer that came, still pickled.
    fn swap<'py>(
        slf: &Bound<'py, Link>,
        connection: &Connection,
        [ident, method, args, kwds]: [&Bound<'py, PyAny>; 4],
        number: Option<u64>,
    ) -> PyResult<Received<'py>> {
        let (py, this) = (slf.py(), slf.get());
        let sent = match brief::request(ident, method, args, kwds, number) {
            Some(Request { pickle, large: None }) => connection.send_parts(py, &[&pickle]),
            Some(Request { pickle, large: Some((at, large)) }) => {
                let (before, after) = pickle.split_at(at.min(pickle.len()));
                connection.send_parts(py, &[before, large.as_bytes(), after])
            }
            None => {
                // What cannot be pickled is an error of who wants it sent; no harm is done.
                let message = message([ident, method, args, kwds], number)?;
                TO_OTHERS.set(!this.is_numbered.load(Ordering::Relaxed));
                let pieces = dump(&message);
                TO_OTHERS.set(false);
                connection.send_pieces(py, &pieces?)
            }
        };
        let swapped = match sent {
            Ok(()) => {
                this.is_sent.store(true, Ordering::Relaxed);
                connection.receive_around(py, brief::opening).map_err(|error| {
                    let is_break = matches!(
                        error,
                        ReceiveError::End | ReceiveError::Torn | ReceiveError::System(_)
                    );
                    (is_break, of_receiving(py, error))
                })
            }
            Err(error) => Err((matches!(error, SendError::System(_)), of_sending(py, error))),
        };
        swapped.or_else(|(is_break, error)| {
            this.is_broken.store(is_break, Ordering::Relaxed);
            // Else the next one who asks would get the answer to this.
            slf.call_method0(intern!(py, "close"))?;
            Err(error)
        })
    }

    /// Makes a request over the connection that there is.
    fn exchange<'py>(
        slf: &Bound<'py, Link>,
        connection: &Bound<'py, PyAny>,
        request: [&Bound<'py, PyAny>; 4],
        number: Option<u64>,
    ) -> PyResult<Received<'py>> {
        let (py, this) = (slf.py(), slf.get());
        this.is_busy.store(true, Ordering::Relaxed);
        this.is_sent.store(false, Ordering::Relaxed);
        this.is_broken.store(false, Ordering::Relaxed);
        let received = match connection.cast::<Connection>() {
            Ok(connection) => Link::swap(slf, connection.get(), request, number),
            Err(_) => message(request, number)
                .and_then(|message| slf.call_method1(intern!(py, "_swap"), (connection, message)))
                .map(Received::Loaded),
        };
        this.is_busy.store(false, Ordering::Relaxed);
        if this.has_left.load(Ordering::Relaxed) {
            slf.call_method0(intern!(py, "_send_what_is_left"))?;
        }
        received
    }

    /// Makes a request; where the connection is not there, or breaks, as Python knows how.
    ///
    /// While a greenlet waits for its answer others make requests: each has a link of its own, as each thread has, so that the
    /// server knows who holds a lock.
    fn ask<'py>(
        slf: &Bound<'py, Link>,
        request: [&Bound<'py, PyAny>; 4],
    ) -> PyResult<Received<'py>> {
        let (py, this) = (slf.py(), slf.get());
        if !this.is_beside.load(Ordering::Relaxed) && guest::is_one_of_many(py) {
            let own = slf.call_method0(intern!(py, "_beside"))?;
            return Link::ask(own.cast::<Link>()?, request);
        }
        let [ident, method, args, kwds] = request;
        let in_python = |name, number: Option<u64>, error: Option<PyErr>| {
            let request = (ident, method, args, kwds);
            slf.call_method1(name, (request, number, error)).map(Received::Loaded)
        };
        if this.is_busy() {
            return in_python(intern!(py, "_nested"), None, None);
        }
        let Some(connection) = this.connection(py) else {
            return in_python(intern!(py, "_persist"), None, None);
        };
        let number = this.next_number();
        Link::exchange(slf, connection.bind(py), request, number).or_else(|error| {
            if !this.is_broken() {
                return Err(error);
            }
            in_python(intern!(py, "_persist"), number, Some(error))
        })
    }
}

/// The request as it is sent.
fn message<'py>(
    [ident, method, args, kwds]: [&Bound<'py, PyAny>; 4],
    number: Option<u64>,
) -> PyResult<Bound<'py, PyTuple>> {
    match number {
        None => (ident, method, args, kwds).into_pyobject(ident.py()),
        Some(number) => (ident, method, args, kwds, number).into_pyobject(ident.py()),
    }
}

#[pymethods]
impl Link {
    #[new]
    #[pyo3(signature = (*_args))]
    fn __new__(_args: &Bound<'_, PyTuple>) -> Link {
        Link {
            connection: Mutex::new(None),
            number: AtomicU64::new(0),
            is_numbered: AtomicBool::new(false),
            is_busy: AtomicBool::new(false),
            is_sent: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
            has_left: AtomicBool::new(false),
            is_beside: AtomicBool::new(false),
        }
    }

    #[getter(connection)]
    fn get_connection(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.connection(py)
    }

    #[setter]
    fn set_connection(&self, connection: Option<Py<PyAny>>) {
        let mut place = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, connection);
        drop(place);
        drop(before);
    }

    #[setter]
    fn set_number(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
    }

    #[setter]
    fn set_is_numbered(&self, is_numbered: bool) {
        self.is_numbered.store(is_numbered, Ordering::Relaxed);
    }

    #[getter]
    fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_is_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, Ordering::Relaxed);
    }

    #[getter]
    fn is_sent(&self) -> bool {
        self.is_sent.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_is_sent(&self, is_sent: bool) {
        self.is_sent.store(is_sent, Ordering::Relaxed);
    }

    #[getter]
    fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_is_broken(&self, is_broken: bool) {
        self.is_broken.store(is_broken, Ordering::Relaxed);
    }

    #[setter]
    fn set_is_beside(&self, is_beside: bool) {
        self.is_beside.store(is_beside, Ordering::Relaxed);
    }

    #[setter]
    fn set_has_left(&self, has_left: bool) {
        self.has_left.store(has_left, Ordering::Relaxed);
    }

    /// Make a request over the connection that there is; as before with a number, or with the next.
    #[pyo3(signature = (request, number=None))]
    fn _exchange<'py>(
        slf: &Bound<'py, Self>,
        request: (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>),
        number: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let connection = slf.get().connection(slf.py());
        let connection = connection.into_pyobject(slf.py())?;
        let number = number.or_else(|| slf.get().next_number());
        let (ident, method, args, kwds) = &request;
        Link::exchange(slf, &connection, [ident, method, args, kwds], number)?.load(slf.py())
    }

    /// Make a request and return the answer: its kind, its content, maybe a dict of notes.
    fn request<'py>(
        slf: &Bound<'py, Self>,
        ident: &Bound<'py, PyAny>,
        methodname: &Bound<'py, PyAny>,
        args: &Bound<'py, PyAny>,
        kwds: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Link::ask(slf, [ident, methodname, args, kwds])?.load(slf.py())
    }

    /// Call a method of the proxy's object.
    // py: multiprocessing.managers.BaseProxy._callmethod
    fn call<'py>(
        slf: &Bound<'py, Self>,
        proxy: &Bound<'py, PyAny>,
        ident: &Bound<'py, PyAny>,
        methodname: &Bound<'py, PyAny>,
        args: &Bound<'py, PyAny>,
        kwds: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let received = Link::ask(slf, [ident, methodname, args, kwds])?;
        if let Received::Bytes(pickle) = &received
            && let Some(result) = brief::result(py, pickle.as_bytes())
        {
            return Ok(result);
        }
        let received = match received {
            Received::Around(_, result, end) if brief::is_end(&end) => return Ok(result.into_any()),
            received => received,
        };
        let answer = received.load(py)?;
        if let Ok(answer) = answer.cast_exact::<PyTuple>()
            && answer.len() == 2
            && let Ok(kind) = answer.get_item(0)?.cast::<PyString>()
            && kind.to_str()? == "#RETURN"
        {
            return answer.get_item(1);
        }
        proxy.call_method1(intern!(py, "_settle"), (answer,))
    }
}

/// Whether what this thread pickles goes to somebody who may not have this package.
#[pyfunction]
fn sends_to_others() -> bool {
    TO_OTHERS.get()
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Link>()?;
    module.add_function(wrap_pyfunction!(sends_to_others, module)?)
}
