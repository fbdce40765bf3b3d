//! What a greenlet of ours has beyond its stack.

use std::ffi::c_int;

use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::gather::Gather;
use super::home::Home;
use super::park::Ticket;

/// Who is to know that it has ended.
pub(super) enum Link {
    /// A greenlet that waits for it.
    Waits(Ticket),
    /// One that waits for several.
    Gathers(Py<Gather>),
    /// Something to call with it, in the hub's greenlet.
    Calls(Py<PyAny>),
}

/// Where it is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has started it.
    #[default]
    New,
    /// It is to begin.
    Due,
    /// It is being switched to for the first time.
    Beginning,
    /// It runs, or is parked.
    Begun,
    /// It has a value.
    Returned,
    /// It has an exception.
    Failed,
}

/// What it calls, what came of it, and who wants to know.
#[derive(Default)]
pub(super) struct Body {
    pub(super) stage: Stage,
    pub(super) home: Option<&'static Home>,
    pub(super) run: Option<Py<PyAny>>,
    pub(super) args: Option<Py<PyTuple>>,
    pub(super) kwargs: Option<Py<PyDict>>,
    /// The value or the exception.
    pub(super) outcome: Option<Py<PyAny>>,
    pub(super) traceback: Option<Py<PyAny>>,
    pub(super) links: Vec<Link>,
    /// The links that are to be called are being called.
    pub(super) notifies: bool,
    /// Whether it begins with the context of who starts it; nothing if it has not been told.
    pub(super) copies_context: Option<bool>,
    pub(super) spawned: Option<Box<Spawned>>,
}

/// Where it comes from.
#[derive(Default)]
pub(super) struct Spawned {
    /// A weak reference to the greenlet that made it.
    pub(super) by: Option<Py<PyAny>>,
    /// What it shares with that one.
    pub(super) locals: Option<Py<PyDict>>,
    /// Code and place in it, the innermost first.
    pub(super) stack: Vec<(Py<PyAny>, c_int)>,
}

impl Body {
    /// Whether it has ended.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Returned | Stage::Failed)
    }

    /// All that refers to other objects; without those the object is still a valid one.
    pub(super) fn take_references(&mut self) -> Body {
        Body {
            run: self.run.take(),
            args: self.args.take(),
            kwargs: self.kwargs.take(),
            outcome: self.outcome.take(),
            traceback: self.traceback.take(),
            links: std::mem::take(&mut self.links),
            spawned: self.spawned.take(),
            ..Body::default()
        }
    }

    /// Drops it where the interpreter is at hand.
    pub(super) fn release(self, py: Python<'_>) {
        drop(self.run.map(|it| it.into_bound(py)));
        drop(self.args.map(|it| it.into_bound(py)));
        drop(self.kwargs.map(|it| it.into_bound(py)));
        drop(self.outcome.map(|it| it.into_bound(py)));
        drop(self.traceback.map(|it| it.into_bound(py)));
        for link in self.links {
            match link {
                Link::Waits(_) => {}
                Link::Gathers(gather) => drop(gather.into_bound(py)),
                Link::Calls(callable) => drop(callable.into_bound(py)),
            }
        }
        if let Some(spawned) = self.spawned {
            drop(spawned.by.map(|it| it.into_bound(py)));
            drop(spawned.locals.map(|it| it.into_bound(py)));
            for (code, _) in spawned.stack {
                drop(code.into_bound(py));
            }
        }
    }

    /// Calls `visit` with all objects that it refers to, until one says other than 0.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        let links = self.links.iter().filter_map(|link| match link {
            Link::Waits(_) => None,
            Link::Gathers(gather) => Some(gather.as_ptr()),
            Link::Calls(callable) => Some(callable.as_ptr()),
        });
        let own = [
            self.run.as_ref().map(Py::as_ptr),
            self.args.as_ref().map(Py::as_ptr),
            self.kwargs.as_ref().map(Py::as_ptr),
            self.outcome.as_ref().map(Py::as_ptr),
            self.traceback.as_ref().map(Py::as_ptr),
            self.spawned.as_ref().and_then(|it| it.by.as_ref()).map(Py::as_ptr),
            self.spawned.as_ref().and_then(|it| it.locals.as_ref()).map(Py::as_ptr),
        ];
        let code =
            self.spawned.iter().flat_map(|it| it.stack.iter().map(|(code, _)| code.as_ptr()));
        for object in own.into_iter().flatten().chain(links).chain(code) {
            let visited = visit(object);
            if visited != 0 {
                return visited;
            }
        }
        0
    }
}
