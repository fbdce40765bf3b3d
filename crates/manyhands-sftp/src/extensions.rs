//! What servers offer beyond version 3.

use bytes::Bytes;

use crate::wire::{Fields, Malformed};

/// The extensions of a server: names and, mostly, their versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<(Bytes, Bytes)>);

impl Extensions {
    /// Renames over what exists.
    pub const POSIX_RENAME: &'static str = "posix-rename@openssh.com";
    /// About the file system of a path.
    pub const STATVFS: &'static str = "statvfs@openssh.com";
    /// About the file system of an open file.
    pub const FSTATVFS: &'static str = "fstatvfs@openssh.com";
    /// Hard links.
    pub const HARDLINK: &'static str = "hardlink@openssh.com";
    /// Brings a file to disk.
    pub const FSYNC: &'static str = "fsync@openssh.com";
    /// Changes a symbolic link itself.
    pub const LSETSTAT: &'static str = "lsetstat@openssh.com";
    /// The largest packets, reads and writes.
    pub const LIMITS: &'static str = "limits@openssh.com";
    /// Paths that begin with `~`.
    pub const EXPAND_PATH: &'static str = "expand-path@openssh.com";
    /// Copies on the server.
    pub const COPY_DATA: &'static str = "copy-data";
    /// The names of users and groups.
    pub const USERS_GROUPS: &'static str = "users-groups-by-id@openssh.com";

    pub(crate) const fn none() -> Extensions {
        Extensions(Vec::new())
    }

    pub(crate) fn new(pairs: Vec<(Bytes, Bytes)>) -> Extensions {
        Extensions(pairs)
    }

    /// Whether the server offers that.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(offered, _)| *offered == name.as_bytes())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// How much a server takes and gives at once, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest packet.
    pub packet: u64,
    /// The longest read.
    pub read: u32,
    /// The most data of a write.
    pub write: u32,
    /// How many handles may be open; 0 if it does not say.
    pub handles: u64,
}

/// What each server takes.
const SMALLEST: u32 = 32 * 1024;

/// What is asked for at most: more earns nothing.
const LARGEST: u64 = 256 * 1024;

impl Default for Limits {
    fn default() -> Limits {
        Limits { packet: 34_000, read: SMALLEST, write: SMALLEST, handles: 0 }
    }
}

impl Limits {
    pub(crate) fn decode(fields: Bytes) -> Result<Limits, Malformed> {
        let mut fields = Fields::new(fields);
        let (packet, read, write) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let handles = fields.u64()?;
        let or_default = |length: u64| match u32::try_from(length.min(LARGEST)) {
            Ok(0) | Err(_) => SMALLEST,
            Ok(length) => length,
        };
        let packet = if packet == 0 { Limits::default().packet } else { packet };
        Ok(Limits { packet, read: or_default(read), write: or_default(write), handles })
    }
}

/// What `statvfs` says of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// The size of a block.
    pub block_size: u64,
    /// The unit of the counts of blocks.
    pub fragment_size: u64,
    /// All blocks.
    pub blocks: u64,
    /// Free blocks.
    pub free_blocks: u64,
    /// Free blocks for users.
    pub available_blocks: u64,
    /// All files.
    pub files: u64,
    /// Free places for files.
    pub free_files: u64,
    /// Free places for files, for users.
    pub available_files: u64,
    /// Its number.
    pub id: u64,
    /// 1: read-only; 2: no set-user-ID.
    pub flags: u64,
    /// The longest name.
    pub longest_name: u64,
}

impl FileSystem {
    pub(crate) fn decode(fields: Bytes) -> Result<FileSystem, Malformed> {
        let mut fields = Fields::new(fields);
        let system = FileSystem {
            block_size: fields.u64()?,
            fragment_size: fields.u64()?,
            blocks: fields.u64()?,
            free_blocks: fields.u64()?,
            available_blocks: fields.u64()?,
            files: fields.u64()?,
            free_files: fields.u64()?,
            available_files: fields.u64()?,
            id: fields.u64()?,
            flags: fields.u64()?,
            longest_name: fields.u64()?,
        };
        fields.finish()?;
        Ok(system)
    }
}
