//! What a queue promises, single-threaded where that will do: a test's gate does in a wait what
//! another thread would do then.
#![cfg(not(loom))]

mod closing;
mod gates;
mod model;
mod operations;
mod stores;
mod traits;
mod waiting;
#[path = "../../../manyhands-sync/tests/primitives/watched.rs"]
mod watched;
