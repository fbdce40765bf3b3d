//! How far calls have come, for who shows it.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;

/// How many calls were submitted, and how many of them have ended well, or badly. Of a call that is made
/// with each of several items every item counts. Who reads it while calls come and go sees numbers that
/// need not fit together.
#[pyclass(frozen, module = "manyhands._native.concurrent")]
#[derive(Debug, Default)]
pub(crate) struct Tally {
    submitted: AtomicUsize,
    done: AtomicUsize,
    failed: AtomicUsize,
}

/// Adds to a counter.
fn add(counter: &AtomicUsize, items: usize) {
    if cfg!(Py_GIL_DISABLED) {
        counter.fetch_add(items, Ordering::Relaxed);
    } else {
        // Who counts has the global lock, so nothing that would keep other processors out is needed.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(items), Ordering::Relaxed);
    }
}

impl Tally {
    pub(crate) fn submit(&self, items: usize) {
        add(&self.submitted, items);
    }

    /// They were taken back.
    pub(crate) fn withdraw(&self, items: usize) {
        add(&self.submitted, items.wrapping_neg());
    }

    /// They have ended, well or not.
    pub(crate) fn settle(&self, items: usize, well: bool) {
        let ended = if well { &self.done } else { &self.failed };
        add(ended, items);
    }

    /// How many were submitted, are done, and have failed.
    pub(crate) fn read(&self) -> (usize, usize, usize) {
        // In this order no more have ended than were submitted.
        let (failed, done) =
            (self.failed.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed));
        (self.submitted.load(Ordering::Relaxed), done, failed)
    }
}

/// What a pool tells of itself: how many calls were submitted, are done, have failed, and are being
/// made, and whether there will be no more.
pub(crate) type Progress = (usize, usize, usize, usize, bool);

#[pymethods]
impl Tally {
    #[new]
    fn __new__() -> Tally {
        Tally::default()
    }

    /// So many were submitted.
    #[pyo3(name = "submit")]
    fn py_submit(&self, items: usize) {
        self.submit(items);
    }

    /// They were taken back.
    #[pyo3(name = "withdraw")]
    fn py_withdraw(&self, items: usize) {
        self.withdraw(items);
    }

    /// They have ended, well or not.
    #[pyo3(name = "settle")]
    fn py_settle(&self, items: usize, well: bool) {
        self.settle(items, well);
    }

    /// How many were submitted, are done, and have failed.
    #[pyo3(name = "read")]
    fn py_read(&self) -> (usize, usize, usize) {
        self.read()
    }
}
