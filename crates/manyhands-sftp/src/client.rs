//! The session: who asked what, and whose the answers are.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;

use crate::errors::{Ended, Error};
use crate::extensions::{Extensions, Limits};
use crate::inbox::{Inbox, Patience, Plain};
use crate::packet::{Packet, Reply, Request, Splitter, StatusCode, Version};
use crate::wire::Malformed;

/// Where packets go.
pub trait Output: Send + Sync {
    /// Takes a packet to be sent after those before, and does not wait: what cannot be sent yet is kept. How much that can be is
    /// bounded by what a client has in flight.
    ///
    /// # Errors
    /// It will never be sent; the session is over.
    fn send(&self, packet: Vec<u8>) -> io::Result<()>;

    /// Nothing more is to be sent.
    fn close(&self);
}

/// A session with a server. Any number of threads may use one at once; a clone is the same session.
///
/// Packets leave through an [`Output`]; whoever reads from the server calls [`Feeder::feed`] with what comes, and
/// [`Feeder::end_of_input`] when nothing more will. [`crate::stream::connect`] does both with two threads. When the last clone is
/// dropped, so is the output.
///
/// # Fork safety
/// A session belongs to the process that made it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    patience: Arc<Patience>,
    timeout: Option<Duration>,
}

struct Shared {
    output: Box<dyn Output>,
    splitter: Mutex<Splitter>,
    table: Mutex<Table>,
    greeting: OnceLock<Greeting>,
    limits: OnceLock<Limits>,
    most_in_flight: AtomicUsize,
}

struct Greeting {
    version: u32,
    extensions: Extensions,
}

/// Who waits for what.
#[derive(Default)]
struct Table {
    next: u32,
    asked: HashMap<u32, Asked>,
    /// Who waits for the version packet.
    greeted: Option<Arc<Inbox>>,
    ended: Option<Ended>,
}

enum Asked {
    By {
        inbox: Arc<Inbox>,
        mark: u64,
        opens: bool,
    },
    /// Nobody waits any more. What the answer opens has to be closed.
    Abandoned {
        opens: bool,
    },
}

/// Where what comes from the server goes. It does not keep the session alive.
#[derive(Clone)]
pub struct Feeder(Weak<Shared>);

impl fmt::Debug for Feeder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Feeder")
    }
}

impl Feeder {
    fn client(&self) -> Option<Client> {
        let shared = self.0.upgrade()?;
        Some(Client { shared, patience: Arc::new(Plain), timeout: None })
    }

    /// Takes what has come from the server. One thread at a time should call it.
    ///
    /// # Errors
    /// The session is over, as what came is not SFTP, or was before.
    pub fn feed(&self, bytes: &[u8]) -> Result<(), Ended> {
        self.client().map_or(Err(Ended::Closed), |client| client.feed(bytes))
    }

    /// The stream has ended: all who wait get an error. The first reason stays.
    pub fn end(&self, reason: Ended) {
        if let Some(client) = self.client() {
            client.end(reason);
        }
    }

    /// The server has closed its side: in the middle of a packet or not.
    pub fn end_of_input(&self) {
        if let Some(client) = self.client() {
            let is_between = lock(&client.shared.splitter).is_between();
            client.end(if is_between { Ended::ByServer } else { Ended::Torn });
        }
    }
}

/// Which of its sender's requests an answer belongs to, and the number that it has in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// A session that has not begun: feed its [`Client::feeder`], then call [`Client::begin`].
    pub fn new(output: impl Output + 'static) -> Client {
        Client {
            shared: Arc::new(Shared {
                output: Box::new(output),
                splitter: Mutex::new(Splitter::default()),
                table: Mutex::new(Table::default()),
                greeting: OnceLock::new(),
                limits: OnceLock::new(),
                most_in_flight: AtomicUsize::new(0),
            }),
            patience: Arc::new(Plain),
            timeout: None,
        }
    }

    /// The same session, whose waits go through that gate.
    #[must_use]
    pub fn with_patience(&self, patience: Arc<Patience>) -> Client {
        Client { patience, ..self.clone() }
    }

    /// The same session, with so much time for each answer; `None` is as long as it takes. In a transfer it is the time
    /// without any answer.
    #[must_use]
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Client {
        Client { timeout, ..self.clone() }
    }

    /// Where what comes from the server is to be put.
    pub fn feeder(&self) -> Feeder {
        Feeder(Arc::downgrade(&self.shared))
    }

    /// Greets the server: asks for version 3, learns its extensions and its limits. Returns its version.
    ///
    /// # Errors
    /// The server does not answer, or not with version 3.
    #[doc(alias = "paramiko.sftp.BaseSFTP._send_version")]
    pub fn begin(&self) -> Result<u32, Error> {
        let inbox = Inbox::new();
        {
            let mut table = lock(&self.shared.table);
            if let Some(ended) = &table.ended {
                return Err(ended.clone().into());
            }
            table.greeted = Some(Arc::clone(&inbox));
            self.send(Packet::init())?;
        }
        inbox.take(&*self.patience, self.timeout)?;
        let Some(greeting) = self.shared.greeting.get() else { return Err(Ended::Closed.into()) };
        if greeting.version < 3 {
            let ended = Ended::Version(greeting.version);
            self.end(ended.clone());
            return Err(ended.into());
        }
        let limits = self.ask_limits()?;
        self.shared.limits.get_or_init(|| limits);
        Ok(greeting.version)
    }

    fn ask_limits(&self) -> Result<Limits, Error> {
        if !self.extensions().has(Extensions::LIMITS) {
            return Ok(Limits::default());
        }
        match self.call(&Request::Extended {
            name: Bytes::from_static(Extensions::LIMITS.as_bytes()),
            fields: Bytes::new(),
        }) {
            Ok(Reply::Extended(fields)) => Ok(Limits::decode(fields).unwrap_or_default()),
            Ok(reply) => Err(Error::unexpected("limits", reply.kind())),
            // It offers them and does not tell.
            Err(Error::Status(_)) => Ok(Limits::default()),
            Err(error) => Err(error),
        }
    }

    /// The extensions that the server offers; none before [`Client::begin`].
    pub fn extensions(&self) -> &Extensions {
        static NONE: Extensions = Extensions::none();
        self.shared.greeting.get().map_or(&NONE, |greeting| &greeting.extensions)
    }

    /// How much the server takes and gives at once.
    pub fn limits(&self) -> Limits {
        self.shared.limits.get().copied().unwrap_or_default()
    }

    /// How many requests have no answer yet.
    pub fn in_flight(&self) -> usize {
        lock(&self.shared.table).asked.len()
    }

    /// How many requests had no answer yet when there were most of them.
    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::Relaxed)
    }

    /// Why the session is over, if it is.
    pub fn ended(&self) -> Option<Ended> {
        lock(&self.shared.table).ended.clone()
    }

    fn feed(&self, bytes: &[u8]) -> Result<(), Ended> {
        let fed = lock(&self.shared.splitter).feed(bytes, |packet| self.take(packet));
        if let Err(malformed) = fed {
            self.end(malformed.into());
        }
        self.ended().map_or(Ok(()), Err)
    }

    /// The stream has ended: all who wait get an error. The first reason stays.
    pub(crate) fn end(&self, reason: Ended) {
        let (waiting, greeted) = {
            let mut table = lock(&self.shared.table);
            if table.ended.is_some() {
                return;
            }
            table.ended = Some(reason.clone());
            (std::mem::take(&mut table.asked), table.greeted.take())
        };
        self.shared.output.close();
        for asked in waiting.into_values() {
            if let Asked::By { inbox, .. } = asked {
                inbox.end(&reason);
            }
        }
        if let Some(inbox) = greeted {
            inbox.end(&reason);
        }
    }

    /// Ends the session from this side.
    #[doc(alias = "paramiko.sftp_client.SFTPClient.close")]
    pub fn close(&self) {
        self.end(Ended::Closed);
    }

    /// A packet of the server's.
    fn take(&self, packet: Bytes) -> Result<(), Malformed> {
        if let Some(version) = Reply::decode_version(&packet) {
            return self.take_version(version?);
        }
        let (id, reply) = Reply::decode(packet)?;
        let asked = {
            let mut table = lock(&self.shared.table);
            if table.ended.is_some() {
                return Ok(());
            }
            table.asked.remove(&id).ok_or(Malformed::Unasked(id))?
        };
        match (asked, reply) {
            (Asked::By { inbox, mark, .. }, reply) => inbox.put(mark, reply),
            (Asked::Abandoned { opens: true }, Reply::Handle(handle)) => self.release(handle),
            (Asked::Abandoned { .. }, _) => {}
        }
        Ok(())
    }

    fn take_version(&self, (version, extensions): Version) -> Result<(), Malformed> {
        let waiting = lock(&self.shared.table).greeted.take().ok_or(Malformed::Version)?;
        let greeting = Greeting { version, extensions: Extensions::new(extensions) };
        self.shared.greeting.get_or_init(|| greeting);
        waiting.put(0, Reply::Extended(Bytes::new()));
        Ok(())
    }

    fn send(&self, packet: Vec<u8>) -> Result<(), Error> {
        self.shared
            .output
            .send(packet)
            .map_err(|error| Error::Ended(Ended::Broken(error.to_string())))
    }

    fn post_as(&self, packet: Packet, asked: impl FnOnce() -> Asked) -> Result<Ticket, Error> {
        let length = packet.len();
        if length > Packet::LIMIT.max(self.limits().packet as usize) {
            return Err(Error::TooLong(length));
        }
        let failed = {
            let mut table = lock(&self.shared.table);
            if let Some(ended) = &table.ended {
                return Err(ended.clone().into());
            }
            let mut id = table.next;
            while table.asked.contains_key(&id) {
                id = id.wrapping_add(1);
            }
            table.next = id.wrapping_add(1);
            let Some(packet) = packet.finish(id) else { return Err(Error::TooLong(length)) };
            table.asked.insert(id, asked());
            self.shared.most_in_flight.fetch_max(table.asked.len(), Ordering::Relaxed);
            match self.send(packet) {
                Ok(()) => return Ok(Ticket(id)),
                Err(error) => error,
            }
        };
        if let Error::Ended(ended) = &failed {
            self.end(ended.clone());
        }
        Err(failed)
    }

    /// Sends a request whose answer goes to `inbox`, with the mark.
    pub(crate) fn post(
        &self,
        packet: Packet,
        inbox: &Arc<Inbox>,
        mark: u64,
        opens: bool,
    ) -> Result<Ticket, Error> {
        self.post_as(packet, || Asked::By { inbox: Arc::clone(inbox), mark, opens })
    }

    /// Nobody waits for that answer any more.
    pub(crate) fn abandon(&self, ticket: Ticket) {
        if let Some(asked) = lock(&self.shared.table).asked.get_mut(&ticket.0)
            && let Asked::By { opens, .. } = asked
        {
            *asked = Asked::Abandoned { opens: *opens };
        }
    }

    /// Closes a handle, whatever the server says to that.
    pub(crate) fn release(&self, handle: Bytes) {
        // A session that is over has closed all.
        let _ =
            self.post_as(Request::Close { handle }.encode(), || Asked::Abandoned { opens: false });
    }

    /// Waits for the next answer in `inbox`.
    pub(crate) fn wait(&self, inbox: &Inbox) -> Result<(u64, Reply), Error> {
        inbox.take(&*self.patience, self.timeout)
    }

    /// Sends a request and waits for the answer. A status that is not `OK` is an error.
    ///
    /// # Errors
    /// The server's status, no answer in time, a session that is over.
    pub fn call(&self, request: &Request) -> Result<Reply, Error> {
        self.ask(request)?.wait()
    }

    /// Sends a request, whose answer can be waited for. The server obeys the order of requests.
    pub(crate) fn ask(&self, request: &Request) -> Result<Pending, Error> {
        let inbox = Inbox::new();
        let ticket = self.post(request.encode(), &inbox, 0, request.opens())?;
        Ok(Pending { client: self.clone(), inbox, ticket: Some(ticket) })
    }
}

/// A request that was sent, and whose answer nobody has taken. Dropping it forgets the answer, and closes what it opens.
#[derive(Debug)]
pub(crate) struct Pending {
    client: Client,
    inbox: Arc<Inbox>,
    ticket: Option<Ticket>,
}

impl Pending {
    /// Waits for the answer, as [`Client::call`].
    pub(crate) fn wait(mut self) -> Result<Reply, Error> {
        let (_, reply) = self.client.wait(&self.inbox)?;
        self.ticket = None;
        match reply {
            Reply::Status(status) if status.code != StatusCode::OK => Err(Error::Status(status)),
            reply => Ok(reply),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        self.client.abandon(ticket);
        // It may have come just now.
        if let Some((_, Reply::Handle(handle))) = self.inbox.try_take() {
            self.client.release(handle);
        }
    }
}
