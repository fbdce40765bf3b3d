//! A pickled object, kept without knowing what it is.

use bytes::Bytes;

use super::{Item, Plain};

/// Opcodes that push one object on an unpickler's stack.
///
/// Invariant: they stand by themselves (memo numbers count from zero; no PROTO, FRAME or STOP), so any number of
/// them can be joined, as long as who joins them shifts the numbers of those that take from the memo.
#[derive(Clone, Debug)]
pub struct Payload { /* parts: slices of the message it came in, large ones not copied; memos: how many it puts; gets: bool */ }

impl Payload {
    pub fn none() -> Payload { todo!() }
    pub fn bool(value: bool) -> Payload { todo!() }
    pub fn int(value: i64) -> Payload { todo!() }
    pub fn float(value: f64) -> Payload { todo!() }
    pub fn str(value: &str) -> Payload { todo!() }
    /// Of plain types.
    pub fn of(value: &Plain) -> Payload { todo!() }
    /// How many bytes it has.
    pub fn len(&self) -> usize { todo!() }
    /// A whole pickle, for `pickle.loads`.
    pub fn to_pickle(&self) -> Bytes { todo!() }
    /// Decoded, if it is plain all through.
    pub fn plain(&self) -> Option<Plain> { todo!() }
}
