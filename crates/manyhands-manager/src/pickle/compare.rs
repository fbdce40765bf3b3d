//! Comparisons as Python makes them.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::key::KeyRef;
use super::{Integer, Plain};

/// What compares as a number.
enum Number<'a> {
    Small(i64),
    Int(&'a Integer),
    Float(f64),
}

impl Number<'_> {
    fn of(plain: &Plain) -> Option<Number<'_>> {
        Some(match plain {
            Plain::Bool(value) => Number::Small((*value).into()),
            Plain::Int(Integer::Small(value)) => Number::Small(*value),
            Plain::Int(value) => Number::Int(value),
            Plain::Float(value) => Number::Float(*value),
            _ => return None,
        })
    }

    /// None if one of them is nan.
    fn compare(&self, other: &Number<'_>) -> Option<Ordering> {
        match (self, other) {
            (Number::Small(one), Number::Small(two)) => Some(one.cmp(two)),
            (Number::Float(one), Number::Float(two)) => one.partial_cmp(two),
            (Number::Small(one), Number::Int(two)) => Some(Integer::Small(*one).cmp(two)),
            (Number::Int(one), Number::Small(two)) => Some((*one).cmp(&Integer::Small(*two))),
            (Number::Int(one), Number::Int(two)) => Some(one.cmp(two)),
            (Number::Small(one), Number::Float(two)) => Integer::Small(*one).compare_float(*two),
            (Number::Int(one), Number::Float(two)) => one.compare_float(*two),
            (Number::Float(_), _) => other.compare(self).map(Ordering::reverse),
        }
    }
}

/// None if one cannot be a member.
fn set(members: &[Plain]) -> Option<HashSet<KeyRef<'_>>> {
    members.iter().map(KeyRef::new).collect()
}

fn map(pairs: &[(Plain, Plain)]) -> Option<HashMap<KeyRef<'_>, &Plain>> {
    pairs.iter().map(|(key, value)| Some((KeyRef::new(key)?, value))).collect()
}

fn equal_maps(one: &[(Plain, Plain)], two: &[(Plain, Plain)]) -> bool {
    let (Some(one), Some(two)) = (map(one), map(two)) else { return false };
    one.len() == two.len()
        && one.iter().all(|(key, value)| two.get(key).is_some_and(|other| value.equals(other)))
}

fn equal_all(one: &[Plain], two: &[Plain]) -> bool {
    one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.equals(two))
}

/// The first two that differ decide, or the length.
fn less_of(one: &[Plain], two: &[Plain]) -> Option<bool> {
    match one.iter().zip(two).find(|(one, two)| !one.equals(two)) {
        Some((one, two)) => one.is_less(two),
        None => Some(one.len() < two.len()),
    }
}

impl Plain {
    /// Python's `==`: 1 == 1.0 == True, a tuple differs from a list.
    ///
    /// nan differs from everything, also within containers, for which Python would look whether it is the same object.
    pub fn equals(&self, other: &Plain) -> bool {
        use Plain::{Bytearray, Bytes, Dict, Frozenset, List, None, Set, Str, Tuple};
        match (self, other) {
            (None, None) => true,
            (Str(one), Str(two)) => one == two,
            (Bytes(one) | Bytearray(one), Bytes(two) | Bytearray(two)) => one == two,
            (Tuple(one), Tuple(two)) | (List(one), List(two)) => equal_all(one, two),
            (Dict(one), Dict(two)) => equal_maps(one, two),
            (Set(one) | Frozenset(one), Set(two) | Frozenset(two)) => {
                matches!((set(one), set(two)), (Some(one), Some(two)) if one == two)
            }
            _ => match (Number::of(self), Number::of(other)) {
                (Some(one), Some(two)) => one.compare(&two) == Some(Ordering::Equal),
                _ => false,
            },
        }
    }

    /// Python's `<`: None where Python raises `TypeError`, and where it would depend on which nan it is.
    pub fn is_less(&self, other: &Plain) -> Option<bool> {
        use Plain::{Bytearray, Bytes, Frozenset, List, Set, Str, Tuple};
        match (self, other) {
            (Str(one), Str(two)) => Some(one < two),
            (Bytes(one) | Bytearray(one), Bytes(two) | Bytearray(two)) => Some(one < two),
            (Tuple(one), Tuple(two)) | (List(one), List(two)) => less_of(one, two),
            (Set(one) | Frozenset(one), Set(two) | Frozenset(two)) => {
                let (one, two) = (set(one)?, set(two)?);
                Some(one.len() < two.len() && one.is_subset(&two))
            }
            _ => {
                let (one, two) = (Number::of(self)?, Number::of(other)?);
                Some(one.compare(&two) == Some(Ordering::Less))
            }
        }
    }
}
