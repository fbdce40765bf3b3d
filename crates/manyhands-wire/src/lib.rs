#![doc = include_str!("../README.md")]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod authentication;
mod connection;
mod errors;
mod frame;
mod listener;
pub mod stream;

pub use connection::{Connection, pair};
pub use errors::{ConnectError, Malformed, ReceiveError, SendError};
pub use frame::{Header, Prefix};
pub use listener::{Address, Listener, connect};
