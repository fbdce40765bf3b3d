//! Objects of plain types, decoded.

use super::Integer;

/// An object of plain types. Shared parts come out as copies; one that contains itself is not plain.
#[derive(Clone, Debug)]
pub enum Plain {
    /// None.
    None,
    /// True or False.
    Bool(bool),
    /// An int.
    Int(Integer),
    /// A float.
    Float(f64),
    /// A str without lone surrogates; one that has some is opaque.
    Str(Box<str>),
    /// A bytes object.
    Bytes(Box<[u8]>),
    /// A bytearray.
    Bytearray(Box<[u8]>),
    /// A tuple.
    Tuple(Vec<Plain>),
    /// A list.
    List(Vec<Plain>),
    /// A dict. A key may come twice; the last value counts.
    Dict(Vec<(Plain, Plain)>),
    /// A set. A member may come twice.
    Set(Vec<Plain>),
    /// A frozenset. A member may come twice.
    Frozenset(Vec<Plain>),
}

impl Plain {
    /// An int that fits.
    pub fn int(value: i64) -> Plain {
        Plain::Int(Integer::Small(value))
    }

    /// A str.
    pub fn str(value: &str) -> Plain {
        Plain::Str(value.into())
    }

    /// Python's truth.
    pub fn is_true(&self) -> bool {
        match self {
            Plain::None => false,
            Plain::Bool(value) => *value,
            Plain::Int(value) => *value != Integer::Small(0),
            Plain::Float(value) => *value != 0.0,
            Plain::Str(value) => !value.is_empty(),
            Plain::Bytes(value) | Plain::Bytearray(value) => !value.is_empty(),
            Plain::Tuple(members)
            | Plain::List(members)
            | Plain::Set(members)
            | Plain::Frozenset(members) => !members.is_empty(),
            Plain::Dict(pairs) => !pairs.is_empty(),
        }
    }
}
