//! What can go wrong, told so that a user knows which host and which step.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;

use thiserror::Error;

/// Why a call on a connection failed. It displays as a sentence: the host, the step, the cause.
#[derive(Clone, Debug, Error)]
#[error("{host}: {step}: {cause}")]
pub struct Error {
    /// The other side, as `host:port`.
    pub host: Arc<str>,
    /// What was being done.
    pub step: Step,
    /// What was wrong.
    pub cause: Cause,
}

/// What was being done when something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is named like the step that it stands for")]
pub enum Step {
    Resolve,
    Connect,
    Handshake,
    Authenticate,
    OpenChannel,
    Request,
    Receive,
    Send,
    Forward,
    GlobalRequest,
    Rekey,
    Ping,
    Disconnect,
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Step::Resolve => "resolving the name",
            Step::Connect => "connecting",
            Step::Handshake => "handshake",
            Step::Authenticate => "authentication",
            Step::OpenChannel => "opening a channel",
            Step::Request => "request on a channel",
            Step::Receive => "receiving",
            Step::Send => "sending",
            Step::Forward => "port forwarding",
            Step::GlobalRequest => "request to the server",
            Step::Rekey => "exchanging new keys",
            Step::Ping => "asking for a sign of life",
            Step::Disconnect => "disconnecting",
        })
    }
}

/// What was wrong.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The limit of the call was reached.
    #[error("timed out")]
    TimedOut,
    /// The server was silent from the beginning.
    #[error("nothing came from the server; it may not speak SSH")]
    NoBanner,
    /// The system said so.
    #[error("{1}")]
    Io(io::ErrorKind, String, Option<i32>),
    /// The connection has ended, for this reason.
    #[error("the connection is closed: {0}")]
    Closed(Arc<str>),
    /// The other side ended the connection and said why.
    #[error("the server has disconnected: {message} (reason {code})")]
    Disconnected {
        /// One of the reasons of RFC 4253, section 11.1.
        code: u32,
        /// The words of the server.
        message: String,
    },
    /// Nothing came from the server, though it was asked for signs of life as often as allowed.
    #[error("no sign of life from the server in {0} attempts")]
    Lifeless(u32),
    /// The two sides have no algorithm of one kind in common.
    #[error(
        "no common {kind}: offered here {}; by the server {}",
        listed(.ours),
        listed(.theirs)
    )]
    NoCommonAlgorithm {
        /// What sort of algorithm.
        kind: &'static str,
        /// What this side offered.
        ours: Vec<String>,
        /// What the server offered.
        theirs: Vec<String>,
    },
    /// An algorithm that this side does not know, or no algorithm of a kind at all, was asked for.
    #[error("{0}")]
    Algorithm(String),
    /// The server refused to open a channel.
    #[error("refused by the server: {reason} (code {code})")]
    Refused {
        /// One of the codes of RFC 4254, section 5.1.
        code: u32,
        /// What it stands for.
        reason: String,
    },
    /// The server said no to a request.
    #[error("the server did not accept {0}")]
    NotAccepted(String),
    /// The channel is closed.
    #[error("the channel is closed")]
    ChannelClosed,
    /// The call is not possible in this state, say before authentication.
    #[error("{0}")]
    State(&'static str),
    /// The server allows no way of authentication any more.
    #[error("the server accepts no method of authentication")]
    NoMethod,
    /// Signing for an authentication failed.
    #[error("signing: {0}")]
    Signing(String),
    /// Output that nobody had read could not be kept.
    #[error("output that was not read could not be kept: {0}")]
    Spool(String),
    /// The other side sent something while keys were exchanged that has no place there, as an attacker on the way may do.
    #[error("{0}")]
    Order(String),
    /// The other side broke the protocol, or a packet was damaged.
    #[error("{0}")]
    Protocol(String),
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Error {
    pub(crate) fn new(host: &Arc<str>, step: Step, cause: Cause) -> Error {
        Error { host: Arc::clone(host), step, cause }
    }

    /// Whether it failed as the limit of the call was reached.
    pub fn is_timeout(&self) -> bool {
        matches!(self.cause, Cause::TimedOut)
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Cause {
        if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() {
            return Cause::TimedOut;
        }
        Cause::Io(error.kind(), error.to_string(), error.raw_os_error())
    }
}

impl From<russh::Error> for Cause {
    fn from(error: russh::Error) -> Cause {
        match error {
            russh::Error::IO(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Cause::Closed("the server closed it".into())
            }
            russh::Error::IO(error) => error.into(),
            russh::Error::NoCommonAlgo { kind, ours, theirs } => {
                Cause::NoCommonAlgorithm { kind: kind_name(&kind), ours, theirs }
            }
            russh::Error::ChannelOpenFailure(failure) => refused(&failure),
            russh::Error::Disconnect | russh::Error::HUP => {
                Cause::Closed("the server closed it".into())
            }
            russh::Error::RequestDenied => Cause::NotAccepted("the request".to_owned()),
            russh::Error::NoAuthMethod => Cause::NoMethod,
            russh::Error::SendError | russh::Error::RecvError => {
                Cause::Closed("it has ended".into())
            }
            russh::Error::Version => {
                Cause::Protocol("the other side does not speak SSH 2".to_owned())
            }
            error @ russh::Error::StrictKeyExchangeViolation { .. } => {
                Cause::Order(error.to_string())
            }
            other => Cause::Protocol(other.to_string()),
        }
    }
}

fn kind_name(kind: &russh::AlgorithmKind) -> &'static str {
    match kind {
        russh::AlgorithmKind::Kex => "key exchange",
        russh::AlgorithmKind::Key => "host key algorithm",
        russh::AlgorithmKind::Cipher => "cipher",
        russh::AlgorithmKind::Compression => "compression",
        russh::AlgorithmKind::Mac => "MAC",
    }
}

fn refused(failure: &russh::ChannelOpenFailure) -> Cause {
    use russh::ChannelOpenFailure as Failure;
    let (code, reason) = match failure {
        Failure::AdministrativelyProhibited => (1, "administratively prohibited"),
        Failure::ConnectFailed => (2, "connect failed"),
        Failure::UnknownChannelType => (3, "unknown channel type"),
        Failure::ResourceShortage => (4, "resource shortage"),
        Failure::Other { code, reason } => (*code, reason.as_str()),
    };
    Cause::Refused { code, reason: reason.to_owned() }
}

/// Why a call ended without a result: it failed, or its gate gave up the wait.
#[derive(Debug)]
pub enum Stop<I> {
    /// The gate gave up, say as a signal handler raised.
    Interrupted(I),
    /// The call failed.
    Failed(Error),
}

impl<I> From<Error> for Stop<I> {
    fn from(error: Error) -> Stop<I> {
        Stop::Failed(error)
    }
}

impl From<Stop<Infallible>> for Error {
    fn from(stop: Stop<Infallible>) -> Error {
        match stop {
            Stop::Interrupted(never) => match never {},
            Stop::Failed(error) => error,
        }
    }
}
