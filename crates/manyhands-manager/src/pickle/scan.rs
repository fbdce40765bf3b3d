//! Cuts a message into the objects that it is made of.

use bytes::Bytes;

use super::{Payload, Plain};

/// Why a message is no pickle that can be cut apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends early, is nested too deeply, takes from an empty stack...
    #[error("not a pickle at byte {at}: {what}")]
    Pickle { at: usize, what: &'static str },
}

/// One pickled object, scanned: every object in it has its place and shape.
#[derive(Debug)]
pub struct Message { /* the bytes, a flat arena of scanned nodes, spans of FRAME opcodes, memo... */ }

impl Message {
    /// Scans a whole pickle of protocol 2 to 5 (what `pickle.dumps` of CPython 3.10 to 3.14 makes). Limits: depth, length.
    /// Opcodes that build arbitrary objects (GLOBAL, REDUCE, BUILD, NEWOBJ, INST, EXT, PERSID...) are scanned, never carried out: what
    /// they build is opaque.
    pub fn scan(bytes: Bytes) -> Result<Message, Malformed> {
        todo!()
    }

    /// The object that the whole message is.
    pub fn root(&self) -> Item<'_> {
        todo!()
    }
}

/// An object of a message.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> { message: &'a Message, node: u32 }

impl<'a> Item<'a> {
    /// The members of a tuple.
    pub fn tuple(self) -> Option<Vec<Item<'a>>> { todo!() }
    /// The members of a list (one that is made by list opcodes only).
    pub fn list(self) -> Option<Vec<Item<'a>>> { todo!() }
    /// The members of a set or frozenset.
    pub fn set(self) -> Option<Vec<Item<'a>>> { todo!() }
    /// Keys and values of a dict, in their order; a key may come twice.
    pub fn dict(self) -> Option<Vec<(Item<'a>, Item<'a>)>> { todo!() }
    /// A string, also one that is taken from the memo.
    pub fn str(self) -> Option<&'a str> { todo!() }
    pub fn bytes(self) -> Option<&'a [u8]> { todo!() }
    pub fn is_none(self) -> bool { todo!() }
    pub fn bool(self) -> Option<bool> { todo!() }
    /// An int (not a bool) that fits.
    pub fn int(self) -> Option<i64> { todo!() }
    pub fn float(self) -> Option<f64> { todo!() }
    /// The three members of a `slice`: `builtins slice` and REDUCE.
    pub fn slice(self) -> Option<[Item<'a>; 3]> { todo!() }
    /// Module and name of a class or function that is named (GLOBAL, STACK_GLOBAL), and what it is called with (REDUCE or NEWOBJ), if it is.
    pub fn global(self) -> Option<(&'a str, &'a str)> { todo!() }
    /// Callable, its arguments (a tuple) and, if BUILD follows, the state.
    pub fn reduced(self) -> Option<(Item<'a>, Item<'a>, Option<Item<'a>>)> { todo!() }
    /// Decoded, if it is plain all through.
    pub fn plain(self) -> Option<Plain> { todo!() }
    /// Whether it is plain all through.
    pub fn is_plain(self) -> bool { todo!() }
    /// Cut out, to be kept.
    pub fn payload(self) -> Payload { todo!() }
}
