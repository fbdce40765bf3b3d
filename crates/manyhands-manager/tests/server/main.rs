//! A server and those who connect to it, well-behaved and otherwise.

mod calls;
mod common;
mod local;
mod rough;
mod secured;
mod sessions;
