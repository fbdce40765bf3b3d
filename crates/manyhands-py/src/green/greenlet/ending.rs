//! How a greenlet ends, who is told of that, and how others wait for it.

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use super::super::body::{Link, Stage};
use super::super::callback::Callback;
use super::super::home::{Home, Work};
use super::super::method::function;
use super::super::park::{self, Woken};
use super::super::waiting::Patience;
use super::super::{api, raw};

/// It has raised something.
#[cold]
pub(super) fn failed(greenlet: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
    let py = greenlet.py();
    if error.is_instance(py, &api::exit(py)) {
        let value = error.into_value(py).into_bound(py).into_any();
        return finish(greenlet, Stage::Returned, value, None);
    }
    let class = error.get_type(py);
    let traceback = error.traceback(py);
    let value = error.into_value(py).into_bound(py).into_any();
    greenlet.call_method1(intern!(py, "_report_error"), ((class, value, traceback),)).map(drop)
}

/// It has ended: keeps what came of it, and lets those know who wait.
pub(super) fn finish(
    greenlet: &Bound<'_, PyAny>,
    stage: Stage,
    outcome: Bound<'_, PyAny>,
    traceback: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = greenlet.py();
    let notified = raw::with(greenlet, |body| {
        body.stage = stage;
        body.outcome = Some(outcome.unbind());
        body.traceback = traceback.map(Bound::unbind);
        let calls = body.links.iter().any(|link| matches!(link, Link::Calls(_)));
        // Those that are called keep their place among those that wait.
        let now = if calls { Vec::new() } else { std::mem::take(&mut body.links) };
        (now, calls && !std::mem::replace(&mut body.notifies, calls), body.home)
    });
    let Some((now, calls, home)) = notified else { return Ok(()) };
    for link in now {
        tell(greenlet, link)?;
    }
    if calls && let Some(home) = home {
        post_notification(py, greenlet, home)?;
    }
    Ok(())
}

pub(super) fn post_notification(
    py: Python<'_>,
    greenlet: &Bound<'_, PyAny>,
    home: &'static Home,
) -> PyResult<()> {
    let notify = greenlet.getattr(intern!(py, "_notify_links"))?;
    let callback = Bound::new(py, Callback::new(notify, PyTuple::empty(py)))?.unbind();
    home.with(|hub| hub.post(Work::Call(callback)));
    Ok(())
}

fn tell(greenlet: &Bound<'_, PyAny>, link: Link) -> PyResult<()> {
    let py = greenlet.py();
    match link {
        Link::Waits(ticket) => {
            ticket.wake();
        }
        Link::Gathers(gather) => {
            let gather = gather.into_bound(py);
            gather.get().take(greenlet.clone().unbind());
        }
        Link::Calls(callable) => {
            let callable = callable.into_bound(py);
            if let Err(error) = callable.call1((greenlet,)) {
                let class = error.get_type(py);
                let traceback = error.traceback(py);
                let value = error.into_value(py);
                let parent = greenlet.getattr(intern!(py, "parent"))?;
                let arguments = ((&callable, greenlet), class, value, traceback);
                parent.call_method1(intern!(py, "handle_error"), arguments)?;
            }
        }
    }
    Ok(())
}

function!(
    NotifyLinks,
    c"_notify_links",
    c"_notify_links($self, /)\n--\n\nTell those who wait, one after the other. The hub calls this.",
    [],
    0,
    |this, _arguments| {
        let greenlet = this.to_owned();
        loop {
            let next = raw::with(&greenlet, |body| {
                if body.links.is_empty() {
                    body.notifies = false;
                    return None;
                }
                Some(body.links.remove(0))
            });
            let Some(Some(link)) = next else { break };
            tell(&greenlet, link)?;
        }
        Ok(greenlet.py().None().into_bound(greenlet.py()))
    }
);

/// Waits until it has ended; whether it has. A `Timeout` that was given as the limit is raised only if `raises`.
fn join(
    greenlet: &Bound<'_, PyAny>,
    limit: Option<Borrowed<'_, '_, PyAny>>,
    raises: bool,
) -> PyResult<bool> {
    let py = greenlet.py();
    if raw::with(greenlet, |body| body.is_ready()).unwrap_or(true) {
        return Ok(true);
    }
    if api::current(py)?.is(greenlet) {
        return Err(PyRuntimeError::new_err("a greenlet cannot wait for its own end"));
    }
    let patience = Patience::new(limit)?;
    let ticket = park::ticket(py)?;
    raw::with(greenlet, |body| body.links.push(Link::Waits(ticket)));
    let woken = park::park(py, ticket, patience.deadline());
    if !matches!(woken, Ok(Woken::Notified)) {
        raw::with(greenlet, |body| {
            body.links.retain(|link| !matches!(link, Link::Waits(other) if *other == ticket));
        });
    }
    patience.stop(py)?;
    match woken {
        Ok(woken) => Ok(woken == Woken::Notified),
        Err(thrown) if !raises && patience.is_over(py, &thrown.error) => Ok(false),
        Err(thrown) => Err(thrown.error),
    }
}

// py: gevent.Greenlet.join
function!(
    Join,
    c"join",
    c"join($self, timeout=None)\n--\n\nWait until it has ended, at most so many seconds. None, however that went.",
    ["timeout"],
    0,
    |this, arguments| {
        join(&this.to_owned(), arguments.some(0), false)?;
        Ok(this.py().None().into_bound(this.py()))
    }
);

// py: gevent.Greenlet.get
function!(
    Get,
    c"get",
    c"get($self, block=True, timeout=None)\n--\n\nWhat it has returned; raises what it has raised. Timeout if it has not ended within so many seconds, or\nif it has not ended and `block` is false.",
    ["block", "timeout"],
    0,
    |this, arguments| {
        let greenlet = this.to_owned();
        let py = greenlet.py();
        if raw::with(&greenlet, |body| !body.is_ready()).unwrap_or(false) {
            if !arguments.flag(0, true)? {
                return Err(timeout(py, None)?);
            }
            let limit = arguments.some(1);
            if !join(&greenlet, limit, true)? {
                return Err(timeout(py, limit.as_deref())?);
            }
        }
        let outcome = raw::with(&greenlet, |body| {
            let outcome = body.outcome.as_ref().map(|it| it.clone_ref(py));
            (body.stage, outcome, body.traceback.as_ref().map(|it| it.clone_ref(py)))
        });
        match outcome {
            Some((Stage::Failed, Some(error), traceback)) => {
                let error = error.into_bound(py);
                let traceback = traceback.map(|it| it.into_bound(py));
                error.call_method1(intern!(py, "with_traceback"), (traceback,))?;
                Err(PyErr::from_value(error))
            }
            Some((_, Some(value), _)) => Ok(value.into_bound(py)),
            _ => Ok(py.None().into_bound(py)),
        }
    }
);

/// What is raised when a limit has passed.
#[cold]
fn timeout(py: Python<'_>, limit: Option<&Bound<'_, PyAny>>) -> PyResult<PyErr> {
    static TIMEOUT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = TIMEOUT.import(py, "manyhands.gevent.timeout", "Timeout")?;
    Ok(PyErr::from_value(class.call1((limit,))?))
}
