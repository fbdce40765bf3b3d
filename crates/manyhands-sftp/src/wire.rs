//! Numbers and strings of the protocol, in and out of bytes.

use bytes::{Buf, Bytes};

/// Bytes that are no packet of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The packet ends before what it should hold.
    #[error("a packet ends in the middle of a field")]
    Short,
    /// The packet goes on after all that it should hold.
    #[error("{0} bytes follow the end of a packet's fields")]
    Excess(usize),
    /// A packet of no length.
    #[error("a packet is empty")]
    Empty,
    /// More than a packet may have.
    #[error("a packet of {length} bytes comes, and {limit} are the most")]
    TooLong {
        /// The length that the packet claims.
        length: u32,
        /// The most that is accepted.
        limit: u32,
    },
    /// A type that the other side may not send.
    #[error("a packet is of the unknown type {0}")]
    Type(u8),
    /// Flags that version 3 does not know, after which nothing can be read.
    #[error("attributes have the unknown flags {0:#x}")]
    Flags(u32),
    /// An answer to what was not asked.
    #[error("an answer came to request {0}, which was never made")]
    Unasked(u32),
    /// A second or an early version packet.
    #[error("a version packet came where none belongs")]
    Version,
}

/// Reads fields off the front of a packet.
#[derive(Debug)]
pub(crate) struct Fields(Bytes);

impl Fields {
    pub(crate) fn new(packet: Bytes) -> Fields {
        Fields(packet)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| Malformed::Short)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| Malformed::Short)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.0.try_get_u64().map_err(|_| Malformed::Short)
    }

    /// A string: a share of the packet's memory.
    pub(crate) fn string(&mut self) -> Result<Bytes, Malformed> {
        let length = self.u32()? as usize;
        if length > self.0.len() {
            return Err(Malformed::Short);
        }
        Ok(self.0.split_to(length))
    }

    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Excess(self.0.len())) }
    }
}

/// Appends a string.
///
/// What is longer than a length can say is cut: no packet of that size leaves, as [`crate::Packet`] sees to it.
pub(crate) fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(string.get(..length as usize).unwrap_or_default());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}
