//! The hub of each thread, and how others reach it.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use manyhands_green::{Hub, Key, Outside, Wake};
use manyhands_sync::{Exclusion, Protected};
use pyo3::prelude::*;

use super::callback::Callback;
use super::guest::Kept;
use super::raw;
use crate::exclusion::Interpreter;

/// What a hub switches to or calls.
pub(super) enum Work {
    /// A greenlet that is parked.
    Parked(Py<PyAny>),
    /// A greenlet that is to begin, unless it is no longer due; from the hub's greenlet only. The collector does not see it
    /// while it is here.
    Start(Py<PyAny>),
    /// A greenlet that is to go on; from the hub's greenlet only.
    Switch(Py<PyAny>),
    /// Something to call, in the hub's greenlet.
    Call(Py<Callback>),
    /// Somebody who is called whenever it is woken, in the hub's greenlet, until it ends that.
    Watcher(Py<PyAny>),
    /// Signal handlers are to run.
    Signals,
}

/// Where a hub lives. These stay for ever, and are used again: so a key may be kept together with its home
/// by anybody, however long.
pub(super) struct Home {
    cell: <Interpreter as Exclusion>::Cell<Hub<Work>>,
    /// Wakes those who wait here, also outside of the interpreter.
    pub(super) outside: Arc<Outside>,
    /// Whether greenlets that wait for what is not the hub's let others run.
    has_guests: AtomicBool,
}

static FREE: Mutex<Vec<&'static Home>> = Mutex::new(Vec::new());

impl Home {
    /// A home with an open hub.
    pub(super) fn take() -> PyResult<&'static Home> {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(home) = free else {
            let hub = Hub::new()?;
            let (outside, has_guests) = (hub.outside(), AtomicBool::new(true));
            let cell = Protected::new(hub);
            return Ok(Box::leak(Box::new(Home { cell, outside, has_guests })));
        };
        if let Err(error) = home.with(Hub::open) {
            FREE.lock().unwrap_or_else(PoisonError::into_inner).push(home);
            return Err(error.into());
        }
        Ok(home)
    }

    /// Closes the hub, and releases what it still had.
    pub(super) fn close(&self, py: Python<'_>) {
        let left = self.with(|hub| if hub.is_closed() { Vec::new() } else { hub.close() });
        for work in left {
            work.release(py);
        }
    }

    /// Lets others have the home; nobody who had it may come back to it, but with keys, which are void.
    pub(super) fn give_up(&'static self, py: Python<'_>) {
        self.close(py);
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    /// As [`has_guests`](Self::has_guests) says from now on.
    pub(super) fn set_has_guests(&self, has: bool) {
        self.has_guests.store(has, Ordering::Relaxed);
    }

    /// Whether greenlets that wait for what is not the hub's let others run: not in a child of multiprocessing, where those
    /// others are copies of the parent's, and are not to go on in it.
    #[inline(always)]
    pub(super) fn has_guests(&self) -> bool {
        self.has_guests.load(Ordering::Relaxed)
    }

    /// Touches the hub: for a few instructions, and without any code of Python's, see `crate::exclusion`.
    #[inline(always)]
    pub(super) fn with<R>(&self, body: impl FnOnce(&mut Hub<Work>) -> R) -> R {
        self.cell.with(body)
    }

    /// The greenlets that are parked.
    pub(super) fn parked(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.with(|hub| {
            let parked = hub.all().filter_map(|(_, work)| match work {
                Work::Parked(greenlet) => Some(greenlet.clone_ref(py)),
                _ => None,
            });
            parked.collect()
        })
    }

    /// Frees the place; releases what was there.
    #[inline]
    pub(super) fn end(&self, py: Python<'_>, key: Key) -> Option<Wake> {
        let (work, woken) = self.with(|hub| hub.end(key))?;
        work.release(py);
        woken
    }
}

impl Work {
    /// Drops it where the interpreter is at hand, which PyO3 does not always know.
    #[inline]
    pub(super) fn release(self, py: Python<'_>) {
        match self {
            Work::Start(object) => {
                let object = object.into_bound(py);
                raw::show(&object);
            }
            Work::Parked(object) | Work::Switch(object) | Work::Watcher(object) => {
                drop(object.into_bound(py));
            }
            Work::Call(callback) => drop(callback.into_bound(py)),
            Work::Signals => {}
        }
    }
}

/// A thread's hub: its greenlet and its home.
pub(super) struct Here {
    pub(super) home: &'static Home,
    pub(super) greenlet: Py<PyAny>,
    /// Its class has a `switch` of its own, which is called whenever somebody waits.
    pub(super) is_asked: bool,
}

thread_local! {
    /// How often somebody has waited.
    static WAITS: Cell<u64> = const { Cell::new(0) };

    static HERE: Kept<RefCell<Option<Here>>> = const { Kept::new(RefCell::new(None)) };
}

/// The hub of this thread, if it has one.
#[inline]
pub(super) fn here(py: Python<'_>) -> Option<Here> {
    HERE.with(|here| {
        here.borrow().as_ref().map(|it| Here {
            home: it.home,
            greenlet: it.greenlet.clone_ref(py),
            is_asked: it.is_asked,
        })
    })
}

/// Whether this thread's hub wants its `switch` called whenever somebody waits.
#[inline]
pub(super) fn is_asked() -> bool {
    HERE.with(|here| here.borrow().as_ref().is_some_and(|it| it.is_asked))
}

/// The home of this thread's hub, if it has one.
#[inline]
pub(super) fn home() -> Option<&'static Home> {
    // A thread that ends has no such cell any more, and may still wait.
    HERE.try_with(|here| here.borrow().as_ref().map(|it| it.home)).ok().flatten()
}

/// Whether the greenlet is this thread's hub.
#[inline]
pub(super) fn is_hub(greenlet: &Bound<'_, PyAny>) -> bool {
    HERE.with(|here| here.borrow().as_ref().is_some_and(|it| it.greenlet.is(greenlet)))
}

/// Says what this thread's hub is.
pub(super) fn set_here(py: Python<'_>, here: Option<Here>) {
    if let Some(here) = &here {
        here.home.set_has_guests(true);
    }
    let before = HERE.with(|place| place.replace(here));
    if let Some(before) = before {
        drop(before.greenlet.into_bound(py));
    }
}

/// Somebody waits.
#[inline]
pub(super) fn count_wait() {
    WAITS.set(WAITS.get() + 1);
}

/// How often somebody has waited in this thread.
pub(super) fn waits() -> u64 {
    WAITS.get()
}
