#![doc = include_str!("../README.md")]
#![allow(unsafe_code, reason = "this crate gives shape to memory that other processes write, too")]

mod wait;

pub use manyhands_sync::Limit;
pub use manyhands_sys::time::Deadline;
pub use wait::{Patient, Pause, RECHECK};
