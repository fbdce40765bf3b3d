//! What can go wrong.

use std::io;

use crate::packet::{Status, StatusCode};
use crate::wire::Malformed;

/// What ended a wait from outside: say, the exception of a signal handler.
pub type Interruption = Box<dyn std::error::Error + Send + Sync>;

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// This side closed it.
    #[error("the SFTP session is closed")]
    Closed,
    /// The server went away.
    #[error("the SFTP server ended the session")]
    ByServer,
    /// The server went away in the middle of a packet.
    #[error("the SFTP server ended the session in the middle of a packet")]
    Torn,
    /// The stream broke.
    #[error("the stream of the SFTP session broke: {0}")]
    Broken(String),
    /// The server sent what is no answer.
    #[error("what the SFTP server sends is not SFTP: {0}")]
    Malformed(#[from] Malformed),
    /// The server speaks an older version.
    #[error("the SFTP server speaks version {0}, and version 3 is needed")]
    Version(u32),
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server says so.
    #[error("{0}")]
    Status(Status),
    /// The session is over, and so is whatever was under way.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// No answer came in time. The session goes on; the answer, when it comes, is dropped.
    #[error("the SFTP server did not answer in time")]
    TimedOut,
    /// The gate gave up the wait.
    #[error("{0}")]
    Interrupted(Interruption),
    /// The server's answer is of the wrong kind.
    #[error("{expected} was expected of the SFTP server, and {got} came")]
    Unexpected {
        /// What the request asks for.
        expected: &'static str,
        /// What came.
        got: &'static str,
    },
    /// The server does not offer the extension.
    #[error("the SFTP server does not offer {0}")]
    NotOffered(&'static str),
    /// Names or data do not fit into a packet.
    #[error("a request of {0} bytes is longer than an SFTP server takes")]
    TooLong(usize),
    /// The file on this side.
    #[error("{0}")]
    Local(#[from] io::Error),
    /// Less or more arrived than was sent.
    #[error("size mismatch in {operation}!  {actual} != {expected}")]
    SizeMismatch {
        /// `put` or `get`.
        operation: &'static str,
        /// The size of the file afterwards.
        actual: u64,
        /// How much was sent.
        expected: u64,
    },
    /// The file was opened for something else.
    #[error("the file is not open for {0}")]
    Mode(&'static str),
}

impl Error {
    /// The code of the server's status, if that is what it is.
    pub fn code(&self) -> Option<StatusCode> {
        match self {
            Error::Status(status) => Some(status.code),
            _ => None,
        }
    }

    /// The answer is of another kind than the request asks for.
    pub(crate) fn unexpected(expected: &'static str, got: &'static str) -> Error {
        Error::Unexpected { expected, got }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match &error {
            Error::Local(_) => None,
            Error::Status(status) => Some(match status.code {
                StatusCode::NO_SUCH_FILE => io::ErrorKind::NotFound,
                StatusCode::PERMISSION_DENIED => io::ErrorKind::PermissionDenied,
                StatusCode::UNSUPPORTED => io::ErrorKind::Unsupported,
                _ => io::ErrorKind::Other,
            }),
            Error::Ended(_) => Some(io::ErrorKind::BrokenPipe),
            Error::TimedOut => Some(io::ErrorKind::TimedOut),
            Error::NotOffered(_) => Some(io::ErrorKind::Unsupported),
            Error::Unexpected { .. } => Some(io::ErrorKind::InvalidData),
            _ => Some(io::ErrorKind::Other),
        };
        match (kind, error) {
            (_, Error::Local(error)) => error,
            (kind, error) => io::Error::new(kind.unwrap_or(io::ErrorKind::Other), error),
        }
    }
}
