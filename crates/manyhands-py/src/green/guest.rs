//! Greenlets that wait for what is no primitive of the hub's: locks and queues of threads, of processes, connections. Others go
//! on meanwhile, instead of the thread that sleeps.
//!
//! The way is always the same: the greenlet parks, and is woken from wherever what it waits for comes about; then it
//! looks, as a thread would that was woken. None of this is within `Python::detach`, and nobody else ever has a pointer to
//! what lies on the stack, which is somewhere else while the greenlet is parked.

use std::cell::Cell;
use std::ops::Deref;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use manyhands_green::{Direction, Registration, sleep_for};
use manyhands_sync::{Deadline, Limit, Waiter};
use pyo3::prelude::*;

use super::home::{self, Home};
use super::park::{self, Thrown, Ticket, Woken};
use super::{api, awaited};

/// The first and the longest pause between two looks at a word that nobody sleeps on for the greenlet.
const PAUSE: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(5));

thread_local! {
    /// How many greenlets of this thread are parked here.
    static PARKED: Cell<usize> = const { Cell::new(0) };
}

/// While there is one, a greenlet is parked in a call that PyO3 counts as one that is under way, and takes as a proof that its
/// thread is within the interpreter.
pub(super) struct Parked;

impl Parked {
    pub(super) fn begin() -> Parked {
        PARKED.set(PARKED.get() + 1);
        Parked
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        PARKED.set(PARKED.get() - 1);
    }
}

/// What a thread keeps of Python's. At the end of the main thread the interpreter is gone already. Then nothing is released, if
/// PyO3 would do that itself for a greenlet that has never gone on.
pub(crate) struct Kept<T: Default>(T);

impl<T: Default> Kept<T> {
    pub(crate) const fn new(it: T) -> Kept<T> {
        Kept(it)
    }
}

impl<T: Default> Deref for Kept<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Default> Drop for Kept<T> {
    fn drop(&mut self) {
        if PARKED.get() > 0 {
            std::mem::forget(std::mem::take(&mut self.0));
        }
    }
}

/// Parks, see [`Parked`].
fn park(py: Python<'_>, ticket: Ticket, until: Option<Instant>) -> Result<Woken, Box<Thrown>> {
    let _parked = Parked::begin();
    park::park(py, ticket, until)
}

/// Whether who calls is a greenlet for which others can run meanwhile: this thread has a hub, and it is not that itself.
#[inline]
pub(crate) fn is_here(py: Python<'_>) -> bool {
    home::home().is_some_and(Home::has_guests) && is_guest(py)
}

/// Which greenlet of this thread runs, if it has any for which others can run while it waits; 0 for none. For observers,
/// who must not take the thread for one that waits.
pub(crate) fn current() -> u64 {
    if !home::home().is_some_and(Home::has_guests) && !awaited::has_any() {
        return 0;
    }
    let address =
        Python::try_attach(|py| api::current(py).map_or(0, |current| current.as_ptr().addr()));
    address.filter(|&address| address != 0).map_or(u64::MAX, |address| address as u64)
}

/// In a child of multiprocessing: the greenlets that were copied from the parent do not go on here, unless the program takes
/// them over (`gevent.reinit()`).
pub(crate) fn leave_parent() {
    if let Some(home) = home::home() {
        home.set_has_guests(false);
    }
}

#[cold]
fn is_guest(py: Python<'_>) -> bool {
    api::current(py).is_ok_and(|current| !home::is_hub(&current))
}

/// Whether who calls is such a greenlet, and not the one that every thread has.
#[inline]
pub(crate) fn is_one_of_many(py: Python<'_>) -> bool {
    is_here(py) && api::current(py).is_ok_and(|current| !api::is_main(&current))
}

/// Who calls, where that is one of several greenlets of a thread.
pub(crate) fn number(py: Python<'_>) -> Option<u64> {
    home::home()?;
    api::current(py).ok().map(|current| current.as_ptr() as u64)
}

fn instant(deadline: Deadline) -> Option<Instant> {
    Instant::now().checked_add(deadline.remaining())
}

/// A ticket that keeps the hub from ending: threads and processes of which it knows nothing may still wake it.
fn ticket(py: Python<'_>) -> PyResult<Ticket> {
    let ticket = park::ticket(py)?;
    ticket.keep();
    Ok(ticket)
}

/// Parks until the waiter is notified (true) or the deadline has passed (false). To be called if [`is_here`].
#[cold]
pub(crate) fn until_notified(
    py: Python<'_>,
    waiter: &Arc<Waiter>,
    deadline: Option<Deadline>,
) -> PyResult<bool> {
    let until = deadline.and_then(instant);
    loop {
        let ticket = ticket(py)?;
        if !waiter.listen(move || ticket.wake_from_outside()) {
            ticket.give_up(py);
            return Ok(true);
        }
        // What was thrown in ends the wait, as what a signal handler raises does: who waits then takes the waiter out of its
        // line, and hands on what it was notified of.
        match park(py, ticket, until)? {
            Woken::TimedOut => return Ok(waiter.is_notified()),
            Woken::Notified if waiter.is_notified() => return Ok(true),
            Woken::Notified => {}
        }
    }
}

/// Parks while the word holds that value, at most until then; may come back before. To be called if [`is_here`].
///
/// Another thread sleeps on the word meanwhile, as only one that sleeps there is woken by another process. That goes for locks, too: it
/// does not take them, which is done here, by the thread whose number they are to have.
#[cold]
pub(crate) fn while_word_holds(
    py: Python<'_>,
    word: &AtomicU32,
    expected: u32,
    until: Deadline,
) -> PyResult<()> {
    let ticket = ticket(py)?;
    let address = (&raw const *word).addr();
    let errand = sleep_for(address, expected, until, move || ticket.wake_from_outside());
    if let Some(errand) = errand {
        let parked = park(py, ticket, None);
        drop(errand);
        return parked.map(drop).map_err(PyErr::from);
    }
    ticket.give_up(py);
    let (mut pause, longest) = PAUSE;
    while word.load(Ordering::Acquire) == expected && !until.has_passed() {
        let most = Instant::now().checked_add(pause.min(until.remaining()));
        park(py, self::ticket(py)?, most)?;
        pause = (2 * pause).min(longest);
    }
    Ok(())
}

/// Lets the other greenlets of a thread run until the call returns something true, which is asked ever more rarely, each
/// 5 ms at last; at once if there are none. For what tells nobody when it changes.
#[pyfunction]
fn others_run_until(py: Python<'_>, call: &Bound<'_, PyAny>) -> PyResult<()> {
    let (mut pause, longest) = PAUSE;
    while is_here(py) && !call.call0()?.is_truthy()? {
        rest(py, pause)?;
        pause = (2 * pause).min(longest);
    }
    Ok(())
}

/// Parks for so long. To be called if [`is_here`].
#[cold]
pub(crate) fn rest(py: Python<'_>, time: Duration) -> PyResult<()> {
    park(py, ticket(py)?, Instant::now().checked_add(time))?;
    Ok(())
}

/// Parks until the descriptor can be read from, or written to. To be called if [`is_here`].
#[cold]
pub(crate) fn until_ready(py: Python<'_>, fd: RawFd, direction: Direction) -> PyResult<()> {
    let _parked = Parked::begin();
    // What is wrong with it the next call of the system will say.
    park::park_for(py, fd, direction, Registration::Passing, None)?;
    Ok(())
}

/// Parks until one of the descriptors has something to read or the limit is reached; whether one may have. To be called if
/// [`is_here`].
#[cold]
pub(crate) fn until_readable(py: Python<'_>, numbers: &[RawFd], limit: Limit) -> PyResult<bool> {
    let until = match limit {
        Limit::Never => return Ok(false),
        Limit::Until(deadline) => instant(deadline),
        Limit::Forever => None,
    };
    let _parked = Parked::begin();
    Ok(park::park_for_any(py, numbers, until)?)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(others_run_until, module)?)
}
