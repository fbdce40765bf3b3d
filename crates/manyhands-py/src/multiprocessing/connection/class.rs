//! `multiprocessing.connection.Connection`

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use manyhands_sync::Limit;
use manyhands_sys::descriptor::{Descriptor, Room};
use manyhands_wire::{ReceiveError, SendError, stream};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::errors::{of_receiving, of_sending};
use super::gate::Detached;
use super::memory::{
    Buffer, OPENING, Received, receive, receive_around, receive_kept, receive_rest,
};
use super::{pickling, wait};
use crate::green::park;
use crate::multiprocessing::errors::os_error;
use crate::timeout::{self, Flag};

/// The state of a connection that is closed, or not opened yet.
const CLOSED: i64 = -1;

/// Messages longer than this get more room in the kernel and a kept buffer.
const SMALL: usize = 32 * 1024;

/// How much of an answer is read with its header: most are shorter.
const ANSWER: usize = 128;

/// What the kernel is asked to hold for a connection that carries large messages (measured: more
/// makes pipes slower again).
const CAPACITY: usize = 256 * 1024;

/// One end of a connection over a file descriptor.
///
/// The methods that the standard library's class has beside these come from that, which the class
/// in Python inherits from, too. So does `__del__`, which closes the connection.
///
/// Two threads that send at the same time, or receive, may tear each other's messages if these are
/// large, as in the standard library; a lock here could be left locked by a fork or a signal.
// py: multiprocessing.connection.Connection
#[pyclass(frozen, subclass, weakref, module = "manyhands._native.multiprocessing")]
pub(in crate::multiprocessing) struct Connection {
    /// The number of the descriptor, doubled, plus 1 if it is a socket; or `CLOSED`.
    open: AtomicI64,
    readable: AtomicBool,
    writable: AtomicBool,
    /// Whether the kernel was asked for more room between this end and the other.
    is_roomy: AtomicBool,
}

impl Connection {
    fn set(&self, number: RawFd) -> PyResult<()> {
        let descriptor = Descriptor::from_number(number)
            .ok_or_else(|| PyValueError::new_err("invalid handle"))?;
        let bits = i64::from(number) * 2 + i64::from(descriptor.is_socket());
        self.open.store(bits, Ordering::Relaxed);
        Ok(())
    }

    fn descriptor_of(bits: i64) -> Option<Descriptor> {
        Descriptor::known(RawFd::try_from(bits >> 1).ok()?, bits & 1 == 1)
    }

    fn descriptor(&self) -> PyResult<Descriptor> {
        Connection::descriptor_of(self.open.load(Ordering::Relaxed))
            .ok_or_else(|| PyOSError::new_err("handle is closed"))
    }

    fn to_read(&self) -> PyResult<Descriptor> {
        let descriptor = self.descriptor()?;
        if !self.readable.load(Ordering::Relaxed) {
            return Err(PyOSError::new_err("connection is write-only"));
        }
        Ok(descriptor)
    }

    fn to_write(&self) -> PyResult<Descriptor> {
        let descriptor = self.descriptor()?;
        if !self.writable.load(Ordering::Relaxed) {
            return Err(PyOSError::new_err("connection is read-only"));
        }
        Ok(descriptor)
    }

    /// Reads the header of a message. One that is bad or says too much leaves the stream in the
    /// middle of a message, so that nothing can be read any more.
    fn length(
        &self,
        py: Python<'_>,
        from: Descriptor,
        limit: Option<u64>,
    ) -> Result<u64, ReceiveError<PyErr>> {
        let length = stream::receive_length(from, limit, &Detached(py));
        if let Err(ReceiveError::Malformed(_)) = length {
            if self.writable.load(Ordering::Relaxed) {
                self.readable.store(false, Ordering::Relaxed);
            } else {
                self.close(py).map_err(ReceiveError::Interrupted)?;
            }
        }
        length
    }

    fn message<'py>(&self, py: Python<'py>, limit: Option<u64>) -> PyResult<Bound<'py, PyBytes>> {
        let from = self.to_read()?;
        self.length(py, from, limit)
            .and_then(|length| receive(py, from, length))
            .map_err(|error| of_receiving(py, error))
    }

    /// Receives a pickled object.
    pub(in crate::multiprocessing) fn receive<'py>(
        &self,
        py: Python<'py>,
    ) -> Result<Received<'py>, ReceiveError<PyErr>> {
        let from = self.to_read().map_err(ReceiveError::Interrupted)?;
        match self.length(py, from, None)? {
            length if length > SMALL as u64 => receive_kept(py, from, &[], length),
            length => Ok(Received::Bytes(receive(py, from, length)?)),
        }
    }

    /// Receives the one answer that comes to a request; `inner` tells from the opening of a large one how many bytes come
    /// then that belong together.
    pub(in crate::multiprocessing) fn receive_around<'py>(
        &self,
        py: Python<'py>,
        inner: impl FnOnce(&[u8; OPENING]) -> Option<u64>,
    ) -> Result<Received<'py>, ReceiveError<PyErr>> {
        let from = self.to_read().map_err(ReceiveError::Interrupted)?;
        if !from.is_socket() {
            return self.receive(py);
        }
        let mut memory = [0; ANSWER];
        let (length, begun) = stream::receive_begun(from, &mut memory, &Detached(py))?;
        if length > SMALL as u64 {
            return receive_around(py, from, begun, length, inner);
        }
        if begun.len() as u64 == length {
            return Ok(Received::Bytes(PyBytes::new(py, begun)));
        }
        Ok(Received::Bytes(receive_rest(py, from, begun, length)?))
    }

    /// Sends a message.
    pub(in crate::multiprocessing) fn send_parts(
        &self,
        py: Python<'_>,
        parts: &[&[u8]],
    ) -> Result<(), SendError<PyErr>> {
        let to = self.to_write().map_err(SendError::Interrupted)?;
        let length: usize = parts.iter().map(|part| part.len()).sum();
        // So that the two ends do not have to take turns for every piece of a large message. Who
        // sends none does not take that memory: a user's pipes have only so much together.
        if length > SMALL && !self.is_roomy.swap(true, Ordering::Relaxed) {
            to.enlarge(CAPACITY);
        }
        stream::send(to, parts, &Detached(py))
    }

    /// Sends a pickled object.
    pub(in crate::multiprocessing) fn send_pieces(
        &self,
        py: Python<'_>,
        pieces: &[Py<PyBytes>],
    ) -> Result<(), SendError<PyErr>> {
        match pieces {
            [piece] => self.send_parts(py, &[piece.as_bytes(py)]),
            pieces => {
                let parts: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes(py)).collect();
                self.send_parts(py, &parts)
            }
        }
    }
}

#[pymethods]
impl Connection {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(handle, readable=True, writable=True)")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Connection {
        Connection {
            open: AtomicI64::new(CLOSED),
            readable: AtomicBool::new(false),
            writable: AtomicBool::new(false),
            is_roomy: AtomicBool::new(false),
        }
    }

    #[pyo3(signature = (handle, readable=Flag(true), writable=Flag(true)))]
    fn __init__(&self, handle: &Bound<'_, PyAny>, readable: Flag, writable: Flag) -> PyResult<()> {
        let handle = handle.call_method0("__index__")?;
        if handle.lt(0)? {
            return Err(PyValueError::new_err("invalid handle"));
        }
        if !readable.0 && !writable.0 {
            return Err(PyValueError::new_err(
                "at least one of `readable` and `writable` must be True",
            ));
        }
        self.set(handle.extract()?)?;
        self.readable.store(readable.0, Ordering::Relaxed);
        self.writable.store(writable.0, Ordering::Relaxed);
        Ok(())
    }

    #[getter(_handle)]
    fn handle(&self) -> Option<RawFd> {
        self.descriptor().ok().map(Descriptor::number)
    }

    #[setter(_handle)]
    fn set_handle(&self, handle: Option<RawFd>) -> PyResult<()> {
        match handle {
            Some(handle) => self.set(handle),
            None => {
                self.open.store(CLOSED, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    #[getter(_readable)]
    fn is_readable(&self) -> bool {
        self.readable.load(Ordering::Relaxed)
    }

    #[setter(_readable)]
    fn set_readable(&self, readable: Flag) {
        self.readable.store(readable.0, Ordering::Relaxed);
    }

    #[getter(_writable)]
    fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    #[setter(_writable)]
    fn set_writable(&self, writable: Flag) {
        self.writable.store(writable.0, Ordering::Relaxed);
    }

    /// True if the connection is closed
    #[getter]
    fn closed(&self) -> bool {
        self.handle().is_none()
    }

    /// True if the connection is readable
    #[getter]
    fn readable(&self) -> bool {
        self.is_readable()
    }

    /// True if the connection is writable
    #[getter]
    fn writable(&self) -> bool {
        self.is_writable()
    }

    /// The number of the connection's file descriptor.
    // py: multiprocessing.connection.Connection.fileno
    fn fileno(&self) -> PyResult<RawFd> {
        self.descriptor().map(Descriptor::number)
    }

    /// Close the connection. Does nothing if it is closed.
    // py: multiprocessing.connection.Connection.close
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        // Only one of several threads closes the number: it may be somebody else's at once.
        match Connection::descriptor_of(self.open.swap(CLOSED, Ordering::Relaxed)) {
            Some(descriptor) => {
                park::forget(descriptor.number());
                py.detach(|| descriptor.close()).map_err(|error| os_error(py, &error))
            }
            None => Ok(()),
        }
    }

    /// Send a picklable object; recv() at the other end returns an equal one.
    // py: multiprocessing.connection.Connection.send
    fn send(&self, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        self.to_write()?;
        let py = obj.py();
        let pieces = pickling::dump(obj)?;
        self.send_pieces(py, &pieces).map_err(|error| of_sending(py, error))
    }

    /// Send the bytes of a bytes-like object as one message; only `size` of them from `offset` on,
    /// if these are given.
    // py: multiprocessing.connection.Connection.send_bytes
    #[pyo3(signature = (buf, offset=0, size=None))]
    fn send_bytes(
        &self,
        buf: &Bound<'_, PyAny>,
        offset: isize,
        size: Option<isize>,
    ) -> PyResult<()> {
        self.to_write()?;
        let py = buf.py();
        if let Ok(bytes) = buf.cast_exact::<PyBytes>() {
            let part = part(bytes.as_bytes(), offset, size)?;
            return self.send_parts(py, &[part]).map_err(|error| of_sending(py, error));
        }
        let buffer = Buffer::to_read(buf)?;
        let part = part(buffer.as_bytes(), offset, size)?;
        self.send_parts(py, &[part]).map_err(|error| of_sending(py, error))
    }

    /// Receive an object that was sent with send(). EOFError if the other end is closed and there
    /// is nothing left.
    // py: multiprocessing.connection.Connection.recv
    fn recv<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.receive(py).map_err(|error| of_receiving(py, error))?.load(py)
    }

    /// Receive a message as bytes. If it is longer than `maxlength`, OSError is raised, and the
    /// connection cannot be read from any more.
    // py: multiprocessing.connection.Connection.recv_bytes
    #[pyo3(signature = (maxlength=None))]
    fn recv_bytes<'py>(
        &self,
        py: Python<'py>,
        maxlength: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let limit = match maxlength {
            None => None,
            Some(maxlength) => {
                self.to_read()?;
                if maxlength.lt(0)? {
                    return Err(PyValueError::new_err("negative maxlength"));
                }
                // What does not fit is no limit.
                maxlength
                    .extract::<u64>()
                    .or_else(|_| maxlength.extract::<f64>().map(|n| n as u64))
                    .ok()
            }
        };
        self.message(py, limit)
    }

    /// Receive a message into a writable bytes-like object from `offset` on; returns how many
    /// bytes it has. If they do not fit, BufferTooShort is raised with the message as argument.
    // py: multiprocessing.connection.Connection.recv_bytes_into
    #[pyo3(signature = (buf, offset=0))]
    fn recv_bytes_into(&self, buf: &Bound<'_, PyAny>, offset: isize) -> PyResult<u64> {
        let from = self.to_read()?;
        let py = buf.py();
        let mut buffer = Buffer::of(buf)?;
        let offset =
            usize::try_from(offset).map_err(|_| PyValueError::new_err("negative offset"))?;
        let Some(space) = buffer.len().checked_sub(offset) else {
            return Err(PyValueError::new_err("offset too large"));
        };
        // Reads nothing if it has nowhere to put it.
        buffer.room(0, 0)?;
        let failed = |error| of_receiving(py, error);
        let length = self.length(py, from, None).map_err(failed)?;
        let size = match usize::try_from(length) {
            Ok(size) if size <= space => size,
            _ => {
                let message = receive(py, from, length).map_err(failed)?;
                return Err(PyErr::from_value(buffer_too_short(py)?.call1((message,))?));
            }
        };
        // Only whole items, as in the standard library.
        let item = buffer.item_size();
        let (start, end) = (offset / item * item, (offset + size) / item * item);
        if end - start == size {
            let mut room: Room<'_> = buffer.room(start, end)?;
            stream::fill(from, &mut room, &Detached(py)).map_err(failed)?;
        } else {
            let message = receive(py, from, length).map_err(failed)?;
            buffer.copy(start, end, message.as_bytes())?;
        }
        Ok(length)
    }

    /// Whether there is something to receive, or the end: at once, or after waiting `timeout`
    /// seconds at most, or as long as it takes if that is None.
    // py: multiprocessing.connection.Connection.poll
    #[pyo3(signature = (timeout=Timeout::Default), text_signature = "($self, timeout=0.0)")]
    fn poll(&self, py: Python<'_>, timeout: Timeout<'_>) -> PyResult<bool> {
        let from = self.to_read()?;
        let limit = match timeout {
            Timeout::Default => Limit::Never,
            Timeout::Given(timeout) => timeout::optional(Some(&timeout).filter(|t| !t.is_none()))?,
        };
        wait::until_readable(py, &[from.number()], &mut [false], limit)
    }
}

/// The argument of poll(), whose default is not None.
enum Timeout<'py> {
    Default,
    Given(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Timeout<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Timeout<'py>> {
        Ok(Timeout::Given(object.to_owned()))
    }
}

/// The part of a message that send_bytes() was asked to send.
fn part(bytes: &[u8], offset: isize, size: Option<isize>) -> PyResult<&[u8]> {
    let offset =
        usize::try_from(offset).map_err(|_| PyValueError::new_err("offset is negative"))?;
    let rest =
        bytes.get(offset..).ok_or_else(|| PyValueError::new_err("buffer length < offset"))?;
    let Some(size) = size else { return Ok(rest) };
    let size = usize::try_from(size).map_err(|_| PyValueError::new_err("size is negative"))?;
    rest.get(..size).ok_or_else(|| PyValueError::new_err("buffer length < offset + size"))
}

fn buffer_too_short<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CLASS
        .get_or_try_init(py, || {
            let original = py.import("manyhands._stdlib")?.getattr("original")?;
            let context = original.call1(("multiprocessing.context",))?;
            Ok(context.getattr("BufferTooShort")?.unbind())
        })
        .map(|class| class.bind(py))
}
