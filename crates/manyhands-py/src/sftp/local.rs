//! The file on this side: a descriptor, or an object with `read` or `write`.
#![expect(unsafe_code, reason = "a descriptor comes as a number")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;

use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::wait::Place;

/// The file with that descriptor, which whoever calls keeps open.
pub(super) fn borrowed(descriptor: i32) -> ManuallyDrop<File> {
    // SAFETY: the caller has the file, and keeps it open as long as this is used; it is not closed here.
    ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) })
}

/// The exception for an error of a file on this side.
pub(super) fn raised(error: io::Error) -> PyErr {
    if let Some(number) = error.raw_os_error() {
        let text = error.to_string();
        let words = text.split(" (os error").next().unwrap_or_default().to_owned();
        return PyOSError::new_err((number, words));
    }
    match error.downcast::<PyErr>() {
        Ok(error) => error,
        Err(error) => PyOSError::new_err(error.to_string()),
    }
}

/// Something of Python's with `write(bytes)`.
pub(super) struct Written {
    pub(super) file: Py<PyAny>,
    pub(super) place: Place,
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.place.call(|py| {
            self.file.bind(py).call_method1(intern!(py, "write"), (PyBytes::new(py, bytes),))?;
            Ok(bytes.len())
        });
        written.map_err(|error: PyErr| io::Error::other(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Something of Python's with `read(count)`, of bytes or text.
pub(super) struct WhatIsRead {
    pub(super) file: Py<PyAny>,
    pub(super) place: Place,
    /// What was read and did not fit: characters take more than a byte each.
    pub(super) left: Vec<u8>,
}

impl Read for WhatIsRead {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            let read = self.place.call(|py| {
                let data = self.file.bind(py).call_method1(intern!(py, "read"), (room.len(),))?;
                if let Ok(text) = data.cast::<PyString>() {
                    return Ok(text.to_str()?.as_bytes().to_vec());
                }
                match data.cast::<PyBytes>() {
                    Ok(bytes) => Ok(bytes.as_bytes().to_vec()),
                    Err(_) => data.extract().map_err(|_| {
                        let kind = data.get_type();
                        PyTypeError::new_err(format!(
                            "read() is to return bytes or text, not {kind}"
                        ))
                    }),
                }
            });
            self.left = read.map_err(|error: PyErr| io::Error::other(error))?;
        }
        let count = self.left.len().min(room.len());
        for (place, byte) in room.iter_mut().zip(self.left.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}
