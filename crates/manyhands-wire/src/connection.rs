//! A connection that messages travel over, both ways.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use manyhands_sys::descriptor::{self, Descriptor, Room};

use crate::authentication::{self as auth, AuthenticationError, Digest};
use crate::errors::{ConnectError, ReceiveError, SendError};
use crate::stream::{self, Plain};

/// How much memory a message gets before anything of it has come.
const FIRST_STEP: u64 = 1 << 20;

/// One end of a connection: messages of bytes, one after the other, over a socket or a pipe.
///
/// Several threads may use one, but two that send at the same time may tear each other's messages,
/// and so may two that receive, as in Python.
///
/// ```
/// let (here, there) = manyhands_wire::pair()?;
/// here.send(b"a message")?;
/// assert_eq!(there.receive()?, b"a message");
/// drop(here);
/// assert!(there.receive().is_err());
/// # Ok::<(), manyhands_wire::ConnectError>(())
/// ```
#[derive(Debug)]
#[doc(alias = "multiprocessing.connection.Connection")]
pub struct Connection {
    owner: OwnedFd,
    descriptor: Descriptor,
}

/// Two ends of a new connection.
///
/// # Errors
/// Those of socketpair(2).
#[doc(alias = "multiprocessing.connection.Pipe")]
pub fn pair() -> io::Result<(Connection, Connection)> {
    let (one, other) = descriptor::socket_pair()?;
    Ok((one.into(), other.into()))
}

impl From<OwnedFd> for Connection {
    /// A connection over a connected stream socket or one end of a pipe.
    fn from(owner: OwnedFd) -> Connection {
        let descriptor = Descriptor::of(&owner);
        Connection { owner, descriptor }
    }
}

impl From<Connection> for OwnedFd {
    fn from(connection: Connection) -> OwnedFd {
        connection.owner
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.owner.as_fd()
    }
}

impl Connection {
    /// Sends a message; waits until it is on its way.
    ///
    /// # Errors
    /// If the other end is closed.
    #[doc(alias = "multiprocessing.connection.Connection.send_bytes")]
    pub fn send(&self, message: &[u8]) -> Result<(), SendError> {
        stream::send(self.descriptor, &[message], &Plain)
    }

    /// Waits for a message and returns it.
    ///
    /// # Errors
    /// [`ReceiveError::End`] if the other end is closed.
    #[doc(alias = "multiprocessing.connection.Connection.recv_bytes")]
    pub fn receive(&self) -> Result<Vec<u8>, ReceiveError> {
        self.receive_within(None)
    }

    /// As [`receive`](Self::receive), but refuses messages longer than `limit`. After that the
    /// connection is of no use: the message is still in it.
    ///
    /// # Errors
    /// [`ReceiveError::Malformed`] for a message that is too long.
    pub fn receive_at_most(&self, limit: u64) -> Result<Vec<u8>, ReceiveError> {
        self.receive_within(Some(limit))
    }

    fn receive_within(&self, limit: Option<u64>) -> Result<Vec<u8>, ReceiveError> {
        let length = stream::receive_length(self.descriptor, limit, &Plain)?;
        let no_memory = || ReceiveError::NoMemory(length);
        let mut message = Vec::new();
        let mut step = FIRST_STEP;
        while (message.len() as u64) < length {
            let filled = message.len();
            let next = usize::try_from(length.min(step)).map_err(|_| no_memory())?;
            message.try_reserve_exact(next - filled).map_err(|_| no_memory())?;
            message.resize(next, 0);
            let room = message.get_mut(filled..).unwrap_or_default();
            match stream::fill(self.descriptor, &mut Room::from(room), &Plain) {
                Err(ReceiveError::End) if filled > 0 => return Err(ReceiveError::Torn),
                result => result?,
            }
            // No more memory than twice what has come.
            step = step.saturating_mul(2);
        }
        Ok(message)
    }

    /// Whether a message, or the end, comes within that time; None waits for ever.
    ///
    /// # Errors
    /// Those of poll(2).
    #[doc(alias = "multiprocessing.connection.Connection.poll")]
    pub fn poll(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match descriptor::wait_readable(&[self.descriptor.number()], &mut [false], left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Ok(result? > 0),
            }
        }
    }

    /// Has the other end prove that it knows the key; who accepts a connection does this first.
    pub(crate) fn challenge(&self, key: &[u8]) -> Result<(), ConnectError> {
        let challenge = auth::challenge(Digest::Sha256)?;
        self.send(&[auth::CHALLENGE, &challenge].concat())?;
        let response = self.receive_at_most(auth::LONGEST_MESSAGE)?;
        let verified = auth::verify_response(key, &challenge, &response);
        self.send(if verified.is_ok() { auth::WELCOME } else { auth::FAILURE })?;
        Ok(verified?)
    }

    /// Proves to the other end that we know the key; who connects does this first.
    pub(crate) fn answer(&self, key: &[u8]) -> Result<(), ConnectError> {
        let message = self.receive_at_most(auth::LONGEST_MESSAGE)?;
        self.send(&auth::create_response(key, auth::read_challenge(&message)?)?)?;
        match self.receive_at_most(auth::LONGEST_MESSAGE)? {
            answer if answer == auth::WELCOME => Ok(()),
            _ => Err(AuthenticationError::Rejected.into()),
        }
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        self.descriptor
    }
}
