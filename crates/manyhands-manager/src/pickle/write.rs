//! Makes pickles, of payloads and of plain things.

use std::io::IoSlice;

use bytes::Bytes;

use super::{Payload, Plain};

/// One pickle in the making: a small buffer of opcodes and large payloads in between, which are not copied.
/// Everything pushes one object; tuples, lists, dicts are made of what was pushed after `mark`.
#[derive(Debug, Default)]
pub struct Writer { /* segments, memo count */ }

impl Writer {
    /// Begins with PROTO 4.
    pub fn new() -> Writer { todo!() }
    pub fn none(&mut self) { todo!() }
    pub fn bool(&mut self, value: bool) { todo!() }
    pub fn int(&mut self, value: i64) { todo!() }
    pub fn float(&mut self, value: f64) { todo!() }
    pub fn str(&mut self, value: &str) { todo!() }
    pub fn bytes(&mut self, value: &[u8]) { todo!() }
    pub fn plain(&mut self, value: &Plain) { todo!() }
    /// Shifts what takes from the memo.
    pub fn payload(&mut self, value: &Payload) { todo!() }
    pub fn mark(&mut self) { todo!() }
    /// Of all since the last mark.
    pub fn tuple(&mut self) { todo!() }
    /// EMPTY_LIST is pushed before the mark by this: call as `list_of(|writer| ...)`.
    pub fn list(&mut self, members: impl FnOnce(&mut Writer)) { todo!() }
    pub fn dict(&mut self, members: impl FnOnce(&mut Writer)) { todo!() }
    pub fn set(&mut self, members: impl FnOnce(&mut Writer)) { todo!() }
    /// A class or function by name.
    pub fn global(&mut self, module: &str, name: &str) { todo!() }
    /// Calls what was pushed with the tuple that was pushed after it.
    pub fn reduce(&mut self) { todo!() }
    /// `cls.__new__(cls, *args)`.
    pub fn new_object(&mut self) { todo!() }
    /// `__setstate__` of what was pushed before.
    pub fn build(&mut self) { todo!() }
    /// Ends with STOP; the parts to write one after the other.
    pub fn finish(self) -> Vec<Bytes> { todo!() }
}
