//! What each primitive promises, single-threaded where that will do: a test's gate does in a wait
//! what another thread would do then.
#![cfg(not(loom))]

mod barrier;
mod condition;
mod event;
mod gates;
mod lock;
mod rlock;
mod semaphore;
mod traits;
mod waits;
mod watched;
