//! A pickled object, kept without knowing what it is.

use std::sync::Arc;

use bytes::Bytes;

use super::opcode as op;
use super::{Item, Message, Plain, Writer, decode, encode};

/// Opcodes that push one object on an unpickler's stack.
///
/// Invariant: they stand by themselves (memo numbers count from zero; no PROTO, FRAME or STOP; the memo is put to by MEMOIZE only),
/// so any number of them can be joined, as long as who joins them shifts the numbers of those that take from the memo.
#[derive(Clone, Debug)]
pub struct Payload {
    pub(super) body: Body,
    /// How many entries it puts into the memo.
    pub(super) memos: u32,
    /// Whether it takes from the memo.
    pub(super) gets: bool,
}

/// Whole opcodes, in one or several parts.
#[derive(Clone, Debug)]
pub(super) enum Body {
    One(Bytes),
    Many(Arc<[Bytes]>),
}

impl Payload {
    pub(super) fn new(mut parts: Vec<Bytes>, memos: usize, gets: bool) -> Payload {
        let body = if parts.len() == 1 {
            Body::One(parts.pop().unwrap_or_default())
        } else {
            Body::Many(parts.into())
        };
        Payload { body, memos: u32::try_from(memos).unwrap_or(u32::MAX), gets }
    }

    fn simple(bytes: Bytes) -> Payload {
        Payload { body: Body::One(bytes), memos: 0, gets: false }
    }

    fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Payload {
        let mut buffer = Vec::new();
        encode(&mut buffer);
        Payload::simple(buffer.into())
    }

    pub(super) fn parts(&self) -> &[Bytes] {
        match &self.body {
            Body::One(bytes) => std::slice::from_ref(bytes),
            Body::Many(parts) => parts,
        }
    }

    /// None.
    pub fn none() -> Payload {
        Payload::simple(Bytes::from_static(&[op::NONE]))
    }

    /// True or False.
    pub fn bool(value: bool) -> Payload {
        Payload::simple(Bytes::from_static(if value { &[op::NEWTRUE] } else { &[op::NEWFALSE] }))
    }

    /// An int.
    pub fn int(value: i64) -> Payload {
        Payload::encoded(|buffer| encode::int(buffer, value))
    }

    /// A float.
    pub fn float(value: f64) -> Payload {
        Payload::encoded(|buffer| encode::float(buffer, value))
    }

    /// A str.
    pub fn str(value: &str) -> Payload {
        Payload::encoded(|buffer| encode::str(buffer, value))
    }

    /// A bytes object.
    pub fn bytes(value: &[u8]) -> Payload {
        Payload::encoded(|buffer| encode::bytes(buffer, value))
    }

    /// Of plain types.
    pub fn of(value: &Plain) -> Payload {
        Payload::encoded(|buffer| encode::plain(buffer, value))
    }

    /// How many bytes it has.
    #[expect(clippy::len_without_is_empty, reason = "no object is pickled to nothing")]
    pub fn len(&self) -> usize {
        self.parts().iter().map(Bytes::len).sum()
    }

    /// Whether it is the same bytes, as far as that is easy to tell.
    pub(crate) fn is_same(&self, other: &Payload) -> bool {
        self.parts() == other.parts()
    }

    /// A whole pickle, for `pickle.loads`.
    pub fn to_pickle(&self) -> Bytes {
        let mut pickle = Vec::with_capacity(self.len() + 3);
        pickle.extend_from_slice(&[op::PROTO, 4]);
        for part in self.parts() {
            pickle.extend_from_slice(part);
        }
        pickle.push(op::STOP);
        pickle.into()
    }

    /// A whole pickle in parts to be written one after the other, of which large ones are not copied.
    pub fn to_parts(&self) -> Vec<Bytes> {
        let mut writer = Writer::new();
        writer.payload(self);
        writer.finish()
    }

    /// Scanned again, to look into it.
    pub fn scan(&self) -> Option<Message> {
        Message::scan(self.to_pickle()).ok()
    }

    /// Decoded, if it is plain all through.
    pub fn plain(&self) -> Option<Plain> {
        if let Body::One(bytes) = &self.body
            && let Some(plain) = decode::atom(bytes)
        {
            return Some(plain);
        }
        self.scan()?.root().plain()
    }
}

impl From<Item<'_>> for Payload {
    fn from(item: Item<'_>) -> Payload {
        item.payload()
    }
}
