//! Pickles, taken apart and put together.

mod compare;
mod cut;
mod exercise;
mod properties;
mod table;
