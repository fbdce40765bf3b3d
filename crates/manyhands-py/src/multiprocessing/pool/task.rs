//! A task as the future knows it that it will bring about.

use std::sync::atomic::Ordering;

use manyhands_sync::Limit;
use pyo3::prelude::*;

use super::scheduler::Scheduler;
use crate::multiprocessing::arena::error;

/// A call that was submitted to a pool of processes, whose outcome a future gets.
pub(crate) struct Task {
    scheduler: Py<Scheduler>,
    number: u64,
    /// Kept as long as the task has no outcome.
    pool: Py<PyAny>,
    function: Py<PyAny>,
    /// Whether somebody else than who waits for the future wants to know.
    attended: bool,
}

impl Task {
    pub(super) fn new(
        scheduler: Py<Scheduler>,
        number: u64,
        pool: Py<PyAny>,
        function: Py<PyAny>,
    ) -> Task {
        Task { scheduler, number, pool, function, attended: false }
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Task {
        Task {
            scheduler: self.scheduler.clone_ref(py),
            number: self.number,
            pool: self.pool.clone_ref(py),
            function: self.function.clone_ref(py),
            attended: self.attended,
        }
    }

    /// What it calls.
    pub(super) fn function(&self, py: Python<'_>) -> Py<PyAny> {
        self.function.clone_ref(py)
    }

    /// What it was submitted to.
    pub(crate) fn scheduler(&self, py: Python<'_>) -> Py<Scheduler> {
        self.scheduler.clone_ref(py)
    }

    /// Waits until `is_over`, at most until the limit, for what a task brings about that was submitted there.
    pub(crate) fn wait(
        scheduler: &Bound<'_, Scheduler>,
        limit: Limit,
        is_over: &dyn Fn() -> bool,
    ) -> PyResult<()> {
        Scheduler::advance(scheduler, limit, is_over).map(drop)
    }

    /// Whether a worker has taken it.
    pub(crate) fn has_begun(&self, py: Python<'_>) -> PyResult<bool> {
        let pool = &self.scheduler.get().pool;
        py.detach(|| pool.has_begun(self.number)).map_err(error)
    }

    /// Takes it back; false if a worker has it, or had.
    pub(crate) fn retract(&self, py: Python<'_>) -> PyResult<bool> {
        let scheduler = self.scheduler.get();
        let tag = py.detach(|| scheduler.pool.retract(self.number)).map_err(error)?;
        if let Some(tag) = &tag {
            scheduler.forget(tag);
            scheduler.tally.get().withdraw(tag.index);
        }
        Ok(tag.is_some())
    }

    /// Breaks it off, which a worker has, if it was submitted with that right; returns whether it did.
    pub(crate) fn break_off(&self, py: Python<'_>) -> PyResult<bool> {
        Scheduler::break_off(self.scheduler.bind(py), self.number)
    }

    /// From now on somebody wants to know its outcome who does not wait for the future.
    pub(crate) fn attend(&mut self) {
        if !self.attended {
            self.attended = true;
            let scheduler = self.scheduler.get();
            scheduler.awaited.fetch_add(1, Ordering::AcqRel);
            scheduler.call_supervisor();
        }
    }

    /// The future is done.
    pub(crate) fn settled(&self) {
        let scheduler = self.scheduler.get();
        if self.attended {
            scheduler.awaited.fetch_sub(1, Ordering::AcqRel);
        }
        scheduler.pool.tell();
    }

    /// Has all who wait look again: the future was not done by who leads.
    pub(crate) fn nudge(&self, py: Python<'_>) {
        self.scheduler.get().nudge(py);
    }
}
