//! Frames: how the length of a message is said before it.

use crate::errors::Malformed;

/// The longest message whose length fits the short header.
const LONGEST_SHORT: u64 = i32::MAX as u64;

/// What a frame begins with: the length of the message that follows.
///
/// ```
/// use manyhands_wire::Header;
///
/// assert_eq!(Header::of(5).as_bytes(), [0, 0, 0, 5]);
/// assert_eq!(Header::of(1 << 32).as_bytes(), [255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Header {
    bytes: [u8; 12],
    is_wide: bool,
}

impl Header {
    /// The header of a message of that length.
    pub fn of(length: u64) -> Header {
        let mut bytes = [0xff; 12];
        let (short, wide) = bytes.split_at_mut(4);
        if length <= LONGEST_SHORT {
            short.copy_from_slice(&(length as u32).to_be_bytes());
        } else {
            wide.copy_from_slice(&length.to_be_bytes());
        }
        Header { bytes, is_wide: length > LONGEST_SHORT }
    }

    /// Its bytes: 4, or 12 of a message of 2 GiB or more.
    pub fn as_bytes(&self) -> &[u8] {
        let (short, _) = self.bytes.split_at(4);
        if self.is_wide { &self.bytes } else { short }
    }
}

/// What the first four bytes of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// The length of the message, which follows.
    Length(u32),
    /// The length follows, in eight bytes.
    Wide,
}

impl Prefix {
    /// Reads the first four bytes of a frame.
    ///
    /// # Errors
    /// If no frame begins with these.
    pub fn parse(bytes: [u8; 4]) -> Result<Prefix, Malformed> {
        match i32::from_be_bytes(bytes) {
            -1 => Ok(Prefix::Wide),
            length => match u32::try_from(length) {
                Ok(length) => Ok(Prefix::Length(length)),
                Err(_) => Err(Malformed::Negative(length)),
            },
        }
    }
}

/// Takes messages out of bytes that come in pieces of any size.
///
/// ```
/// use manyhands_wire::Decoder;
///
/// let mut decoder = Decoder::new(100);
/// let mut input: &[u8] = b"\0\0\0\x02hi\0\0";
/// assert_eq!(decoder.decode(&mut input).unwrap(), Some(b"hi".to_vec()));
/// assert_eq!(decoder.decode(&mut input).unwrap(), None);
/// let mut input: &[u8] = b"\0\x01!";
/// assert_eq!(decoder.decode(&mut input).unwrap(), Some(b"!".to_vec()));
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// The longest message that is accepted.
    limit: u64,
    /// What has come of the part that is being read.
    part: Vec<u8>,
    reading: Part,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Prefix,
    Length,
    Message(u64),
}

impl Part {
    fn length(self) -> u64 {
        match self {
            Part::Prefix => 4,
            Part::Length => 8,
            Part::Message(length) => length,
        }
    }
}

impl Decoder {
    /// A decoder that refuses messages of more than `limit` bytes.
    pub fn new(limit: u64) -> Decoder {
        Decoder { limit, part: Vec::new(), reading: Part::Prefix }
    }

    /// Takes bytes off the input until a message is complete; None if the input ended first.
    ///
    /// # Errors
    /// If the bytes are no frame or the message is too long. The decoder is of no use afterwards.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        loop {
            let missing = self.reading.length().saturating_sub(self.part.len() as u64);
            let missing = usize::try_from(missing).unwrap_or(usize::MAX).min(input.len());
            let (taken, rest) = input.split_at(missing);
            // Memory grows with what has come, whatever the header said.
            self.part.extend_from_slice(taken);
            *input = rest;
            if (self.part.len() as u64) < self.reading.length() {
                return Ok(None);
            }
            let part = std::mem::take(&mut self.part);
            self.reading = match self.reading {
                Part::Message(_) => {
                    self.reading = Part::Prefix;
                    return Ok(Some(part));
                }
                Part::Prefix => match Prefix::parse(array(&part))? {
                    Prefix::Length(length) => self.message(u64::from(length))?,
                    Prefix::Wide => Part::Length,
                },
                Part::Length => self.message(u64::from_be_bytes(array(&part)))?,
            };
        }
    }

    fn message(&self, length: u64) -> Result<Part, Malformed> {
        if length > self.limit {
            return Err(Malformed::TooLong { length, limit: self.limit });
        }
        Ok(Part::Message(length))
    }
}

/// The first N bytes; zeros where there are less, which the caller sees to.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}
