//! What a queue between processes carries: Python objects as bytes.
//!
//! [`encode`] takes an object apart into a *head*, which is small, and *payloads*, which are large and
//! stay where they are until the caller has copied each of them, once, to where the other process finds
//! them. There [`decode`] makes the object from both. Out-of-band buffers, those of arrays, it does not
//! copy: the new objects use the memory in place, through a [`Mapping`] that keeps it.
//!
//! Exact None, bool, int of 64 bits, float, str, bytes, tuple, list and dict have an [encoding of our
//! own](format), unless a container is met twice, for what is one object must arrive as one. All else is
//! pickled, as `ForkingPickler` does it.

use std::sync::Arc;

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

mod decode;
mod encode;
mod format;
mod keys;
mod mapping;
mod objects;
mod payload;
mod pickle;

pub(crate) use decode::{Plain, decode, decode_plain, is_plain};
pub(crate) use encode::{Encoder, encode, encode_after, with_encoder};
pub(crate) use mapping::{Buffers, Keeper, Mapping, Range};
pub(crate) use payload::Payload;

/// Encodes an object; the payloads are copied into memory of their own.
#[pyfunction]
#[pyo3(name = "encode")]
fn py_encode<'py>(
    object: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyBytes>, Vec<Bound<'py, PyMemoryView>>)> {
    let py = object.py();
    with_encoder(|encoder| {
        encode(object, encoder)?;
        let views = encoder.payloads().iter().map(|payload| PyMemoryView::from(&payload.copy(py)?));
        Ok((PyBytes::new(py, encoder.head()), views.collect::<PyResult<_>>()?))
    })
}

/// Decodes what `encode` gave. Objects of the result may use the buffers in place.
#[pyfunction]
#[pyo3(name = "decode", signature = (head, buffers = Vec::new()))]
fn py_decode<'py>(
    head: &Bound<'py, PyBytes>,
    buffers: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let views = buffers.iter().map(PyUntypedBuffer::get).collect::<PyResult<Vec<_>>>()?;
    if !views.iter().all(PyUntypedBuffer::is_c_contiguous) {
        return Err(PyBufferError::new_err("the buffers have to be contiguous"));
    }
    let ranges: Vec<Range> = views.iter().map(Range::of_view).collect();
    let keeper: Keeper = Arc::new(views);
    decode(head.py(), head.as_bytes(), &Buffers { ranges: &ranges, keeper: &keeper })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Mapping>()?;
    module.add_function(wrap_pyfunction!(py_encode, module)?)?;
    module.add_function(wrap_pyfunction!(py_decode, module)?)
}
