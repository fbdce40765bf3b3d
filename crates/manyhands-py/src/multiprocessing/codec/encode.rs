//! Objects to bytes.

use std::cell::Cell;
use std::collections::HashSet;

use pyo3::buffer::PyUntypedBuffer;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyTuple};

use super::format::*;
use super::objects::{self, Kind, Text};
use super::payload::Payload;
use super::pickle::Pickler;

/// Where an object is encoded to; used again and again, so that it costs no allocations.
///
/// What it holds after [`encode`] is a *head* of at most [`HEAD_LIMIT`] bytes, and *payloads*: the
/// large buffers, where they are, kept there until [`clear`](Self::clear).
#[derive(Default)]
pub(crate) struct Encoder {
    head: Vec<u8>,
    payloads: Vec<Payload>,
    met: Met,
    pickler: Option<Pickler>,
}

thread_local! {
    static ENCODER: Cell<Option<Box<Encoder>>> = const { Cell::new(None) };
}

/// Lends this thread's encoder; another one if it is in use, for encoding runs Python code that may
/// want to encode.
pub(crate) fn with_encoder<R>(body: impl FnOnce(&mut Encoder) -> R) -> R {
    let mut encoder = ENCODER.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let result = body(&mut encoder);
    encoder.clear();
    // A thread that ends has no cell any more.
    let _ = ENCODER.try_with(|cell| cell.set(Some(encoder)));
    result
}

impl Encoder {
    /// What is small.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// What is small, for its prefix to be completed.
    pub(crate) fn head_mut(&mut self) -> &mut [u8] {
        &mut self.head
    }

    /// Adds to the end of what is small.
    pub(crate) fn extend_head(&mut self, bytes: &[u8]) {
        self.head.extend_from_slice(bytes);
    }

    /// What is large.
    pub(crate) fn payloads(&self) -> &[Payload] {
        &self.payloads
    }

    /// Forgets what was encoded. Runs Python code: the objects' ends, if nobody else has them.
    pub(crate) fn clear(&mut self) {
        self.head.clear();
        if self.head.capacity() > ENCODING_LIMIT {
            self.head.shrink_to(HEAD_LIMIT);
        }
        if !self.payloads.is_empty() {
            self.payloads.clear();
        }
    }

    /// Appends an item of a tuple or a list: as [`Encoder::object`], with what is mostly in them first.
    #[inline(always)]
    fn item(&mut self, item: &Bound<'_, PyAny>, depth: usize) -> bool {
        if item.is_none() {
            self.head.push(NONE);
        } else if objects::is_int(item) {
            let Some(value) = objects::int(item) else { return false };
            self.int(value);
        } else {
            return self.object(item, depth);
        }
        true
    }

    /// Appends our own encoding of the object; false if it has none.
    fn object(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> bool {
        match objects::kind(object) {
            Kind::None => self.head.push(NONE),
            Kind::Bool(value) => self.head.push(if value { TRUE } else { FALSE }),
            Kind::Int => match objects::int(object) {
                Some(value) => self.int(value),
                None => return false,
            },
            Kind::Float(value) => {
                let [a, b, c, d, e, f, g, h] = value.to_ne_bytes();
                self.head.extend_from_slice(&[FLOAT, a, b, c, d, e, f, g, h]);
            }
            Kind::Str => match objects::text(object) {
                Some(text) => return self.text(object, text),
                None => return false,
            },
            Kind::Bytes(bytes) => return self.bytes(bytes),
            Kind::Tuple(tuple) => return self.tuple(tuple, depth),
            Kind::List(list) => return self.list(list, depth),
            Kind::Dict(dict) => return self.dict(dict, depth),
            Kind::ByteArray(array) => return self.bytearray(array),
            Kind::Other => return false,
        }
        true
    }

    #[inline]
    fn int(&mut self, value: i64) {
        if let Ok(value) = i8::try_from(value) {
            self.head.extend_from_slice(&[INT8, value.to_ne_bytes()[0]]);
        } else if let Ok(value) = i32::try_from(value) {
            let [a, b, c, d] = value.to_ne_bytes();
            self.head.extend_from_slice(&[INT32, a, b, c, d]);
        } else {
            let [a, b, c, d, e, f, g, h] = value.to_ne_bytes();
            self.head.extend_from_slice(&[INT64, a, b, c, d, e, f, g, h]);
        }
    }

    fn text(&mut self, object: &Bound<'_, PyAny>, text: Text<'_>) -> bool {
        if text.bytes.len() >= PAYLOAD {
            if !self.is_met_first(object) {
                return false;
            }
            self.head.extend_from_slice(&[PAYLOAD_TEXT, text.form]);
            self.payload(Payload::of_text(object, text.bytes));
            return true;
        }
        if text.form == TEXT_ASCII {
            self.head.push(ASCII);
        } else {
            self.head.extend_from_slice(&[TEXT, text.form]);
        }
        self.length(text.characters);
        self.head.extend_from_slice(text.bytes);
        true
    }

    fn bytes(&mut self, bytes: &Bound<'_, PyBytes>) -> bool {
        let content = bytes.as_bytes();
        if content.len() >= PAYLOAD {
            if !self.is_met_first(bytes.as_any()) {
                return false;
            }
            self.head.push(PAYLOAD_BYTES);
            self.payload(Payload::of_bytes(bytes));
        } else {
            self.head.push(BYTES);
            self.length(content.len());
            self.head.extend_from_slice(content);
        }
        true
    }

    /// A small one is left to pickle.
    fn bytearray(&mut self, array: &Bound<'_, PyByteArray>) -> bool {
        if array.len() < PAYLOAD || !self.is_met_first(array.as_any()) {
            return false;
        }
        let Ok(view) = PyUntypedBuffer::get(array.as_any()) else { return false };
        self.head.push(PAYLOAD_BYTEARRAY);
        self.payload(Payload::of_view(view));
        true
    }

    fn tuple(&mut self, tuple: &Bound<'_, PyTuple>, depth: usize) -> bool {
        let len = tuple.len();
        // There is only one without items, which may be met again.
        if depth >= DEPTH_LIMIT || len > 0 && !self.may_enter(tuple.as_any(), len, depth) {
            return false;
        }
        self.head.push(TUPLE);
        self.length(len);
        objects::items_of_tuple(tuple, |item| self.item(item, depth + 1))
    }

    fn list(&mut self, list: &Bound<'_, PyList>, depth: usize) -> bool {
        with_critical_section(list.as_any(), || {
            let len = list.len();
            if !self.may_enter(list.as_any(), len, depth) {
                return false;
            }
            self.head.push(LIST);
            self.length(len);
            objects::items_of_list(list, len, |item| self.item(item, depth + 1))
        })
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>, depth: usize) -> bool {
        with_critical_section(dict.as_any(), || {
            let len = dict.len();
            if !self.may_enter(dict.as_any(), len, depth) {
                return false;
            }
            self.head.push(DICT);
            self.length(len);
            objects::items_of_dict(dict, len, |key, value| {
                self.object(key, depth + 1) && self.object(value, depth + 1)
            })
        })
    }

    fn may_enter(&mut self, container: &Bound<'_, PyAny>, len: usize, depth: usize) -> bool {
        depth < DEPTH_LIMIT
            && len <= ITEMS_LIMIT
            && self.head.len() <= ENCODING_LIMIT
            && self.is_met_first(container)
    }

    /// Whether this object, whose identity must survive, has not been met in what is encoded.
    fn is_met_first(&mut self, object: &Bound<'_, PyAny>) -> bool {
        objects::has_one_reference(object) || self.met.insert(object.as_ptr() as usize)
    }

    fn length(&mut self, length: usize) {
        match u8::try_from(length) {
            Ok(length) if length < LONG => self.head.push(length),
            _ => {
                let [a, b, c, d, e, f, g, h] = (length as u64).to_ne_bytes();
                self.head.extend_from_slice(&[LONG, a, b, c, d, e, f, g, h]);
            }
        }
    }

    fn payload(&mut self, payload: Payload) {
        self.length(self.payloads.len());
        self.payloads.push(payload);
    }
}

/// Encodes an object.
///
/// # Errors
/// What pickling it raises. The encoder then holds nothing of use.
pub(crate) fn encode(object: &Bound<'_, PyAny>, encoder: &mut Encoder) -> PyResult<()> {
    encode_after(&[], object, encoder)
}

/// As [`encode`]; the head then begins with those bytes, which are not the object's.
pub(crate) fn encode_after(
    prefix: &[u8],
    object: &Bound<'_, PyAny>,
    encoder: &mut Encoder,
) -> PyResult<()> {
    encoder.clear();
    encoder.head.extend_from_slice(prefix);
    let is_encoded = encoder.object(object, 0);
    encoder.met.clear();
    if !is_encoded {
        encoder.clear();
        encoder.head.extend_from_slice(prefix);
        encoder.head.push(PICKLE);
        let Encoder { head, payloads, pickler, .. } = encoder;
        Pickler::dump(pickler, object, head, payloads)?;
    }
    if encoder.head.len() > prefix.len() + HEAD_LIMIT {
        let spilled = encoder.head.split_off(prefix.len());
        encoder.head.push(SPILLED);
        encoder.payloads.push(Payload::of_head(spilled));
    }
    Ok(())
}

/// The containers that were met, by address.
#[derive(Default)]
struct Met {
    few: Vec<usize>,
    many: HashSet<usize>,
}

impl Met {
    /// As many are looked through one by one.
    const FEW: usize = 16;

    /// Adds one; false if it was there already.
    fn insert(&mut self, address: usize) -> bool {
        if self.few.contains(&address) {
            return false;
        }
        if self.few.len() < Self::FEW {
            self.few.push(address);
            return true;
        }
        self.many.insert(address)
    }

    fn clear(&mut self) {
        self.few.clear();
        if !self.many.is_empty() {
            self.many = HashSet::new();
        }
    }
}
