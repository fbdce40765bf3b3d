//! What may come of a call instead of a value.

use std::fmt::Write;

use manyhands_wire::ConnectError;

use crate::pickle::Plain;

/// Why a call has no value.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no connection: nobody listens, the key is wrong, ...
    #[error("cannot connect to the server: {0}")]
    Connect(#[from] ConnectError),
    /// The method raised an exception of Python: `module.name(*args)`.
    #[error("{}", described(name, args))]
    Raised {
        /// Where the class is: "builtins", "queue"...
        module: String,
        /// The name of the class.
        name: String,
        /// What it was made with; None where that is not of plain types.
        args: Vec<Plain>,
    },
    /// The server could not carry the call out: the text of a traceback.
    #[error("the server could not do it: {}", .0.trim())]
    Traceback(String),
    /// The connection is lost and could not be resumed.
    #[error("lost the server ({why}); {}", fate(*.was_sent, method))]
    Lost {
        /// The method that was called.
        method: String,
        /// What has happened to the connection.
        why: String,
        /// Whether the request was sent, so that it may have been carried out.
        was_sent: bool,
    },
    /// The server that keeps the object is gone; one that knows nothing of it has taken its place.
    #[error("the object is one of a server that is gone: make or get it again")]
    Gone,
    /// What the method returned is not of plain types, but an object of a class, or a proxy where none was expected.
    #[error("what {method} returned is not of plain types")]
    NotPlain {
        /// The method that was called.
        method: String,
    },
    /// What came is no answer of a manager's server.
    #[error("what came is no answer of a manager's server: {0}")]
    Malformed(String),
}

impl CallError {
    /// Whether it is an exception of a class of that name, in whatever module.
    pub fn is_raised(&self, class: &str) -> bool {
        matches!(self, CallError::Raised { name, .. } if name == class)
    }

    /// Whether a queue was empty for as long as was waited.
    pub fn is_empty(&self) -> bool {
        self.is_raised("Empty")
    }

    /// Whether a queue is shut down.
    pub fn is_shut_down(&self) -> bool {
        self.is_raised("ShutDown")
    }
}

fn fate(was_sent: bool, method: &str) -> String {
    if was_sent {
        format!("whether it has carried out {method} is not known")
    } else {
        format!("it has not carried out {method}")
    }
}

fn described(name: &str, args: &[Plain]) -> String {
    let mut text = name.to_owned();
    let mut separator = ": ";
    for argument in args {
        // Writing to a string does not fail.
        let _ = match argument {
            Plain::Str(words) => write!(text, "{separator}{words}"),
            other => write!(text, "{separator}{other:?}"),
        };
        separator = ", ";
    }
    text
}
