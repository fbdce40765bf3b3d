//! The standard library's exceptions for what the system refuses.

use std::io;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

/// OSError, or the subclass that its number stands for.
#[cold]
pub(crate) fn os_error(py: Python<'_>, error: &io::Error) -> PyErr {
    let number = error.raw_os_error();
    let text = number.and_then(|number| {
        let text = py.import("os").ok()?.call_method1("strerror", (number,)).ok()?;
        text.extract().ok()
    });
    explained(number, text.unwrap_or_else(|| error.to_string()))
}

/// As [`os_error`], with a text that says more than the system does.
#[cold]
pub(super) fn explained(number: Option<i32>, text: String) -> PyErr {
    match number {
        Some(number) => PyOSError::new_err((number, text)),
        None => PyOSError::new_err(text),
    }
}
