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

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::{PyClass, PyTypeInfo};

/// The C function of a method with positional and keyword arguments.
pub(crate) type Function = ffi::PyCFunctionFastWithKeywords;

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
}

/// A short cut.
pub(crate) trait ShortCut: 'static {
    /// The class whose method it is for.
    type Class: PyClass<Frozen = True> + Sync;

    /// The method's name.
    const NAME: &'static CStr;

    /// The method behind this short cut; set when it is installed.
    fn original() -> &'static OnceLock<Function>;

    /// Does all of the method's work and returns its result, or declines.
    fn call<'py>(call: Call<'_, 'py, Self::Class>) -> Option<Bound<'py, PyAny>>;
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
            ) -> Option<pyo3::Bound<'py, pyo3::PyAny>> {
                $body
            }
        }
    };
}
pub(crate) use short_cut;

/// The C function that asks a short cut first.
///
/// # Safety
/// As of any method that is declared `METH_FASTCALL | METH_KEYWORDS` in a class: the interpreter
/// calls it, attached, with an object of that class and `count` arguments followed by those that
/// `keywords` names.
unsafe extern "C" fn enter<S: ShortCut>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter called us, so this thread is attached.
    let py = unsafe { Python::assume_attached() };
    if keywords.is_null() {
        let length = usize::try_from(count).unwrap_or(0);
        let arguments = match length {
            0 => &[],
            // SAFETY: the caller passes that many.
            _ => unsafe { std::slice::from_raw_parts(arguments, length) },
        };
        // SAFETY: the caller passes an object of the class.
        let this = unsafe { Borrowed::from_ptr(py, this).cast_unchecked::<S::Class>() };
        let call = Call { this, arguments };
        match catch_unwind(AssertUnwindSafe(|| S::call(call))) {
            Ok(Some(result)) => return result.into_ptr(),
            Ok(None) => {}
            Err(_) => {
                PyRuntimeError::new_err("a bug in manyhands: see the message above").restore(py);
                return std::ptr::null_mut();
            }
        }
    }
    match S::original().get() {
        // SAFETY: it is a method of the same class and kind, and gets what we were given.
        Some(original) => unsafe { original(this, arguments, count, keywords) },
        None => unreachable!("set before this function can be called"),
    }
}

/// Puts a short cut before its method.
pub(crate) fn install<S: ShortCut>(py: Python<'_>) -> PyResult<()> {
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
    if definition.ml_flags != ffi::METH_FASTCALL | ffi::METH_KEYWORDS {
        return Err(PyRuntimeError::new_err(format!("{name} of {class} takes other arguments")));
    }
    // SAFETY: the flags say that this is the member of the union that is in use.
    let original = unsafe { definition.ml_meth.PyCFunctionFastWithKeywords };
    let _ = S::original().set(original);
    let ours = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: definition.ml_name,
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: enter::<S> },
        ml_flags: definition.ml_flags,
        ml_doc: definition.ml_doc,
    }));
    // SAFETY: the definition is never freed, and says of `enter` what it is; a new reference or an
    // error comes back.
    let method = unsafe {
        let method = ffi::PyDescr_NewMethod(class.as_type_ptr(), ours);
        Bound::from_owned_ptr_or_err(py, method)?
    };
    class.setattr(name, method)
}
