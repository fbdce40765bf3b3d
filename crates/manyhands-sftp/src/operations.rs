//! The operations of the protocol, one request each.

use bytes::Bytes;

use crate::attributes::Attributes;
use crate::client::{Client, Pending};
use crate::errors::Error;
use crate::extensions::{Extensions, FileSystem};
use crate::handle::Handle;
use crate::packet::{Name, OpenFlags, Reply, Request, StatusCode};
use crate::wire::{Fields, put_string, put_u32, put_u64};

pub(crate) fn owned(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn strings(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|field| put_string(&mut out, field));
    out
}

/// All of these fail with the server's status, or as [`Client::call`] does.
impl Client {
    fn done(&self, request: &Request) -> Result<(), Error> {
        self.ask(request)?.done()
    }

    fn attributes(&self, request: &Request) -> Result<Attributes, Error> {
        self.ask(request)?.attributes()
    }

    fn handle(&self, request: &Request) -> Result<Handle, Error> {
        match self.call(request)? {
            Reply::Handle(handle) => Ok(Handle::new(self.clone(), handle)),
            other => Err(Error::unexpected("a handle", other.kind())),
        }
    }

    fn name(&self, request: &Request) -> Result<Bytes, Error> {
        match self.call(request)? {
            Reply::Names(names) => match <[Name; 1]>::try_from(names) {
                Ok([name]) => Ok(name.name),
                Err(_) => Err(Error::unexpected("one name", "another number of names")),
            },
            other => Err(Error::unexpected("a name", other.kind())),
        }
    }

    fn extended(&self, name: &'static str, fields: Vec<u8>) -> Result<Reply, Error> {
        if !self.extensions().has(name) {
            return Err(Error::NotOffered(name));
        }
        self.call(&Request::Extended {
            name: Bytes::from_static(name.as_bytes()),
            fields: fields.into(),
        })
    }

    fn extended_done(&self, name: &'static str, fields: Vec<u8>) -> Result<(), Error> {
        match self.extended(name, fields)? {
            Reply::Status(_) => Ok(()),
            other => Err(Error::unexpected("a status", other.kind())),
        }
    }

    /// Opens a file, with these attributes if that makes it.
    pub fn open_handle(
        &self,
        path: &[u8],
        flags: OpenFlags,
        attributes: &Attributes,
    ) -> Result<Handle, Error> {
        self.handle(&Request::Open { path: owned(path), flags, attributes: attributes.clone() })
    }

    /// Opens a directory to be listed.
    pub fn open_directory(&self, path: &[u8]) -> Result<Handle, Error> {
        self.handle(&Request::OpenDirectory { path: owned(path) })
    }

    /// The attributes of a file, or of what a link leads to.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.stat")]
    pub fn stat(&self, path: &[u8]) -> Result<Attributes, Error> {
        self.attributes(&Request::Stat { path: owned(path) })
    }

    /// The attributes of a file, or of a link itself.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.lstat")]
    pub fn lstat(&self, path: &[u8]) -> Result<Attributes, Error> {
        self.attributes(&Request::LStat { path: owned(path) })
    }

    /// Changes those attributes that are given.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.chmod")]
    #[doc(alias = "paramiko.sftp_client.SFTPClient.chown")]
    #[doc(alias = "paramiko.sftp_client.SFTPClient.utime")]
    #[doc(alias = "paramiko.sftp_client.SFTPClient.truncate")]
    pub fn set_stat(&self, path: &[u8], attributes: &Attributes) -> Result<(), Error> {
        self.done(&Request::SetStat { path: owned(path), attributes: attributes.clone() })
    }

    /// As [`Client::set_stat`], for a link itself.
    pub fn set_lstat(&self, path: &[u8], attributes: &Attributes) -> Result<(), Error> {
        let mut fields = strings(&[path]);
        attributes.encode(&mut fields);
        self.extended_done(Extensions::LSETSTAT, fields)
    }

    /// Removes a file.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.remove")]
    pub fn remove(&self, path: &[u8]) -> Result<(), Error> {
        self.done(&Request::Remove { path: owned(path) })
    }

    /// Makes a directory, with the mode that is left by the server's mask.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.mkdir")]
    pub fn make_directory(&self, path: &[u8], mode: Option<u32>) -> Result<(), Error> {
        let attributes = Attributes { mode, ..Attributes::default() };
        self.done(&Request::MakeDirectory { path: owned(path), attributes })
    }

    /// Removes an empty directory.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.rmdir")]
    pub fn remove_directory(&self, path: &[u8]) -> Result<(), Error> {
        self.done(&Request::RemoveDirectory { path: owned(path) })
    }

    /// The absolute path, without links.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.normalize")]
    pub fn real_path(&self, path: &[u8]) -> Result<Bytes, Error> {
        self.name(&Request::RealPath { path: owned(path) })
    }

    /// The absolute path of one that begins with `~`.
    pub fn expand_path(&self, path: &[u8]) -> Result<Bytes, Error> {
        match self.extended(Extensions::EXPAND_PATH, strings(&[path]))? {
            Reply::Names(names) => match <[Name; 1]>::try_from(names) {
                Ok([name]) => Ok(name.name),
                Err(_) => Err(Error::unexpected("one name", "another number of names")),
            },
            other => Err(Error::unexpected("a name", other.kind())),
        }
    }

    /// Renames; an error if `to` exists.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.rename")]
    pub fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        self.done(&Request::Rename { from: owned(from), to: owned(to) })
    }

    /// Renames; what `to` was is gone.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.posix_rename")]
    pub fn posix_rename(&self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        self.extended_done(Extensions::POSIX_RENAME, strings(&[from, to]))
    }

    /// What a link says.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.readlink")]
    pub fn read_link(&self, path: &[u8]) -> Result<Bytes, Error> {
        self.name(&Request::ReadLink { path: owned(path) })
    }

    /// Makes `path` a link that says `target`.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.symlink")]
    pub fn symlink(&self, target: &[u8], path: &[u8]) -> Result<(), Error> {
        self.done(&Request::SymLink { target: owned(target), path: owned(path) })
    }

    /// Makes `path` another name of the file `existing`.
    pub fn hard_link(&self, existing: &[u8], path: &[u8]) -> Result<(), Error> {
        self.extended_done(Extensions::HARDLINK, strings(&[existing, path]))
    }

    /// About the file system that a path is in.
    pub fn file_system(&self, path: &[u8]) -> Result<FileSystem, Error> {
        self.file_system_of(Extensions::STATVFS, path)
    }

    fn file_system_of(&self, name: &'static str, of: &[u8]) -> Result<FileSystem, Error> {
        match self.extended(name, strings(&[of]))? {
            Reply::Extended(fields) => FileSystem::decode(fields)
                .map_err(|_| Error::unexpected("a file system", "something else")),
            other => Err(Error::unexpected("a file system", other.kind())),
        }
    }

    /// The names of users and groups with these numbers, empty where there is none.
    pub fn owner_names(
        &self,
        users: &[u32],
        groups: &[u32],
    ) -> Result<(Vec<Bytes>, Vec<Bytes>), Error> {
        let numbers = |numbers: &[u32]| {
            let mut out = Vec::new();
            numbers.iter().for_each(|number| put_u32(&mut out, *number));
            out
        };
        let fields = strings(&[&numbers(users), &numbers(groups)]);
        match self.extended(Extensions::USERS_GROUPS, fields)? {
            Reply::Extended(fields) => decode_names(fields)
                .ok_or_else(|| Error::unexpected("names of users and groups", "something else")),
            other => Err(Error::unexpected("names of users and groups", other.kind())),
        }
    }
}

fn decode_names(fields: Bytes) -> Option<(Vec<Bytes>, Vec<Bytes>)> {
    let mut lists = Fields::new(fields);
    let mut next = || -> Option<Vec<Bytes>> {
        let mut list = Fields::new(lists.string().ok()?);
        let mut names = Vec::new();
        while !list.is_empty() {
            names.push(list.string().ok()?);
        }
        Some(names)
    };
    Some((next()?, next()?))
}

impl Pending {
    pub(crate) fn done(self) -> Result<(), Error> {
        match self.wait()? {
            Reply::Status(_) => Ok(()),
            other => Err(Error::unexpected("a status", other.kind())),
        }
    }

    pub(crate) fn attributes(self) -> Result<Attributes, Error> {
        match self.wait()? {
            Reply::Attributes(attributes) => Ok(attributes),
            other => Err(Error::unexpected("attributes", other.kind())),
        }
    }

    /// What was read of the `length` bytes that were asked for; `None` at the end of the file.
    pub(crate) fn data(self, length: u32) -> Result<Option<Bytes>, Error> {
        match self.wait() {
            Ok(Reply::Data(data)) if data.len() <= length as usize => Ok(Some(data)),
            Ok(Reply::Data(_)) => Err(Error::unexpected("data", "more data than was asked for")),
            Ok(other) => Err(Error::unexpected("data", other.kind())),
            Err(error) if error.code() == Some(StatusCode::EOF) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// All of these fail with the server's status, or as [`Client::call`] does.
impl Handle {
    pub(crate) fn ask_stat(&self) -> Result<Pending, Error> {
        self.client().ask(&Request::FStat { handle: self.bytes() })
    }

    pub(crate) fn ask_read(&self, offset: u64, length: u32) -> Result<Pending, Error> {
        self.client().ask(&Request::Read { handle: self.bytes(), offset, length })
    }

    pub(crate) fn ask_close(self) -> Result<Pending, Error> {
        let (client, handle) = self.into_parts();
        client.ask(&Request::Close { handle })
    }

    /// The attributes of what is open.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.stat")]
    pub fn stat(&self) -> Result<Attributes, Error> {
        self.ask_stat()?.attributes()
    }

    /// Changes those attributes that are given.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.chmod")]
    #[doc(alias = "paramiko.sftp_file.SFTPFile.chown")]
    #[doc(alias = "paramiko.sftp_file.SFTPFile.utime")]
    #[doc(alias = "paramiko.sftp_file.SFTPFile.truncate")]
    pub fn set_stat(&self, attributes: &Attributes) -> Result<(), Error> {
        let attributes = attributes.clone();
        self.client().done(&Request::FSetStat { handle: self.bytes(), attributes })
    }

    /// What the server gives of `length` bytes at `offset`, which may be fewer; `None` at the end.
    pub fn read(&self, offset: u64, length: u32) -> Result<Option<Bytes>, Error> {
        self.ask_read(offset, length)?.data(length)
    }

    /// Writes all of `data`, which fits into one packet, at `offset`.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.client().done(&Request::Write { handle: self.bytes(), offset, data: owned(data) })
    }

    /// Brings the file to disk.
    pub fn sync(&self) -> Result<(), Error> {
        self.client().extended_done(Extensions::FSYNC, strings(&[&self.bytes()]))
    }

    /// About the file system that it is in.
    pub fn file_system(&self) -> Result<FileSystem, Error> {
        self.client().file_system_of(Extensions::FSTATVFS, &self.bytes())
    }

    /// Copies `length` bytes (0: all that follow) from `offset` into another file, on the server.
    pub fn copy_to(
        &self,
        offset: u64,
        length: u64,
        to: &Handle,
        to_offset: u64,
    ) -> Result<(), Error> {
        let mut fields = strings(&[&self.bytes()]);
        put_u64(&mut fields, offset);
        put_u64(&mut fields, length);
        put_string(&mut fields, &to.bytes());
        put_u64(&mut fields, to_offset);
        self.client().extended_done(Extensions::COPY_DATA, fields)
    }

    /// Closes it, and says what the server says to that.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.close")]
    pub fn close(self) -> Result<(), Error> {
        self.ask_close()?.done()
    }
}
