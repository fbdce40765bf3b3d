//! A connection with a server: how requests go over it, and how it is mended.
//!
//! A server of ours answers `accept_connection` with a dict. With such a one everything goes over this connection, and each
//! request has a number, so that one that is sent again after the connection broke is carried out once.

use std::io;
use std::time::{Duration, Instant};

use manyhands_wire::{Address, ConnectError, Connection, ReceiveError, SendError, connect};

use super::errors::CallError;
use super::request::{Content, Request, read};
use crate::pickle::Plain;

/// How long to wait before the first attempt to connect again, and at most before another.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// For how long that goes on.
const PERSISTENCE: Duration = Duration::from_secs(5);

/// How long letting go of an object may take where it needs an answer.
const HASTE: Duration = Duration::from_secs(1);

/// What a server of ours says of itself.
#[derive(Debug)]
struct Welcome {
    session: String,
    /// The number of the last request that came.
    number: i64,
}

impl Welcome {
    /// None for a server that is not ours.
    fn of(answer: Plain) -> Option<Welcome> {
        let Plain::Dict(pairs) = answer else { return None };
        let (mut session, mut number, mut is_ours) = (None, None, false);
        for (key, value) in pairs {
            match String::try_from(key).ok()?.as_str() {
                "manyhands" => is_ours = true,
                "session" => session = String::try_from(value).ok(),
                "number" => number = i64::try_from(value).ok(),
                _ => {}
            }
        }
        if is_ours { Some(Welcome { session: session?, number: number? }) } else { None }
    }
}

/// What broke a connection.
type Broken = String;

/// One thread's connection with a server.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) address: Address,
    pub(super) key: Vec<u8>,
    connection: Option<Connection>,
    /// By which a server of ours knows us again.
    session: Option<String>,
    /// The number of the last request.
    number: i64,
    /// What was let go of since the last answer, which the server may not know yet, and the numbers of these requests.
    unconfirmed: Vec<(i64, String)>,
    /// How many servers, or sessions with one, there were before; an object belongs to one of them.
    pub(super) epoch: u64,
}

impl Link {
    /// Connects.
    pub(super) fn open(address: &Address, key: &[u8]) -> Result<Link, CallError> {
        let mut link = Link {
            address: address.clone(),
            key: key.to_vec(),
            connection: None,
            session: None,
            number: 0,
            unconfirmed: Vec::new(),
            epoch: 0,
        };
        link.take_seat(None)?;
        Ok(link)
    }

    /// Whether the server is one of ours.
    pub(super) fn is_ours(&self) -> bool {
        self.session.is_some()
    }

    /// Connects and takes a seat, that of before if there was one. Returns the number of the last request that the
    /// server has got over it; None if it is another seat.
    fn take_seat(&mut self, waiting: Option<i64>) -> Result<Option<i64>, CallError> {
        let connection = connect(&self.address, Some(&self.key))?;
        let thread = std::thread::current();
        let mut says = vec![("name", Plain::str(thread.name().unwrap_or("thread")))];
        says.extend(self.session.as_deref().map(|session| ("session", session.into())));
        says.extend(waiting.map(|number| ("waiting", number.into())));
        let request =
            Request { ident: None, method: "accept_connection", args: &[], kwargs: &says };
        let answer = exchange(&connection, &request, None).map_err(ConnectError::from)?;
        let Content::Value(answer) = read(request.method, answer)? else {
            return Err(CallError::Malformed("a proxy".to_owned()));
        };
        self.connection = Some(connection);
        let welcome = Welcome::of(answer);
        let is_known = self.session.is_some()
            && welcome.as_ref().map(|welcome| &welcome.session) == self.session.as_ref();
        if !is_known {
            self.epoch += 1;
            self.number = 0;
            self.unconfirmed.clear();
        }
        let number = welcome.as_ref().map_or(0, |welcome| welcome.number);
        self.unconfirmed.retain(|(sent, _)| *sent > number);
        self.session = welcome.map(|welcome| welcome.session);
        Ok(is_known.then_some(number))
    }

    /// Makes a request, over this connection or those that follow it.
    pub(super) fn ask(&mut self, request: &Request<'_>) -> Result<Content, CallError> {
        if self.connection.is_none() && !self.is_ours() {
            // Whether it is the same server as before nobody can tell.
            self.take_seat(None)?;
            if request.ident.is_some() {
                return Err(CallError::Gone);
            }
        }
        if !self.is_ours() && request.ident.is_none() {
            return self.ask_apart(request, None);
        }
        let mut number = self.next_number();
        let mut was_sent = false;
        let mut why = match self.try_once(request, number, &mut was_sent) {
            Ok(answer) => return read(request.method, answer),
            Err(why) => why,
        };
        if number.is_none() {
            return Err(lost(request, why, was_sent));
        }
        let give_up = Instant::now() + PERSISTENCE;
        let mut pause = PAUSE.0;
        loop {
            match self.take_seat(number) {
                Ok(Some(came)) => {
                    let answer = if number.is_some_and(|number| came >= number) {
                        was_sent = true;
                        self.receive()
                    } else {
                        self.let_go_again();
                        self.try_once(request, number, &mut was_sent)
                    };
                    match answer {
                        Ok(answer) => return read(request.method, answer),
                        Err(broken) => why = broken,
                    }
                }
                // To make an object, or to ask for one, any server will do.
                Ok(None) if request.ident.is_none() && self.is_ours() => {
                    number = self.next_number();
                    match self.try_once(request, number, &mut was_sent) {
                        Ok(answer) => return read(request.method, answer),
                        Err(broken) => why = broken,
                    }
                }
                Ok(None) => return Err(lost(request, "another took its place".into(), was_sent)),
                Err(error) if may_pass(&error, &self.address) => {}
                Err(error) => return Err(lost(request, error.to_string(), was_sent)),
            }
            if Instant::now() + pause > give_up {
                return Err(lost(request, why, was_sent));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// The number of the next request; None if the server is not ours.
    fn next_number(&mut self) -> Option<i64> {
        self.is_ours().then(|| {
            self.number += 1;
            self.number
        })
    }

    fn try_once(
        &mut self,
        request: &Request<'_>,
        number: Option<i64>,
        was_sent: &mut bool,
    ) -> Result<Vec<u8>, Broken> {
        let Some(connection) = &self.connection else {
            return Err("the connection is closed".to_owned());
        };
        if let Err(error) = connection.send(&request.pickle(number)) {
            self.connection = None;
            return Err(error.to_string());
        }
        *was_sent = true;
        self.receive()
    }

    fn receive(&mut self) -> Result<Vec<u8>, Broken> {
        let Some(connection) = &self.connection else {
            return Err("the connection is closed".to_owned());
        };
        let received = connection.receive();
        match received {
            // It came after everything that was sent before.
            Ok(_) => self.unconfirmed.clear(),
            Err(_) => self.connection = None,
        }
        received.map_err(|error| error.to_string())
    }

    /// Makes a request over a connection of its own, as servers that are not ours want it of what is for themselves.
    fn ask_apart(
        &self,
        request: &Request<'_>,
        limit: Option<Duration>,
    ) -> Result<Content, CallError> {
        let connection = connect(&self.address, Some(&self.key))?;
        connection
            .send(&request.pickle(None))
            .map_err(|error| lost(request, error.to_string(), false))?;
        let received = match connection.poll(limit) {
            Ok(false) => return Err(lost(request, "it does not answer".into(), true)),
            _ => connection.receive(),
        };
        read(request.method, received.map_err(|error| lost(request, error.to_string(), true))?)
    }

    /// Lets go of an object.
    pub(super) fn let_go(&mut self, ident: String) {
        let Some(number) = self.next_number() else {
            let args = [Plain::from(ident)];
            let request = Request { ident: None, method: "decref", args: &args, kwargs: &[] };
            // Whoever lets go of an object is not to be troubled with a server that is gone.
            let _ = self.ask_apart(&request, Some(HASTE));
            return;
        };
        self.unconfirmed.push((number, ident));
        if let (Some(connection), Some((number, ident))) =
            (&self.connection, self.unconfirmed.last())
            && send_let_go(connection, *number, ident).is_err()
        {
            self.connection = None;
        }
    }

    /// Lets go once more of what the server did not hear of.
    fn let_go_again(&mut self) {
        let Some(connection) = &self.connection else { return };
        let mut all = self.unconfirmed.iter();
        if all.any(|(number, ident)| send_let_go(connection, *number, ident).is_err()) {
            self.connection = None;
        }
    }
}

/// There is no answer to it.
fn send_let_go(connection: &Connection, number: i64, ident: &str) -> Result<(), SendError> {
    let args = [Plain::str(ident)];
    let request = Request { ident: None, method: "#decref", args: &args, kwargs: &[] };
    connection.send(&request.pickle(Some(number)))
}

/// What a connection can break with while it is new.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Receive(#[from] ReceiveError),
}

impl From<Failed> for ConnectError {
    fn from(failed: Failed) -> ConnectError {
        match failed {
            Failed::Send(error) => error.into(),
            Failed::Receive(error) => error.into(),
        }
    }
}

fn exchange(
    connection: &Connection,
    request: &Request<'_>,
    number: Option<i64>,
) -> Result<Vec<u8>, Failed> {
    connection.send(&request.pickle(number))?;
    Ok(connection.receive()?)
}

fn lost(request: &Request<'_>, why: Broken, was_sent: bool) -> CallError {
    CallError::Lost { method: request.method.to_owned(), why, was_sent }
}

/// Whether another attempt to connect may have more luck.
fn may_pass(error: &CallError, address: &Address) -> bool {
    let CallError::Connect(error) = error else { return false };
    let system = match error {
        ConnectError::System(error)
        | ConnectError::Receive(ReceiveError::System(error))
        | ConnectError::Send(SendError::System(error)) => error,
        ConnectError::Receive(ReceiveError::End | ReceiveError::Torn) => return true,
        _ => return false,
    };
    match system.kind() {
        // A socket in the file system that nobody listens at is one of a server that has ended.
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            matches!(address, Address::Tcp(_))
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::WouldBlock => true,
        _ => false,
    }
}
