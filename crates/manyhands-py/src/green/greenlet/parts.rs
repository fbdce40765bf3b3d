//! What needs no speed, for the class in Python to build on.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::super::body::{Body, Link, Stage};
use super::super::raw;
use super::ending::{finish, post_notification};

/// Where it is in its life.
#[pyfunction]
fn _stage(greenlet: &Bound<'_, PyAny>) -> &'static str {
    let stage = raw::with(greenlet, |body| body.stage).unwrap_or_default();
    match stage {
        Stage::New => "new",
        Stage::Due | Stage::Beginning => "due",
        Stage::Begun => "begun",
        Stage::Returned => "returned",
        Stage::Failed => "failed",
    }
}

/// The value or the exception, and the traceback.
#[pyfunction]
fn _outcome(py: Python<'_>, greenlet: &Bound<'_, PyAny>) -> (Option<Py<PyAny>>, Option<Py<PyAny>>) {
    let outcome = raw::with(greenlet, |body| {
        let outcome = body.outcome.as_ref().map(|it| it.clone_ref(py));
        (outcome, body.traceback.as_ref().map(|it| it.clone_ref(py)))
    });
    outcome.unwrap_or_default()
}

#[pyfunction]
fn _return(greenlet: &Bound<'_, PyAny>, value: Bound<'_, PyAny>) -> PyResult<()> {
    finish(greenlet, Stage::Returned, value, None)
}

#[pyfunction]
fn _fail(
    greenlet: &Bound<'_, PyAny>,
    error: Bound<'_, PyAny>,
    traceback: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    finish(greenlet, Stage::Failed, error, traceback)
}

/// It is due, by somebody who has a turn for it (start_later); or it is no longer.
#[pyfunction]
fn _set_due(greenlet: &Bound<'_, PyAny>, due: bool) {
    raw::with(greenlet, |body| match (due, body.stage) {
        (true, Stage::New) => body.stage = Stage::Due,
        (false, Stage::Due) => body.stage = Stage::New,
        _ => {}
    });
}

#[pyfunction]
fn _add_link(greenlet: &Bound<'_, PyAny>, callable: Bound<'_, PyAny>) -> PyResult<()> {
    let py = greenlet.py();
    let link = Link::Calls(callable.unbind());
    let post = raw::with(greenlet, |body| {
        body.links.push(link);
        let post = body.is_ready() && !body.notifies;
        body.notifies |= post;
        (post, body.home)
    });
    if let Some((true, Some(home))) = post {
        post_notification(py, greenlet, home)?;
    }
    Ok(())
}

/// Takes the callables out for which `matches` is true.
#[pyfunction]
fn _remove_links(greenlet: &Bound<'_, PyAny>, matches: &Bound<'_, PyAny>) -> PyResult<bool> {
    for link in _links(greenlet) {
        let link = link.into_bound(greenlet.py());
        if matches.call1((&link,))?.is_truthy()? {
            let found = raw::with(greenlet, |body| {
                let place =
                    body.links.iter().position(|it| matches!(it, Link::Calls(it) if it.is(&link)));
                place.map(|place| body.links.remove(place))
            });
            drop(found);
            return Ok(true);
        }
    }
    Ok(false)
}

#[pyfunction]
fn _clear_links(greenlet: &Bound<'_, PyAny>) {
    drop(raw::with(greenlet, |body| std::mem::take(&mut body.links)));
}

#[pyfunction]
fn _links(greenlet: &Bound<'_, PyAny>) -> Vec<Py<PyAny>> {
    let py = greenlet.py();
    let links = raw::with(greenlet, |body| {
        body.links
            .iter()
            .filter_map(|link| match link {
                Link::Calls(callable) => Some(callable.clone_ref(py)),
                Link::Gathers(gather) => Some(gather.clone_ref(py).into_any()),
                Link::Waits(_) => None,
            })
            .collect()
    });
    links.unwrap_or_default()
}

#[pyfunction]
fn _count_links(greenlet: &Bound<'_, PyAny>) -> usize {
    raw::with(greenlet, |body| body.links.len()).unwrap_or_default()
}

type Parts = (Option<Py<PyAny>>, Option<Py<PyTuple>>, Option<Py<PyDict>>);

/// What it calls, with what.
#[pyfunction]
fn _parts(py: Python<'_>, greenlet: &Bound<'_, PyAny>) -> Parts {
    raw::with(greenlet, |body: &mut Body| {
        (
            body.run.as_ref().map(|it| it.clone_ref(py)),
            body.args.as_ref().map(|it| it.clone_ref(py)),
            body.kwargs.as_ref().map(|it| it.clone_ref(py)),
        )
    })
    .unwrap_or_default()
}

#[pyfunction]
fn _set_parts(
    greenlet: &Bound<'_, PyAny>,
    run: Option<Py<PyAny>>,
    args: Option<Py<PyTuple>>,
    kwargs: Option<Py<PyDict>>,
) {
    let before = raw::with(greenlet, |body| {
        (
            std::mem::replace(&mut body.run, run),
            std::mem::replace(&mut body.args, args),
            std::mem::replace(&mut body.kwargs, kwargs),
        )
    });
    drop(before);
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for function in [
        wrap_pyfunction!(_stage, module)?,
        wrap_pyfunction!(_outcome, module)?,
        wrap_pyfunction!(_return, module)?,
        wrap_pyfunction!(_fail, module)?,
        wrap_pyfunction!(_set_due, module)?,
        wrap_pyfunction!(_add_link, module)?,
        wrap_pyfunction!(_remove_links, module)?,
        wrap_pyfunction!(_clear_links, module)?,
        wrap_pyfunction!(_links, module)?,
        wrap_pyfunction!(_count_links, module)?,
        wrap_pyfunction!(_parts, module)?,
        wrap_pyfunction!(_set_parts, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}
