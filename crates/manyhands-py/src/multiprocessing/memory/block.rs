//! A piece of memory that a process shares with those that descend from it.
#![expect(unsafe_code, reason = "the buffer protocol is about pointers")]

use std::ffi::c_int;

use manyhands_shm::{Handle, Kind, Plain, Reference};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::super::arena;

/// A block of the arena, all zero in the beginning: exports a buffer that can be written to.
// py: multiprocessing.heap.Arena
#[pyclass(frozen, subclass, dict, weakref, module = "manyhands._native.multiprocessing")]
pub(super) struct SharedBlock {
    memory: Handle<Plain>,
}

#[pymethods]
impl SharedBlock {
    /// A new block, or that of a reference which a relative has passed.
    #[new]
    #[pyo3(signature = (size, *, reference = None))]
    fn new(size: isize, reference: Option<(u64, u64)>) -> PyResult<Self> {
        let memory = match reference {
            Some((arena, block)) => Handle::open(Reference { arena, block }, Kind::Plain),
            None => {
                let size = usize::try_from(size)
                    .map_err(|_| PyValueError::new_err(format!("Size {size} out of range")))?;
                Handle::with_tail(Kind::Plain, size)
            }
        };
        Ok(SharedBlock { memory: memory.map_err(arena::error)? })
    }

    /// What to pass to the constructor in another process of the tree.
    #[getter]
    fn reference(&self) -> (u64, u64) {
        let reference = self.memory.reference();
        (reference.arena, reference.block)
    }

    fn __len__(&self) -> usize {
        self.memory.tail().1
    }

    // SAFETY: called by the interpreter with a view to fill in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let (pointer, len) = slf.get().memory.tail();
        let len = ffi::Py_ssize_t::try_from(len)?;
        // SAFETY: the view keeps this object, and that the memory, which is there to be written to by
        // all who share it.
        let filled =
            unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), pointer.cast(), len, 0, flags) };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// The number of the tree of processes that this one is of.
#[pyfunction]
pub(super) fn tree() -> PyResult<u64> {
    Ok(manyhands_shm::arena().map_err(arena::error)?.id())
}
