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
