#![doc = include_str!("../README.md")]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod algorithms;
mod authenticate;
mod channel;
mod connect;
mod error;
mod facts;
mod handler;
mod home;
mod inbox;
mod keepalive;
mod line;
mod open;
mod pen;
mod request;
mod runtime;
mod session;
mod shared;
mod spool;
mod stream;
mod wait;

pub use algorithms::Algorithms;
pub use authenticate::{Authentication, Prompt, Question};
pub use channel::{Channel, ExitSignal, Origin};
pub use connect::{Options, Wire};
pub use error::{Cause, Error, Step, Stop};
pub use facts::{HostKey, Negotiated};
pub use inbox::{Exit, Output};
pub use request::{Request, Size};
pub use russh::keys::ssh_key::{Certificate, PrivateKey, PublicKey};
pub use session::Session;
pub use stream::ChannelWire;
