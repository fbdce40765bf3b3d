//! What a scanned message is made of.

/// No node.
pub(super) const NOTHING: u32 = u32::MAX;

/// What an object is, as far as its opcodes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not an object: where a container's members begin.
    Mark,
    None,
    True,
    False,
    Int,
    Float,
    Str,
    Bytes,
    Bytearray,
    Tuple,
    List,
    /// Keys and values in turn.
    Dict,
    Set,
    Frozenset,
    /// GLOBAL: module and name are lines of the opcode.
    Named,
    /// STACK_GLOBAL: two members.
    StackNamed,
    /// REDUCE: callable and arguments.
    Reduced,
    /// REDUCE and BUILD: callable, arguments, state.
    ReducedBuilt,
    /// NEWOBJ: class and arguments.
    Made,
    /// NEWOBJ and BUILD: class, arguments, state.
    MadeBuilt,
    /// Taken from the memo: the node that was put there, and its number.
    Taken,
    /// Anything else.
    Opaque,
}

/// An object on the stack or in a container, or a mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// From its first opcode (or that of something popped right before, which it may take from the memo)...
    pub(super) start: usize,
    /// ... to after the last one that shaped it.
    pub(super) end: usize,
    /// First and last member; or where its opcode is, low half and high half; or as [`Kind::Taken`] says.
    pub(super) first: u32,
    pub(super) last: u32,
    /// The next member of the same container.
    pub(super) next: u32,
    pub(super) kind: Kind,
}

impl Node {
    /// Where the opcode of an object without members is.
    pub(super) fn opcode(&self) -> usize {
        self.first as usize | (self.last as usize) << 32
    }
}

/// An entry of the memo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Where it is put there.
    pub(super) at: usize,
    pub(super) node: u32,
}
