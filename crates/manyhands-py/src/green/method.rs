//! Methods and functions that may park the greenlet that calls them.
//!
//! They are C functions of their own, not PyO3's: PyO3 counts for each thread how many calls are within the
//! interpreter, and a greenlet that is parked in one, and never goes on, would leave that count wrong. The price: a `Py` that is
//! dropped in one is released only later, so what is owned goes `into_bound` first.
#![expect(unsafe_code, reason = "C functions as methods are nothing that PyO3 has a safe form of")]

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

/// How many parameters one may have.
const MOST: usize = 6;

/// What a call was given.
pub(super) struct Arguments<'a, 'py> {
    /// One for each parameter.
    given: [*mut ffi::PyObject; MOST],
    py: Python<'py>,
    lives: std::marker::PhantomData<&'a ()>,
}

impl<'a, 'py> Arguments<'a, 'py> {
    /// The argument for the parameter of that number; `None` if there is none.
    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> Option<Borrowed<'a, 'py, PyAny>> {
        let given = *self.given.get(index)?;
        // SAFETY: the interpreter keeps the arguments of a call as long as it lasts, also while it is parked.
        (!given.is_null()).then(|| unsafe { Borrowed::from_ptr(self.py, given) })
    }

    /// As [`get`](Self::get), with None as if there were none.
    #[inline(always)]
    pub(super) fn some(&self, index: usize) -> Option<Borrowed<'a, 'py, PyAny>> {
        self.get(index).filter(|it| !it.is_none())
    }

    /// Whether it is true; what it is if there is none.
    #[inline(always)]
    pub(super) fn flag(&self, index: usize, otherwise: bool) -> PyResult<bool> {
        self.get(index).map_or(Ok(otherwise), |it| it.is_truthy())
    }
}

/// A function of the names and number of parameters that are said here.
pub(super) trait Function: 'static {
    /// Its name.
    const NAME: &'static CStr;

    /// Its signature and docstring, as the interpreter wants them: `name($self, ...)\n--\n\n...`.
    const DOC: &'static CStr;

    /// What may be given, in this order or by name.
    const PARAMETERS: &'static [&'static str];

    /// How many have to be.
    const NEEDED: usize = 0;

    /// Calls it. `this` is the object whose method it is; of a function, the module.
    fn call<'py>(
        this: Borrowed<'_, 'py, PyAny>,
        arguments: &Arguments<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>>;
}

/// Defines a [`Function`].
macro_rules! function {
    ($function:ident, $name:literal, $doc:literal, $parameters:expr, $needed:literal, |$this:ident, $arguments:ident| $body:expr) => {
        pub(super) struct $function;

        impl $crate::green::method::Function for $function {
            const NAME: &'static std::ffi::CStr = $name;
            const DOC: &'static std::ffi::CStr = $doc;
            const PARAMETERS: &'static [&'static str] = &$parameters;
            const NEEDED: usize = $needed;

            #[inline(always)]
            fn call<'py>(
                $this: pyo3::Borrowed<'_, 'py, pyo3::PyAny>,
                $arguments: &$crate::green::method::Arguments<'_, 'py>,
            ) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::PyAny>> {
                $body
            }
        }
    };
}
pub(super) use function;

/// The object of a pyclass whose method is being called.
#[inline(always)]
pub(super) fn this<'a, 'py, T: pyo3::PyClass>(
    this: Borrowed<'a, 'py, PyAny>,
) -> Borrowed<'a, 'py, T> {
    // SAFETY: the interpreter calls a method descriptor only with an object of its class.
    unsafe { this.cast_unchecked::<T>() }
}

/// Runs something with the interpreter's way to tell of errors; also of panics.
#[inline(always)]
pub(super) fn guarded<'py>(
    py: Python<'py>,
    body: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> *mut ffi::PyObject {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(result)) => result.into_ptr(),
        Ok(Err(error)) => {
            error.restore(py);
            std::ptr::null_mut()
        }
        Err(_) => {
            PyRuntimeError::new_err("a bug in manyhands: see the message above").restore(py);
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// As of any function that is declared `METH_FASTCALL | METH_KEYWORDS`: the interpreter calls it, attached, with an object of the class,
/// if it is a method, and `count` arguments followed by those that `keywords` names.
unsafe extern "C" fn entry<F: Function>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls, attached.
    let py = unsafe { Python::assume_attached() };
    let mut given = [std::ptr::null_mut(); MOST];
    // SAFETY: what this was called with.
    if !unsafe { take::<F>(py, &mut given, arguments, count as usize, keywords) } {
        return std::ptr::null_mut();
    }
    guarded(py, || {
        let arguments = Arguments { given, py, lives: std::marker::PhantomData };
        // SAFETY: an object that the caller keeps; of a function, the module that it was made with.
        let this = unsafe { Borrowed::from_ptr(py, this) };
        F::call(this, &arguments)
    })
}

/// Puts each argument into its place; false with an exception set. Its errors take no room in the stack of who waits.
///
/// # Safety
/// As for [`entry`].
#[inline(always)]
unsafe fn take<F: Function>(
    py: Python<'_>,
    given: &mut [*mut ffi::PyObject; MOST],
    arguments: *const *mut ffi::PyObject,
    count: usize,
    keywords: *mut ffi::PyObject,
) -> bool {
    if count > F::PARAMETERS.len() {
        return too_many::<F>(py, count);
    }
    for (index, place) in given.iter_mut().enumerate().take(count) {
        // SAFETY: there are that many.
        *place = unsafe { *arguments.add(index) };
    }
    // SAFETY: keywords are a tuple of strings, and their values follow the other arguments.
    if !keywords.is_null() && !unsafe { named::<F>(py, given, arguments.add(count), keywords) } {
        return false;
    }
    match given.iter().take(F::NEEDED).position(|it| it.is_null()) {
        Some(index) => missing::<F>(py, index),
        None => true,
    }
}

#[cold]
#[inline(never)]
fn too_many<F: Function>(py: Python<'_>, count: usize) -> bool {
    let (name, most) = (name::<F>(), F::PARAMETERS.len());
    let why = format!("{name}() takes at most {most} arguments ({count} given)");
    PyTypeError::new_err(why).restore(py);
    false
}

#[cold]
#[inline(never)]
fn missing<F: Function>(py: Python<'_>, index: usize) -> bool {
    let (name, missing) = (name::<F>(), F::PARAMETERS.get(index).copied().unwrap_or_default());
    let why = format!("{name}() missing required argument: '{missing}'");
    PyTypeError::new_err(why).restore(py);
    false
}

/// # Safety
/// As for [`by_name`].
#[cold]
#[inline(never)]
unsafe fn named<F: Function>(
    py: Python<'_>,
    given: &mut [*mut ffi::PyObject; MOST],
    values: *const *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> bool {
    // SAFETY: the caller vouches for it.
    let taken = unsafe { by_name::<F>(py, given, values, keywords) };
    taken.map_err(|error| error.restore(py)).is_ok()
}

/// # Safety
/// `keywords` is a tuple of strings, and there are as many `values`.
#[cold]
unsafe fn by_name<F: Function>(
    py: Python<'_>,
    given: &mut [*mut ffi::PyObject; MOST],
    values: *const *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> PyResult<()> {
    // SAFETY: the caller vouches for it.
    let keywords =
        unsafe { Bound::from_borrowed_ptr(py, keywords).cast_into_unchecked::<PyTuple>() };
    for (index, keyword) in keywords.iter().enumerate() {
        let keyword = keyword.cast::<PyString>()?.to_str()?.to_owned();
        let name = name::<F>();
        let place = F::PARAMETERS.iter().position(|parameter| *parameter == keyword);
        let place = place.and_then(|place| given.get_mut(place)).ok_or_else(|| {
            PyTypeError::new_err(format!("{name}() got an unexpected keyword argument '{keyword}'"))
        })?;
        if !place.is_null() {
            let why = format!("{name}() got multiple values for argument '{keyword}'");
            return Err(PyTypeError::new_err(why));
        }
        // SAFETY: there are as many values as keywords.
        *place = unsafe { *values.add(index) };
    }
    Ok(())
}

pub(super) fn definition<F: Function>(flags: std::ffi::c_int) -> *mut ffi::PyMethodDef {
    // Never freed: the interpreter keeps using it.
    Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: F::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry::<F> },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS | flags,
        ml_doc: F::DOC.as_ptr(),
    }))
}

fn name<F: Function>() -> &'static str {
    F::NAME.to_str().expect("names are ASCII")
}

/// Gives a class a method.
pub(super) fn add_method<F: Function>(class: &Bound<'_, PyType>) -> PyResult<()> {
    // SAFETY: the definition is never freed, and says of its function what that is; a new reference or an error comes back.
    let method = unsafe {
        let method = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition::<F>(0));
        Bound::from_owned_ptr_or_err(class.py(), method)?
    };
    class.setattr(name::<F>(), method)
}

/// Gives a module a function.
pub(super) fn add_function<F: Function>(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let module_name = module.name()?;
    // SAFETY: as above.
    let function = unsafe {
        let function =
            ffi::PyCFunction_NewEx(definition::<F>(0), module.as_ptr(), module_name.as_ptr());
        Bound::from_owned_ptr_or_err(module.py(), function)?
    };
    module.add(name::<F>(), function)
}
