//! Makes pickles, of payloads and of plain things.

use bytes::Bytes;

use super::opcode as op;
use super::parts::Parts;
use super::{Payload, Plain, encode};

/// One pickle in the making: a small buffer of opcodes and large payloads in between, which are not copied.
///
/// Everything pushes one object; tuples, lists, dicts are made of what is pushed in between.
#[derive(Debug)]
pub struct Writer {
    parts: Parts,
    memos: u32,
    gets: bool,
}

impl Default for Writer {
    fn default() -> Writer {
        Writer::new()
    }
}

impl Writer {
    /// Begins with PROTO 4.
    pub fn new() -> Writer {
        Writer::with_capacity(128)
    }

    fn with_capacity(capacity: usize) -> Writer {
        let mut parts = Parts::with_capacity(capacity);
        parts.buffer.extend_from_slice(&[op::PROTO, 4]);
        Writer { parts, memos: 0, gets: false }
    }

    /// None.
    pub fn none(&mut self) {
        self.parts.byte(op::NONE);
    }

    /// True or False.
    pub fn bool(&mut self, value: bool) {
        encode::bool(&mut self.parts.buffer, value);
    }

    /// An int.
    pub fn int(&mut self, value: i64) {
        encode::int(&mut self.parts.buffer, value);
    }

    /// A float.
    pub fn float(&mut self, value: f64) {
        encode::float(&mut self.parts.buffer, value);
    }

    /// A str.
    pub fn str(&mut self, value: &str) {
        encode::str(&mut self.parts.buffer, value);
    }

    /// A bytes object.
    pub fn bytes(&mut self, value: &[u8]) {
        encode::bytes(&mut self.parts.buffer, value);
    }

    /// An object of plain types.
    pub fn plain(&mut self, value: &Plain) {
        encode::plain(&mut self.parts.buffer, value);
    }

    /// An object that was cut out of a message.
    pub fn payload(&mut self, value: &Payload) {
        for part in value.parts() {
            if value.gets && self.memos > 0 {
                self.shifted(part);
            } else {
                self.parts.run(part, 0, part.len(), true);
            }
        }
        self.memos = self.memos.saturating_add(value.memos);
        self.gets |= value.gets;
    }

    /// What takes from the memo takes from behind what is there already.
    fn shifted(&mut self, part: &Bytes) {
        let (mut at, mut from) = (0, 0);
        while let Some(rest) = part.get(at..)
            && let Some((header, data)) = op::extent(rest)
        {
            let next = at + header + data;
            if matches!(rest.first(), Some(&(op::BINGET | op::LONG_BINGET))) {
                let number = op::memo_number(rest).unwrap_or_default();
                self.parts.run(part, from, at, true);
                self.parts.get(number.saturating_add(self.memos));
                from = next;
            }
            at = next;
        }
        self.parts.run(part, from, part.len(), true);
    }

    /// A tuple of what `members` writes.
    pub fn tuple(&mut self, members: impl FnOnce(&mut Writer)) {
        self.parts.byte(op::MARK);
        members(self);
        self.parts.byte(op::TUPLE);
    }

    /// A list of what `members` writes.
    pub fn list(&mut self, members: impl FnOnce(&mut Writer)) {
        self.filled(op::EMPTY_LIST, members, op::APPENDS);
    }

    /// A dict of the keys and values that `members` writes in turn.
    pub fn dict(&mut self, members: impl FnOnce(&mut Writer)) {
        self.filled(op::EMPTY_DICT, members, op::SETITEMS);
    }

    /// A set of what `members` writes.
    pub fn set(&mut self, members: impl FnOnce(&mut Writer)) {
        self.filled(op::EMPTY_SET, members, op::ADDITEMS);
    }

    fn filled(&mut self, empty: u8, members: impl FnOnce(&mut Writer), fill: u8) {
        self.parts.byte(empty);
        self.parts.byte(op::MARK);
        members(self);
        self.parts.byte(fill);
    }

    /// A class or function by name.
    pub fn global(&mut self, module: &str, name: &str) {
        self.str(module);
        self.str(name);
        self.parts.byte(op::STACK_GLOBAL);
    }

    /// Calls what was written last but one with the tuple that was written last; the result takes their place.
    pub fn reduce(&mut self) {
        self.parts.byte(op::REDUCE);
    }

    /// `cls.__new__(cls, *args)` of the class that was written last but one and the tuple that was written last.
    pub fn new_object(&mut self) {
        self.parts.byte(op::NEWOBJ);
    }

    /// `__setstate__` of what was written last but one with what was written last.
    pub fn build(&mut self) {
        self.parts.byte(op::BUILD);
    }

    /// Ends with STOP; the parts to write one after the other.
    pub fn finish(mut self) -> Vec<Bytes> {
        self.parts.byte(op::STOP);
        self.parts.finish()
    }

    /// What was written, as an object of its own.
    pub fn finish_payload(self) -> Payload {
        let mut parts = self.parts.finish();
        if let Some(first) = parts.first_mut() {
            // Without PROTO.
            *first = first.slice(2..);
        }
        Payload::new(parts, self.memos as usize, self.gets)
    }

    /// The pickle of `('#RETURN', value)`.
    pub fn returned(value: &Payload) -> Vec<Bytes> {
        let mut writer = Writer::with_capacity(16 + value.len().min(super::parts::LARGE));
        writer.str("#RETURN");
        writer.payload(value);
        writer.pair();
        writer.finish()
    }

    /// A tuple of the two that were written last.
    pub fn pair(&mut self) {
        self.parts.byte(op::TUPLE2);
    }
}

/// The pickle of `('#RETURN', None)`.
pub const RETURNED_NONE: &[u8] = b"\x80\x04\x8c\x07#RETURNN\x86.";
