//! Objects of plain types, decoded.

/// A Python int of any size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Integer { Small(i64), /// two's complement, little endian, shortest form
 Big(Box<[u8]>) }

/// An object of plain types. Shared parts come out as copies; one that contains itself is not plain.
#[derive(Clone, Debug)]
pub enum Plain {
    None,
    Bool(bool),
    Int(Integer),
    Float(f64),
    /// Without lone surrogates; a str that has some is opaque.
    Str(Box<str>),
    Bytes(Box<[u8]>),
    Bytearray(Box<[u8]>),
    Tuple(Vec<Plain>),
    List(Vec<Plain>),
    Dict(Vec<(Plain, Plain)>),
    Set(Vec<Plain>),
    Frozenset(Vec<Plain>),
}

impl Plain {
    /// Python's `==`: 1 == 1.0 == True, nan differs from everything, tuple from list...
    pub fn equals(&self, other: &Plain) -> bool { todo!() }
    /// Python's `<`: None where Python raises TypeError.
    pub fn is_less(&self, other: &Plain) -> Option<bool> { todo!() }
    /// Python's truth.
    pub fn is_true(&self) -> bool { todo!() }
}

/// A plain object that can be a key: equal and hashed as in Python (1, 1.0 and True are one key).
#[derive(Clone, Debug)]
pub struct Key(Plain);

impl Key {
    /// None for what is not hashable, and for nan (whose identity decides in Python).
    pub fn new(plain: Plain) -> Option<Key> { todo!() }
    pub fn as_plain(&self) -> &Plain { &self.0 }
}
// impl Hash, PartialEq, Eq for Key
