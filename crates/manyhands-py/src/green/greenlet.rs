//! `manyhands.gevent.Greenlet`, what of it has to be fast: beginning, ending, waiting for the end.
#![expect(unsafe_code, reason = "slots and C functions of a class of its own")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi::{self, PyObject};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::body::{Body, Link, Stage};
use super::callback::Callback;
use super::home::Work;
use super::method::{self, function, guarded};
use super::park::{self, Woken};
use super::waiting::Patience;
use super::{ancestry, api, raw};

/// The class that programs see, which derives from the one here.
static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Whether somebody wants to know of each start.
static HOOKED: AtomicBool = AtomicBool::new(false);

/// # Safety
/// The interpreter calls it, with an object of the class.
unsafe extern "C" fn init(
    object: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: called attached; the arguments are a tuple, and a dict or null.
    let (py, greenlet, args, kwargs) = unsafe {
        let py = Python::assume_attached();
        let kwargs = Bound::from_borrowed_ptr_or_opt(py, kwargs);
        let args = Bound::from_borrowed_ptr(py, args).cast_into_unchecked::<PyTuple>();
        (py, Bound::from_borrowed_ptr(py, object), args, kwargs)
    };
    let result = guarded(py, || {
        // SAFETY: keyword arguments are a dict.
        let kwargs = kwargs.map(|it| unsafe { it.cast_into_unchecked::<PyDict>() });
        let run = match args.get_item(0) {
            Ok(run) => Some(run),
            Err(_) => kwargs.as_ref().and_then(|it| it.get_item("run").transpose()).transpose()?,
        };
        let kwargs = kwargs.map(|it| it.copy()).transpose()?;
        if args.is_empty()
            && let Some(kwargs) = &kwargs
            && kwargs.contains("run")?
        {
            kwargs.del_item("run")?;
        }
        let rest = args.get_slice(1, args.len());
        begin(&greenlet, run.filter(|run| !run.is_none()), rest, kwargs)?;
        Ok(py.None().into_bound(py))
    });
    if result.is_null() {
        return -1;
    }
    // SAFETY: a reference of ours.
    unsafe { ffi::Py_DECREF(result) };
    0
}

/// Makes it one of this thread's hub that is to call `run`.
fn begin<'py>(
    greenlet: &Bound<'py, PyAny>,
    run: Option<Bound<'py, PyAny>>,
    args: Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
) -> PyResult<()> {
    let py = greenlet.py();
    if let Some(run) = &run
        && !run.is_callable()
    {
        return Err(PyTypeError::new_err("The run argument or self._run must be callable"));
    }
    let here = park::hub(py)?;
    let hub = here.greenlet.into_bound(py);
    api::set_parent(greenlet, &hub)?;
    let spawned = ancestry::note(py)?;
    let kwargs = kwargs.filter(|it| !it.is_empty());
    let before = raw::with(greenlet, |body| {
        let before = body.take_references();
        body.home = Some(here.home);
        body.run = run.map(Bound::unbind);
        body.args = Some(args.unbind());
        body.kwargs = kwargs.map(Bound::unbind);
        body.spawned = spawned;
        before
    });
    if let Some(before) = before {
        before.release(py);
    }
    Ok(())
}

fn is_ours(greenlet: Borrowed<'_, '_, PyAny>) -> bool {
    CLASS.get(greenlet.py()).is_some_and(|class| greenlet.get_type().is(class))
}

// py: gevent.Greenlet.start
function!(
    Start,
    c"start",
    c"start($self, /)\n--\n\nHave it begin at the hub's next turn.",
    [],
    0,
    |this, _arguments| {
        let py = this.py();
        start(&this)?;
        Ok(py.None().into_bound(py))
    }
);

fn start(greenlet: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = greenlet.py();
    let home = raw::with(greenlet, |body| {
        if body.stage != Stage::New {
            return None;
        }
        body.stage = Stage::Due;
        body.home
    });
    if let Some(Some(home)) = home {
        if HOOKED.load(Ordering::Relaxed) {
            greenlet.call_method0(intern!(py, "_tell_of_start"))?;
        }
        let work = Work::Start(greenlet.clone().unbind());
        home.with(|hub| hub.post(work));
    }
    Ok(())
}

/// Whether it is still to begin: then somebody has its turn.
pub(super) fn is_due(greenlet: &Bound<'_, PyAny>) -> bool {
    raw::with(greenlet, |body| body.stage == Stage::Due).unwrap_or(true)
}

/// # Safety
/// As of any class method that is declared `METH_FASTCALL | METH_KEYWORDS`.
unsafe extern "C" fn spawn(
    class: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the interpreter calls, attached.
    let py = unsafe { Python::assume_attached() };
    guarded(py, || {
        let count = count as usize;
        // SAFETY: the class, as many arguments as are said, and those that the keywords name after them.
        let (class, object) = unsafe {
            let class = Bound::from_borrowed_ptr(py, class).cast_into_unchecked::<PyType>();
            (class, |index: usize| Bound::from_borrowed_ptr(py, *arguments.add(index)))
        };
        let kwargs = if keywords.is_null() {
            None
        } else {
            // SAFETY: keywords are a tuple.
            let names =
                unsafe { Bound::from_borrowed_ptr(py, keywords).cast_into_unchecked::<PyTuple>() };
            let kwargs = PyDict::new(py);
            for (index, name) in names.iter().enumerate() {
                kwargs.set_item(name, object(count + index))?;
            }
            Some(kwargs)
        };
        let usual = CLASS.get(py).is_some_and(|it| class.is(it)) && count > 0;
        if !usual {
            let args = PyTuple::new(py, (0..count).map(object))?;
            let greenlet = class.call(args, kwargs.as_ref())?;
            greenlet.call_method0(intern!(py, "start"))?;
            return Ok(greenlet);
        }
        let greenlet = raw::make_one(&class)?;
        let args = PyTuple::new(py, (1..count).map(object))?;
        begin(&greenlet, Some(object(0)), args, kwargs)?;
        start(&greenlet)?;
        Ok(greenlet)
    })
}

// py: gevent.Greenlet.run
function!(
    Run,
    c"run",
    c"run($self, /)\n--\n\nCall what it is for, and keep what comes of it. The hub calls this.",
    [],
    0,
    |this, _arguments| {
        let result = match begun(this) {
            Some((run, args, kwargs)) => call(run, args, kwargs),
            None => None,
        };
        ended(this, result)
    }
);

/// What it calls, and with what.
type Call<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

/// Its turn has come for the first time. `None` with an exception set.
///
/// This and [`ended`] are not inlined: what they need of the stack would be part of what is copied at each switch.
#[inline(never)]
fn begun<'py>(this: Borrowed<'_, 'py, PyAny>) -> Option<Call<'py>> {
    let py = this.py();
    let parts = raw::with(&this, |body| {
        body.stage = Stage::Begun;
        let args = body.args.as_ref().map(|it| it.clone_ref(py));
        let kwargs = body.kwargs.as_ref().map(|it| it.clone_ref(py));
        (body.run.as_ref().map(|it| it.clone_ref(py)), args, kwargs)
    });
    let (run, args, kwargs) = parts.unwrap_or_default();
    let args = args.map_or_else(|| PyTuple::empty(py), |it| it.into_bound(py));
    let kwargs = kwargs.map(|it| it.into_bound(py));
    let run = match run.map(|it| it.into_bound(py)) {
        Some(run) if is_ours(this) => Ok(run),
        _ => this.getattr(intern!(py, "_run")),
    };
    run.map(|run| (run, args, kwargs)).map_err(|error| error.restore(py)).ok()
}

/// As PyO3's, with less of the stack. `None` with an exception set.
#[inline(always)]
#[expect(unsafe_code, reason = "the interpreter's function, by itself")]
fn call<'py>(
    run: Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
) -> Option<Bound<'py, PyAny>> {
    let named = kwargs.as_ref().map_or(std::ptr::null_mut(), |it| it.as_ptr());
    // SAFETY: an object, a tuple, and a dict or null; a new reference, or null with an exception.
    unsafe {
        let result = ffi::PyObject_Call(run.as_ptr(), args.as_ptr(), named);
        Bound::from_owned_ptr_or_opt(run.py(), result)
    }
}

/// It has come to its end, with that, or with the exception that is set.
#[inline(never)]
fn ended<'py>(
    this: Borrowed<'_, 'py, PyAny>,
    result: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (greenlet, py) = (this.to_owned(), this.py());
    let result = result.ok_or_else(|| PyErr::fetch(py));
    let parts =
        raw::with(&greenlet, |body| (body.run.take(), body.args.take(), body.kwargs.take()));
    if let Some((run, args, kwargs)) = parts {
        drop(run.map(|it| it.into_bound(py)));
        drop(args.map(|it| it.into_bound(py)));
        drop(kwargs.map(|it| it.into_bound(py)));
    }
    match result {
        Ok(value) => {
            finish(&greenlet, Stage::Returned, value.clone(), None)?;
            Ok(value)
        }
        Err(error) => {
            failed(&greenlet, error)?;
            Ok(py.None().into_bound(py))
        }
    }
}

#[cold]
fn failed(greenlet: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
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
fn finish(
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

fn post_notification(
    py: Python<'_>,
    greenlet: &Bound<'_, PyAny>,
    home: &'static super::home::Home,
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

#[cold]
pub(super) fn timeout(py: Python<'_>, limit: Option<&Bound<'_, PyAny>>) -> PyResult<PyErr> {
    static TIMEOUT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = TIMEOUT.import(py, "manyhands.gevent.timeout", "Timeout")?;
    Ok(PyErr::from_value(class.call1((limit,))?))
}

/// What needs no speed, for the class in Python to build on.
#[pyfunction]
fn _stage(greenlet: &Bound<'_, PyAny>) -> &'static str {
    let stage = raw::with(greenlet, |body| body.stage).unwrap_or_default();
    match stage {
        Stage::New => "new",
        Stage::Due => "due",
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

/// Says which class programs see; `spawn` makes objects of it without asking it.
#[pyfunction]
fn _set_class(class: &Bound<'_, PyType>) {
    let _ = CLASS.set(class.py(), class.clone().unbind());
    raw::set_usual(class);
}

/// Says whether `_tell_of_start` is to be called.
#[pyfunction]
fn _set_hooked(hooked: bool) {
    HOOKED.store(hooked, Ordering::Relaxed);
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let class = raw::make(py, init)?;
    method::add_method::<Start>(&class)?;
    method::add_method::<Run>(&class)?;
    method::add_method::<NotifyLinks>(&class)?;
    method::add_method::<Join>(&class)?;
    method::add_method::<Get>(&class)?;
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: c"spawn".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: spawn },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS | ffi::METH_CLASS,
        ml_doc: c"spawn($type, function, *args, **kwargs)\n--\n\nMake a greenlet that calls the function, and start it.".as_ptr(),
    }));
    // SAFETY: the definition is never freed; a new reference or an error comes back.
    let method = unsafe {
        let method = ffi::PyDescr_NewClassMethod(class.as_type_ptr(), definition);
        Bound::from_owned_ptr_or_err(py, method)?
    };
    class.setattr("spawn", method)?;
    module.add("RawGreenlet", class)?;
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
        wrap_pyfunction!(_set_class, module)?,
        wrap_pyfunction!(_set_hooked, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}
