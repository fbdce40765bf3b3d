//! Whole files, to and fro.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use crate::attributes::Attributes;
use crate::client::{Client, Pending};
use crate::errors::Error;
use crate::handle::Handle;
use crate::inbox::Cancelled;
use crate::packet::{OpenFlags, Packet};
use crate::reads::{Plan, ReadAhead};
use crate::writes::WriteBehind;

/// Told how much has been transferred of how much (0: it is not known); may stop the transfer.
pub type Progress<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;

/// How a file is transferred.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many reads are under way at most; `None` is as many as are of use.
    pub most_reads: Option<usize>,
    /// Whether to look after a `put` that the file has the size that was sent.
    pub confirm: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { most_reads: None, confirm: true }
    }
}

fn report(progress: &mut Progress<'_>, done: u64, all: u64) -> Result<(), Error> {
    match progress(done, all) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Interrupted(Box::new(Cancelled))),
    }
}

impl Client {
    /// Writes all of a file of the server's to `writer`, in order, and returns how much that was. Many reads are under way at
    /// once. A file that grows is read to its new end, one that shrinks to the end that it has when that is reached.
    ///
    /// # Errors
    /// The server's status, the writer's error, a progress that stops; or as [`Client::call`].
    #[doc(alias = "paramiko.sftp_client.SFTPClient.getfo")]
    pub fn get(
        &self,
        path: &[u8],
        writer: &mut dyn Write,
        options: Options,
        progress: &mut Progress<'_>,
    ) -> Result<u64, Error> {
        let handle = self.open_handle(path, OpenFlags::READ, &Attributes::default())?;
        // The size, and all of a small file: one round trip. Nobody waits for the close.
        let length = self.limits().read;
        let (stat, first) = (handle.ask_stat()?, handle.ask_read(0, length)?);
        let size = stat.attributes()?.size.unwrap_or(0);
        let Some(data) = first.data(length)?.filter(|data| !data.is_empty()) else { return Ok(0) };
        let here = data.len() as u64;
        writer.write_all(&data)?;
        report(progress, here, size)?;
        if here == size {
            return Ok(here);
        }
        read_all(&handle, here, size, writer, options, progress)
    }

    /// Writes all that `reader` has into a file of the server's, which is made or emptied, and returns its attributes afterwards
    /// (none if they are not asked for, see [`Options::confirm`]). Many writes are under way at once, and each is acknowledged
    /// before this returns. `size` is only for the progress.
    ///
    /// # Errors
    /// The server's status, the reader's error, a progress that stops, another size than was sent; or as [`Client::call`].
    #[doc(alias = "paramiko.sftp_client.SFTPClient.putfo")]
    pub fn put(
        &self,
        reader: &mut dyn Read,
        path: &[u8],
        size: u64,
        options: Options,
        progress: &mut Progress<'_>,
    ) -> Result<Attributes, Error> {
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let handle = self.open_handle(path, flags, &Attributes::default())?;
        let mut writes = WriteBehind::new(&handle);
        let sent = send_all(&handle, &mut writes, 0, reader, size, progress)?;
        // The server obeys the order, so nobody has to wait for the writes before that.
        let stat = options.confirm.then(|| handle.ask_stat()).transpose()?;
        let close = handle.ask_close()?;
        writes.finish()?;
        let attributes = stat.map_or(Ok(Attributes::default()), Pending::attributes)?;
        close.done()?;
        match attributes.size {
            Some(actual) if actual != sent => {
                Err(Error::SizeMismatch { operation: "put", actual, expected: sent })
            }
            _ => Ok(attributes),
        }
    }
}

/// All from `offset` on; returns where it ends.
pub(crate) fn read_all(
    handle: &Handle,
    offset: u64,
    size: u64,
    writer: &mut dyn Write,
    options: Options,
    progress: &mut Progress<'_>,
) -> Result<u64, Error> {
    let plan = Plan::whole(handle.client(), size, options.most_reads);
    let mut reads = ReadAhead::new(handle, Plan { offset, ..plan });
    let mut done = offset;
    while let Some(data) = reads.next()? {
        // The server goes on while this writes.
        reads.fill()?;
        writer.write_all(&data)?;
        done += data.len() as u64;
        report(progress, done, size)?;
    }
    Ok(done)
}

/// All that `reader` has, to `offset` and on; returns where it ends.
pub(crate) fn write_all(
    handle: &Handle,
    offset: u64,
    reader: &mut dyn Read,
    size: u64,
    progress: &mut Progress<'_>,
) -> Result<u64, Error> {
    let mut writes = WriteBehind::new(handle);
    let done = send_all(handle, &mut writes, offset, reader, size, progress)?;
    writes.finish()?;
    Ok(done)
}

/// As [`write_all`], without waiting for what is under way.
fn send_all(
    handle: &Handle,
    writes: &mut WriteBehind,
    offset: u64,
    reader: &mut dyn Read,
    size: u64,
    progress: &mut Progress<'_>,
) -> Result<u64, Error> {
    let name = handle.bytes();
    let chunk = handle.client().limits().write as usize;
    let mut done = offset;
    loop {
        let (packet, length) = Packet::write(&name, done, chunk, |room| read_fully(reader, room))?;
        if length == 0 {
            break;
        }
        writes.send(packet)?;
        done += length as u64;
        report(progress, done, size)?;
    }
    Ok(done)
}

/// As much as there is, up to the whole of `room`.
pub(crate) fn read_fully(reader: &mut dyn Read, room: &mut [u8]) -> Result<usize, io::Error> {
    let mut filled = 0;
    while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
