//! What is known, or to be changed, of a file.

use bytes::Bytes;

use crate::wire::{Fields, Malformed, put_string, put_u32, put_u64};

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const PERMISSIONS: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 1 << 31;

/// The attributes of a file. What is `None` is not known, or, in a change, stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// In bytes.
    pub size: Option<u64>,
    /// The numbers of user and group.
    pub owner: Option<(u32, u32)>,
    /// The type of the file and its permissions, as in `st_mode`.
    pub mode: Option<u32>,
    /// Of the last access and the last change, in seconds since 1970.
    pub times: Option<(u32, u32)>,
    /// What only some servers know: name and value.
    pub extended: Vec<(Bytes, Bytes)>,
}

impl Attributes {
    /// Whether it is known to be a directory.
    pub fn is_directory(&self) -> bool {
        self.mode.is_some_and(|mode| mode & 0o170_000 == 0o040_000)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        put_u32(
            out,
            flag(self.size.is_some(), SIZE)
                | flag(self.owner.is_some(), OWNER)
                | flag(self.mode.is_some(), PERMISSIONS)
                | flag(self.times.is_some(), TIMES)
                | flag(!self.extended.is_empty(), EXTENDED),
        );
        if let Some(size) = self.size {
            put_u64(out, size);
        }
        if let Some((user, group)) = self.owner {
            put_u32(out, user);
            put_u32(out, group);
        }
        if let Some(mode) = self.mode {
            put_u32(out, mode);
        }
        if let Some((access, change)) = self.times {
            put_u32(out, access);
            put_u32(out, change);
        }
        if !self.extended.is_empty() {
            put_u32(out, u32::try_from(self.extended.len()).unwrap_or(u32::MAX));
            for (name, value) in &self.extended {
                put_string(out, name);
                put_string(out, value);
            }
        }
    }

    pub(crate) fn decode(fields: &mut Fields) -> Result<Attributes, Malformed> {
        let flags = fields.u32()?;
        let unknown = flags & !(SIZE | OWNER | PERMISSIONS | TIMES | EXTENDED);
        if unknown != 0 {
            return Err(Malformed::Flags(unknown));
        }
        let mut attributes = Attributes::default();
        if flags & SIZE != 0 {
            attributes.size = Some(fields.u64()?);
        }
        if flags & OWNER != 0 {
            attributes.owner = Some((fields.u32()?, fields.u32()?));
        }
        if flags & PERMISSIONS != 0 {
            attributes.mode = Some(fields.u32()?);
        }
        if flags & TIMES != 0 {
            attributes.times = Some((fields.u32()?, fields.u32()?));
        }
        if flags & EXTENDED != 0 {
            // Each takes bytes of the packet: the list does not outgrow it.
            for _ in 0..fields.u32()? {
                attributes.extended.push((fields.string()?, fields.string()?));
            }
        }
        Ok(attributes)
    }
}
