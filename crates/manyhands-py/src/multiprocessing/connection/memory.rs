//! Memory of Python objects that the kernel reads from and writes to.
#![expect(
    unsafe_code,
    reason = "bytes that are filled after they were made, buffers of any item size"
)]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::Mutex;

use manyhands_sys::descriptor::{Descriptor, Room};
use manyhands_wire::ReceiveError;
use manyhands_wire::stream::fill;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PySlice};

use super::gate::Detached;
use super::pickling;

/// How much memory a message gets before anything of it has come.
const FIRST_STEP: u64 = 64 << 20;

unsafe extern "C" {
    /// Of the interpreter's stable interface; pyo3-ffi does not declare it.
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, length: ffi::Py_ssize_t) -> c_int;
}

/// A bytes object that nobody has seen yet, so that it may still be written to.
struct NewBytes<'py> {
    py: Python<'py>,
    /// The only reference; null after an error.
    object: *mut ffi::PyObject,
}

impl<'py> NewBytes<'py> {
    fn with_length(py: Python<'py>, length: usize) -> PyResult<NewBytes<'py>> {
        let length = isize::try_from(length).unwrap_or(isize::MAX);
        // SAFETY: without a source its memory is left as it is, which nothing reads before all of
        // it was written: see `receive`.
        let object = unsafe { ffi::PyBytes_FromStringAndSize(std::ptr::null(), length) };
        if object.is_null() { Err(PyErr::fetch(py)) } else { Ok(NewBytes { py, object }) }
    }

    fn grow(&mut self, length: usize) -> PyResult<()> {
        let length = isize::try_from(length).unwrap_or(isize::MAX);
        // SAFETY: it is a bytes object of which this is the only reference.
        match unsafe { _PyBytes_Resize(&raw mut self.object, length) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(self.py)),
        }
    }

    fn memory(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: nobody else has a reference to the object, whose memory this is.
        unsafe {
            let start = ffi::PyBytes_AsString(self.object).cast();
            let length = ffi::PyBytes_Size(self.object);
            std::slice::from_raw_parts_mut(start, usize::try_from(length).unwrap_or(0))
        }
    }

    fn finish(mut self) -> Bound<'py, PyBytes> {
        let object = std::mem::replace(&mut self.object, std::ptr::null_mut());
        // SAFETY: the reference that this had, to an exact bytes object.
        unsafe { Bound::from_owned_ptr(self.py, object).cast_into_unchecked() }
    }
}

impl Drop for NewBytes<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference that this had, or null.
        unsafe { ffi::Py_XDECREF(self.object) };
    }
}

/// Receives the message of that length, whose header was read, into a bytes object of its own.
pub(super) fn receive<'py>(
    py: Python<'py>,
    from: Descriptor,
    length: u64,
) -> Result<Bound<'py, PyBytes>, ReceiveError<PyErr>> {
    receive_rest(py, from, &[], length)
}

/// As [`receive`], after the message has begun so.
pub(super) fn receive_rest<'py>(
    py: Python<'py>,
    from: Descriptor,
    begun: &[u8],
    length: u64,
) -> Result<Bound<'py, PyBytes>, ReceiveError<PyErr>> {
    let step = |limit: u64| usize::try_from(length.min(limit)).unwrap_or(usize::MAX);
    let mut limit = FIRST_STEP;
    let mut bytes = NewBytes::with_length(py, step(limit)).map_err(ReceiveError::Interrupted)?;
    for (place, byte) in bytes.memory().iter_mut().zip(begun) {
        place.write(*byte);
    }
    let mut filled = begun.len();
    loop {
        let memory = bytes.memory();
        let reached = memory.len();
        let mut room = Room::from(memory.get_mut(filled..).unwrap_or_default());
        fill(from, &mut room, &Detached(py))?;
        filled = reached;
        if filled as u64 == length {
            return Ok(bytes.finish());
        }
        // A header may say anything: no more memory than twice what has really come.
        limit = limit.saturating_mul(2);
        bytes.grow(step(limit)).map_err(ReceiveError::Interrupted)?;
    }
}

/// Memory for a pickled message, kept from one to the next: the pages of memory that is given
/// back and taken again cost more than what is copied into them.
pub(in crate::multiprocessing) struct Scratch<'py>(Bound<'py, PyByteArray>);

/// The scratch that nobody uses at the moment.
static SPARE: Mutex<Option<Py<PyByteArray>>> = Mutex::new(None);

impl<'py> Scratch<'py> {
    /// What is longer does not stay in memory.
    pub(super) const LONGEST: usize = 4 << 20;

    /// A scratch for so many bytes.
    pub(super) fn take(py: Python<'py>, length: usize) -> PyResult<Scratch<'py>> {
        // Never waits: a fork may have left it locked for ever.
        let spare = SPARE.try_lock().ok().and_then(|mut spare| spare.take());
        match spare.map(|spare| spare.into_bound(py)) {
            Some(spare) if spare.len() >= length => Ok(Scratch(spare)),
            _ => {
                let length = isize::try_from(length.next_power_of_two()).unwrap_or(isize::MAX);
                // SAFETY: an exact bytearray or an error comes back. Nothing reads its memory
                // before it was written: see `receive` and `with`.
                let made = unsafe {
                    let made = ffi::PyByteArray_FromStringAndSize(std::ptr::null(), length);
                    Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked()
                };
                Ok(Scratch(made))
            }
        }
    }

    /// Receives the message of that length, whose header was read, and which has begun so.
    pub(super) fn receive(
        &mut self,
        py: Python<'_>,
        from: Descriptor,
        begun: &[u8],
        length: usize,
    ) -> Result<(), ReceiveError<PyErr>> {
        // SAFETY: nobody else has a reference to it: a new one is not shown to anybody, and one of
        // which `with` has left a reference behind does not become the spare.
        let memory = unsafe {
            std::slice::from_raw_parts_mut(self.0.data().cast::<MaybeUninit<u8>>(), self.0.len())
        };
        for (place, byte) in memory.iter_mut().zip(begun) {
            place.write(*byte);
        }
        let mut room = Room::from(memory.get_mut(begun.len()..length).unwrap_or_default());
        fill(from, &mut room, &Detached(py))
    }

    /// Shows the message to `reader`, and keeps the memory for the next one.
    pub(super) fn with<T>(
        self,
        py: Python<'py>,
        length: usize,
        reader: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
    ) -> PyResult<T> {
        let whole = PyMemoryView::from(&self.0)?;
        let message = whole.get_item(PySlice::new(py, 0, length as isize, 1))?;
        let read = reader(&message);
        drop((message, whole));
        if is_only(&self.0)
            && let Ok(mut spare) = SPARE.try_lock()
        {
            let before = spare.replace(self.0.unbind());
            drop(spare);
            drop(before);
        }
        read
    }
}

/// A pickled object that was received.
pub(in crate::multiprocessing) enum Received<'py> {
    Bytes(Bound<'py, PyBytes>),
    /// Its length, in memory that serves again.
    Kept(Scratch<'py>, usize),
    /// What stands in the middle of it by itself, between the opening and the end.
    Around([u8; OPENING], Bound<'py, PyBytes>, Vec<u8>),
    /// It is there already.
    Loaded(Bound<'py, PyAny>),
}

/// How many bytes at the beginning of a large message are read by themselves by who may know what comes then.
pub(in crate::multiprocessing) const OPENING: usize = 16;

/// How many bytes may come after that at most.
const LONGEST_END: u64 = 8;

/// Receives a message of that length, far longer than the opening, whose header was read, and which has begun so. `inner`
/// tells from the opening how many bytes come then that belong together; these are received into an object of their own.
pub(super) fn receive_around<'py>(
    py: Python<'py>,
    from: Descriptor,
    begun: &[u8],
    length: u64,
    inner: impl FnOnce(&[u8; OPENING]) -> Option<u64>,
) -> Result<Received<'py>, ReceiveError<PyErr>> {
    let Some((&opening, after)) = begun.split_first_chunk() else {
        return receive_kept(py, from, begun, length);
    };
    let rest = length.saturating_sub(OPENING as u64);
    let inner = inner(&opening)
        .filter(|inner| rest.checked_sub(*inner).is_some_and(|end| end <= LONGEST_END))
        .filter(|inner| after.len() as u64 <= *inner);
    if let Some(inner) = inner {
        let object = receive_rest(py, from, after, inner)?;
        let mut end = vec![0; usize::try_from(rest.saturating_sub(inner)).unwrap_or_default()];
        fill(from, &mut Room::from(end.as_mut_slice()), &Detached(py))?;
        return Ok(Received::Around(opening, object, end));
    }
    receive_kept(py, from, begun, length)
}

/// Receives a message of that length, whose header was read, and which has begun so.
pub(super) fn receive_kept<'py>(
    py: Python<'py>,
    from: Descriptor,
    begun: &[u8],
    length: u64,
) -> Result<Received<'py>, ReceiveError<PyErr>> {
    match usize::try_from(length) {
        Ok(length) if length <= Scratch::LONGEST => {
            let mut scratch = Scratch::take(py, length).map_err(ReceiveError::Interrupted)?;
            scratch.receive(py, from, begun, length)?;
            Ok(Received::Kept(scratch, length))
        }
        _ => Ok(Received::Bytes(receive_rest(py, from, begun, length)?)),
    }
}

impl<'py> Received<'py> {
    pub(in crate::multiprocessing) fn load(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Received::Bytes(bytes) => pickling::load(bytes.as_any()),
            Received::Kept(scratch, length) => scratch.with(py, length, pickling::load),
            Received::Around(opening, inner, end) => {
                let whole = [&opening, inner.as_bytes(), &end].concat();
                pickling::load(PyBytes::new(py, &whole).as_any())
            }
            Received::Loaded(object) => Ok(object),
        }
    }
}

/// Whether nobody else has a reference to the object, or could get one.
fn is_only(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: it is an object, and we are attached.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) == 1 }
}

/// The bytes of an object with the buffer protocol, for as long as this lives.
pub(super) struct Buffer(PyUntypedBuffer);

impl Buffer {
    /// Of an object whose memory is without gaps.
    pub(super) fn of(object: &Bound<'_, PyAny>) -> PyResult<Buffer> {
        let buffer = PyUntypedBuffer::get(object)?;
        if !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err(
                "memoryview: underlying buffer is not C-contiguous",
            ));
        }
        Ok(Buffer(buffer))
    }

    /// As [`of`](Self::of), or of a copy without gaps: nobody is to write to it.
    pub(super) fn to_read(object: &Bound<'_, PyAny>) -> PyResult<Buffer> {
        let buffer = PyUntypedBuffer::get(object)?;
        if buffer.is_c_contiguous() {
            return Ok(Buffer(buffer));
        }
        let copy = PyMemoryView::from(object)?.call_method0("tobytes")?;
        Ok(Buffer(PyUntypedBuffer::get(&copy)?))
    }

    pub(super) fn item_size(&self) -> usize {
        self.0.item_size().max(1)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len_bytes()
    }

    /// What is in it. As everywhere in Python, whoever shares a buffer between threads sees to it
    /// that nobody writes while others read.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self.len() {
            0 => &[],
            // SAFETY: the exporter guarantees contiguous memory of that length while the buffer is
            // held. It may be written to meanwhile; the kernel copies what it finds.
            length => unsafe { std::slice::from_raw_parts(self.0.buf_ptr().cast(), length) },
        }
    }

    /// Its memory from `start` to `end`, to be written to.
    pub(super) fn room(&mut self, start: usize, end: usize) -> PyResult<Room<'_>> {
        if self.0.readonly() {
            return Err(PyTypeError::new_err("a read-write bytes-like object is required"));
        }
        let memory: &mut [MaybeUninit<u8>] = match self.len() {
            0 => &mut [],
            // SAFETY: as above, and the exporter allows writing.
            length => unsafe { std::slice::from_raw_parts_mut(self.0.buf_ptr().cast(), length) },
        };
        Ok(Room::from(memory.get_mut(start..end).unwrap_or_default()))
    }

    /// Copies bytes to the memory from `start` to `end`, as many as fit.
    pub(super) fn copy(&mut self, start: usize, end: usize, bytes: &[u8]) -> PyResult<()> {
        let length =
            bytes.len().min(end.saturating_sub(start)).min(self.len().saturating_sub(start));
        if self.0.readonly() {
            return Err(PyTypeError::new_err("a read-write bytes-like object is required"));
        }
        // SAFETY: `start + length` is within the buffer, which may be written to; the bytes are
        // those of an object that nothing else can reach.
        unsafe {
            let target = self.0.buf_ptr().cast::<u8>().add(start);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, length);
        }
        Ok(())
    }
}
