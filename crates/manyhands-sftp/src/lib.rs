#![doc = include_str!("../README.md")]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod attributes;
mod batch;
mod client;
mod directory;
mod errors;
mod extensions;
mod file;
mod handle;
mod inbox;
mod operations;
pub mod packet;
mod ranges;
mod reads;
pub mod stream;
mod transfer;
mod window;
mod wire;
mod writes;

pub use attributes::Attributes;
pub use batch::{Done, Pair};
pub use client::{Client, Feeder, Output};
pub use directory::Entries;
pub use errors::{Ended, Error, Interruption};
pub use extensions::{Extensions, FileSystem, Limits};
pub use file::File;
pub use handle::Handle;
pub use inbox::{Cancel, Cancelled, Patience, Plain};
pub use ranges::Ranges;
pub use transfer::{Options, Progress};
pub use wire::Malformed;
