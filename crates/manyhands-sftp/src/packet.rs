//! The packets of the protocol: requests, replies, and the frames that they travel in.

mod frames;
mod reply;
mod request;

pub use frames::Splitter;
pub(crate) use reply::Version;
pub use reply::{Name, Reply, Status, StatusCode};
pub use request::{OpenFlags, Packet, Request};
