//! Writing with many requests under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::client::{Client, Ticket};
use crate::errors::Error;
use crate::handle::Handle;
use crate::inbox::Inbox;
use crate::packet::{Packet, Reply, StatusCode};
use crate::window::{Flow, REQUESTS};

#[derive(Debug)]
struct Write {
    mark: u64,
    ticket: Ticket,
    length: usize,
    sent: Instant,
}

/// Writes that are under way. An error is kept until somebody asks; then nothing more is sent before.
#[derive(Debug)]
pub(crate) struct WriteBehind {
    client: Client,
    inbox: Arc<Inbox>,
    in_flight: VecDeque<Write>,
    bytes: usize,
    flow: Flow,
    next: u64,
    error: Option<Error>,
}

impl WriteBehind {
    pub(crate) fn new(handle: &Handle) -> WriteBehind {
        WriteBehind {
            client: handle.client().clone(),
            inbox: Inbox::new(),
            in_flight: VecDeque::new(),
            bytes: 0,
            flow: Flow::new(),
            next: 0,
            error: None,
        }
    }

    pub(crate) fn use_client(&mut self, client: &Client) {
        self.client = client.clone();
    }

    /// Sends a write, when there is room for it.
    ///
    /// # Errors
    /// That of an earlier write; this one is not sent then.
    pub(crate) fn send(&mut self, packet: Packet) -> Result<(), Error> {
        while let Some((mark, reply)) = self.inbox.try_take() {
            self.take(mark, reply);
        }
        let length = packet.len();
        while self.in_flight.len() >= REQUESTS || !self.flow.has_room(self.bytes, length) {
            self.wait()?;
        }
        self.check()?;
        let mark = self.next;
        let ticket = self.client.post(packet, &self.inbox, mark, false)?;
        self.next += 1;
        self.bytes += length;
        self.in_flight.push_back(Write { mark, ticket, length, sent: Instant::now() });
        Ok(())
    }

    /// Waits until all has been acknowledged.
    ///
    /// # Errors
    /// The first that the server said to any of them.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        while !self.in_flight.is_empty() {
            self.wait()?;
        }
        self.check()
    }

    fn wait(&mut self) -> Result<(), Error> {
        let (mark, reply) = self.client.wait(&self.inbox)?;
        self.take(mark, reply);
        Ok(())
    }

    fn check(&mut self) -> Result<(), Error> {
        self.error.take().map_or(Ok(()), Err)
    }

    fn take(&mut self, mark: u64, reply: Reply) {
        let index = self.in_flight.iter().position(|write| write.mark == mark);
        if let Some(write) = index.and_then(|index| self.in_flight.remove(index)) {
            self.flow.learn(write.length, write.sent.elapsed(), self.bytes);
            self.bytes -= write.length;
        }
        let error = match reply {
            Reply::Status(status) if status.code == StatusCode::OK => return,
            Reply::Status(status) => Error::Status(status),
            other => Error::unexpected("a status", other.kind()),
        };
        self.error.get_or_insert(error);
    }
}

impl Drop for WriteBehind {
    fn drop(&mut self) {
        for write in self.in_flight.drain(..) {
            self.client.abandon(write.ticket);
        }
    }
}
