//! Who brings the outcomes of calls: the processes of a pool, or its threads.

use std::sync::{Arc, Mutex};

use manyhands_sync::Limit;
use pyo3::prelude::*;

use super::call::{Callee, Shape};
use super::imap::Imap;
use super::limits::Options;
use super::repeats::Repeats;
use super::scheduler::{Phase, Scheduler, Tag, To};
use super::threads::{Target, Threads, Work};
use crate::contextvars::Submitted;
use crate::crew::{Awaited, Blocked};
use crate::news::News;
use crate::tally::Tally;

/// What a result comes from.
pub(super) enum Source {
    Processes(Py<Scheduler>),
    Threads(Py<Threads>),
}

impl Source {
    pub(super) fn held(&self) -> &Py<PyAny> {
        match self {
            Source::Processes(scheduler) => scheduler.as_any(),
            Source::Threads(threads) => threads.as_any(),
        }
    }

    pub(super) fn tally(&self) -> &Tally {
        match self {
            Source::Processes(scheduler) => scheduler.get().tally.get(),
            Source::Threads(threads) => threads.get().tally.get(),
        }
    }

    /// Waits until `is_over`, at most until the limit; returns whether it is. Threads tell the news. With what
    /// is awaited comes whether no worker has begun it.
    pub(super) fn advance(
        &self,
        py: Python<'_>,
        news: &News,
        limit: Limit,
        is_over: &dyn Fn() -> bool,
        (object, awaited, presses): (&Bound<'_, PyAny>, Option<&Awaited>, bool),
    ) -> PyResult<bool> {
        match self {
            Source::Processes(scheduler) => Scheduler::advance(scheduler.bind(py), limit, is_over),
            Source::Threads(threads) => {
                let number = threads.get().crew.number();
                let awaited = Some((object, awaited));
                let _blocked = Blocked::begin(py, number, limit, || presses, awaited)?;
                news.wait(py, "get", limit, is_over)
            }
        }
    }

    /// What a function that is called with items of an iterable is to them.
    pub(super) fn callee(
        &self,
        function: &Bound<'_, PyAny>,
        shape: Shape,
        options: Option<Bound<'_, Options>>,
    ) -> PyResult<Callee> {
        match self {
            Source::Processes(scheduler) => scheduler.get().callee(function, shape, options),
            Source::Threads(_) => Ok(Callee {
                function: function.clone().unbind(),
                named: true,
                prefix: Arc::from(&[][..]),
                options: None,
            }),
        }
    }

    /// What the calls of an `imap` that is begun here are to see, where threads do them.
    pub(super) fn context(&self, py: Python<'_>) -> PyResult<Submitted> {
        match self {
            Source::Processes(_) => Ok(Submitted::none()),
            Source::Threads(_) => Submitted::here(py),
        }
    }

    /// Those of `imap` that have not sent all that there is.
    pub(super) fn feeding(&self) -> &Mutex<Vec<Imap>> {
        match self {
            Source::Processes(scheduler) => &scheduler.get().feeding,
            Source::Threads(threads) => &threads.get().feeding,
        }
    }

    /// Whether tasks have to wait until results were taken.
    pub(super) fn has_window(&self) -> bool {
        matches!(self, Source::Processes(_))
    }

    /// Sends a task of an `imap`.
    pub(super) fn send(
        &self,
        (callee, context): (&Callee, &Submitted),
        shape: Shape,
        object: Bound<'_, PyAny>,
        imap: Imap,
        index: usize,
        repeats: &Repeats,
    ) -> PyResult<()> {
        let py = object.py();
        match self {
            Source::Processes(scheduler) => {
                let tag = Tag::new(To::Imap(imap), index);
                Scheduler::send(scheduler.bind(py), callee, object, tag, Some(repeats)).map(drop)
            }
            Source::Threads(threads) => {
                let (function, context) = (callee.function.clone_ref(py), context.again(py));
                let (argument, target) = (object.unbind(), Target::Imap(imap));
                let work = Work { function, shape, argument, context, target, index };
                Threads::submit(threads.bind(py), work)
            }
        }
    }

    /// Has all look again who wait for a result.
    pub(super) fn nudge(&self, py: Python<'_>, news: &News) {
        match self {
            Source::Processes(scheduler) => scheduler.get().nudge(py),
            Source::Threads(_) => news.tell(),
        }
    }

    /// Whether no task is taken any more, not even of those that have begun to be sent.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Source::Processes(scheduler) => {
                scheduler.get().phase() == Phase::Ended || scheduler.get().is_broken()
            }
            Source::Threads(threads) => threads.get().has_ended(),
        }
    }

    /// All that there was to be sent has been.
    pub(super) fn close_if_fed(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Source::Processes(scheduler) => scheduler.get().close_if_fed(py),
            Source::Threads(threads) => {
                threads.get().close_if_fed();
                Ok(())
            }
        }
    }
}
