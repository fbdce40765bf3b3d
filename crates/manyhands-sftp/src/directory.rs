//! Listing directories.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::client::{Client, Ticket};
use crate::errors::Error;
use crate::handle::Handle;
use crate::inbox::Inbox;
use crate::packet::{Name, Reply, Request, StatusCode};

/// Requests that are under way while a directory is listed, at most. The first comes alone: most directories fit
/// into one answer.
const MOST: usize = 8;

/// The entries of a directory, as they come, without `.` and `..`.
///
/// The server hands out each entry once, in one of the answers to requests of which several are under way.
#[derive(Debug)]
pub struct Entries {
    handle: Handle,
    inbox: Arc<Inbox>,
    in_flight: VecDeque<(u64, Ticket)>,
    next: u64,
    most: usize,
    names: std::vec::IntoIter<Name>,
    is_over: bool,
}

impl Client {
    /// All entries of a directory, without `.` and `..`, in the server's order.
    ///
    /// # Errors
    /// The server's status, or as [`Client::call`].
    #[doc(alias = "paramiko.sftp_client.SFTPClient.listdir_attr")]
    pub fn list(&self, path: &[u8]) -> Result<Vec<Name>, Error> {
        self.entries(path)?.collect()
    }

    /// The entries of a directory one by one.
    ///
    /// # Errors
    /// As [`Client::list`].
    #[doc(alias = "paramiko.sftp_client.SFTPClient.listdir_iter")]
    pub fn entries(&self, path: &[u8]) -> Result<Entries, Error> {
        Ok(Entries {
            handle: self.open_directory(path)?,
            inbox: Inbox::new(),
            in_flight: VecDeque::new(),
            next: 0,
            most: 1,
            names: Vec::new().into_iter(),
            is_over: false,
        })
    }
}

impl Entries {
    /// The session, its gate and its limit that it uses from now on.
    pub fn use_client(&mut self, client: &Client) {
        self.handle.use_client(client);
    }

    /// The names of the next answer; false if there is none.
    fn refill(&mut self) -> Result<bool, Error> {
        while !self.is_over && self.in_flight.len() < self.most {
            let request = Request::ReadDirectory { handle: self.handle.bytes() };
            let client = self.handle.client();
            let ticket = client.post(request.encode(), &self.inbox, self.next, false)?;
            self.in_flight.push_back((self.next, ticket));
            self.next += 1;
        }
        if self.in_flight.is_empty() {
            return Ok(false);
        }
        let (mark, reply) = self.handle.client().wait(&self.inbox)?;
        self.in_flight.retain(|(other, _)| *other != mark);
        match reply {
            Reply::Names(names) => {
                self.most = (self.most * 2).min(MOST);
                self.names = names.into_iter();
                Ok(true)
            }
            Reply::Status(status) if status.code == StatusCode::EOF => {
                self.is_over = true;
                Ok(true)
            }
            Reply::Status(status) => Err(Error::Status(status)),
            other => Err(Error::unexpected("names", other.kind())),
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Name, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for name in &mut self.names {
                if !matches!(&*name.name, b"." | b"..") {
                    return Some(Ok(name));
                }
            }
            match self.refill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.is_over = true;
                    self.abandon();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Entries {
    fn abandon(&mut self) {
        for (_, ticket) in self.in_flight.drain(..) {
            self.handle.client().abandon(ticket);
        }
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        self.abandon();
    }
}
