//! How a value is written: a tag, then what the tag says. Machine byte order: both ends are
//! processes of one machine and one build.
//!
//! A *length* is one byte, or [`LONG`] and eight bytes. A *payload* is the number of a buffer that
//! lies outside of the head, in the order of [`Encoder::payloads`](super::Encoder::payloads).

pub(super) const NONE: u8 = 0;
pub(super) const FALSE: u8 = 1;
pub(super) const TRUE: u8 = 2;
/// An int of one byte.
pub(super) const INT8: u8 = 3;
/// An int of four bytes.
pub(super) const INT32: u8 = 4;
/// An int of eight bytes.
pub(super) const INT64: u8 = 5;
/// A float of eight bytes.
pub(super) const FLOAT: u8 = 6;
/// Length, then that many bytes.
pub(super) const BYTES: u8 = 7;
/// A payload that is the content of a bytes object.
pub(super) const PAYLOAD_BYTES: u8 = 8;
/// A payload that is the content of a bytearray.
pub(super) const PAYLOAD_BYTEARRAY: u8 = 9;
/// A [form](TEXT_ASCII), length in characters, then these.
pub(super) const TEXT: u8 = 10;
/// A [form](TEXT_ASCII), then a payload that is the characters.
pub(super) const PAYLOAD_TEXT: u8 = 11;
/// Length, then that many values.
pub(super) const TUPLE: u8 = 12;
/// Length, then that many values.
pub(super) const LIST: u8 = 13;
/// Length, then that many pairs of key and value.
pub(super) const DICT: u8 = 14;
/// The rest is a pickle; its out-of-band buffers are the payloads.
pub(super) const PICKLE: u8 = 15;
/// The last payload is what would stand here, had it not been too long for a head.
pub(super) const SPILLED: u8 = 16;
/// As [`TEXT`] of ASCII.
pub(super) const ASCII: u8 = 17;

/// The form of characters: ASCII, or so many bytes (1, 2, 4) a character.
pub(super) const TEXT_ASCII: u8 = 0;

/// Instead of a length of one byte: eight bytes follow.
pub(super) const LONG: u8 = 255;

/// The most bytes of a head. What is longer becomes a payload.
pub(crate) const HEAD_LIMIT: usize = 32 * 1024;

/// Bytes, str and bytearray of at least so many bytes become payloads.
pub(super) const PAYLOAD: usize = 8 * 1024;

/// Pickle's out-of-band buffers of at least so many bytes become payloads.
pub(super) const OUT_OF_BAND: usize = 4 * 1024;

/// What is longer than this in our own encoding is pickled, which writes a str once that is met often.
pub(super) const ENCODING_LIMIT: usize = 256 * 1024;

/// Containers with more items are pickled.
pub(super) const ITEMS_LIMIT: usize = 32 * 1024;

/// Containers that are nested deeper are pickled.
pub(super) const DEPTH_LIMIT: usize = 32;
