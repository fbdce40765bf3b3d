//! Cuts an object out of a message, so that it stands by itself.
//!
//! What it takes from the memo may have been put there outside of it: CPython memoises by identity, so an argument
//! may be the very string that is the method's name, or the class that an argument before has named. Then the opcodes
//! of these things go ahead, and what they make is popped (the memo keeps it). If it takes something that is not complete
//! where it stands, which is something that contains it, the whole message goes ahead.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::node::{Kind, Node};
use super::opcode as op;
use super::parts::{LARGE, Parts};
use super::payload::{Body, Payload};
use super::{Item, Message};

/// Where an object stands.
type Span = (usize, usize);

pub(super) fn payload(item: Item<'_>) -> Payload {
    let message = item.message;
    let node = message.node(item.node);
    let span = (node.start, node.end);
    if message.notes_in(span).is_empty() {
        return untouched(message, span);
    }
    match Closure::of(message, span) {
        Some(closure) => closure.cut(message, span),
        None => replay(item, node),
    }
}

/// Nothing in it needs to be changed.
fn untouched(message: &Message, (start, end): Span) -> Payload {
    let bytes = if shares(message, end - start) && end - start >= LARGE {
        message.bytes.slice(start..end)
    } else {
        Bytes::copy_from_slice(message.bytes.get(start..end).unwrap_or_default())
    };
    Payload::new(vec![bytes], message.memos_in((start, end)).1, false)
}

/// Whether slices keep a message that is not much larger than what is needed of it.
fn shares(message: &Message, needed: usize) -> bool {
    message.bytes.len() / 4 <= needed
}

/// Where numbers of the memo have gone.
#[derive(Clone, Copy)]
struct Moved {
    from: u32,
    to: u32,
    /// Not into the memo: the opcode here stands where it was taken.
    instead: Option<Span>,
}

/// Copies spans of the message with other memo numbers.
struct Cutter<'m> {
    message: &'m Message,
    parts: Parts,
    share: bool,
    /// By `from`.
    moved: Vec<Moved>,
    gets: bool,
}

impl Cutter<'_> {
    fn copy(&mut self, (start, end): Span) {
        let message = self.message;
        let mut from = start;
        for &note in message.notes_in((start, end)) {
            self.parts.run(&message.bytes, from, note, self.share);
            let opcode = message.bytes.get(note..).unwrap_or_default();
            let (header, data) = op::extent(opcode).unwrap_or((1, 0));
            from = note + header + data;
            match opcode.first() {
                Some(&(op::PROTO | op::FRAME)) => {}
                Some(&(op::PUT | op::BINPUT | op::LONG_BINPUT)) => self.parts.byte(op::MEMOIZE),
                _ => self.get(op::memo_number(opcode).unwrap_or_default()),
            }
        }
        self.parts.run(&message.bytes, from, end, self.share);
    }

    fn get(&mut self, number: u32) {
        let after = self.moved.partition_point(|moved| moved.from <= number);
        let moved = after.checked_sub(1).and_then(|index| self.moved.get(index)).copied();
        let moved = moved.unwrap_or(Moved { from: 0, to: 0, instead: None });
        if let Some((start, end)) = moved.instead {
            self.parts.run(&self.message.bytes, start, end, self.share);
        } else {
            self.parts.get(number - moved.from + moved.to);
            self.gets = true;
        }
    }
}

/// What an object takes from outside of it.
struct Closure {
    /// None within another: start, end, how often it is taken, and the opcode if it is no more than one.
    spans: BTreeMap<usize, Needed>,
}

struct Needed {
    end: usize,
    times: usize,
    opcode: Option<Span>,
}

impl Closure {
    /// None if it takes what is not complete (or if it is all too entangled to look through).
    fn of(message: &Message, span: Span) -> Option<Closure> {
        let mut spans = BTreeMap::<usize, Needed>::new();
        let mut open = vec![span];
        let mut patience = message.notes.len().saturating_mul(4).saturating_add(64);
        while let Some((start, end)) = open.pop() {
            let own = message.memos_in((start, start)).0;
            for &note in message.notes_in((start, end)) {
                patience = patience.checked_sub(1)?;
                let opcode = message.bytes.get(note..).unwrap_or_default();
                let outside = match opcode.first() {
                    Some(&(op::BINGET | op::LONG_BINGET | op::GET)) => {
                        op::memo_number(opcode).filter(|&number| (number as usize) < own)
                    }
                    _ => None,
                };
                let Some(number) = outside else { continue };
                let taken = message.node(message.memo.get(number as usize)?.node);
                if taken.end > span.0 {
                    return None;
                }
                let known = spans.range_mut(..=taken.start).next_back();
                if let Some((_, known)) = known.filter(|(_, known)| known.end >= taken.end) {
                    known.times += 1;
                    continue;
                }
                while let Some((&within, _)) = spans.range(taken.start..taken.end).next() {
                    spans.remove(&within);
                }
                let opcode = message.single(taken);
                spans.insert(taken.start, Needed { end: taken.end, times: 1, opcode });
                open.push((taken.start, taken.end));
            }
        }
        Some(Closure { spans })
    }

    fn cut(self, message: &Message, span: Span) -> Payload {
        let mut moved = Vec::with_capacity(self.spans.len() + 1);
        let (mut memos, mut needed) = (0, span.1 - span.0);
        let mut ahead = Vec::new();
        for (start, Needed { end, times, opcode }) in self.spans {
            let (from, count) = message.memos_in((start, end));
            let instead = opcode.filter(|_| times == 1);
            moved.push(Moved { from: from as u32, to: memos as u32, instead });
            needed += end - start;
            if instead.is_none() {
                memos += count;
                ahead.push((start, end));
            }
        }
        let (from, count) = message.memos_in(span);
        moved.push(Moved { from: from as u32, to: memos as u32, instead: None });
        let (share, parts) = (shares(message, needed), Parts::with_capacity(needed.min(LARGE)));
        let mut cutter = Cutter { message, parts, share, moved, gets: false };
        for span in ahead {
            cutter.copy(span);
            cutter.parts.byte(op::POP);
        }
        cutter.copy(span);
        Payload::new(cutter.parts.finish(), memos + count, cutter.gets)
    }
}

/// The whole message, of which then all is popped, and the object taken from the memo.
fn replay(item: Item<'_>, node: &Node) -> Payload {
    let message = item.message;
    let root = message.node(message.root);
    let memos = message.memos_in((root.start, root.end)).1;
    let (first, count) = message.memos_in((node.start, node.end));
    let own = message.memo.get(first..first + count).unwrap_or_default();
    let number = if node.kind == Kind::Taken {
        Some(node.last as usize)
    } else {
        own.iter().position(|entry| entry.node == item.node).map(|index| first + index)
    };
    let (mut parts, number, memos) = match number {
        Some(number) => {
            let whole = message.whole.get_or_init(|| copy_whole(message, None).into());
            (whole.to_vec(), number, memos)
        }
        // No pickler leaves it out of its memo, as it contains itself.
        None => (copy_whole(message, Some(node.end)), first + count, memos + 1),
    };
    let mut end = Parts::default();
    end.byte(op::POP);
    end.get(number as u32);
    parts.extend(end.finish());
    Payload { body: Body::Many(Arc::from(parts)), memos: memos as u32, gets: true }
}

/// All of the message; what is on the stack at `put` is put into the memo besides.
fn copy_whole(message: &Message, put: Option<usize>) -> Vec<Bytes> {
    let root = message.node(message.root);
    let put = put.unwrap_or(root.end);
    let before = message.memos_in((root.start, put)).1 as u32;
    let moved = vec![
        Moved { from: 0, to: 0, instead: None },
        Moved { from: before, to: before + 1, instead: None },
    ];
    let mut cutter = Cutter { message, parts: Parts::default(), share: true, moved, gets: true };
    cutter.copy((root.start, put));
    if put != root.end {
        cutter.parts.byte(op::MEMOIZE);
        cutter.copy((put, root.end));
    }
    cutter.parts.finish()
}

impl Message {
    fn notes_in(&self, (start, end): Span) -> &[usize] {
        if self.notes.is_empty() {
            return &[];
        }
        let first = self.notes.partition_point(|&note| note < start);
        let last = self.notes.partition_point(|&note| note < end);
        self.notes.get(first..last).unwrap_or_default()
    }

    /// The first memo number of what is put into the memo in a span, and how many there are.
    fn memos_in(&self, (start, end): Span) -> (usize, usize) {
        let first = self.memo.partition_point(|entry| entry.at < start);
        let last = self.memo.partition_point(|entry| entry.at < end);
        (first, last.saturating_sub(first))
    }

    /// The opcode of a string, if there is nothing else in its span that could be taken from the memo.
    fn single(&self, node: &Node) -> Option<Span> {
        let at = node.opcode();
        let is_string = matches!(node.kind, Kind::Str | Kind::Bytes);
        if !is_string || node.start != at || self.memos_in((node.start, node.end)).1 != 1 {
            return None;
        }
        let (header, data) = op::extent(self.bytes.get(at..)?)?;
        Some((at, at + header + data))
    }
}
