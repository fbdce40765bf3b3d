//! Shared memory as Python sees it.
#![expect(unsafe_code, reason = "the buffer protocol is about pointers")]

use std::ffi::c_int;
use std::sync::Arc;

use pyo3::buffer::PyUntypedBuffer;
use pyo3::ffi;
use pyo3::prelude::*;

/// What keeps a range of memory where it is for as long as it is held.
pub(crate) type Keeper = Arc<dyn Send + Sync>;

/// A range of memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pointer: *mut u8,
    len: usize,
    writable: bool,
}

// SAFETY: whoever made it vouches for the memory, which belongs to no thread.
unsafe impl Send for Range {}
// SAFETY: as above.
unsafe impl Sync for Range {}

impl Range {
    /// Names `len` bytes at `pointer`.
    ///
    /// # Safety
    /// They may be read, and written if `writable`, for as long as the keeper of the [`Buffers`] or the
    /// [`Mapping`] that the range is put into is held, by whatever threads Python code has.
    pub(crate) unsafe fn new(pointer: *mut u8, len: usize, writable: bool) -> Self {
        Range { pointer, len, writable }
    }

    /// Names the memory of a view, for the keeper to hold.
    pub(super) fn of_view(view: &PyUntypedBuffer) -> Self {
        Range { pointer: view.buf_ptr().cast(), len: view.len_bytes(), writable: !view.readonly() }
    }

    /// The bytes, to be copied before any Python code runs.
    pub(super) fn bytes<'a>(&self, _held_by: &Buffers<'a>) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: whoever made the range vouches for this while the keeper is held, which is all of 'a.
        unsafe { std::slice::from_raw_parts(self.pointer, self.len) }
    }
}

/// The payloads that [`decode`](super::decode) finds beside a head.
#[derive(Clone, Copy)]
pub(crate) struct Buffers<'a> {
    /// In the order of [`Encoder::payloads`](super::Encoder::payloads). Nobody else writes to them any more.
    pub(crate) ranges: &'a [Range],
    /// Keeps all of them where they are.
    pub(crate) keeper: &'a Keeper,
}

/// Memory that objects of Python use in place: exports a buffer, and keeps the memory while it lives.
#[pyclass(frozen, module = "manyhands._native.multiprocessing")]
pub(crate) struct Mapping {
    range: Range,
    /// Held for its drop only.
    _keeper: Keeper,
}

impl Mapping {
    pub(crate) fn new(range: Range, keeper: Keeper) -> Self {
        Mapping { range, _keeper: keeper }
    }

    /// A memoryview of it.
    pub(crate) fn view<'py>(
        py: Python<'py>,
        range: Range,
        keeper: &Keeper,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mapping = Bound::new(py, Mapping::new(range, keeper.clone()))?;
        // SAFETY: an object that exports a buffer goes in; a new reference or an error comes back.
        unsafe {
            let view = ffi::PyMemoryView_FromObject(mapping.as_ptr());
            Bound::from_owned_ptr_or_err(py, view)
        }
    }
}

#[pymethods]
impl Mapping {
    fn __len__(&self) -> usize {
        self.range.len
    }

    // SAFETY: called by the interpreter with a view to fill in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let range = slf.get().range;
        let len = ffi::Py_ssize_t::try_from(range.len)?;
        // SAFETY: the view keeps this object, the object its keeper, and that the memory; what may be
        // written is for whoever made the range to know.
        let filled = unsafe {
            let pointer = range.pointer.cast();
            let readonly = c_int::from(!range.writable);
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), pointer, len, readonly, flags)
        };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}
