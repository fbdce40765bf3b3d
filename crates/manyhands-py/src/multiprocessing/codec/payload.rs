//! The large parts of what is sent: not copied into the head.
#![expect(unsafe_code, reason = "a payload is memory that a Python object owns")]

use pyo3::buffer::PyUntypedBuffer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A range of memory that is to be copied, once, to where the other process finds it.
///
/// It stays valid until it is dropped. Other threads may write to it meanwhile, if its object is
/// mutable and Python code does so; what the copy then has is for that code to answer for.
pub(crate) struct Payload {
    pointer: *const u8,
    len: usize,
    is_writable: bool,
    /// Held for its drop.
    owner: Owner,
}

#[expect(dead_code, reason = "each is held for its drop only")]
enum Owner {
    Object(Py<PyAny>),
    View(PyUntypedBuffer),
    Bytes(Vec<u8>),
}

// SAFETY: the pointer is into memory that the owner keeps; the owner may be sent.
unsafe impl Send for Payload {}
// SAFETY: as above; there are no methods that write.
unsafe impl Sync for Payload {}

impl Payload {
    /// The content of a bytes object.
    pub(super) fn of_bytes(bytes: &Bound<'_, PyBytes>) -> Self {
        let content = bytes.as_bytes();
        Payload {
            pointer: content.as_ptr(),
            len: content.len(),
            is_writable: false,
            owner: Owner::Object(bytes.clone().into_any().unbind()),
        }
    }

    /// The characters of a str, which is ready, in the form in which it has them.
    pub(super) fn of_text(text: &Bound<'_, PyAny>, characters: &[u8]) -> Self {
        Payload {
            pointer: characters.as_ptr(),
            len: characters.len(),
            is_writable: false,
            owner: Owner::Object(text.clone().unbind()),
        }
    }

    /// A buffer, which is contiguous. Its object cannot be resized while this lives.
    pub(super) fn of_view(view: PyUntypedBuffer) -> Self {
        Payload {
            pointer: view.buf_ptr().cast(),
            len: view.len_bytes(),
            is_writable: !view.readonly(),
            owner: Owner::View(view),
        }
    }

    /// A head that is too long for one.
    pub(super) fn of_head(head: Vec<u8>) -> Self {
        Payload {
            pointer: head.as_ptr(),
            len: head.len(),
            is_writable: false,
            owner: Owner::Bytes(head),
        }
    }

    /// Where it begins.
    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.pointer
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether it is the memory of an object, and not made for this message.
    pub(crate) fn is_of_object(&self) -> bool {
        !matches!(self.owner, Owner::Bytes(_))
    }

    /// Whether the getter may write to it: exactly if the sender could.
    pub(crate) fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// A copy.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(self.len);
        // SAFETY: the owner keeps that many bytes, and there is room for them. Not by way of a slice, as
        // who has the object may write there.
        unsafe {
            std::ptr::copy_nonoverlapping(self.pointer, copy.as_mut_ptr(), self.len);
            copy.set_len(self.len);
        }
        copy
    }

    /// A copy, as bytes or bytearray.
    pub(super) fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let len = ffi::Py_ssize_t::try_from(self.len)?;
        let pointer = self.pointer.cast();
        // SAFETY: the owner keeps that many bytes; a new reference or an error comes back.
        unsafe {
            let copy = if self.is_writable {
                ffi::PyByteArray_FromStringAndSize(pointer, len)
            } else {
                ffi::PyBytes_FromStringAndSize(pointer, len)
            };
            Bound::from_owned_ptr_or_err(py, copy)
        }
    }
}
