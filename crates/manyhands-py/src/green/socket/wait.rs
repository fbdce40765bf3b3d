//! Waiting until a socket is ready.

use std::time::Instant;

use manyhands_green::{Direction, Registration};
use pyo3::Borrowed;
use pyo3::intern;
use pyo3::prelude::*;
use rustix::io::Errno;

use super::super::method::{self, function};
use super::super::park::{self, Ready};
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

/// After a system call would have blocked: waits until it is worth another attempt.
pub(super) fn after(
    socket: Borrowed<'_, '_, Socket>,
    errno: Errno,
    direction: Direction,
    flags: i32,
    patience: &mut Patience,
) -> PyResult<()> {
    if errno == Errno::INTR {
        return socket.py().check_signals();
    }
    if errno != Errno::AGAIN || flags & libc::MSG_DONTWAIT != 0 {
        return Err(errors::of_system(errno));
    }
    let deadline = match *patience {
        Patience::Until(deadline) => deadline,
        Patience::Fresh => {
            let deadline = match socket.get().timeout() {
                Some(0.0) => return Err(errors::of_system(errno)),
                Some(limit) => seconds::after(limit)?,
                None => None,
            };
            *patience = Patience::Until(deadline);
            deadline
        }
    };
    if until(socket, direction, deadline)? { Ok(()) } else { Err(errors::timed_out()) }
}

/// Waits; false if the time is up. The last system call has to have said that it would block.
pub(super) fn until(
    socket: Borrowed<'_, '_, Socket>,
    direction: Direction,
    deadline: Option<Instant>,
) -> PyResult<bool> {
    let py = socket.py();
    let this = socket.get();
    if !this.get_keeps() {
        return by_watcher(socket, direction, deadline);
    }
    let home = match home::home() {
        Some(home) => home,
        None => park::hub(py)?.home,
    };
    let current = api::current(py)?.unbind();
    let entered = this.with(|state| {
        if state.fd < 0 || state.waiter(direction).is_some() {
            return Err(current);
        }
        *state.waiter(direction) = Some(current);
        let known = state.registered.is_some_and(|it| std::ptr::eq(it, home));
        state.registered = Some(home);
        Ok((state.fd, if known { Registration::Kept } else { Registration::Passing }))
    });
    let (fd, registration) = match entered {
        Ok(entered) => entered,
        Err(current) => {
            drop(current.into_bound(py));
            let other = this._waiter(py, direction == Direction::Write);
            return Err(other.map_or_else(|| errors::closed(py), |it| errors::busy(it.bind(py))));
        }
    };
    let woken = park::park_for(py, fd, direction, registration, deadline);
    turn::waited();
    if let Some(current) = this.with(|state| state.waiter(direction).take()) {
        drop(current.into_bound(py));
    }
    match woken? {
        Ready::Now => Ok(true),
        Ready::TimedOut => Ok(false),
        Ready::Closed => Err(errors::closed(py)),
    }
}

/// The same, such that the loop may end meanwhile.
#[cold]
fn by_watcher(
    socket: Borrowed<'_, '_, Socket>,
    direction: Direction,
    deadline: Option<Instant>,
) -> PyResult<bool> {
    let py = socket.py();
    let left = deadline.map(|it| it.saturating_duration_since(Instant::now()).as_secs_f64());
    let write = direction == Direction::Write;
    socket.call_method1(intern!(py, "_wait_by_watcher"), (write, left))?.is_truthy()
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
