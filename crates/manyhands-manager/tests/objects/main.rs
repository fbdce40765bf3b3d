//! The objects of a server, by what their methods return.

mod dicts;
mod lists;
mod literal;
mod locks;
mod models;
mod queues;
mod sets;
mod small;
mod waiting;
mod world;
