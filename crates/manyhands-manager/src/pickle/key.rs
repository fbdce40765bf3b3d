//! Plain objects as keys.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Integer, Plain};

/// A plain object that can be a key: equal and hashed as in Python (1, 1.0 and True are one key).
#[derive(Clone, Debug)]
pub struct Key(Plain);

impl Key {
    /// None for what is not hashable, and for nan (whose identity decides in Python).
    pub fn new(plain: Plain) -> Option<Key> {
        is_hashable(&plain).then_some(Key(plain))
    }

    /// What it was made of.
    pub fn as_plain(&self) -> &Plain {
        &self.0
    }

    /// What it was made of.
    pub fn into_plain(self) -> Plain {
        self.0
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(&self.0, state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.0.equals(&other.0)
    }
}

impl Eq for Key {}

/// The same by reference.
pub(super) struct KeyRef<'a>(&'a Plain);

impl<'a> KeyRef<'a> {
    pub(super) fn new(plain: &'a Plain) -> Option<KeyRef<'a>> {
        is_hashable(plain).then_some(KeyRef(plain))
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.0, state);
    }
}

impl PartialEq for KeyRef<'_> {
    fn eq(&self, other: &KeyRef<'_>) -> bool {
        self.0.equals(other.0)
    }
}

impl Eq for KeyRef<'_> {}

fn is_hashable(plain: &Plain) -> bool {
    match plain {
        Plain::None | Plain::Bool(_) | Plain::Int(_) | Plain::Str(_) | Plain::Bytes(_) => true,
        Plain::Float(value) => !value.is_nan(),
        Plain::Tuple(members) | Plain::Frozenset(members) => members.iter().all(is_hashable),
        Plain::Bytearray(_) | Plain::List(_) | Plain::Dict(_) | Plain::Set(_) => false,
    }
}

/// What is equal is hashed alike.
fn hash<H: Hasher>(plain: &Plain, state: &mut H) {
    match plain {
        Plain::Bool(value) => Integer::Small((*value).into()).hash(state),
        Plain::Int(value) => value.hash(state),
        Plain::Float(value) if value.is_finite() && value.fract() == 0.0 => {
            Integer::from_whole(*value).hash(state);
        }
        Plain::Float(value) => value.to_bits().hash(state),
        Plain::Str(value) => value.hash(state),
        Plain::Bytes(value) => value.hash(state),
        Plain::Tuple(members) => {
            state.write_u8(1);
            members.iter().for_each(|member| hash(member, state));
        }
        Plain::Frozenset(members) => {
            let mut hashes: Vec<u64> = members
                .iter()
                .map(|member| {
                    let mut state = DefaultHasher::new();
                    hash(member, &mut state);
                    state.finish()
                })
                .collect();
            hashes.sort_unstable();
            hashes.dedup();
            state.write_u8(2);
            hashes.hash(state);
        }
        Plain::None | Plain::Bytearray(_) | Plain::List(_) | Plain::Dict(_) | Plain::Set(_) => {
            state.write_u8(0);
        }
    }
}
