//! `manyhands.gevent.Greenlet`, how it is made, begins and runs.
#![expect(unsafe_code, reason = "slots and C functions of a class of its own")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi::{self, PyObject};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::body::Stage;
use super::home::Work;
use super::method::{self, function, guarded};
use super::{ancestry, api, park, raw};

pub(super) use first::begins;

mod context;
mod ending;
mod first;
mod parts;
mod run;

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

/// Whether it is of that class, not of one that is derived from it.
fn is_usual(greenlet: &Bound<'_, PyAny>) -> bool {
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
        body.home.map(|home| (home, body.copies_context))
    });
    if let Some(Some((home, copies_context))) = home {
        if let Err(error) = context::inherit(greenlet, copies_context) {
            raw::with(greenlet, |body| body.stage = Stage::New);
            return Err(error);
        }
        if HOOKED.load(Ordering::Relaxed) {
            greenlet.call_method0(intern!(py, "_tell_of_start"))?;
        }
        raw::hide(greenlet);
        let work = Work::Start(greenlet.clone().unbind());
        home.with(|hub| hub.post(work));
    }
    Ok(())
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
    method::add_method::<run::Run>(&class)?;
    first::set_up(&class)?;
    method::add_method::<ending::NotifyLinks>(&class)?;
    method::add_method::<ending::Join>(&class)?;
    method::add_method::<ending::Get>(&class)?;
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
    for function in [wrap_pyfunction!(_set_class, module)?, wrap_pyfunction!(_set_hooked, module)?]
    {
        module.add_function(function)?;
    }
    context::register(module)?;
    parts::register(module)
}
