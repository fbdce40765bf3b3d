//! Waiting for several things at once: what `gevent.wait`, `iwait` and `joinall` stand on.

use std::collections::VecDeque;

use manyhands_sync::{Exclusion, Protected};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::body::Link;
use super::method::{self, function};
use super::park::{self, Ticket, Woken};
use super::{raw, seconds};
use crate::exclusion::Interpreter;

#[derive(Default)]
struct State {
    done: VecDeque<Py<PyAny>>,
    waits: Option<Ticket>,
    /// How many have to be there for the one who waits to be woken.
    wanted: usize,
}

/// Collects objects in the order in which they become ready. Called with one, it takes that: so it is a link.
#[pyclass(frozen, weakref, module = "manyhands._native")]
pub(super) struct Gather {
    state: <Interpreter as Exclusion>::Cell<State>,
}

impl Gather {
    /// Takes one that is ready.
    pub(super) fn take(&self, object: Py<PyAny>) {
        let waits = self.state.with(|state| {
            state.done.push_back(object);
            if state.done.len() >= state.wanted { state.waits.take() } else { None }
        });
        if let Some(ticket) = waits {
            ticket.wake();
        }
    }
}

#[pymethods]
impl Gather {
    #[new]
    fn __new__() -> Self {
        Gather { state: Protected::new(State::default()) }
    }

    fn __call__(&self, object: Py<PyAny>) {
        self.take(object);
    }

    /// Have the greenlet hand itself in when it ends; at once if it has. False if it is none of ours.
    fn _link(this: &Bound<'_, Self>, greenlet: &Bound<'_, PyAny>) -> bool {
        let link = Link::Gathers(this.clone().unbind());
        let left = raw::with(greenlet, |body| {
            if body.is_ready() {
                return Some(link);
            }
            body.links.push(link);
            None
        });
        match left {
            Some(Some(_)) => {
                this.get().take(greenlet.clone().unbind());
                true
            }
            Some(None) => true,
            None => false,
        }
    }

    /// Have them no longer do that.
    fn _unlink(this: &Bound<'_, Self>, greenlet: &Bound<'_, PyAny>) -> bool {
        let links = raw::with(greenlet, |body| {
            body.links
                .extract_if(.., |link| matches!(link, Link::Gathers(it) if it.is(this)))
                .collect::<Vec<_>>()
        });
        links.is_some()
    }

    /// The next that is ready already; None if there is none.
    fn _next(&self) -> Option<Py<PyAny>> {
        self.state.with(|state| state.done.pop_front())
    }

    /// All that are ready.
    fn _all(&self) -> Vec<Py<PyAny>> {
        Vec::from(self.state.with(|state| std::mem::take(&mut state.done)))
    }

    fn __len__(&self) -> usize {
        self.state.with(|state| state.done.len())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.state.with(|state| state.done.iter().try_for_each(|object| visit.call(object)))
    }

    fn __clear__(&self) {
        drop(self.state.with(|state| std::mem::take(&mut state.done)));
    }
}

function!(
    Wait,
    c"_wait",
    c"_wait($self, count, timeout=None, gives_way=False)\n--\n\nWait until so many are there; whether they are. If they are already, and `gives_way` is true, those who have a turn\nrun first.",
    ["count", "timeout", "gives_way"],
    1,
    |this, arguments| {
        let py = this.py();
        let gather = method::this::<Gather>(this).to_owned();
        let count = arguments.get(0).map_or(Ok(1), |count| count.extract::<usize>())?;
        let deadline = seconds::deadline(arguments.some(1).as_deref())?;
        let are_there = wait(&gather, count, deadline, arguments.flag(2, false)?)?;
        Ok(pyo3::types::PyBool::new(py, are_there).to_owned().into_any())
    }
);

fn wait(
    gather: &Bound<'_, Gather>,
    count: usize,
    deadline: Option<std::time::Instant>,
    gives_way: bool,
) -> PyResult<bool> {
    let py = gather.py();
    let state = &gather.get().state;
    if state.with(|state| state.done.len() >= count) {
        if gives_way && count > 0 {
            park::give_way(py)?;
        }
        return Ok(true);
    }
    let ticket = park::ticket(py)?;
    state.with(|state| (state.waits, state.wanted) = (Some(ticket), count));
    let woken = park::park(py, ticket, deadline);
    state.with(|state| state.waits = None);
    Ok(woken? == Woken::Notified)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Gather>()?;
    method::add_method::<Wait>(&module.py().get_type::<Gather>())
}
