//! Clients of Rust, and the servers that they use: ours and CPython's.

mod breaks;
mod calls;
mod stock;
