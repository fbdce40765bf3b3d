//! Short cuts for methods that are called so often that reading their arguments is much of what
//! they cost.
//!
//! A short cut stands before the method that PyO3 made. It is asked first, if there are only
//! positional arguments, and either does the whole work or declines, having changed nothing; then
//! PyO3's method is called as if nothing had been. So it never decides what unusual arguments mean,
//! and removing one changes no behaviour. With them `Queue.put` and `get` run a third fewer
//! instructions, the interpreter's own included.
#![expect(
    unsafe_code,
    reason = "a C function before another is nothing that PyO3 has a safe form of"
)]

use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyClass, PyTypeInfo};

/// The C function of a method that PyO3 made.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    /// Of one without arguments.
    NoArguments(ffi::PyCFunction),
    /// Of one with positional and keyword arguments.
    Arguments(ffi::PyCFunctionFastWithKeywords),
    /// Of one that is given all of them in a tuple and a dict, as it has some of its own in such.
    Gathered(ffi::PyCFunctionWithKeywords),
}

/// What a short cut is given: the object, and how many positional arguments.
pub(crate) struct Call<'a, 'py, T> {
    pub(crate) this: Borrowed<'a, 'py, T>,
    arguments: &'a [*mut ffi::PyObject],
}

impl<'a, 'py, T> Call<'a, 'py, T> {
    pub(crate) fn py(&self) -> Python<'py> {
        self.this.py()
    }

    /// How many arguments there are.
    pub(crate) fn count(&self) -> usize {
        self.arguments.len()
    }

    /// The only argument, if there is just one.
    pub(crate) fn only(&self) -> Option<Borrowed<'a, 'py, PyAny>> {
        match *self.arguments {
            // SAFETY: a C function's arguments are valid for the time of the call, which 'a is in.
            [argument] => Some(unsafe { Borrowed::from_ptr(self.py(), argument) }),
            _ => None,
        }
    }

    /// The first argument, and a tuple of the others, if there is one.
    pub(crate) fn first_and_others(
        &self,
    ) -> Option<PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)>> {
        let py = self.py();
        let (first, others) = self.arguments.split_first()?;
        // SAFETY: as above.
        let object = |argument: &*mut ffi::PyObject| unsafe { Borrowed::from_ptr(py, *argument) };
        let others = PyTuple::new(py, others.iter().map(object));
        Some(others.map(|others| (object(first).to_owned(), others)))
    }
}

/// A short cut.
///
/// PyO3 does not know that this thread is in the interpreter: a `Py` that it drops would go only later. It
/// takes care of that, by `into_bound` or `Python::try_attach`.
pub(crate) trait ShortCut: 'static {
    /// The class whose method it is for.
    type Class: PyClass<Frozen = True> + Sync;

    /// The method's name.
    const NAME: &'static CStr;

    /// The method behind this short cut; set when it is installed.
    fn original() -> &'static OnceLock<Function>;

    /// Does all of the method's work and returns its result, or declines.
    fn call<'py>(call: Call<'_, 'py, Self::Class>) -> Option<PyResult<Bound<'py, PyAny>>>;
}

/// What the body of a short cut may come to.
pub(crate) trait Outcome<'py> {
    fn outcome(self) -> Option<PyResult<Bound<'py, PyAny>>>;
}

impl<'py> Outcome<'py> for Option<Bound<'py, PyAny>> {
    #[inline(always)]
    fn outcome(self) -> Option<PyResult<Bound<'py, PyAny>>> {
        self.map(Ok)
    }
}

impl<'py> Outcome<'py> for Option<PyResult<Bound<'py, PyAny>>> {
    #[inline(always)]
    fn outcome(self) -> Option<PyResult<Bound<'py, PyAny>>> {
        self
    }
}

/// Defines a [`ShortCut`].
macro_rules! short_cut {
    ($short_cut:ident, $class:ty, $name:literal, |$call:ident| $body:expr) => {
        pub(super) struct $short_cut;

        impl $crate::fast::ShortCut for $short_cut {
            type Class = $class;

            const NAME: &'static std::ffi::CStr = $name;

            fn original() -> &'static std::sync::OnceLock<$crate::fast::Function> {
                static ORIGINAL: std::sync::OnceLock<$crate::fast::Function> =
                    std::sync::OnceLock::new();
                &ORIGINAL
            }

            #[inline(always)]
            fn call<'py>(
                $call: $crate::fast::Call<'_, 'py, Self::Class>,
            ) -> Option<pyo3::PyResult<pyo3::Bound<'py, pyo3::PyAny>>> {
                let body = move || $body;
                $crate::fast::Outcome::outcome(body())
            }
        }
    };
}
pub(crate) use short_cut;

/// Asks a short cut; the result is null with an exception set if it panicked.
///
/// # Safety
/// This thread is attached; `this` is an object of the class, and `arguments` are objects.
#[inline(always)]
unsafe fn ask<S: ShortCut>(
    this: *mut ffi::PyObject,
    arguments: &[*mut ffi::PyObject],
) -> Option<*mut ffi::PyObject> {
    // SAFETY: the caller vouches for it.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: the caller vouches for it.
    let this = unsafe { Borrowed::from_ptr(py, this).cast_unchecked::<S::Class>() };
    match catch_unwind(AssertUnwindSafe(|| S::call(Call { this, arguments }))) {
        Ok(None) => None,
        Ok(Some(Ok(result))) => Some(result.into_ptr()),
        Ok(Some(Err(error))) => {
            error.restore(py);
            Some(std::ptr::null_mut())
        }
        Err(_) => {
            PyRuntimeError::new_err("a bug in manyhands: see the message above").restore(py);
            Some(std::ptr::null_mut())
        }
    }
}

/// The C function that asks a short cut before a method with arguments.
///
/// # Safety
/// As of any method that is declared `METH_FASTCALL | METH_KEYWORDS` in a class: the interpreter
/// calls it, attached, with an object of that class and `count` arguments followed by those that
/// `keywords` names.
unsafe extern "C" fn with_arguments<S: ShortCut>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    if keywords.is_null() {
        let positional = match usize::try_from(count) {
            // SAFETY: the caller passes that many.
            Ok(count) if count > 0 => unsafe { std::slice::from_raw_parts(arguments, count) },
            _ => &[],
        };
        // SAFETY: the caller is the interpreter, and passes an object of the class.
        if let Some(result) = unsafe { ask::<S>(this, positional) } {
            return result;
        }
    }
    match S::original().get() {
        // SAFETY: it is a method of the same class and kind, and gets what we were given.
        Some(Function::Arguments(original)) => unsafe {
            original(this, arguments, count, keywords)
        },
        // SAFETY: the same; the caller is the interpreter, attached.
        Some(Function::Gathered(original)) => unsafe {
            let py = Python::assume_attached();
            match gathered(py, arguments, count, keywords) {
                Ok((positional, named)) => original(this, positional.as_ptr(), named.as_ptr()),
                Err(error) => {
                    error.restore(py);
                    std::ptr::null_mut()
                }
            }
        },
        _ => unreachable!("set before this function can be called"),
    }
}

/// The arguments as a tuple and a dict.
///
/// # Safety
/// There are `count` of them, and those whose names are in the tuple, if there is one.
#[cold]
unsafe fn gathered<'py>(
    py: Python<'py>,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
    // SAFETY: the caller vouches for it.
    let names = unsafe { Bound::from_borrowed_ptr_or_opt(py, keywords) };
    let names = names.map_or_else(|| Ok(PyTuple::empty(py)), Bound::cast_into::<PyTuple>)?;
    let count = usize::try_from(count)?;
    // SAFETY: the caller vouches for that there are so many objects.
    let object = |index: usize| unsafe { Borrowed::from_ptr(py, *arguments.add(index)) };
    let positional = PyTuple::new(py, (0..count).map(object))?;
    let named = PyDict::new(py);
    for (index, name) in names.iter().enumerate() {
        named.set_item(name, object(count + index))?;
    }
    Ok((positional, named))
}

/// The C function that asks a short cut before a method without arguments.
///
/// # Safety
/// As of any method that is declared `METH_NOARGS` in a class: the interpreter calls it, attached,
/// with an object of that class.
unsafe extern "C" fn without_arguments<S: ShortCut>(
    this: *mut ffi::PyObject,
    unused: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller is the interpreter, and passes an object of the class.
    if let Some(result) = unsafe { ask::<S>(this, &[]) } {
        return result;
    }
    match S::original().get() {
        // SAFETY: it is a method of the same class and kind, and gets what we were given.
        Some(Function::NoArguments(original)) => unsafe { original(this, unused) },
        _ => unreachable!("set before this function can be called"),
    }
}

/// As [`without_arguments`], called as if there could be some.
///
/// # Safety
/// As of [`with_arguments`].
unsafe extern "C" fn called_with_none<S: ShortCut>(
    this: *mut ffi::PyObject,
    _arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: if there are keywords, they are a tuple.
    let has_keywords = !keywords.is_null() && unsafe { ffi::PyTuple_Size(keywords) } > 0;
    if count == 0 && !has_keywords {
        // SAFETY: there are no arguments; for the rest the caller vouches.
        unsafe { without_arguments::<S>(this, std::ptr::null_mut()) }
    } else {
        // SAFETY: the interpreter calls, attached.
        unsafe { refuse::<S>(count, has_keywords) }
    }
}

/// Raises what the interpreter would for arguments of a method without.
///
/// # Safety
/// This thread is attached.
#[cold]
unsafe fn refuse<S: ShortCut>(count: ffi::Py_ssize_t, has_keywords: bool) -> *mut ffi::PyObject {
    // SAFETY: the caller vouches for it.
    let py = unsafe { Python::assume_attached() };
    let class = S::Class::type_object(py).name().map_or_else(|_| String::new(), |n| n.to_string());
    let name = S::NAME.to_string_lossy();
    let complaint = if has_keywords {
        format!("{class}.{name}() takes no keyword arguments")
    } else {
        format!("{class}.{name}() takes no arguments ({count} given)")
    };
    PyTypeError::new_err(complaint).restore(py);
    std::ptr::null_mut()
}

/// Puts a short cut before its method.
pub(crate) fn install<S: ShortCut>(py: Python<'_>) -> PyResult<()> {
    put::<S>(py, false)
}

/// As [`install`], for a method of a class that programs use subclasses of.
///
/// The interpreter has a fast way to call a method without arguments only on objects of its very
/// class. On others, and if the method was taken from its object before, one that could have
/// arguments is called faster, by a third of what the call costs.
pub(crate) fn install_for_subclasses<S: ShortCut>(py: Python<'_>) -> PyResult<()> {
    put::<S>(py, true)
}

fn put<S: ShortCut>(py: Python<'_>, for_subclasses: bool) -> PyResult<()> {
    let name = S::NAME.to_str().expect("names are ASCII");
    let class = S::Class::type_object(py);
    let method = class.getattr(name)?;
    // SAFETY: both are type objects, which live for ever or as long as their object.
    if unsafe { ffi::Py_TYPE(method.as_ptr()) != &raw mut ffi::PyMethodDescr_Type } {
        return Err(PyRuntimeError::new_err(format!("{name} is no method of {class}")));
    }
    let descriptor = method.as_ptr().cast::<ffi::PyMethodDescrObject>();
    // SAFETY: the object is of the type that this struct describes, as was just seen; it and its
    // definition, which PyO3 never frees, are not written to.
    let definition = unsafe { &*(*descriptor).d_method };
    const ARGUMENTS: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    const GATHERED: c_int = ffi::METH_VARARGS | ffi::METH_KEYWORDS;
    let (original, function) = match definition.ml_flags {
        ARGUMENTS => (
            // SAFETY: the flags say that this is the member of the union that is in use.
            Function::Arguments(unsafe { definition.ml_meth.PyCFunctionFastWithKeywords }),
            ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: with_arguments::<S> },
        ),
        GATHERED => (
            // SAFETY: as above.
            Function::Gathered(unsafe { definition.ml_meth.PyCFunctionWithKeywords }),
            ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: with_arguments::<S> },
        ),
        ffi::METH_NOARGS => (
            // SAFETY: as above.
            Function::NoArguments(unsafe { definition.ml_meth.PyCFunction }),
            if for_subclasses {
                ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: called_with_none::<S> }
            } else {
                ffi::PyMethodDefPointer { PyCFunction: without_arguments::<S> }
            },
        ),
        _ => {
            return Err(PyRuntimeError::new_err(format!(
                "{name} of {class} takes other arguments"
            )));
        }
    };
    let _ = S::original().set(original);
    let ours = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: definition.ml_name,
        ml_meth: function,
        ml_flags: match original {
            Function::NoArguments(_) if !for_subclasses => ffi::METH_NOARGS,
            _ => ARGUMENTS,
        },
        ml_doc: definition.ml_doc,
    }));
    // SAFETY: the definition is never freed, and says of its function what that is; a new reference or an
    // error comes back.
    let method = unsafe {
        let method = ffi::PyDescr_NewMethod(class.as_type_ptr(), ours);
        Bound::from_owned_ptr_or_err(py, method)?
    };
    class.setattr(name, method)
}
