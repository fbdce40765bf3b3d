//! What a future is made of, and how far its call has come.

use pyo3::gc::PyTraverseError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::multiprocessing::Task;
use crate::tally::Tally;

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Running,
    /// And those who wait for several futures have not been told.
    Cancelled,
    CancelledAndNotified,
    Finished,
}

impl State {
    pub(super) const ALL: [State; 5] = [
        State::Pending,
        State::Running,
        State::Cancelled,
        State::CancelledAndNotified,
        State::Finished,
    ];

    /// As `concurrent.futures` has it in `_state`.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Pending => "PENDING",
            State::Running => "RUNNING",
            State::Cancelled => "CANCELLED",
            State::CancelledAndNotified => "CANCELLED_AND_NOTIFIED",
            State::Finished => "FINISHED",
        }
    }

    pub(super) fn is_cancelled(self) -> bool {
        matches!(self, State::Cancelled | State::CancelledAndNotified)
    }

    pub(super) fn is_done(self) -> bool {
        !matches!(self, State::Pending | State::Running)
    }
}

/// What is known of a call.
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) result: Option<Py<PyAny>>,
    pub(super) exception: Option<Py<PyAny>>,
    /// The `threading.Condition` under which other people's code looks at it; made when they do.
    pub(super) condition: Option<Py<PyAny>>,
    /// Whom the functions that wait for several futures want told.
    pub(super) waiters: Option<Py<PyList>>,
    pub(super) callbacks: Option<Py<PyList>>,
    /// The task in another process that will bring it about, until it is done.
    pub(super) task: Option<Task>,
    /// Who shows how far many calls are, and as how many this counts; until it is done.
    pub(super) tally: Option<(Py<Tally>, usize)>,
}

impl Inner {
    /// It is done: who counts is told.
    pub(super) fn count(&mut self) -> Option<(Py<Tally>, usize)> {
        let counted = self.tally.take();
        if let Some((tally, items)) = &counted {
            if self.state.is_cancelled() {
                tally.get().withdraw(*items);
            } else {
                tally.get().settle(*items, self.exception.is_none());
            }
        }
        counted
    }

    /// What is held, for the collector. What a task holds is held as well by who will bring its outcome,
    /// where the collector does not look: it can do nothing about it as long as there is the task.
    pub(super) fn held(
        &self,
        mut visit: impl FnMut(&Py<PyAny>) -> Result<(), PyTraverseError>,
    ) -> Result<(), PyTraverseError> {
        for object in [&self.result, &self.exception, &self.condition].into_iter().flatten() {
            visit(object)?;
        }
        for list in [&self.waiters, &self.callbacks].into_iter().flatten() {
            visit(list.as_any())?;
        }
        Ok(())
    }
}
