#![doc = include_str!("../README.md")]

#[cfg(not(loom))]
mod bury;
mod lead;
#[cfg(not(loom))]
mod ledger;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod worker;

#[cfg(not(loom))]
pub use bury::{Buried, Fitness};
pub use lead::{Lead, Leadership};
#[cfg(not(loom))]
pub use pool::{Fate, Pool, SubmitError, Taken, What};
#[cfg(not(loom))]
pub use worker::{FIRST_OF_HOST, TASK, Worker};
