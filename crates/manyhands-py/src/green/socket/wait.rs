//! Waiting until a socket is ready.

use std::os::fd::RawFd;
use std::time::Instant;

use manyhands_green::{Direction, Registration};
use pyo3::Borrowed;
use pyo3::intern;
use pyo3::prelude::*;
use rustix::io::Errno;

use super::super::method::{self, function};
use super::super::park::{self, Ready, Thrown};
use super::super::{api, home, seconds};
use super::{Socket, errors, turn};

/// How long one operation may wait in all; counts from its first wait.
pub(super) enum Patience {
    /// Has not waited yet.
    Fresh,
    Until(Option<Instant>),
}

impl Patience {
    /// Whether it is known that the time is up.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Patience::Until(Some(deadline)) if *deadline <= Instant::now())
    }
}

/// After a system call would have blocked: waits until it is worth another attempt. Its errors come in a box, as all here: see
/// [`Thrown`].
pub(super) fn after(
    socket: Borrowed<'_, '_, Socket>,
    errno: Errno,
    direction: Direction,
    flags: i32,
    patience: &mut Patience,
) -> Result<(), Box<Thrown>> {
    if errno != Errno::AGAIN || flags & libc::MSG_DONTWAIT != 0 {
        return failed(socket, errno);
    }
    if let Patience::Fresh = *patience {
        *patience = first(socket, errno)?;
    }
    let deadline = match *patience {
        Patience::Until(deadline) => deadline,
        Patience::Fresh => None,
    };
    if until(socket, direction, deadline)? { Ok(()) } else { Err(timed_out()) }
}

/// Not that it would have blocked.
#[cold]
#[inline(never)]
fn failed(socket: Borrowed<'_, '_, Socket>, errno: Errno) -> Result<(), Box<Thrown>> {
    if errno == Errno::INTR {
        return socket.py().check_signals().map_err(Thrown::new);
    }
    Err(Thrown::new(errors::of_system(errno)))
}

#[cold]
#[inline(never)]
fn timed_out() -> Box<Thrown> {
    Thrown::new(errors::timed_out())
}

/// How long the socket waits, from now on.
#[inline(never)]
fn first(socket: Borrowed<'_, '_, Socket>, errno: Errno) -> Result<Patience, Box<Thrown>> {
    match socket.get().timeout() {
        Some(0.0) => Err(Thrown::new(errors::of_system(errno))),
        Some(limit) => seconds::after(limit).map(Patience::Until).map_err(Thrown::new),
        None => Ok(Patience::Until(None)),
    }
}

/// Waits; false if the time is up. The last system call has to have said that it would block.
#[inline]
pub(super) fn until(
    socket: Borrowed<'_, '_, Socket>,
    direction: Direction,
    deadline: Option<Instant>,
) -> Result<bool, Box<Thrown>> {
    let (py, this) = (socket.py(), socket.get());
    if !this.get_keeps() {
        return by_watcher(socket, direction, deadline);
    }
    let (fd, registration) = enter(socket, direction)?;
    let woken = park::park_for(py, fd, direction, registration, deadline);
    turn::waited();
    if let Some(current) = this.with(|state| state.waiter(direction).take()) {
        drop(current.into_bound(py));
    }
    match woken? {
        Ready::Now => Ok(true),
        Ready::TimedOut => Ok(false),
        Ready::Closed => Err(closed(py)),
    }
}

#[cold]
#[inline(never)]
fn closed(py: Python<'_>) -> Box<Thrown> {
    Thrown::new(errors::closed(py))
}

/// The greenlet that runs is the one that waits for this direction, unless another one does.
#[inline(never)]
fn enter(
    socket: Borrowed<'_, '_, Socket>,
    direction: Direction,
) -> Result<(RawFd, Registration), Box<Thrown>> {
    let (py, this) = (socket.py(), socket.get());
    let home = match home::home() {
        Some(home) => home,
        None => park::hub(py).map_err(Thrown::new)?.home,
    };
    let current = api::current(py).map_err(Thrown::new)?.unbind();
    let entered = this.with(|state| {
        if state.fd < 0 || state.waiter(direction).is_some() {
            return Err(current);
        }
        *state.waiter(direction) = Some(current);
        let known = state.registered.is_some_and(|it| std::ptr::eq(it, home));
        state.registered = Some(home);
        Ok((state.fd, if known { Registration::Kept } else { Registration::Passing }))
    });
    entered.map_err(|current| {
        drop(current.into_bound(py));
        let other = this._waiter(py, direction == Direction::Write);
        let error = other.map_or_else(|| errors::closed(py), |it| errors::busy(it.bind(py)));
        Thrown::new(error)
    })
}

/// The same, such that the loop may end meanwhile.
#[cold]
#[inline(never)]
fn by_watcher(
    socket: Borrowed<'_, '_, Socket>,
    direction: Direction,
    deadline: Option<Instant>,
) -> Result<bool, Box<Thrown>> {
    let py = socket.py();
    let left = deadline.map(|it| it.saturating_duration_since(Instant::now()).as_secs_f64());
    let write = direction == Direction::Write;
    let waited = socket.call_method1(intern!(py, "_wait_by_watcher"), (write, left));
    waited.and_then(|it| it.is_truthy()).map_err(Thrown::new)
}

// For the operations that are not here.
function!(
    WaitFor,
    c"_wait_for",
    c"_wait_for($self, write, timeout, error=None)\n--\n\nWait until it can be written to, or read from, at most so many seconds (None: for ever); then the error\nis raised, or what error() gives. The last system call must have said that it would block.",
    ["write", "timeout", "error"],
    2,
    |this, arguments| {
        let py = this.py();
        let direction = super::direction(arguments.flag(0, false)?);
        let limit = arguments.some(1).map(|it| it.extract::<f64>()).transpose()?;
        let deadline = limit.map_or(Ok(None), seconds::after)?;
        if until(method::this::<Socket>(this), direction, deadline)? {
            return Ok(py.None().into_bound(py));
        }
        let Some(error) = arguments.some(2) else { return Err(errors::timed_out()) };
        let error = if error.is_callable() { error.call0()? } else { error.to_owned() };
        Err(PyErr::from_value(error))
    }
);
