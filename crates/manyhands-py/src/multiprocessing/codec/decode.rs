//! Bytes to objects.
//!
//! Bytes that no encoder wrote give an error, never a wrong access.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyList};

use super::format::*;
use super::mapping::{Buffers, Mapping, Range};
use super::{keys, objects};

/// Makes the object that was encoded as this head and these payloads.
///
/// Runs Python code if the object was pickled; the head stays unchanged meanwhile.
///
/// # Errors
/// What unpickling raises; `UnpicklingError` if the bytes are not what [`encode`](super::encode) wrote.
pub(crate) fn decode<'py>(
    py: Python<'py>,
    head: &[u8],
    buffers: &Buffers<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    match head.first() {
        Some(&PICKLE) => unpickle(py, &head[1..], buffers),
        Some(&SPILLED) => {
            let (&spilled, ranges) = buffers.ranges.split_last().ok_or_else(|| corrupt(py))?;
            from_spilled(py, spilled, &Buffers { ranges, ..*buffers })
        }
        _ => Decoder { py, rest: head, buffers }.whole(),
    }
}

/// Whether no Python code runs when it is decoded, and no payload is looked for.
pub(crate) fn is_plain(head: &[u8]) -> bool {
    !matches!(head.first(), None | Some(&(PICKLE | SPILLED)))
}

/// What can be told of an encoded object without running Python code.
pub(crate) enum Plain<'a, 'py> {
    Object(Bound<'py, PyAny>),
    /// To be looked at by who knows how.
    Pickle(&'a [u8]),
}

/// What was encoded as this head; `None` if its payloads would be needed.
pub(crate) fn decode_plain<'a, 'py>(py: Python<'py>, head: &'a [u8]) -> Option<Plain<'a, 'py>> {
    let keeper: super::Keeper = std::sync::Arc::new(());
    let buffers = Buffers { ranges: &[], keeper: &keeper };
    match head.first() {
        Some(&PICKLE) => Some(Plain::Pickle(&head[1..])),
        Some(&SPILLED) => None,
        _ => Decoder { py, rest: head, buffers: &buffers }.whole().ok().map(Plain::Object),
    }
}

fn from_spilled<'py>(
    py: Python<'py>,
    spilled: Range,
    buffers: &Buffers<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    let head = spilled.bytes(buffers);
    match head.first() {
        Some(&PICKLE) => {
            // Not copied: an unpickler reads from the memory itself.
            let view = Mapping::view(py, spilled, buffers.keeper)?;
            loads(py, &view.get_item(pyo3::types::PySlice::new(py, 1, isize::MAX, 1))?, buffers)
        }
        Some(_) => Decoder { py, rest: head, buffers }.whole(),
        None => Err(corrupt(py)),
    }
}

/// A copy of the pickle, which is small, is what Python code may get hold of.
fn unpickle<'py>(
    py: Python<'py>,
    pickle: &[u8],
    buffers: &Buffers<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    loads(py, PyBytes::new(py, pickle).as_any(), buffers)
}

fn loads<'py>(
    py: Python<'py>,
    pickle: &Bound<'py, PyAny>,
    buffers: &Buffers<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let loads = LOADS.import(py, "_pickle", "loads")?;
    if buffers.ranges.is_empty() {
        return loads.call1((pickle,));
    }
    let views = PyList::empty(py);
    for &range in buffers.ranges {
        views.append(Mapping::view(py, range, buffers.keeper)?)?;
    }
    let options = PyDict::new(py);
    options.set_item(intern!(py, "buffers"), views)?;
    loads.call((pickle,), Some(&options))
}

struct Decoder<'a, 'py> {
    py: Python<'py>,
    rest: &'a [u8],
    buffers: &'a Buffers<'a>,
}

impl<'a, 'py> Decoder<'a, 'py> {
    fn whole(mut self) -> PyResult<Bound<'py, PyAny>> {
        let object = self.object(0)?;
        if self.rest.is_empty() { Ok(object) } else { Err(corrupt(self.py)) }
    }

    /// An item of a tuple or a list: as [`Decoder::object`], with what is mostly in them first.
    #[inline(always)]
    fn item(&mut self, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        match *self.rest {
            [NONE, ref rest @ ..] => {
                self.rest = rest;
                Ok(py.None().into_bound(py))
            }
            [INT32, a, b, c, d, ref rest @ ..] => {
                self.rest = rest;
                objects::new_int(py, i32::from_ne_bytes([a, b, c, d]).into())
            }
            _ => self.object(depth),
        }
    }

    fn object(&mut self, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let [tag] = self.array()?;
        match tag {
            NONE => Ok(py.None().into_bound(py)),
            FALSE => Ok(PyBool::new(py, false).to_owned().into_any()),
            TRUE => Ok(PyBool::new(py, true).to_owned().into_any()),
            INT8 => objects::new_int(py, i8::from_ne_bytes(self.array()?).into()),
            INT32 => objects::new_int(py, i32::from_ne_bytes(self.array()?).into()),
            INT64 => objects::new_int(py, i64::from_ne_bytes(self.array()?)),
            FLOAT => Ok(PyFloat::new(py, f64::from_ne_bytes(self.array()?)).into_any()),
            BYTES => {
                let len = self.length()?;
                Ok(PyBytes::new(py, self.take(len)?).into_any())
            }
            ASCII => {
                let len = self.length()?;
                let characters = self.take(len)?;
                self.text(TEXT_ASCII, characters)
            }
            TEXT => {
                let [form] = self.array()?;
                let len = self.length()?;
                let len = len.checked_mul(form.into()).ok_or_else(|| corrupt(py))?;
                let characters = self.take(len)?;
                self.text(form, characters)
            }
            TUPLE if depth < DEPTH_LIMIT => {
                let len = self.items(1)?;
                objects::new_tuple(py, len, || self.item(depth + 1))
            }
            LIST if depth < DEPTH_LIMIT => {
                let len = self.items(1)?;
                objects::new_list(py, len, || self.item(depth + 1))
            }
            DICT if depth < DEPTH_LIMIT => {
                let len = self.items(2)?;
                let dict = PyDict::new(py);
                for _ in 0..len {
                    let key = self.key(depth + 1)?;
                    dict.set_item(key, self.object(depth + 1)?)?;
                }
                Ok(dict.into_any())
            }
            PAYLOAD_BYTES => Ok(PyBytes::new(py, self.payload()?).into_any()),
            PAYLOAD_BYTEARRAY => Ok(PyByteArray::new(py, self.payload()?).into_any()),
            PAYLOAD_TEXT => {
                let [form] = self.array()?;
                let characters = self.payload()?;
                self.text(form, characters)
            }
            _ => Err(corrupt(py)),
        }
    }

    fn key(&mut self, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        if self.rest.first() != Some(&ASCII) {
            return self.object(depth);
        }
        self.take(1)?;
        let len = self.length()?;
        let characters = self.take(len)?;
        if characters.is_ascii() { keys::key(self.py, characters) } else { Err(corrupt(self.py)) }
    }

    fn text(&self, form: u8, characters: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        match form {
            TEXT_ASCII if characters.is_ascii() => objects::new_ascii(self.py, characters),
            1 | 2 | 4 if characters.len().is_multiple_of(form.into()) => {
                objects::new_text(self.py, form, characters)
            }
            _ => Err(corrupt(self.py)),
        }
    }

    fn take(&mut self, len: usize) -> PyResult<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(|| corrupt(self.py))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> PyResult<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| corrupt(self.py))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn length(&mut self) -> PyResult<usize> {
        let [length] = self.array()?;
        if length < LONG {
            return Ok(length.into());
        }
        usize::try_from(u64::from_ne_bytes(self.array()?)).map_err(|_| corrupt(self.py))
    }

    /// The number of items of a container, of which each takes so many bytes at least.
    fn items(&mut self, least: usize) -> PyResult<usize> {
        let len = self.length()?;
        if len > self.rest.len() / least {
            return Err(corrupt(self.py));
        }
        Ok(len)
    }

    fn payload(&mut self) -> PyResult<&'a [u8]> {
        let number = self.length()?;
        let range = self.buffers.ranges.get(number).ok_or_else(|| corrupt(self.py))?;
        Ok(range.bytes(self.buffers))
    }
}

#[cold]
fn corrupt(py: Python<'_>) -> PyErr {
    let message = "this is no object that manyhands has sent";
    match py.import("pickle").and_then(|pickle| pickle.getattr("UnpicklingError")) {
        Ok(class) => class.call1((message,)).map_or_else(|error| error, PyErr::from_value),
        Err(error) => error,
    }
}
