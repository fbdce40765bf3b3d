//! A file of the server's that is read and written as one here.

use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

use bytes::{Buf, Bytes};

use crate::attributes::Attributes;
use crate::client::Client;
use crate::errors::{Ended, Error};
use crate::handle::Handle;
use crate::packet::{OpenFlags, Packet};
use crate::ranges::Ranges;
use crate::reads::{Plan, ReadAhead};
use crate::writes::WriteBehind;

/// What the first request of a read asks for at least; later ones ask for more.
const FIRST: u32 = 32 * 1024;

/// An open file, with a position.
///
/// * Who reads on and on gets what was asked for ahead: more of it the longer it goes on. Data that has been asked for
///   ahead is as old as that.
/// * A write is sent at once and not waited for. What the server says against it is the error of a later write, of
///   [`File::flush`] or of [`File::close`], as is that of a read, `stat` or `truncate`, before which all writes are waited for.
///
/// Dropping it closes it, without waiting and without a word of errors.
#[derive(Debug)]
pub struct File {
    /// `None` once it is closed.
    handle: Option<Handle>,
    flags: OpenFlags,
    position: u64,
    reads: Option<ReadAhead>,
    /// What follows at `position`, if there is a `reads`.
    buffer: Bytes,
    writes: WriteBehind,
}

impl Client {
    /// Opens a file. One that is opened for appending stands at its end.
    ///
    /// # Errors
    /// The server's status, or as [`Client::call`].
    #[doc(alias = "paramiko.sftp_client.SFTPClient.open")]
    pub fn open_file(&self, path: &[u8], flags: OpenFlags) -> Result<File, Error> {
        let handle = self.open_handle(path, flags, &Attributes::default())?;
        let position = match flags.contains(OpenFlags::APPEND) {
            true => handle.stat()?.size.unwrap_or(0),
            false => 0,
        };
        let writes = WriteBehind::new(&handle);
        let buffer = Bytes::new();
        Ok(File { handle: Some(handle), flags, position, reads: None, buffer, writes })
    }
}

/// All of these fail with the server's status, or as [`Client::call`] does; [`Ended::Closed`] if the file is closed.
impl File {
    /// What the server calls it.
    pub fn handle(&self) -> Result<&Handle, Error> {
        self.handle.as_ref().ok_or(Error::Ended(Ended::Closed))
    }

    /// The session, its gate and its limit that it uses from now on.
    pub fn use_client(&mut self, client: &Client) {
        if let Some(handle) = &mut self.handle {
            handle.use_client(client);
            self.writes.use_client(client);
            if let Some(reads) = &mut self.reads {
                reads.use_client(client);
            }
        }
    }

    /// Where it reads and writes next.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.tell")]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Sets the position, which may be behind the end.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.seek")]
    pub fn seek_to(&mut self, to: SeekFrom) -> Result<u64, Error> {
        let (base, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::Current(offset) => (self.position, offset),
            SeekFrom::End(offset) => (self.stat()?.size.unwrap_or(0), offset),
        };
        let position = base.checked_add_signed(offset).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a position before the file's begin")
        })?;
        self.handle()?;
        if position != self.position {
            self.move_to(position);
        }
        Ok(position)
    }

    /// Keeps what is here already, or has been asked for, if the new position is among it.
    fn move_to(&mut self, position: u64) {
        let forward = position.checked_sub(self.position);
        self.position = position;
        match (forward, &self.reads) {
            (Some(distance), Some(_)) if distance <= self.buffer.len() as u64 => {
                self.buffer.advance(usize::try_from(distance).unwrap_or(usize::MAX));
            }
            (Some(_), Some(reads)) if position < reads.asked() => self.buffer.clear(),
            _ => self.forget(),
        }
    }

    fn forget(&mut self) {
        self.reads = None;
        self.buffer.clear();
    }

    /// What follows, at least a byte but at the end; it is at hand, and stays until it is consumed.
    fn ahead(&mut self, wanted: usize) -> Result<&Bytes, Error> {
        if !self.buffer.is_empty() {
            return Ok(&self.buffer);
        }
        if !self.flags.contains(OpenFlags::READ) {
            return Err(Error::Mode("reading"));
        }
        self.settle()?;
        if self.reads.is_none() {
            let plan = self.plan(wanted)?;
            self.reads = Some(ReadAhead::new(self.handle()?, plan));
        }
        while let Some(reads) = &mut self.reads {
            let begin = reads.position();
            match reads.next()? {
                None => {
                    // Whoever reads again looks again whether there is more.
                    self.reads = None;
                }
                Some(mut piece) => {
                    // After a seek forward, what was skipped.
                    let skipped = usize::try_from(self.position - begin).unwrap_or(usize::MAX);
                    piece.advance(skipped.min(piece.len()));
                    if !piece.is_empty() {
                        self.buffer = piece;
                        break;
                    }
                }
            }
        }
        Ok(&self.buffer)
    }

    /// As much as is wanted now, and little ahead.
    fn plan(&self, wanted: usize) -> Result<Plan, Error> {
        let chunk = self.handle()?.client().limits().read;
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let first_chunk = wanted.max(FIRST).min(chunk);
        Ok(Plan {
            offset: self.position,
            end: None,
            size: self.position.saturating_add(u64::from(wanted)),
            first_chunk,
            chunk,
            first_window: (wanted.div_ceil(chunk.max(1)) as usize).min(16),
            most: None,
        })
    }

    /// Reads `length` bytes, fewer only at the end of the file.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.read")]
    pub fn read_up_to(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        self.handle()?;
        let mut out = Vec::with_capacity(length.min(1 << 20));
        while out.len() < length {
            let missing = length - out.len();
            let ahead = self.ahead(missing)?;
            if ahead.is_empty() {
                break;
            }
            let count = ahead.len().min(missing);
            out.extend_from_slice(ahead.get(..count).unwrap_or_default());
            self.skip(count);
        }
        Ok(out)
    }

    /// Reads all that follows.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.read")]
    pub fn read_rest(&mut self) -> Result<Vec<u8>, Error> {
        if !self.flags.contains(OpenFlags::READ) {
            return Err(Error::Mode("reading"));
        }
        let size = self.stat()?.size.unwrap_or(0);
        let rest = usize::try_from(size.saturating_sub(self.position)).unwrap_or(usize::MAX);
        if self.reads.is_none() {
            self.prefetch(Some(size), None)?;
        }
        // What a server says of a size is not believed for more than this.
        let mut out = Vec::with_capacity(rest.min(64 << 20));
        loop {
            let ahead = self.ahead(0)?;
            if ahead.is_empty() {
                return Ok(out);
            }
            out.extend_from_slice(ahead);
            let count = ahead.len();
            self.skip(count);
        }
    }

    fn skip(&mut self, count: usize) {
        let count = count.min(self.buffer.len());
        self.buffer.advance(count);
        self.position += count as u64;
    }

    /// Begins to read all from here to `size` (`None`: the size that the file has), with at most so many requests under way.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.prefetch")]
    pub fn prefetch(&mut self, size: Option<u64>, most: Option<usize>) -> Result<(), Error> {
        if !self.flags.contains(OpenFlags::READ) {
            return Err(Error::Mode("reading"));
        }
        self.settle()?;
        let handle = self.handle()?;
        let size = match size {
            Some(size) => size,
            None => handle.stat()?.size.unwrap_or(0),
        };
        let plan = Plan { offset: self.position, ..Plan::whole(handle.client(), size, most) };
        let mut reads = ReadAhead::new(handle, plan);
        reads.fill()?;
        self.buffer.clear();
        self.reads = Some(reads);
        Ok(())
    }

    /// Reads these stretches (offset and length), many at once. A stretch is shorter where the file ends. The position
    /// stays.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.readv")]
    pub fn read_ranges(&mut self, ranges: Vec<(u64, u64)>) -> Result<Ranges, Error> {
        if !self.flags.contains(OpenFlags::READ) {
            return Err(Error::Mode("reading"));
        }
        self.settle()?;
        Ok(Ranges::new(self.handle()?, ranges))
    }

    /// Writes all of it; see [`File`] for when an error of that is known.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.write")]
    pub fn write_data(&mut self, data: &[u8]) -> Result<(), Error> {
        if !self.flags.contains(OpenFlags::WRITE) {
            return Err(Error::Mode("writing"));
        }
        self.forget();
        let handle = self.handle()?;
        let (name, chunk) = (handle.bytes(), handle.client().limits().write as usize);
        for part in data.chunks(chunk.max(1)) {
            let (packet, _) = Packet::write(&name, self.position, part.len(), |room| {
                room.copy_from_slice(part);
                Ok::<_, Error>(part.len())
            })?;
            self.writes.send(packet)?;
            self.position += part.len() as u64;
        }
        Ok(())
    }

    /// Waits until all writes have been acknowledged.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.flush")]
    pub fn settle(&mut self) -> Result<(), Error> {
        self.handle()?;
        self.writes.finish()
    }

    /// The attributes, after all writes.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.stat")]
    pub fn stat(&mut self) -> Result<Attributes, Error> {
        self.settle()?;
        self.handle()?.stat()
    }

    /// Changes those attributes that are given, after all writes.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.truncate")]
    pub fn set_stat(&mut self, attributes: &Attributes) -> Result<(), Error> {
        self.settle()?;
        if attributes.size.is_some() {
            self.forget();
        }
        self.handle()?.set_stat(attributes)
    }

    /// Closes it, and reports what was wrong with a write. Closing once more does nothing.
    #[doc(alias = "paramiko.sftp_file.SFTPFile.close")]
    pub fn close(&mut self) -> Result<(), Error> {
        self.forget();
        let Some(handle) = self.handle.take() else { return Ok(()) };
        let settled = self.writes.finish();
        match (settled, handle.close()) {
            (Err(error), _) => Err(error),
            (Ok(()), closed) => closed,
        }
    }
}

impl Read for File {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let ahead = self.ahead(out.len())?;
        let count = ahead.len().min(out.len());
        for (place, byte) in out.iter_mut().zip(ahead.iter().take(count)) {
            *place = *byte;
        }
        self.skip(count);
        Ok(count)
    }
}

impl BufRead for File {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.handle()?;
        Ok(self.ahead(FIRST as usize)?)
    }

    fn consume(&mut self, count: usize) {
        self.skip(count);
    }
}

impl Write for File {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_data(data)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.settle()?)
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        Ok(self.seek_to(to)?)
    }
}
