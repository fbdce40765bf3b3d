//! Reading a stretch of a file with many requests under way.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::client::{Client, Ticket};
use crate::errors::Error;
use crate::handle::Handle;
use crate::inbox::Inbox;
use crate::packet::{Reply, Request, Status, StatusCode};
use crate::window::{REQUESTS, Window};

/// How a stretch is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Where it begins.
    pub(crate) offset: u64,
    /// Nothing at or behind this is asked for.
    pub(crate) end: Option<u64>,
    /// Where the file probably ends.
    pub(crate) size: u64,
    /// How much the first request asks for.
    pub(crate) first_chunk: u32,
    /// How much a request asks for later.
    pub(crate) chunk: u32,
    /// Requests under way at first.
    pub(crate) first_window: usize,
    /// Requests under way at most.
    pub(crate) most: Option<usize>,
}

impl Plan {
    /// For all of a file: at once as much as the server gives.
    pub(crate) fn whole(client: &Client, size: u64, most: Option<usize>) -> Plan {
        let chunk = client.limits().read;
        Plan { offset: 0, end: None, size, first_chunk: chunk, chunk, first_window: 16, most }
    }
}

/// The data of a file in order, in the pieces in which it comes.
///
/// The pieces are kept in the order of their offsets. What is known of the end is what the server says of the first piece
/// that it has nothing for: whatever came for places behind that, of a file that grows or shrinks meanwhile, is dropped.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    client: Client,
    handle: Bytes,
    inbox: Arc<Inbox>,
    pieces: VecDeque<Piece>,
    window: Window,
    plan: Plan,
    /// Where the next request begins.
    asked: u64,
    /// Up to where data has been given out.
    given: u64,
    next_mark: u64,
    chunk: u32,
    /// How many requests may look behind the size whether the file goes on there: twice as many each time it does.
    probes: usize,
    is_over: bool,
}

#[derive(Debug)]
struct Piece {
    offset: u64,
    length: u32,
    mark: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Asked(Ticket),
    Here(Bytes),
    End,
    Failed(Status),
}

impl ReadAhead {
    pub(crate) fn new(handle: &Handle, plan: Plan) -> ReadAhead {
        let client = handle.client().clone();
        ReadAhead {
            window: Window::new(plan.first_window, plan.chunk, plan.most),
            handle: handle.bytes(),
            inbox: Inbox::new(),
            pieces: VecDeque::new(),
            asked: plan.offset,
            given: plan.offset,
            next_mark: 0,
            chunk: plan.first_chunk,
            probes: 1,
            is_over: false,
            client,
            plan,
        }
    }

    pub(crate) fn use_client(&mut self, client: &Client) {
        self.client = client.clone();
    }

    /// Where the next piece begins.
    pub(crate) fn position(&self) -> u64 {
        self.given
    }

    /// Up to where data has been asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    /// Sends requests as far as the window is open.
    pub(crate) fn fill(&mut self) -> Result<(), Error> {
        while !self.is_over && self.window.has_room(self.pieces.len()) {
            let end = self.plan.end.unwrap_or(u64::MAX);
            let is_probe = self.asked >= self.plan.size;
            if self.asked >= end || (is_probe && self.count_probes() >= self.probes) {
                return Ok(());
            }
            let border = if is_probe { end } else { end.min(self.plan.size) };
            let length = u64::from(self.chunk).min(border - self.asked);
            let length = u32::try_from(length).unwrap_or(self.chunk);
            let piece = self.ask(self.asked, length)?;
            self.pieces.push_back(piece);
            self.asked += u64::from(length);
            self.chunk = self.chunk.saturating_mul(2).min(self.plan.chunk);
        }
        Ok(())
    }

    fn count_probes(&self) -> usize {
        let is_probe = |piece: &&Piece| piece.offset >= self.plan.size;
        self.pieces.iter().rev().take_while(is_probe).count()
    }

    fn ask(&mut self, offset: u64, length: u32) -> Result<Piece, Error> {
        let mark = self.next_mark;
        self.next_mark += 1;
        let request = Request::Read { handle: self.handle.clone(), offset, length };
        let ticket = self.client.post(request.encode(), &self.inbox, mark, false)?;
        Ok(Piece { offset, length, mark, state: State::Asked(ticket) })
    }

    /// The next piece; `None` at the end of the file, or of the stretch.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.fill()?;
        loop {
            match self.pieces.front() {
                None => return Ok(None),
                Some(Piece { state: State::Asked(_), .. }) => {
                    let (mark, reply) = self.client.wait(&self.inbox)?;
                    self.take(mark, reply)?;
                    while let Some((mark, reply)) = self.inbox.try_take() {
                        self.take(mark, reply)?;
                    }
                    continue;
                }
                Some(_) => {}
            }
            match self.pieces.pop_front().map(|piece| piece.state) {
                Some(State::Here(data)) => {
                    self.given += data.len() as u64;
                    return Ok(Some(data));
                }
                Some(State::Failed(status)) => {
                    self.finish();
                    return Err(Error::Status(status));
                }
                _ => {
                    self.finish();
                    return Ok(None);
                }
            }
        }
    }

    fn take(&mut self, mark: u64, reply: Reply) -> Result<(), Error> {
        let Some(index) = self.pieces.iter().position(|piece| piece.mark == mark) else {
            return Ok(());
        };
        self.window.widen();
        let mut rest = None;
        if let Some(piece) = self.pieces.get_mut(index) {
            piece.state = match reply {
                Reply::Data(data) if data.len() > piece.length as usize => {
                    return Err(Error::unexpected("data", "more data than was asked for"));
                }
                Reply::Data(data) if data.is_empty() => State::End,
                Reply::Data(data) => {
                    let length = u32::try_from(data.len()).unwrap_or(piece.length);
                    let end = piece.offset + u64::from(length);
                    if length < piece.length {
                        rest = Some((end, piece.length - length));
                        piece.length = length;
                    } else if end > self.plan.size {
                        self.probes = (self.probes * 2).min(REQUESTS);
                    }
                    self.plan.size = self.plan.size.max(end);
                    State::Here(data)
                }
                Reply::Status(status) if status.code == StatusCode::EOF => State::End,
                Reply::Status(status) => State::Failed(status),
                other => return Err(Error::unexpected("data", other.kind())),
            };
        }
        if let Some((offset, length)) = rest {
            let piece = self.ask(offset, length)?;
            self.pieces.insert(index + 1, piece);
        }
        Ok(())
    }

    /// Nobody waits for what is still under way.
    fn finish(&mut self) {
        self.is_over = true;
        for piece in self.pieces.drain(..) {
            if let State::Asked(ticket) = piece.state {
                self.client.abandon(ticket);
            }
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.finish();
    }
}
