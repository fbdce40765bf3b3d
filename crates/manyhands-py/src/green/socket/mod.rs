//! What `manyhands.gevent.socket.socket` stands on: the operations that programs call most.
//!
//! Each makes its system call at once. Only if the system says that it would block does the greenlet wait, and then without
//! another system call, as the descriptor stays registered from its first wait until it is closed.

mod accept;
mod buffer;
mod errors;
mod receive;
mod send;
mod turn;
mod wait;

use std::os::fd::RawFd;

use manyhands_green::Direction;
use manyhands_sync::{Exclusion, Protected};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::home::Home;
use super::{method, park};
use crate::exclusion::Interpreter;

struct State {
    /// -1: none (any more).
    fd: RawFd,
    /// How many seconds an operation may wait; `None`: for ever.
    timeout: Option<f64>,
    /// Whether the loop may not end while somebody waits.
    keeps: bool,
    /// Whose poller knows the descriptor as this object's. It may know another's that had the same number, and
    /// was closed behind its back: so the first wait of each object registers anew.
    registered: Option<&'static Home>,
    /// The greenlets that wait.
    reader: Option<Py<PyAny>>,
    writer: Option<Py<PyAny>>,
}

impl State {
    fn waiter(&mut self, direction: Direction) -> &mut Option<Py<PyAny>> {
        match direction {
            Direction::Read => &mut self.reader,
            Direction::Write => &mut self.writer,
        }
    }
}

/// A descriptor that does not block, and how long its user is ready to wait for it. It does not close it.
#[pyclass(frozen, subclass, name = "SocketBase", module = "manyhands.gevent._socket3")]
struct Socket {
    cell: <Interpreter as Exclusion>::Cell<State>,
}

impl Socket {
    /// See `crate::exclusion` for what the body may do.
    #[inline(always)]
    fn with<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        self.cell.with(body)
    }

    #[inline]
    fn fd(&self) -> RawFd {
        self.with(|state| state.fd)
    }

    #[inline]
    fn timeout(&self) -> Option<f64> {
        self.with(|state| state.timeout)
    }
}

fn direction(write: bool) -> Direction {
    if write { Direction::Write } else { Direction::Read }
}

#[pymethods]
impl Socket {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        let state = State {
            fd: -1,
            timeout: None,
            keeps: true,
            registered: None,
            reader: None,
            writer: None,
        };
        Socket { cell: Protected::new(state) }
    }

    /// Operations are on this descriptor from now on.
    fn _open(&self, fd: RawFd, timeout: Option<f64>) {
        self.with(|state| (state.fd, state.timeout) = (fd, timeout));
    }

    /// There is none any more; `fd`, if it is one, is about to be closed: who waits for it is told.
    fn _shut(&self, fd: RawFd) {
        let registered = self.with(|state| {
            state.fd = -1;
            state.registered.take()
        });
        if fd < 0 {
            return;
        }
        park::forget(fd);
        if let Some(home) = registered {
            // Its last user may be another thread.
            home.with(|hub| hub.forget(fd));
        }
    }

    /// The greenlet that waits to write, or to read; None if none does.
    fn _waiter(&self, py: Python<'_>, write: bool) -> Option<Py<PyAny>> {
        self.with(|state| state.waiter(direction(write)).as_ref().map(|it| it.clone_ref(py)))
    }

    /// The descriptor's number; -1 once it is closed or detached.
    fn fileno(&self) -> RawFd {
        self.fd()
    }

    #[getter(timeout)]
    fn get_timeout(&self) -> Option<f64> {
        self.timeout()
    }

    #[setter(timeout)]
    fn set_timeout(&self, seconds: Option<f64>) {
        self.with(|state| state.timeout = seconds);
    }

    // py: gevent.socket.socket.gettimeout
    /// How many seconds an operation may wait; None: for ever.
    fn gettimeout(&self) -> Option<f64> {
        self.timeout()
    }

    // py: gevent.socket.socket.settimeout
    /// Let operations wait for so many seconds; None: for ever; 0: not at all.
    fn settimeout(&self, howlong: &Bound<'_, PyAny>) -> PyResult<()> {
        if howlong.is_none() {
            self.set_timeout(None);
            return Ok(());
        }
        let Ok(convert) = howlong.getattr(intern!(howlong.py(), "__float__")) else {
            return Err(PyTypeError::new_err(("a float is required", howlong.clone().unbind())));
        };
        let seconds = convert.call0()?.extract::<f64>()?;
        if seconds < 0.0 {
            return Err(PyValueError::new_err("Timeout value out of range"));
        }
        self.set_timeout(Some(seconds));
        Ok(())
    }

    // py: gevent.socket.socket.setblocking
    /// Let operations wait for ever, or not at all.
    fn setblocking(&self, flag: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set_timeout(if flag.is_truthy()? { None } else { Some(0.0) });
        Ok(())
    }

    // py: gevent.socket.socket.getblocking
    /// Whether operations may wait.
    fn getblocking(&self) -> bool {
        self.timeout() != Some(0.0)
    }

    /// Whether the loop may not end while somebody waits.
    #[getter(_keeps)]
    fn get_keeps(&self) -> bool {
        self.with(|state| state.keeps)
    }

    #[setter(_keeps)]
    fn set_keeps(&self, keeps: bool) {
        self.with(|state| state.keeps = keeps);
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Socket>()?;
    let class = module.py().get_type::<Socket>();
    method::add_method::<wait::WaitFor>(&class)?;
    method::add_method::<accept::Accept>(&class)?;
    method::add_method::<receive::Recv>(&class)?;
    method::add_method::<receive::RecvInto>(&class)?;
    method::add_method::<send::Send>(&class)?;
    method::add_method::<send::SendAll>(&class)
}
