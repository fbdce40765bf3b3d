//! How a greenlet waits: it picks whose turn it is, and switches there.
//!
//! No borrow, no guard, no pointer into a cell lives across a switch: other greenlets run meanwhile, on the same stack.

use std::io;
use std::os::fd::RawFd;
use std::time::Instant;

use manyhands_green::{Direction, Key, Nap, Registration, Turn, Wake};
use manyhands_sys::thread;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use super::callback::Callback;
use super::home::{self, Here, Home, Work};
use super::{api, exceptions, stacks};
use crate::gate::LOOK_FOR_SIGNALS;

/// Where a greenlet is to be woken. May be kept by anybody: once its greenlet waits no more it is void.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    home: &'static Home,
    key: Key,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Ticket({:?})", self.key)
    }
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.home, other.home) && self.key == other.key
    }
}

impl Ticket {
    /// Lets its greenlet go on; from any thread that is in the interpreter. False if that waits no longer, as its time was
    /// up, it was killed, or it has been woken: then it is somebody else's turn.
    #[inline]
    pub(crate) fn wake(self) -> bool {
        self.home.with(|hub| hub.wake(self.key, Wake::Notified))
    }

    /// As [`wake`](Self::wake), from any thread, in the interpreter or not; nobody learns whether it still waits.
    pub(crate) fn wake_from_outside(self) {
        self.home.outside.wake(self.key);
    }

    /// Has the hub not end before this is woken, although nothing that the hub knows of will do that.
    pub(super) fn keep(self) {
        self.home.with(|hub| hub.keep(self.key, true));
    }

    /// It is not needed after all.
    pub(super) fn give_up(self, py: Python<'_>) {
        self.home.end(py, self.key);
    }
}

/// Why a greenlet goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody has called [`Ticket::wake`].
    Notified,
    /// The time is up.
    TimedOut,
}

/// Why a greenlet that waited for a descriptor goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// It is ready.
    Now,
    /// The time is up.
    TimedOut,
    /// Somebody is about to close it.
    Closed,
}

/// What was thrown into a greenlet while it was parked. Goes about in a box: what is on the stack of a greenlet that waits is
/// copied at each switch, and kept as long as it waits.
#[derive(Debug)]
pub(crate) struct Thrown {
    pub(crate) error: PyErr,
    /// Somebody had woken it before: what that was for has to be handed on.
    pub(crate) notified: bool,
}

impl Thrown {
    /// It is nobody's turn that this would have been.
    #[cold]
    #[inline(never)]
    pub(super) fn new(error: PyErr) -> Box<Thrown> {
        Box::new(Thrown { error, notified: false })
    }
}

impl From<Box<Thrown>> for PyErr {
    fn from(thrown: Box<Thrown>) -> PyErr {
        thrown.error
    }
}

/// This thread's hub, made if there is none.
#[inline]
pub(super) fn hub(py: Python<'_>) -> PyResult<Here> {
    match home::here(py) {
        Some(here) => Ok(here),
        None => make_hub(py),
    }
}

#[cold]
fn make_hub(py: Python<'_>) -> PyResult<Here> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    MAKE.import(py, "manyhands.gevent._hub_local", "get_hub")?.call0()?;
    home::here(py).ok_or_else(|| {
        pyo3::exceptions::PyRuntimeError::new_err("no hub could be made for this thread")
    })
}

/// A ticket for the greenlet that runs. BlockingSwitchOutError in the hub's own, which nobody could wake.
#[inline]
pub(crate) fn ticket(py: Python<'_>) -> PyResult<Ticket> {
    let home = match home::home() {
        Some(home) => home,
        None => make_hub(py)?.home,
    };
    let current = api::current(py)?;
    if home::is_hub(&current) {
        return Err(exceptions::blocking_switch_out(py));
    }
    let key = home.with(|hub| hub.wait(Work::Parked(current.unbind()), false));
    Ok(Ticket { home, key })
}

/// Parks the greenlet that runs until its ticket is woken or the time is up. The ticket is void afterwards, however it ends.
#[inline]
pub(crate) fn park(
    py: Python<'_>,
    ticket: Ticket,
    deadline: Option<Instant>,
) -> Result<Woken, Box<Thrown>> {
    if let Some(deadline) = deadline {
        ticket.home.with(|hub| {
            hub.keep(ticket.key, true);
            hub.wake_at(ticket.key, deadline);
        });
    }
    match wait(py, ticket)? {
        Wake::TimedOut => Ok(Woken::TimedOut),
        _ => Ok(Woken::Notified),
    }
}

/// Parks the greenlet that runs until the descriptor is ready or the time is up.
///
/// `Kept` is for sockets, whose first attempt has just said that they are not ready, and which [`forget`] the
/// descriptor before they close it; `Passing` for all else.
pub(crate) fn park_for(
    py: Python<'_>,
    fd: RawFd,
    direction: Direction,
    registration: Registration,
    deadline: Option<Instant>,
) -> Result<Ready, Box<Thrown>> {
    let ticket = ticket_for(py, fd, direction, registration, deadline)?;
    let woken = wait(py, ticket);
    match woken {
        Ok(Wake::Ready) => return Ok(Ready::Now),
        Ok(Wake::Closed) => return Ok(Ready::Closed),
        _ => ticket.home.with(|hub| hub.forget_wait(ticket.key, fd)),
    }
    woken.map(|_| Ready::TimedOut)
}

/// Not inlined: what it needs of the stack is not copied at each switch.
#[inline(never)]
fn ticket_for(
    py: Python<'_>,
    fd: RawFd,
    direction: Direction,
    registration: Registration,
    deadline: Option<Instant>,
) -> Result<Ticket, Box<Thrown>> {
    let ticket = ticket(py).map_err(Thrown::new)?;
    let armed = ticket.home.with(|hub| {
        hub.keep(ticket.key, true);
        if let Some(deadline) = deadline {
            hub.wake_at(ticket.key, deadline);
        }
        hub.wake_when(ticket.key, fd, direction, registration)
    });
    if let Err(error) = armed {
        ticket.home.end(py, ticket.key);
        return Err(Thrown::new(error.into()));
    }
    Ok(ticket)
}

/// Parks the greenlet that runs until one of the descriptors is ready to be read, or the time is up; whether one is.
pub(crate) fn park_for_any(
    py: Python<'_>,
    numbers: &[RawFd],
    deadline: Option<Instant>,
) -> Result<bool, Box<Thrown>> {
    let ticket = ticket(py).map_err(Thrown::new)?;
    let forget = |numbers: &[RawFd]| {
        ticket.home.with(|hub| numbers.iter().for_each(|fd| hub.forget_wait(ticket.key, *fd)));
    };
    let armed = ticket.home.with(|hub| {
        hub.keep(ticket.key, true);
        if let Some(deadline) = deadline {
            hub.wake_at(ticket.key, deadline);
        }
        numbers.iter().try_for_each(|fd| {
            hub.wake_when(ticket.key, *fd, Direction::Read, Registration::Passing)
        })
    });
    if let Err(error) = armed {
        forget(numbers);
        ticket.give_up(py);
        return Err(Thrown::new(error.into()));
    }
    let woken = wait(py, ticket);
    forget(numbers);
    woken.map(|why| why != Wake::TimedOut)
}

/// To be called before a descriptor is closed: greenlets of this thread that wait for it go on, with [`Ready::Closed`].
pub(crate) fn forget(fd: RawFd) {
    if let Some(home) = home::home() {
        home.with(|hub| hub.forget(fd));
    }
}

/// Lets others run that have a turn; comes back when it is this one's again.
pub(crate) fn give_way(py: Python<'_>) -> Result<(), Box<Thrown>> {
    let ticket = ticket(py).map_err(Thrown::new)?;
    ticket.wake();
    wait(py, ticket).map(|_| ())
}

/// Does nothing until the time is up; for ever if there is none. `keeps` says whether the loop may not end meanwhile.
pub(super) fn rest(
    py: Python<'_>,
    deadline: Option<Instant>,
    keeps: bool,
) -> Result<(), Box<Thrown>> {
    let ticket = ticket(py).map_err(Thrown::new)?;
    ticket.home.with(|hub| {
        hub.keep(ticket.key, keeps);
        if let Some(deadline) = deadline {
            hub.wake_at(ticket.key, deadline);
        }
    });
    wait(py, ticket).map(drop)
}

/// Calls it soon, in the hub's greenlet of this thread.
pub(crate) fn call_soon(
    py: Python<'_>,
    callable: Bound<'_, PyAny>,
    arguments: Bound<'_, PyTuple>,
) -> PyResult<()> {
    let home = match home::home() {
        Some(home) => home,
        None => make_hub(py)?.home,
    };
    let callback = Bound::new(py, Callback::new(callable, arguments))?.unbind();
    home.with(|hub| hub.post(Work::Call(callback)));
    Ok(())
}

/// What a parked greenlet does next.
enum Step {
    Mine(Wake),
    Switch(Py<PyAny>),
    /// There is something that only the hub's greenlet does.
    Hub,
    /// As that, but in the hub's own way.
    Ask,
    /// It is nobody's turn.
    Rest,
}

fn step(py: Python<'_>, home: &'static Home, key: Key) -> Step {
    home.with(|hub| match hub.next() {
        Some(Turn::Slot(next)) if next == key => {
            Step::Mine(hub.woken(key).unwrap_or(Wake::Notified))
        }
        Some(Turn::Slot(next)) => match hub.what(next) {
            Some(Work::Parked(greenlet)) => Step::Switch(greenlet.clone_ref(py)),
            _ => {
                hub.give_back(Turn::Slot(next));
                Step::Hub
            }
        },
        Some(job) => {
            hub.give_back(job);
            Step::Hub
        }
        None => Step::Rest,
    })
}

fn wait(py: Python<'_>, ticket: Ticket) -> Result<Wake, Box<Thrown>> {
    let Ticket { home, key } = ticket;
    home::count_wait();
    let is_asked = home::is_asked();
    loop {
        let step = if is_asked { Step::Ask } else { step(py, home, key) };
        let switched = match step {
            Step::Mine(why) => {
                home.end(py, key);
                return Ok(why);
            }
            Step::Switch(greenlet) => api::switch_only(greenlet.into_bound(py)),
            Step::Rest => match rest_here(py, home) {
                Some(true) => continue,
                Some(false) => hub_of(py).and_then(api::switch_only),
                None => None,
            },
            Step::Hub => hub_of(py).and_then(api::switch_only),
            Step::Ask => ask_hub(py),
        };
        if switched.is_none() {
            return Err(thrown(py, ticket));
        }
        // Whoever switched here had it in its hands why; if nobody has woken this, it was a stranger.
        let why = home.with(|hub| hub.woken(key));
        home.end(py, key);
        return why.ok_or_else(|| Thrown::new(exceptions::invalid_switch(py)));
    }
}

/// The exception that is set came up where the greenlet waited.
#[cold]
#[inline(never)]
fn thrown(py: Python<'_>, ticket: Ticket) -> Box<Thrown> {
    let error = PyErr::fetch(py);
    let notified = ticket.home.end(py, ticket.key) == Some(Wake::Notified);
    Box::new(Thrown { error, notified })
}

/// The hub's greenlet; `None` with an exception set. Not inlined, as it comes before others run: its memory is not needed
/// meanwhile.
#[inline(never)]
fn hub_of(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    let Some(here) = home::here(py) else {
        exceptions::hub_destroyed(py).restore(py);
        return None;
    };
    Some(here.greenlet.into_bound(py))
}

#[inline(never)]
fn ask_hub(py: Python<'_>) -> Option<()> {
    let asked = match home::here(py) {
        Some(here) => here.greenlet.into_bound(py).call_method0(intern!(py, "switch")),
        None => Err(exceptions::hub_destroyed(py)),
    };
    asked.map(drop).map_err(|error| error.restore(py)).ok()
}

/// Sleeps until something happens; false if nothing can. `None` with an exception set.
#[cold]
#[inline(never)]
fn rest_here(py: Python<'_>, home: &'static Home) -> Option<bool> {
    let Some(nap) = home.with(|hub| hub.nap()) else { return Some(false) };
    match sleep(py, home, nap) {
        Ok(()) => Some(true),
        Err(error) => {
            error.restore(py);
            None
        }
    }
}

/// Sleeps outside of the interpreter until something happens. Runs signal handlers if this is the greenlet in which their
/// exceptions are expected, else the hub's does.
pub(super) fn sleep(py: Python<'_>, home: &'static Home, mut nap: Nap) -> PyResult<()> {
    let is_main = thread::is_main();
    stacks::idle();
    let slept = py.detach(|| nap.sleep(is_main.then_some(LOOK_FOR_SIGNALS)));
    home.with(|hub| hub.wake_up(nap));
    let interrupted = match slept {
        Ok(()) => false,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
        Err(error) => return Err(error.into()),
    };
    if !is_main {
        return Ok(());
    }
    let current = api::current(py)?;
    if api::is_main(&current) || home::is_hub(&current) {
        return py.check_signals();
    }
    if interrupted || home.with(|hub| hub.due() == 0) {
        home.with(|hub| hub.give_back(Turn::Job(Work::Signals)));
    }
    Ok(())
}
