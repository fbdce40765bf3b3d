//! Plain objects of Rust's values, and back.

use super::{Integer, Plain};

/// A plain object is not what was expected.
#[derive(Clone, Debug, thiserror::Error)]
#[error("expected {expected}, got {got:?}")]
pub struct OtherType {
    /// What was expected.
    pub expected: &'static str,
    /// What it is.
    pub got: Plain,
}

impl From<i64> for Plain {
    fn from(value: i64) -> Plain {
        Plain::int(value)
    }
}

impl From<i32> for Plain {
    fn from(value: i32) -> Plain {
        Plain::int(value.into())
    }
}

impl From<f64> for Plain {
    fn from(value: f64) -> Plain {
        Plain::Float(value)
    }
}

impl From<bool> for Plain {
    fn from(value: bool) -> Plain {
        Plain::Bool(value)
    }
}

impl From<&str> for Plain {
    fn from(value: &str) -> Plain {
        Plain::str(value)
    }
}

impl From<String> for Plain {
    fn from(value: String) -> Plain {
        Plain::Str(value.into())
    }
}

/// A bytes object.
impl From<Vec<u8>> for Plain {
    fn from(value: Vec<u8>) -> Plain {
        Plain::Bytes(value.into())
    }
}

/// A bytes object.
impl From<&[u8]> for Plain {
    fn from(value: &[u8]) -> Plain {
        Plain::Bytes(value.into())
    }
}

/// A list.
impl From<Vec<Plain>> for Plain {
    fn from(value: Vec<Plain>) -> Plain {
        Plain::List(value)
    }
}

/// None.
impl From<()> for Plain {
    fn from((): ()) -> Plain {
        Plain::None
    }
}

impl<T: Into<Plain>> From<Option<T>> for Plain {
    fn from(value: Option<T>) -> Plain {
        value.map_or(Plain::None, Into::into)
    }
}

/// A tuple.
impl<A: Into<Plain>, B: Into<Plain>> From<(A, B)> for Plain {
    fn from((one, two): (A, B)) -> Plain {
        Plain::Tuple(vec![one.into(), two.into()])
    }
}

/// A tuple.
impl<A: Into<Plain>, B: Into<Plain>, C: Into<Plain>> From<(A, B, C)> for Plain {
    fn from((one, two, three): (A, B, C)) -> Plain {
        Plain::Tuple(vec![one.into(), two.into(), three.into()])
    }
}

impl TryFrom<Plain> for i64 {
    type Error = OtherType;

    fn try_from(value: Plain) -> Result<i64, OtherType> {
        match value {
            Plain::Int(Integer::Small(value)) => Ok(value),
            got => Err(OtherType { expected: "an int of 64 bits", got }),
        }
    }
}

/// Of a float; not of an int, which a float may not be able to hold.
impl TryFrom<Plain> for f64 {
    type Error = OtherType;

    fn try_from(value: Plain) -> Result<f64, OtherType> {
        match value {
            Plain::Float(value) => Ok(value),
            got => Err(OtherType { expected: "a float", got }),
        }
    }
}

impl TryFrom<Plain> for bool {
    type Error = OtherType;

    fn try_from(value: Plain) -> Result<bool, OtherType> {
        match value {
            Plain::Bool(value) => Ok(value),
            got => Err(OtherType { expected: "a bool", got }),
        }
    }
}

impl TryFrom<Plain> for String {
    type Error = OtherType;

    fn try_from(value: Plain) -> Result<String, OtherType> {
        match value {
            Plain::Str(value) => Ok(value.into()),
            got => Err(OtherType { expected: "a str", got }),
        }
    }
}

/// Of a bytes object or a bytearray.
impl TryFrom<Plain> for Vec<u8> {
    type Error = OtherType;

    fn try_from(value: Plain) -> Result<Vec<u8>, OtherType> {
        match value {
            Plain::Bytes(value) | Plain::Bytearray(value) => Ok(value.into()),
            got => Err(OtherType { expected: "a bytes object", got }),
        }
    }
}

/// Of a list or a tuple.
impl TryFrom<Plain> for Vec<Plain> {
    type Error = OtherType;

    fn try_from(value: Plain) -> Result<Vec<Plain>, OtherType> {
        match value {
            Plain::List(members) | Plain::Tuple(members) => Ok(members),
            got => Err(OtherType { expected: "a list or a tuple", got }),
        }
    }
}

/// Of a tuple or a list of two.
impl TryFrom<Plain> for (Plain, Plain) {
    type Error = OtherType;

    fn try_from(value: Plain) -> Result<(Plain, Plain), OtherType> {
        let expected = "a tuple of two";
        match value {
            Plain::Tuple(members) | Plain::List(members) => <[Plain; 2]>::try_from(members)
                .map(|[one, two]| (one, two))
                .map_err(|members| OtherType { expected, got: Plain::Tuple(members) }),
            got => Err(OtherType { expected, got }),
        }
    }
}
