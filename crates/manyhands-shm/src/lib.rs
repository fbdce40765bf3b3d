#![doc = include_str!("../README.md")]
#![allow(unsafe_code, reason = "this crate gives shape to memory that other processes write, too")]

#[cfg(not(loom))]
mod arena;
#[cfg(not(loom))]
mod barrier;
#[cfg(not(loom))]
mod block;
#[cfg(not(loom))]
mod board;
#[cfg(not(loom))]
mod child;
mod condition;
#[cfg(not(loom))]
mod error;
mod event;
#[cfg(not(loom))]
mod guarded;
#[cfg(not(loom))]
mod handle;
#[cfg(not(loom))]
mod heirs;
#[cfg(not(loom))]
mod holders;
#[cfg(not(loom))]
mod kind;
#[cfg_attr(loom, expect(dead_code, reason = "models have no arena"))]
mod layout;
mod lock;
#[cfg(not(loom))]
mod observed;
#[cfg(not(loom))]
mod original;
mod owned;
#[cfg(not(loom))]
mod owner;
#[cfg(not(loom))]
mod participant;
#[cfg(not(loom))]
mod queue;
#[cfg(loom)]
#[path = "queue/model.rs"]
mod queue;
mod rlock;
#[cfg(not(loom))]
pub mod segment;
mod semaphore;
mod shim;
#[cfg(feature = "steps")]
mod stepping;
mod wait;

#[cfg(not(loom))]
pub use arena::{Arena, Statistics, arena, existing, join};
#[cfg(not(loom))]
pub use barrier::{Barrier, Broken, Last, Passage};
#[cfg(not(loom))]
pub use board::{Board, NOTE, Seat};
#[cfg(not(loom))]
pub use child::{
    Ticket, child_died, forked, give_up_reserved, hand_over_to_parent, prepare_for_forks,
    reserve_child, reserve_for_fork,
};
pub use condition::{Condition, Waiting};
#[cfg(not(loom))]
pub use error::ArenaError;
#[cfg(not(loom))]
pub(crate) use error::OutOfReach;
pub use event::Event;
#[cfg(not(loom))]
pub use guarded::{Guard, Guarded};
#[cfg(not(loom))]
pub use handle::{Handle, Plain, Reference, Shared};
#[cfg(not(loom))]
pub use kind::Kind;
pub use layout::Ref;
pub use lock::{Acquired, Lock, NotHeld};
pub use manyhands_sync::Limit;
pub use manyhands_sys::time::Deadline;
#[cfg(not(loom))]
pub use observed::id as observed_id;
#[cfg(not(loom))]
pub use original::{Image, Original};
#[cfg(loom)]
pub use queue::ModelQueue;
#[cfg(not(loom))]
pub use queue::{DoneError, GetError, Message, Parcel, Piece, PutError, Queue, Turn, WaitError};
pub use rlock::{NotOwner, RLock};
pub use semaphore::{Semaphore, TooManyReleases};
pub use shim::{Owner, wake};
#[cfg(not(loom))]
pub use wait::set_sleep_aside;
pub use wait::{Patient, Pause, RECHECK};
