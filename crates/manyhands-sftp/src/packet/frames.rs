//! Packets out of a stream that comes in pieces.

use bytes::{Bytes, BytesMut};

use crate::wire::Malformed;

/// Memory that a packet gets before its bytes have come, at most: one of OpenSSH's largest.
const AHEAD: usize = 256 * 1024 + 1024;

/// Cuts a stream of bytes into packets: each without its length, with its type as the first byte.
///
/// ```
/// use manyhands_sftp::packet::Splitter;
///
/// let mut splitter = Splitter::default();
/// let mut packets = Vec::new();
/// for piece in [&b"\0\0"[..], b"\0\x03abc\0\0\0\x01", b"d\0"] {
///     splitter.feed(piece, |packet| Ok(packets.push(packet)))?;
/// }
/// assert_eq!(packets, [&b"abc"[..], b"d"]);
/// # Ok::<(), manyhands_sftp::Malformed>(())
/// ```
#[derive(Debug)]
pub struct Splitter {
    header: [u8; 4],
    /// How many bytes of the header there are.
    headed: usize,
    /// The body, while it is not complete; its length is known when the header is.
    body: BytesMut,
    limit: u32,
}

impl Default for Splitter {
    fn default() -> Splitter {
        Splitter::new(Splitter::LIMIT)
    }
}

impl Splitter {
    /// Longer packets than this come from no server: 16 MiB.
    pub const LIMIT: u32 = 16 << 20;

    /// Accepts packets of up to `limit` bytes.
    pub fn new(limit: u32) -> Splitter {
        Splitter { header: [0; 4], headed: 0, body: BytesMut::new(), limit }
    }

    /// Whether the stream may end here: between two packets.
    pub fn is_between(&self) -> bool {
        self.headed == 0
    }

    /// Takes what has come, and gives `take` each packet that is complete.
    ///
    /// # Errors
    /// A packet that is empty or too long, or what `take` says. The stream is of no use afterwards.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(Bytes) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            let Some(length) = self.length(&mut bytes)? else { return Ok(()) };
            if self.body.is_empty() {
                self.body.reserve(length.min(AHEAD));
            }
            let missing = length.saturating_sub(self.body.len());
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.body.extend_from_slice(now);
            bytes = later;
            if self.body.len() == length {
                self.headed = 0;
                take(std::mem::take(&mut self.body).freeze())?;
            }
        }
        Ok(())
    }

    /// The length of the packet, if its header is complete.
    fn length(&mut self, bytes: &mut &[u8]) -> Result<Option<usize>, Malformed> {
        while self.headed < self.header.len() {
            let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
            if let Some(place) = self.header.get_mut(self.headed) {
                *place = *first;
            }
            self.headed += 1;
            *bytes = rest;
        }
        match u32::from_be_bytes(self.header) {
            0 => Err(Malformed::Empty),
            length if length > self.limit => Err(Malformed::TooLong { length, limit: self.limit }),
            length => Ok(Some(length as usize)),
        }
    }
}
