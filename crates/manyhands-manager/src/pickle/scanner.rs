//! The stack machine that finds where each object of a message stands.
//!
//! It is an unpickler that makes no objects, only their places. Its stack is a chain through the nodes; a node leaves
//! it by becoming a member of another one (then the same link leads to its next sibling) or by being popped.

use super::node::{Entry, Kind, NOTHING, Node};
use super::opcode as op;

#[derive(Debug)]
pub(super) struct Scanner<'b> {
    bytes: &'b [u8],
    pub(super) at: usize,
    /// The top of the stack.
    top: u32,
    /// Where what was popped last begins; nothing else has happened since.
    popped: usize,
    protocol: u8,
    pub(super) nodes: Vec<Node>,
    pub(super) memo: Vec<Entry>,
    /// Where opcodes are that mean something else, or nothing, once they are cut out: GET, PUT, FRAME, PROTO.
    pub(super) notes: Vec<usize>,
}

type Step = Result<(), &'static str>;
const EARLY: &str = "it ends early";
const EMPTY: &str = "it takes from an empty stack";

impl<'b> Scanner<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Scanner<'b> {
        Scanner {
            bytes,
            at: 0,
            top: NOTHING,
            popped: usize::MAX,
            protocol: 0,
            nodes: Vec::with_capacity((bytes.len() / 4).clamp(4, 32)),
            memo: Vec::with_capacity((bytes.len() / 12).clamp(4, 16)),
            notes: Vec::new(),
        }
    }

    /// To the end; the node that is left.
    pub(super) fn run(&mut self) -> Result<u32, &'static str> {
        loop {
            let begin = self.at;
            let &opcode = self.bytes.get(begin).ok_or(EARLY)?;
            self.at += 1;
            match opcode {
                op::SHORT_BINUNICODE => self.counted(begin, 1, Kind::Str)?,
                op::MEMOIZE => self.put(begin)?,
                op::BININT1 => self.fixed(begin, 1, Kind::Int)?,
                op::BININT2 => self.fixed(begin, 2, Kind::Int)?,
                op::BININT => self.fixed(begin, 4, Kind::Int)?,
                op::LONG1 => self.counted(begin, 1, Kind::Int)?,
                op::LONG4 => self.counted(begin, 4, Kind::Int)?,
                op::NONE => self.leaf(begin, Kind::None)?,
                op::NEWTRUE => self.leaf(begin, Kind::True)?,
                op::NEWFALSE => self.leaf(begin, Kind::False)?,
                op::BINFLOAT => self.fixed(begin, 8, Kind::Float)?,
                op::BINUNICODE => self.counted(begin, 4, Kind::Str)?,
                op::BINUNICODE8 => self.counted(begin, 8, Kind::Str)?,
                op::SHORT_BINBYTES => self.counted(begin, 1, Kind::Bytes)?,
                op::BINBYTES => self.counted(begin, 4, Kind::Bytes)?,
                op::BINBYTES8 => self.counted(begin, 8, Kind::Bytes)?,
                op::BYTEARRAY8 => self.counted(begin, 8, Kind::Bytearray)?,
                op::MARK => self.leaf(begin, Kind::Mark)?,
                op::EMPTY_TUPLE => self.empty(begin, Kind::Tuple)?,
                op::EMPTY_LIST => self.empty(begin, Kind::List)?,
                op::EMPTY_DICT => self.empty(begin, Kind::Dict)?,
                op::EMPTY_SET => self.empty(begin, Kind::Set)?,
                op::TUPLE1 => self.gather(1, Kind::Tuple)?,
                op::TUPLE2 => self.gather(2, Kind::Tuple)?,
                op::TUPLE3 => self.gather(3, Kind::Tuple)?,
                op::TUPLE => self.gather_marked(Kind::Tuple)?,
                op::LIST => self.gather_marked(Kind::List)?,
                op::DICT => self.gather_marked(Kind::Dict)?,
                op::FROZENSET => self.gather_marked(Kind::Frozenset)?,
                op::APPEND => self.add(1, Kind::List)?,
                op::SETITEM => self.add(2, Kind::Dict)?,
                op::APPENDS => self.add_marked(Kind::List)?,
                op::SETITEMS => self.add_marked(Kind::Dict)?,
                op::ADDITEMS => self.add_marked(Kind::Set)?,
                op::BINGET | op::LONG_BINGET | op::GET => self.get(begin)?,
                op::BINPUT | op::LONG_BINPUT | op::PUT => self.put_at(begin)?,
                op::STACK_GLOBAL => self.gather(2, Kind::StackNamed)?,
                op::REDUCE => self.gather(2, Kind::Reduced)?,
                op::NEWOBJ => self.gather(2, Kind::Made)?,
                op::BUILD => self.build()?,
                op::STOP => return self.stop(),
                op::PROTO | op::FRAME => self.pass(begin)?,
                _ => self.rare(begin, opcode)?,
            }
        }
    }

    fn rare(&mut self, begin: usize, opcode: u8) -> Step {
        match opcode {
            op::POP => self.pop(),
            op::POP_MARK => {
                let (mark, ..) = self.take_marked()?;
                self.popped = self.node(mark)?.start;
                Ok(())
            }
            op::GLOBAL => {
                self.named(begin)?;
                self.leaf(begin, Kind::Named)
            }
            op::INST => {
                self.named(begin)?;
                self.gather_marked(Kind::Opaque)
            }
            op::OBJ => {
                self.gather_marked(Kind::Opaque)?;
                let made = self.node(self.top)?;
                if made.first == NOTHING { Err("it makes an object of no class") } else { Ok(()) }
            }
            op::NEWOBJ_EX => self.gather(3, Kind::Opaque),
            op::BINPERSID => self.gather(1, Kind::Opaque),
            op::READONLY_BUFFER => self.change_top(Kind::Opaque, NOTHING, NOTHING),
            op::NEXT_BUFFER => self.leaf(begin, Kind::Opaque),
            op::EXT1 => self.fixed(begin, 1, Kind::Opaque),
            op::EXT2 => self.fixed(begin, 2, Kind::Opaque),
            op::EXT4 => self.fixed(begin, 4, Kind::Opaque),
            op::SHORT_BINSTRING => self.counted(begin, 1, Kind::Opaque),
            op::BINSTRING => self.counted(begin, 4, Kind::Opaque),
            op::INT | op::LONG | op::FLOAT | op::STRING | op::UNICODE | op::PERSID => {
                self.skip_opcode(begin)?;
                self.leaf(begin, Kind::Opaque)
            }
            _ => Err("there is an unknown opcode"),
        }
    }

    fn node(&self, index: u32) -> Result<&Node, &'static str> {
        self.nodes.get(index as usize).ok_or(EMPTY)
    }

    fn node_mut(&mut self, index: u32) -> Result<&mut Node, &'static str> {
        self.nodes.get_mut(index as usize).ok_or(EMPTY)
    }

    fn push(&mut self, start: usize, first: u32, last: u32, kind: Kind) -> Step {
        let index = u32::try_from(self.nodes.len()).unwrap_or(NOTHING);
        if index == NOTHING {
            return Err("it has too many objects");
        }
        self.nodes.push(Node { start, end: self.at, first, last, next: self.top, kind });
        self.top = index;
        self.popped = usize::MAX;
        Ok(())
    }

    /// What stands by itself at `begin`, whose opcode has been read.
    fn leaf(&mut self, begin: usize, kind: Kind) -> Step {
        self.push(begin.min(self.popped), begin as u32, (begin as u64 >> 32) as u32, kind)
    }

    fn empty(&mut self, begin: usize, kind: Kind) -> Step {
        self.push(begin.min(self.popped), NOTHING, NOTHING, kind)
    }

    fn fixed(&mut self, begin: usize, size: usize, kind: Kind) -> Step {
        self.at = begin + 1 + size;
        if self.at > self.bytes.len() { Err(EARLY) } else { self.leaf(begin, kind) }
    }

    fn counted(&mut self, begin: usize, size: usize, kind: Kind) -> Step {
        let data = begin + 1 + size;
        let length = op::number(self.bytes.get(begin + 1..data).ok_or(EARLY)?);
        let rest = (self.bytes.len() - data) as u64;
        if length > rest {
            return Err(EARLY);
        }
        self.at = data + length as usize;
        self.leaf(begin, kind)
    }

    fn skip_opcode(&mut self, begin: usize) -> Step {
        let (header, data) = self.bytes.get(begin..).and_then(op::extent).ok_or(EARLY)?;
        self.at = begin + header + data;
        Ok(())
    }

    /// GLOBAL and INST: two lines.
    fn named(&mut self, begin: usize) -> Step {
        if self.protocol < 3 {
            return Err("it names things as Python 2 did; protocol 3 or later is needed");
        }
        self.skip_opcode(begin)
    }

    fn pass(&mut self, begin: usize) -> Step {
        self.skip_opcode(begin)?;
        if self.bytes.get(begin) == Some(&op::PROTO) {
            self.protocol = self.bytes.get(begin + 1).copied().unwrap_or(0);
            if self.protocol > 5 {
                return Err("its protocol is unknown; up to 5 are");
            }
        }
        // Before the first object it is part of nothing that could be cut out.
        if !self.nodes.is_empty() {
            self.notes.push(begin);
        }
        Ok(())
    }

    /// Takes the object on top.
    fn take(&mut self) -> Result<u32, &'static str> {
        let index = self.top;
        let node = self.node(index)?;
        if node.kind == Kind::Mark {
            return Err(EMPTY);
        }
        self.top = node.next;
        Ok(index)
    }

    /// Takes `count` objects, linked in their order: the first and the last.
    fn take_many(&mut self, count: usize) -> Result<(u32, u32), &'static str> {
        let (mut first, last) = (NOTHING, self.top);
        for _ in 0..count {
            let index = self.take()?;
            self.node_mut(index)?.next = first;
            first = index;
        }
        Ok((first, last))
    }

    /// Takes all down to the mark, and the mark; the mark, the first and the last of them, and how many.
    fn take_marked(&mut self) -> Result<(u32, u32, u32, usize), &'static str> {
        let (mut first, mut last, mut count, mut index) = (NOTHING, NOTHING, 0, self.top);
        loop {
            let node = self.nodes.get_mut(index as usize).ok_or("a mark is missing")?;
            let below = node.next;
            if node.kind == Kind::Mark {
                self.top = below;
                return Ok((index, first, last, count));
            }
            node.next = first;
            if count == 0 {
                last = index;
            }
            (first, index, count) = (index, below, count + 1);
        }
    }

    /// One object of the `count` on top.
    fn gather(&mut self, count: usize, kind: Kind) -> Step {
        let (first, last) = self.take_many(count)?;
        let start = self.node(first)?.start;
        self.push(start, first, last, kind)
    }

    /// One object of all down to the mark, whose node becomes its own.
    fn gather_marked(&mut self, kind: Kind) -> Step {
        let (mark, first, last, count) = self.take_marked()?;
        if kind == Kind::Dict && count % 2 == 1 {
            return Err("a key has no value");
        }
        (self.top, self.popped) = (mark, usize::MAX);
        let end = self.at;
        let node = self.node_mut(mark)?;
        (node.first, node.last, node.kind, node.end) = (first, last, kind, end);
        Ok(())
    }

    fn add(&mut self, count: usize, kind: Kind) -> Step {
        let (first, last) = self.take_many(count)?;
        self.change_top(kind, first, last)
    }

    fn add_marked(&mut self, kind: Kind) -> Step {
        let (_, first, last, count) = self.take_marked()?;
        if kind == Kind::Dict && count % 2 == 1 {
            return Err("a key has no value");
        }
        self.change_top(kind, first, last)
    }

    /// The object on top gets more members, if it is of this kind; otherwise it is something unknown from now on.
    fn change_top(&mut self, kind: Kind, first: u32, last: u32) -> Step {
        let top = self.changed_top()?;
        let node = self.node_mut(top)?;
        if node.kind != kind {
            if node.kind != Kind::Taken {
                node.kind = Kind::Opaque;
            }
        } else if first != NOTHING && kind != Kind::Opaque {
            let before = std::mem::replace(&mut node.last, last);
            if before == NOTHING {
                node.first = first;
            } else {
                self.node_mut(before)?.next = first;
            }
        }
        Ok(())
    }

    /// The object on top, of which the opcode that was read becomes a part.
    fn changed_top(&mut self) -> Result<u32, &'static str> {
        self.popped = usize::MAX;
        let (top, end) = (self.top, self.at);
        let node = self.node_mut(top)?;
        if node.kind == Kind::Mark {
            return Err(EMPTY);
        }
        node.end = end;
        if node.kind == Kind::Taken {
            let (start, target) = (node.start, node.first);
            let target = self.node_mut(target)?;
            // Pickle does so with an object that it met again while it pickled its parts, all of which stand in
            // between. Any other one's place would not contain the change.
            if target.start < start {
                return Err("it changes what was complete");
            }
            target.kind = Kind::Opaque;
        }
        Ok(top)
    }

    fn build(&mut self) -> Step {
        let state = self.take()?;
        self.node_mut(state)?.next = NOTHING;
        let top = self.changed_top()?;
        let node = self.node_mut(top)?;
        node.kind = match node.kind {
            Kind::Reduced => Kind::ReducedBuilt,
            Kind::Made => Kind::MadeBuilt,
            Kind::Taken => return Ok(()),
            _ => {
                node.kind = Kind::Opaque;
                return Ok(());
            }
        };
        let before = std::mem::replace(&mut node.last, state);
        self.node_mut(before)?.next = state;
        Ok(())
    }

    fn put(&mut self, begin: usize) -> Step {
        self.popped = usize::MAX;
        let (top, end) = (self.top, self.at);
        let node = self.node_mut(top)?;
        if node.kind == Kind::Mark {
            return Err(EMPTY);
        }
        node.end = end;
        self.memo.push(Entry { at: begin, node: top });
        Ok(())
    }

    fn put_at(&mut self, begin: usize) -> Step {
        self.skip_opcode(begin)?;
        let number = self.bytes.get(begin..).and_then(op::memo_number);
        // All picklers count.
        if number.map(|number| number as usize) != Some(self.memo.len()) {
            return Err("its memo is out of order");
        }
        self.notes.push(begin);
        self.put(begin)
    }

    fn get(&mut self, begin: usize) -> Step {
        self.skip_opcode(begin)?;
        let number =
            self.bytes.get(begin..).and_then(op::memo_number).ok_or("it takes from nowhere")?;
        let entry = self.memo.get(number as usize).ok_or("it takes what is not in its memo")?;
        let node = self.node(entry.node)?;
        let target = if node.kind == Kind::Taken { node.first } else { entry.node };
        self.notes.push(begin);
        self.push(begin.min(self.popped), target, number, Kind::Taken)
    }

    fn pop(&mut self) -> Step {
        let node = self.node(self.top)?;
        let (start, next) = (node.start, node.next);
        (self.popped, self.top) = (start, next);
        Ok(())
    }

    fn stop(&mut self) -> Result<u32, &'static str> {
        let root = self.take()?;
        if self.top != NOTHING {
            return Err("it ends with more than one object");
        }
        self.node_mut(root)?.next = NOTHING;
        Ok(root)
    }
}
