#![doc = include_str!("../README.md")]
#![allow(unsafe_code, reason = "this crate gives shape to memory that other processes write, too")]

mod arena;
mod block;
mod child;
mod error;
mod handle;
mod heirs;
mod kind;
mod layout;
mod owner;
mod participant;
mod queue;
mod wait;

pub use arena::{Arena, Statistics, arena, existing, join};
pub use child::{Ticket, child_died, forked, reserve_child};
pub use error::ArenaError;
pub use handle::{Handle, Plain, Reference, Shared};
pub use kind::Kind;
pub use layout::Ref;
pub use manyhands_sync::Limit;
pub use manyhands_sys::time::Deadline;
pub use owner::Owner;
pub use queue::{GetError, Message, Parcel, Piece, PutError, Queue, TooManyDone};
pub use wait::{Patient, Pause, RECHECK};
