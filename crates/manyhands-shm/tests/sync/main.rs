//! What processes wait for each other with: what it does, and that any of them may be killed.
#![cfg(not(loom))]

mod contract;
mod kills;
mod processes;
mod steps;
#[expect(unsafe_code, reason = "processes are forked, killed, waited for")]
#[path = "../support/mod.rs"]
mod support;
