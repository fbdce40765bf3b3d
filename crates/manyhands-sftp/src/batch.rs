//! Many small files at once.
//!
//! A file costs two round trips: one opens it; in the other its data, its size and the end of it go together. Many files
//! are under way at the same time, so that a batch costs little more than the longest of them. The server obeys the order of
//! requests on one handle.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::attributes::Attributes;
use crate::client::{Client, Ticket};
use crate::errors::Error;
use crate::handle::Handle;
use crate::inbox::{Cancelled, Inbox};
use crate::operations::owned;
use crate::packet::{OpenFlags, Packet, Reply, Request, StatusCode};
use crate::transfer::{Options, read_all, read_fully, write_all};

/// A file of a batch: its path on the server, and here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The path on the server.
    pub remote: Vec<u8>,
    /// The path here.
    pub local: PathBuf,
}

/// Told the number of a file in the batch and how many bytes it had, or why it failed, in the order in which files are
/// done; may stop the batch.
pub type Done<'a> = dyn FnMut(usize, Result<u64, Error>) -> ControlFlow<()> + 'a;

impl Client {
    /// Gets files, up to `at_once` at the same time. One that fails does not stop the others.
    ///
    /// # Errors
    /// The session is over, no answer comes in time, or `done` stops it; errors of single files are what `done` is told.
    pub fn get_many(
        &self,
        files: &[Pair],
        at_once: usize,
        done: &mut Done<'_>,
    ) -> Result<(), Error> {
        Batch::new(self, files, Direction::Get).run(at_once, done)
    }

    /// Puts files, up to `at_once` at the same time. One that fails does not stop the others.
    ///
    /// # Errors
    /// As [`Client::get_many`].
    pub fn put_many(
        &self,
        files: &[Pair],
        at_once: usize,
        done: &mut Done<'_>,
    ) -> Result<(), Error> {
        Batch::new(self, files, Direction::Put).run(at_once, done)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Get,
    Put,
}

/// Which of a file's requests an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Open,
    Stat,
    Move,
}

const STEPS: [Step; 3] = [Step::Open, Step::Stat, Step::Move];

/// A file that is under way.
#[derive(Default)]
struct Active {
    handle: Option<Handle>,
    source: Option<fs::File>,
    attributes: Attributes,
    /// What was read.
    data: Bytes,
    /// How much was written.
    written: u64,
    /// Whether the source may have more.
    has_more: bool,
    missing: usize,
    error: Option<Error>,
}

struct Batch<'a> {
    client: &'a Client,
    files: &'a [Pair],
    direction: Direction,
    inbox: Arc<Inbox>,
    active: HashMap<usize, Active>,
    tickets: HashMap<u64, Ticket>,
}

impl<'a> Batch<'a> {
    fn new(client: &'a Client, files: &'a [Pair], direction: Direction) -> Batch<'a> {
        Batch {
            client,
            files,
            direction,
            inbox: Inbox::new(),
            active: HashMap::new(),
            tickets: HashMap::new(),
        }
    }

    fn run(&mut self, at_once: usize, done: &mut Done<'_>) -> Result<(), Error> {
        // Others of the session may have files open, too.
        let at_once = match usize::try_from(self.client.limits().handles) {
            Ok(0) | Err(_) => at_once,
            Ok(handles) => at_once.min(handles / 2),
        };
        let mut waiting = self.files.iter().enumerate();
        loop {
            while self.active.len() < at_once.max(1) {
                let Some((index, pair)) = waiting.next() else { break };
                if let Err(error) = self.begin(index, pair) {
                    tell(done, index, Err(fatal(error)?))?;
                }
            }
            if self.active.is_empty() {
                return Ok(());
            }
            let (mark, reply) = self.client.wait(&self.inbox)?;
            self.tickets.remove(&mark);
            let index = usize::try_from(mark / 3).unwrap_or(usize::MAX);
            let step = STEPS.get((mark % 3) as usize).copied().unwrap_or(Step::Open);
            if let Some(result) = self.advance(index, step, reply) {
                let result = match result {
                    Err(error) => Err(fatal(error)?),
                    Ok(size) => Ok(size),
                };
                tell(done, index, result)?;
            }
        }
    }

    fn post(&mut self, index: usize, step: Step, packet: Packet) -> Result<(), Error> {
        let mark = index as u64 * 3 + step as u64;
        let ticket = self.client.post(packet, &self.inbox, mark, step == Step::Open)?;
        self.tickets.insert(mark, ticket);
        if let Some(active) = self.active.get_mut(&index) {
            active.missing += 1;
        }
        Ok(())
    }

    fn begin(&mut self, index: usize, pair: &Pair) -> Result<(), Error> {
        let mut active = Active::default();
        let flags = match self.direction {
            Direction::Get => OpenFlags::READ,
            Direction::Put => {
                active.source = Some(fs::File::open(&pair.local)?);
                OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE
            }
        };
        let path = owned(&pair.remote);
        let request = Request::Open { path, flags, attributes: Attributes::default() };
        self.active.insert(index, active);
        let posted = self.post(index, Step::Open, request.encode());
        if posted.is_err() {
            self.active.remove(&index);
        }
        posted
    }

    /// What has become of the file, when it is done.
    fn advance(&mut self, index: usize, step: Step, reply: Reply) -> Option<Result<u64, Error>> {
        let client = self.client;
        let active = self.active.get_mut(&index)?;
        active.missing = active.missing.saturating_sub(1);
        if let Err(error) = active.take(client, step, reply) {
            active.error.get_or_insert(error);
        } else if step == Step::Open
            && let Err(error) = self.go_on(index)
        {
            let active = self.active.get_mut(&index)?;
            active.error.get_or_insert(error);
        }
        if self.active.get(&index)?.missing > 0 {
            return None;
        }
        let active = self.active.remove(&index)?;
        let pair = self.files.get(index)?;
        Some(match self.direction {
            Direction::Get => active.finish_get(&pair.local),
            Direction::Put => active.finish_put(),
        })
    }

    /// It is open: all else that it needs, if it is small, in one go.
    fn go_on(&mut self, index: usize) -> Result<(), Error> {
        let Some(active) = self.active.get_mut(&index) else { return Ok(()) };
        let Some(handle) = active.handle.as_ref().map(Handle::bytes) else { return Ok(()) };
        let limits = self.client.limits();
        let moves = match (self.direction, &mut active.source) {
            (Direction::Put, Some(source)) => {
                let room = limits.write as usize;
                let known = source.metadata()?.len();
                // One byte more shows whether that is all.
                let wanted = usize::try_from(known).unwrap_or(room).saturating_add(1).min(room);
                let (packet, length) =
                    Packet::write(&handle, 0, wanted, |room| read_fully(source, room))?;
                active.written = length as u64;
                active.has_more = length == wanted;
                packet
            }
            _ => {
                let length = limits.read;
                Request::Read { handle: handle.clone(), offset: 0, length }.encode()
            }
        };
        let stat = Request::FStat { handle }.encode();
        match self.direction {
            Direction::Get => {
                self.post(index, Step::Stat, stat)?;
                self.post(index, Step::Move, moves)
            }
            Direction::Put => {
                self.post(index, Step::Move, moves)?;
                self.post(index, Step::Stat, stat)
            }
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for ticket in self.tickets.values() {
            self.client.abandon(*ticket);
        }
        while let Some((_, reply)) = self.inbox.try_take() {
            if let Reply::Handle(handle) = reply {
                self.client.release(handle);
            }
        }
    }
}

impl Active {
    fn take(&mut self, client: &Client, step: Step, reply: Reply) -> Result<(), Error> {
        match (step, reply) {
            (Step::Open, Reply::Handle(handle)) => {
                self.handle = Some(Handle::new(client.clone(), handle));
                Ok(())
            }
            (Step::Stat, Reply::Attributes(attributes)) => {
                self.attributes = attributes;
                Ok(())
            }
            (Step::Move, Reply::Data(data)) if data.len() <= client.limits().read as usize => {
                self.data = data;
                Ok(())
            }
            // That of a write, or of a read of an empty file.
            (Step::Move, Reply::Status(status))
                if matches!(status.code, StatusCode::OK | StatusCode::EOF) =>
            {
                Ok(())
            }
            (_, Reply::Status(status)) => Err(Error::Status(status)),
            (_, other) => Err(Error::unexpected("another answer", other.kind())),
        }
    }

    /// What is open, if nothing was wrong.
    fn opened(&mut self) -> Result<Handle, Error> {
        match (self.error.take(), self.handle.take()) {
            (Some(error), _) => Err(error),
            (None, Some(handle)) => Ok(handle),
            (None, None) => Err(Error::unexpected("a handle", "nothing")),
        }
    }

    fn finish_get(mut self, local: &Path) -> Result<u64, Error> {
        let handle = self.opened()?;
        let mut target = fs::File::create(local)?;
        target.write_all(&self.data)?;
        let here = self.data.len() as u64;
        let size = self.attributes.size.unwrap_or(0);
        if here == 0 || here == size {
            return Ok(here);
        }
        read_all(&handle, here, size, &mut target, Options::default(), &mut |_, _| {
            ControlFlow::Continue(())
        })
    }

    fn finish_put(mut self) -> Result<u64, Error> {
        let handle = self.opened()?;
        let mut size = self.attributes.size;
        let mut sent = self.written;
        if let (true, Some(source)) = (self.has_more, &mut self.source) {
            sent = write_all(&handle, sent, source, 0, &mut |_, _| ControlFlow::Continue(()))?;
            size = handle.stat()?.size;
        }
        match size {
            Some(actual) if actual != sent => {
                Err(Error::SizeMismatch { operation: "put", actual, expected: sent })
            }
            _ => Ok(sent),
        }
    }
}

/// The error, if it is only that of a file.
fn fatal(error: Error) -> Result<Error, Error> {
    match error {
        Error::Ended(_) | Error::TimedOut | Error::Interrupted(_) => Err(error),
        other => Ok(other),
    }
}

fn tell(done: &mut Done<'_>, index: usize, result: Result<u64, Error>) -> Result<(), Error> {
    match done(index, result) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Interrupted(Box::new(Cancelled))),
    }
}
