//! Cuts a message into the objects that it is made of.

use std::iter::FusedIterator;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::node::{Entry, Kind, NOTHING, Node};
use super::opcode as op;
use super::scanner::Scanner;
use super::{Payload, Plain};

/// Why a message is no pickle that can be cut apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends early, takes from an empty stack, uses what no pickler of CPython writes...
    #[error("not a pickle that can be read, at byte {at}: {what}")]
    Pickle {
        /// How far it is one.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

/// One pickled object, scanned: every object in it has its place and shape.
///
/// Takes at most some 60 bytes of memory for each byte of the message (less than 1 for usual ones), and no longer than
/// reading through it once.
#[derive(Debug)]
pub struct Message {
    pub(super) bytes: Bytes,
    pub(super) nodes: Vec<Node>,
    pub(super) memo: Vec<Entry>,
    pub(super) notes: Vec<usize>,
    pub(super) root: u32,
    /// All of it without frames, once something is cut out that takes what contains it.
    pub(super) whole: OnceLock<Arc<[Bytes]>>,
}

impl Message {
    /// Scans a whole pickle of protocol 2 to 5, as `pickle.dumps` of CPython 3.10 to 3.14 makes it.
    ///
    /// Nothing is carried out: what opcodes such as REDUCE would make is known by its place only. What follows the
    /// end of the pickle is left out of account, as `pickle.loads` does.
    ///
    /// # Errors
    /// It is none, or one that names things as Python 2 did (protocol 2 and below), or numbers its memo as no pickler does.
    pub fn scan(bytes: Bytes) -> Result<Message, Malformed> {
        let mut scanner = Scanner::new(&bytes);
        let root = scanner.run().map_err(|what| Malformed::Pickle { at: scanner.at, what })?;
        let Scanner { nodes, memo, notes, .. } = scanner;
        Ok(Message { bytes, nodes, memo, notes, root, whole: OnceLock::new() })
    }

    /// The object that the whole message is.
    pub fn root(&self) -> Item<'_> {
        Item { message: self, node: self.root }
    }

    pub(super) fn node(&self, index: u32) -> &Node {
        const NOWHERE: Node = Node {
            start: 0,
            end: 0,
            first: NOTHING,
            last: NOTHING,
            next: NOTHING,
            kind: Kind::Opaque,
        };
        self.nodes.get(index as usize).unwrap_or(&NOWHERE)
    }

    /// The data of an opcode.
    fn data(&self, at: usize) -> &[u8] {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let (header, data) = op::extent(rest).unwrap_or_default();
        rest.get(header..header + data).unwrap_or_default()
    }
}

/// An object of a message.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    pub(super) message: &'a Message,
    pub(super) node: u32,
}

/// The members of an object, one after the other.
#[derive(Clone, Debug)]
pub struct Members<'a>(Item<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let item = self.0;
        if item.node == NOTHING {
            return None;
        }
        self.0.node = item.message.node(item.node).next;
        Some(item)
    }
}

impl FusedIterator for Members<'_> {}

impl<'a> Item<'a> {
    /// What it is, itself or in the memo.
    pub(super) fn resolved(self) -> &'a Node {
        let node = self.message.node(self.node);
        if node.kind == Kind::Taken { self.message.node(node.first) } else { node }
    }

    fn at(self, node: u32) -> Item<'a> {
        Item { message: self.message, node }
    }

    pub(super) fn members_of(self, node: &Node) -> Members<'a> {
        Members(self.at(node.first))
    }

    fn members(self, kind: Kind) -> Option<Members<'a>> {
        let node = self.resolved();
        (node.kind == kind).then(|| self.members_of(node))
    }

    fn data(self, kind: Kind) -> Option<&'a [u8]> {
        let node = self.resolved();
        (node.kind == kind).then(|| self.message.data(node.opcode()))
    }

    /// The members of a tuple, as they come.
    pub fn tuple_members(self) -> Option<Members<'a>> {
        self.members(Kind::Tuple)
    }

    /// The members of a list, as they come.
    pub fn list_members(self) -> Option<Members<'a>> {
        self.members(Kind::List)
    }

    /// The members of a tuple.
    pub fn tuple(self) -> Option<Vec<Item<'a>>> {
        Some(self.tuple_members()?.collect())
    }

    /// The members of a list (one that is made by list opcodes only).
    pub fn list(self) -> Option<Vec<Item<'a>>> {
        Some(self.list_members()?.collect())
    }

    /// The members of a set or frozenset.
    pub fn set(self) -> Option<Vec<Item<'a>>> {
        Some(self.members(Kind::Set).or_else(|| self.members(Kind::Frozenset))?.collect())
    }

    /// Keys and values of a dict, in their order; a key may come twice.
    pub fn dict(self) -> Option<Vec<(Item<'a>, Item<'a>)>> {
        let mut members = self.members(Kind::Dict)?;
        let mut pairs = Vec::new();
        while let (Some(key), Some(value)) = (members.next(), members.next()) {
            pairs.push((key, value));
        }
        Some(pairs)
    }

    /// A string, also one that is taken from the memo. None if it has lone surrogates.
    pub fn str(self) -> Option<&'a str> {
        std::str::from_utf8(self.data(Kind::Str)?).ok()
    }

    /// A bytes object.
    pub fn bytes(self) -> Option<&'a [u8]> {
        self.data(Kind::Bytes)
    }

    /// A bytearray.
    pub fn bytearray(self) -> Option<&'a [u8]> {
        self.data(Kind::Bytearray)
    }

    /// Whether it is None.
    pub fn is_none(self) -> bool {
        self.resolved().kind == Kind::None
    }

    /// True or False.
    pub fn bool(self) -> Option<bool> {
        match self.resolved().kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// The two's complement, little endian, of an int, and whether it has a sign.
    pub(super) fn int_bytes(self) -> Option<(&'a [u8], bool)> {
        let node = self.resolved();
        if node.kind != Kind::Int {
            return None;
        }
        let at = node.opcode();
        let rest = self.message.bytes.get(at..)?;
        match *rest.first()? {
            op::BININT1 => Some((rest.get(1..2)?, false)),
            op::BININT2 => Some((rest.get(1..3)?, false)),
            op::BININT => Some((rest.get(1..5)?, true)),
            _ => Some((self.message.data(at), true)),
        }
    }

    /// An int (not a bool) that fits.
    pub fn int(self) -> Option<i64> {
        match super::Integer::from_le_bytes(self.int_bytes()?) {
            super::Integer::Small(value) => Some(value),
            super::Integer::Big(_) => None,
        }
    }

    /// A float.
    pub fn float(self) -> Option<f64> {
        let node = self.resolved();
        if node.kind != Kind::Float {
            return None;
        }
        let rest = self.message.bytes.get(node.opcode() + 1..)?;
        Some(f64::from_be_bytes(*rest.first_chunk::<8>()?))
    }

    /// The three members of a `slice`.
    pub fn slice(self) -> Option<[Item<'a>; 3]> {
        let (callable, arguments, None) = self.reduced()? else { return None };
        if callable.global()? != ("builtins", "slice") {
            return None;
        }
        let mut members = arguments.tuple_members()?;
        let three = [members.next()?, members.next()?, members.next()?];
        members.next().is_none().then_some(three)
    }

    /// Module and name of a class or function that is named.
    pub fn global(self) -> Option<(&'a str, &'a str)> {
        let node = self.resolved();
        match node.kind {
            Kind::StackNamed => {
                let mut members = self.members_of(node);
                Some((members.next()?.str()?, members.next()?.str()?))
            }
            Kind::Named => {
                let lines = std::str::from_utf8(self.message.data(node.opcode())).ok()?;
                let mut lines = lines.split('\n');
                Some((lines.next()?, lines.next()?))
            }
            _ => None,
        }
    }

    /// A callable, what it is called with (a tuple) and, if BUILD follows, the state; or a class and what its `__new__` is called with.
    ///
    /// None if more is done with it, such as appending to it.
    pub fn reduced(self) -> Option<(Item<'a>, Item<'a>, Option<Item<'a>>)> {
        let node = self.resolved();
        let mut members = match node.kind {
            Kind::Reduced | Kind::ReducedBuilt | Kind::Made | Kind::MadeBuilt => {
                self.members_of(node)
            }
            _ => return None,
        };
        Some((members.next()?, members.next()?, members.next()))
    }

    /// Decoded, if it is plain all through.
    pub fn plain(self) -> Option<Plain> {
        super::decode::plain(self)
    }

    /// Whether it is plain all through.
    pub fn is_plain(self) -> bool {
        super::decode::is_plain(self)
    }

    /// Cut out, to be kept.
    pub fn payload(self) -> Payload {
        super::cut::payload(self)
    }
}
