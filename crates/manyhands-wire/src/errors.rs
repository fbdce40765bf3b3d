//! What can go wrong.

use std::convert::Infallible;
use std::io;

use crate::authentication::AuthenticationError;

/// Bytes that are no frame, or not one that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A length below -1.
    #[error("what comes is no message: its length would be {0}")]
    Negative(i32),
    /// More than the receiver accepts.
    #[error("a message of {length} bytes comes, and {limit} are accepted")]
    TooLong {
        /// The length that the header says.
        length: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// More than the one message that was asked for.
    #[error("more comes than the one message that was asked for")]
    Unasked,
}

/// Why no message was received. `I` is what a signal handler gave the wait up with.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError<I = Infallible> {
    /// There will be no more messages: the other end is closed.
    #[error("the other end of the connection is closed")]
    End,
    /// The other end was closed in the middle of a message.
    #[error("the connection ended in the middle of a message")]
    Torn,
    /// What came is no message, or too long a one. The connection is of no use afterwards.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// There is no memory for the message.
    #[error("there is no memory for a message of {0} bytes")]
    NoMemory(u64),
    /// The operating system's error.
    #[error(transparent)]
    System(#[from] io::Error),
    /// A signal ended the wait.
    #[error("a signal ended the wait for a message")]
    Interrupted(I),
}

/// Why a message was not sent, or not all of it. `I` is what a signal handler gave the wait up with.
#[derive(Debug, thiserror::Error)]
pub enum SendError<I = Infallible> {
    /// The operating system's error; `BrokenPipe` if the other end is closed.
    #[error(transparent)]
    System(#[from] io::Error),
    /// A signal ended the wait for room.
    #[error("a signal ended the wait for room for a message")]
    Interrupted(I),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The operating system's error.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The other end went away, or spoke something else.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// The other end went away.
    #[error(transparent)]
    Send(#[from] SendError),
    /// One of the two ends does not have the right key.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
}
