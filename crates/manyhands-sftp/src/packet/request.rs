//! What a client asks.

use bytes::Bytes;

use crate::attributes::Attributes;
use crate::wire::{Fields, Malformed, put_string, put_u32, put_u64};

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags(pub u32);

impl OpenFlags {
    /// For reading.
    pub const READ: OpenFlags = OpenFlags(1);
    /// For writing.
    pub const WRITE: OpenFlags = OpenFlags(2);
    /// Each write goes to the end.
    pub const APPEND: OpenFlags = OpenFlags(4);
    /// Made if it does not exist.
    pub const CREATE: OpenFlags = OpenFlags(8);
    /// Emptied.
    pub const TRUNCATE: OpenFlags = OpenFlags(16);
    /// With `CREATE`: an error if it exists.
    pub const EXCLUSIVE: OpenFlags = OpenFlags(32);

    /// Whether all of `other` are among these.
    pub fn contains(self, other: OpenFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those of Python's `mode`, as `SFTPClient.open` reads it: letters that it does not know say nothing.
    ///
    /// ```
    /// use manyhands_sftp::packet::OpenFlags;
    ///
    /// let flags = OpenFlags::from_mode("w+b");
    /// assert_eq!(flags, OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE);
    /// ```
    pub fn from_mode(mode: &str) -> OpenFlags {
        let mut flags = OpenFlags::default();
        for letter in mode.chars() {
            flags = flags
                | match letter {
                    'r' => OpenFlags::READ,
                    '+' => OpenFlags::READ | OpenFlags::WRITE,
                    'w' => OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE,
                    'a' => OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::APPEND,
                    'x' => OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
                    _ => OpenFlags::default(),
                };
        }
        flags
    }
}

impl std::ops::BitOr for OpenFlags {
    type Output = OpenFlags;

    fn bitor(self, other: OpenFlags) -> OpenFlags {
        OpenFlags(self.0 | other.0)
    }
}

/// A request, without its number. Names are bytes, as the server has them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the draft, and its fields")]
pub enum Request {
    Open {
        path: Bytes,
        flags: OpenFlags,
        attributes: Attributes,
    },
    Close {
        handle: Bytes,
    },
    Read {
        handle: Bytes,
        offset: u64,
        length: u32,
    },
    Write {
        handle: Bytes,
        offset: u64,
        data: Bytes,
    },
    LStat {
        path: Bytes,
    },
    FStat {
        handle: Bytes,
    },
    SetStat {
        path: Bytes,
        attributes: Attributes,
    },
    FSetStat {
        handle: Bytes,
        attributes: Attributes,
    },
    OpenDirectory {
        path: Bytes,
    },
    ReadDirectory {
        handle: Bytes,
    },
    Remove {
        path: Bytes,
    },
    MakeDirectory {
        path: Bytes,
        attributes: Attributes,
    },
    RemoveDirectory {
        path: Bytes,
    },
    RealPath {
        path: Bytes,
    },
    Stat {
        path: Bytes,
    },
    Rename {
        from: Bytes,
        to: Bytes,
    },
    ReadLink {
        path: Bytes,
    },
    /// As OpenSSH reads it: the target comes first, against the draft.
    SymLink {
        target: Bytes,
        path: Bytes,
    },
    /// A request of an extension: its name, and its fields as they are.
    Extended {
        name: Bytes,
        fields: Bytes,
    },
}

/// The types of the requests.
mod types {
    pub(super) const INIT: u8 = 1;
    pub(super) const OPEN: u8 = 3;
    pub(super) const CLOSE: u8 = 4;
    pub(super) const READ: u8 = 5;
    pub(super) const WRITE: u8 = 6;
    pub(super) const LSTAT: u8 = 7;
    pub(super) const FSTAT: u8 = 8;
    pub(super) const SETSTAT: u8 = 9;
    pub(super) const FSETSTAT: u8 = 10;
    pub(super) const OPENDIR: u8 = 11;
    pub(super) const READDIR: u8 = 12;
    pub(super) const REMOVE: u8 = 13;
    pub(super) const MKDIR: u8 = 14;
    pub(super) const RMDIR: u8 = 15;
    pub(super) const REALPATH: u8 = 16;
    pub(super) const STAT: u8 = 17;
    pub(super) const RENAME: u8 = 18;
    pub(super) const READLINK: u8 = 19;
    pub(super) const SYMLINK: u8 = 20;
    pub(super) const EXTENDED: u8 = 200;
}

impl Request {
    fn kind(&self) -> u8 {
        match self {
            Request::Open { .. } => types::OPEN,
            Request::Close { .. } => types::CLOSE,
            Request::Read { .. } => types::READ,
            Request::Write { .. } => types::WRITE,
            Request::LStat { .. } => types::LSTAT,
            Request::FStat { .. } => types::FSTAT,
            Request::SetStat { .. } => types::SETSTAT,
            Request::FSetStat { .. } => types::FSETSTAT,
            Request::OpenDirectory { .. } => types::OPENDIR,
            Request::ReadDirectory { .. } => types::READDIR,
            Request::Remove { .. } => types::REMOVE,
            Request::MakeDirectory { .. } => types::MKDIR,
            Request::RemoveDirectory { .. } => types::RMDIR,
            Request::RealPath { .. } => types::REALPATH,
            Request::Stat { .. } => types::STAT,
            Request::Rename { .. } => types::RENAME,
            Request::ReadLink { .. } => types::READLINK,
            Request::SymLink { .. } => types::SYMLINK,
            Request::Extended { .. } => types::EXTENDED,
        }
    }

    /// Whether the answer is a handle, which stays open until it is closed.
    pub(crate) fn opens(&self) -> bool {
        matches!(self, Request::Open { .. } | Request::OpenDirectory { .. })
    }

    /// The packet of the request, whose number is not known yet.
    pub fn encode(&self) -> Packet {
        let mut out = Packet::begin(self.kind(), 64);
        match self {
            Request::Open { path, flags, attributes } => {
                put_string(&mut out, path);
                put_u32(&mut out, flags.0);
                attributes.encode(&mut out);
            }
            Request::Read { handle, offset, length } => {
                put_string(&mut out, handle);
                put_u64(&mut out, *offset);
                put_u32(&mut out, *length);
            }
            Request::Write { handle, offset, data } => {
                out.reserve(handle.len() + data.len() + 16);
                put_string(&mut out, handle);
                put_u64(&mut out, *offset);
                put_string(&mut out, data);
            }
            Request::SetStat { path: name, attributes }
            | Request::FSetStat { handle: name, attributes }
            | Request::MakeDirectory { path: name, attributes } => {
                put_string(&mut out, name);
                attributes.encode(&mut out);
            }
            Request::Close { handle: name }
            | Request::FStat { handle: name }
            | Request::ReadDirectory { handle: name }
            | Request::LStat { path: name }
            | Request::OpenDirectory { path: name }
            | Request::Remove { path: name }
            | Request::RemoveDirectory { path: name }
            | Request::RealPath { path: name }
            | Request::Stat { path: name }
            | Request::ReadLink { path: name } => put_string(&mut out, name),
            Request::Rename { from: first, to: second }
            | Request::SymLink { target: first, path: second } => {
                put_string(&mut out, first);
                put_string(&mut out, second);
            }
            Request::Extended { name, fields } => {
                put_string(&mut out, name);
                out.extend_from_slice(fields);
            }
        }
        Packet(out)
    }

    /// The number and the request of a packet, as [`crate::packet::Splitter`] gives it.
    ///
    /// # Errors
    /// It is no request.
    pub fn decode(packet: Bytes) -> Result<(u32, Request), Malformed> {
        let mut fields = Fields::new(packet);
        let kind = fields.byte()?;
        let id = fields.u32()?;
        let request = match kind {
            types::OPEN => Request::Open {
                path: fields.string()?,
                flags: OpenFlags(fields.u32()?),
                attributes: Attributes::decode(&mut fields)?,
            },
            types::CLOSE => Request::Close { handle: fields.string()? },
            types::READ => Request::Read {
                handle: fields.string()?,
                offset: fields.u64()?,
                length: fields.u32()?,
            },
            types::WRITE => Request::Write {
                handle: fields.string()?,
                offset: fields.u64()?,
                data: fields.string()?,
            },
            types::LSTAT => Request::LStat { path: fields.string()? },
            types::FSTAT => Request::FStat { handle: fields.string()? },
            types::SETSTAT => Request::SetStat {
                path: fields.string()?,
                attributes: Attributes::decode(&mut fields)?,
            },
            types::FSETSTAT => Request::FSetStat {
                handle: fields.string()?,
                attributes: Attributes::decode(&mut fields)?,
            },
            types::OPENDIR => Request::OpenDirectory { path: fields.string()? },
            types::READDIR => Request::ReadDirectory { handle: fields.string()? },
            types::REMOVE => Request::Remove { path: fields.string()? },
            types::MKDIR => Request::MakeDirectory {
                path: fields.string()?,
                attributes: Attributes::decode(&mut fields)?,
            },
            types::RMDIR => Request::RemoveDirectory { path: fields.string()? },
            types::REALPATH => Request::RealPath { path: fields.string()? },
            types::STAT => Request::Stat { path: fields.string()? },
            types::RENAME => Request::Rename { from: fields.string()?, to: fields.string()? },
            types::READLINK => Request::ReadLink { path: fields.string()? },
            types::SYMLINK => Request::SymLink { target: fields.string()?, path: fields.string()? },
            types::EXTENDED => Request::Extended { name: fields.string()?, fields: fields.rest() },
            other => return Err(Malformed::Type(other)),
        };
        fields.finish()?;
        Ok((id, request))
    }
}

/// A packet that is ready but for its length and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet(Vec<u8>);

/// Length, type and number.
const HEAD: usize = 9;

impl Packet {
    /// The most that a server has to accept besides the data of a write: OpenSSH takes no packets above 256 KiB.
    pub const LIMIT: usize = 256 * 1024;

    fn begin(kind: u8, room: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + room);
        out.extend_from_slice(&[0, 0, 0, 0, kind, 0, 0, 0, 0]);
        out
    }

    /// The packet that a session begins with: it has no number.
    pub fn init() -> Vec<u8> {
        let mut out = vec![0, 0, 0, 5, types::INIT];
        put_u32(&mut out, 3);
        out
    }

    /// A write of what `fill` puts into the buffer of `length` bytes: as many as it says.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn write<E>(
        handle: &[u8],
        offset: u64,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(Packet, usize), E> {
        let mut out = Packet::begin(types::WRITE, handle.len() + 16 + length);
        put_string(&mut out, handle);
        put_u64(&mut out, offset);
        let place = out.len();
        put_u32(&mut out, 0);
        let start = out.len();
        out.resize(start + length, 0);
        let filled = fill(out.get_mut(start..).unwrap_or_default())?.min(length);
        out.truncate(start + filled);
        let counted = u32::try_from(filled).unwrap_or(u32::MAX);
        if let Some(count) = out.get_mut(place..start) {
            count.copy_from_slice(&counted.to_be_bytes());
        }
        Ok((Packet(out), filled))
    }

    /// How long it is, all told.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The bytes to send, as the request of that number. None if it is longer than a length can say.
    pub fn finish(mut self, id: u32) -> Option<Vec<u8>> {
        let length = u32::try_from(self.0.len().checked_sub(4)?).ok()?;
        self.0.get_mut(..4)?.copy_from_slice(&length.to_be_bytes());
        self.0.get_mut(5..HEAD)?.copy_from_slice(&id.to_be_bytes());
        Some(self.0)
    }
}
