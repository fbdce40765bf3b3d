//! The one way out of the interpreter: detach, wait, run signal handlers when one comes.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use manyhands_sync::{Deadline, Gate, Parked, Waiter, Wakes};
use manyhands_sys::thread;
use manyhands_watch::Deadlocks;
use pyo3::prelude::*;

use crate::green::{awaited, guest};
use crate::watch::check_condemned;

/// How long the main thread sleeps at most before it looks for signals.
///
/// A signal interrupts its sleep at once. One that arrives in the few instructions between the last
/// look and the sleep does not; this bounds how long that one goes unnoticed.
pub(crate) const LOOK_FOR_SIGNALS: Duration = Duration::from_millis(500);

/// Waits outside of the interpreter; given up when a signal handler raises. A greenlet of a thread that has a hub is parked
/// instead, and given up when something is thrown into it; so is a call that a coroutine awaits.
pub(crate) struct Outside<'py>(pub(crate) Python<'py>);

impl Gate for Outside<'_> {
    type Error = PyErr;

    fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Deadline>) -> PyResult<bool> {
        if let Some(stack) = awaited::here(self.0) {
            return awaited::until_notified(&stack, waiter, deadline);
        }
        if guest::is_here(self.0) {
            return guest::until_notified(self.0, waiter, deadline);
        }
        self.wait_after(Wakes::default(), waiter, deadline, false)
    }
}

impl Outside<'_> {
    /// Notifies others as soon as it is outside, and waits. `gives_way` says whether who notifies this usually
    /// leaves the interpreter next.
    fn wait_after(
        &self,
        wakes: Wakes,
        waiter: &Arc<Waiter>,
        deadline: Option<Deadline>,
        gives_way: bool,
    ) -> PyResult<bool> {
        let py = self.0;
        let is_main = thread::is_main();
        let mut wakes = Some(wakes);
        let mut lasting = Lasting::new();
        loop {
            let wakes = wakes.take();
            let parked = py.detach(|| {
                wakes.unwrap_or_default().send_from_outside();
                let look = lasting.next_look(is_main);
                let is_look =
                    look.is_some() && deadline.is_none_or(|deadline| look < Some(deadline));
                let parked = waiter.park(if is_look { look } else { deadline });
                // Without a global lock who notifies is in nobody's way.
                if gives_way && cfg!(not(Py_GIL_DISABLED)) && parked == Parked::Notified {
                    waiter.give_way();
                }
                (parked, is_look)
            });
            match parked {
                (Parked::Notified, _) => return Ok(true),
                (Parked::TimedOut, false) => return Ok(false),
                (Parked::TimedOut, true) => {
                    lasting.has_looked()?;
                    py.check_signals()?;
                }
                (Parked::Interrupted, _) => py.check_signals()?,
            }
        }
    }
}

/// How long a wait has lasted, and when to look up from it: the main thread for signals, all others
/// once, to tell observers; and again and again where they may have it end.
pub(crate) struct Lasting {
    begun: Deadline,
    is_told: bool,
}

impl Lasting {
    pub(crate) fn new() -> Lasting {
        Lasting { begun: Deadline::now(), is_told: false }
    }

    /// When to look next; never if there is nothing to look for.
    pub(crate) fn next_look(&self, is_main: bool) -> Option<Deadline> {
        if is_main || manyhands_watch::deadlocks() == Deadlocks::Raise {
            Some(Deadline::after(LOOK_FOR_SIGNALS))
        } else {
            (!self.is_told).then(|| Deadline::after(manyhands_watch::LONG))
        }
    }

    /// To be called when it was time to look.
    pub(crate) fn has_looked(&mut self) -> PyResult<()> {
        if !self.is_told && self.begun.elapsed() >= manyhands_watch::LONG {
            self.is_told = true;
            manyhands_watch::has_lasted();
        }
        check_condemned()
    }
}

/// As [`Outside`], for workers; notifies others as it leaves, so that these find the interpreter free, and gives
/// way to who submits something, as that one often waits for it next. It sleeps also where calls have left greenlets behind, which
/// go on in the next call that waits.
///
/// What was to be notified if there was nothing to wait for has to be sent by who made this.
pub(crate) struct Leaving<'py> {
    outside: Outside<'py>,
    pub(crate) wakes: Cell<Wakes>,
}

impl<'py> Leaving<'py> {
    pub(crate) fn new(py: Python<'py>, wakes: Wakes) -> Self {
        Leaving { outside: Outside(py), wakes: Cell::new(wakes) }
    }
}

impl Gate for Leaving<'_> {
    type Error = PyErr;

    fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Deadline>) -> PyResult<bool> {
        self.outside.wait_after(self.wakes.take(), waiter, deadline, true)
    }
}

/// As [`Outside`], for a wait that must end well: the first exception of a signal handler is kept
/// for afterwards, the second gives the wait up.
pub(crate) struct Determined<'py> {
    outside: Outside<'py>,
    kept: std::cell::RefCell<Option<PyErr>>,
}

impl<'py> Determined<'py> {
    pub(crate) fn new(py: Python<'py>) -> Self {
        Determined { outside: Outside(py), kept: std::cell::RefCell::new(None) }
    }

    /// The exception that was kept, if there was one.
    pub(crate) fn finish(self) -> PyResult<()> {
        self.kept.into_inner().map_or(Ok(()), Err)
    }
}

impl Gate for Determined<'_> {
    type Error = PyErr;

    fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Deadline>) -> PyResult<bool> {
        loop {
            match self.outside.wait(waiter, deadline) {
                Ok(notified) => return Ok(notified),
                Err(error) => {
                    if self.kept.borrow().is_some() {
                        return Err(error);
                    }
                    *self.kept.borrow_mut() = Some(error);
                }
            }
        }
    }
}
