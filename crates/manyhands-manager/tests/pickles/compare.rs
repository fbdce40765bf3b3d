//! Comparisons and keys, as Python has them.

use std::collections::HashMap;

use manyhands_manager::pickle::{Integer, Key, Message, Plain};

/// Decoded from opcodes.
fn decode(opcodes: &[u8]) -> Plain {
    let pickle = [b"\x80\x04", opcodes, b"."].concat();
    Message::scan(pickle.into()).unwrap().root().plain().unwrap()
}

/// `sign * 2 ** power + more`, for a power of at least 63.
fn power(power: usize, more: u8) -> Plain {
    let mut bytes = vec![0; power / 8 + 1];
    bytes[power / 8] = 1 << (power % 8);
    bytes[0] |= more;
    bytes.push(0);
    let mut opcodes = vec![b'\x8a', bytes.len() as u8];
    opcodes.extend_from_slice(&bytes);
    decode(&opcodes)
}

fn float(value: f64) -> Plain {
    Plain::Float(value)
}

fn bytes(value: &[u8]) -> Plain {
    Plain::Bytes(value.into())
}

fn bytearray(value: &[u8]) -> Plain {
    Plain::Bytearray(value.into())
}

fn tuple(members: &[Plain]) -> Plain {
    Plain::Tuple(members.to_vec())
}

fn list(members: &[Plain]) -> Plain {
    Plain::List(members.to_vec())
}

fn set(members: &[Plain]) -> Plain {
    Plain::Set(members.to_vec())
}

fn frozenset(members: &[Plain]) -> Plain {
    Plain::Frozenset(members.to_vec())
}

fn int(value: i64) -> Plain {
    Plain::int(value)
}

fn str(value: &str) -> Plain {
    Plain::str(value)
}

#[test]
fn what_is_equal_in_python_is_equal_and_one_key() {
    let one = [int(1), float(1.0), Plain::Bool(true)];
    let pairs = [
        (int(1), float(1.0)),
        (int(1), Plain::Bool(true)),
        (float(0.0), Plain::Bool(false)),
        (float(0.0), float(-0.0)),
        (int(0), float(-0.0)),
        (int(1 << 53), float(9_007_199_254_740_992.0)),
        (int(i64::MIN), float(-9_223_372_036_854_775_808.0)),
        (power(63, 0), float(9_223_372_036_854_775_808.0)),
        (power(100, 0), float(2.0_f64.powi(100))),
        (power(1023, 0), float(2.0_f64.powi(1023))),
        (float(f64::INFINITY), float(f64::INFINITY)),
        (Plain::None, Plain::None),
        (str("a"), str("a")),
        (tuple(&[int(1), str("a")]), tuple(&[float(1.0), str("a")])),
        (frozenset(&[int(1), int(2)]), frozenset(&[int(2), float(1.0)])),
        (frozenset(&one), frozenset(&[int(1)])),
        (frozenset(&[frozenset(&[int(1), int(2)])]), frozenset(&[frozenset(&[int(2), int(1)])])),
    ];
    for (one, two) in pairs {
        assert!(one.equals(&two) && two.equals(&one), "{one:?} {two:?}");
        let keys = [Key::new(one).unwrap(), Key::new(two).unwrap()];
        assert_eq!(HashMap::from(keys.map(|key| (key, ()))).len(), 1);
    }
}

#[test]
fn what_differs_in_python_differs() {
    let nan = float(f64::NAN);
    let pairs = [
        (int(9_007_199_254_740_993), float(9_007_199_254_740_992.0)),
        (int(i64::MAX), float(9_223_372_036_854_775_808.0)),
        (power(63, 1), float(9_223_372_036_854_775_808.0)),
        (power(100, 0), float(-(2.0_f64.powi(100)))),
        (power(100, 0), float(f64::INFINITY)),
        (int(1), float(1.5)),
        (int(1), str("1")),
        (int(0), Plain::None),
        (str("a"), bytes(b"a")),
        (tuple(&[int(1)]), list(&[int(1)])),
        (tuple(&[int(1)]), tuple(&[int(1), int(2)])),
        (set(&[int(1)]), set(&[int(1), int(2)])),
        (set(&[int(1)]), list(&[int(1)])),
        (tuple(&[int(1), nan.clone()]), tuple(&[int(1), nan.clone()])),
        (nan.clone(), nan),
    ];
    for (one, two) in pairs {
        assert!(!one.equals(&two) && !two.equals(&one), "{one:?} {two:?}");
    }
}

#[test]
fn containers_that_are_no_keys_compare_by_their_members() {
    let dict = |pairs: &[(Plain, Plain)]| Plain::Dict(pairs.to_vec());
    assert!(bytes(b"a").equals(&bytearray(b"a")));
    assert!(set(&[int(1), int(2)]).equals(&frozenset(&[int(2), int(1)])));
    let one = dict(&[(int(1), str("a")), (str("b"), list(&[int(2)]))]);
    let two = dict(&[(str("b"), list(&[float(2.0)])), (Plain::Bool(true), str("a"))]);
    assert!(one.equals(&two));
    assert!(!one.equals(&dict(&[(int(1), str("a"))])));
    assert!(dict(&[(int(1), int(0)), (int(1), int(2))]).equals(&dict(&[(int(1), int(2))])));
}

#[test]
fn some_things_are_no_keys() {
    let nan = float(f64::NAN);
    let tuple_of_list = tuple(&[list(&[])]);
    for plain in [bytearray(b""), list(&[]), set(&[]), Plain::Dict(vec![]), nan, tuple_of_list] {
        assert!(Key::new(plain.clone()).is_none(), "{plain:?}");
    }
}

#[test]
fn order_is_that_of_python() {
    let less = [
        (int(1), int(2)),
        (Plain::Bool(false), Plain::Bool(true)),
        (int(1), float(1.5)),
        (float(-1.5), int(-1)),
        (int(-2), float(-1.5)),
        (int(9_007_199_254_740_992), int(9_007_199_254_740_993)),
        (float(9_007_199_254_740_992.0), int(9_007_199_254_740_993)),
        (int(i64::MAX), float(9_223_372_036_854_775_808.0)),
        (int(i64::MAX), power(63, 0)),
        (float(9_223_372_036_854_775_808.0), power(63, 1)),
        (power(63, 0), power(64, 0)),
        (power(64, 0), power(64, 1)),
        (power(1000, 0), float(f64::INFINITY)),
        (float(f64::NEG_INFINITY), power(64, 0)),
        (decode(b"\x8a\x09\0\0\0\0\0\0\0\0\xff"), int(i64::MIN)),
        (decode(b"\x8a\x09\0\0\0\0\0\0\0\0\xfe"), decode(b"\x8a\x09\0\0\0\0\0\0\0\0\xff")),
        (decode(b"\x8a\x0a\0\0\0\0\0\0\0\0\0\xff"), decode(b"\x8a\x09\0\0\0\0\0\0\0\0\xff")),
        (float(-1e300), decode(b"\x8a\x09\0\0\0\0\0\0\0\0\xff")),
        (str("a"), str("b")),
        (str("\u{ffff}"), str("\u{10000}")),
        (bytes(b"a"), bytearray(b"ab")),
        (tuple(&[int(1)]), tuple(&[int(1), int(0)])),
        (tuple(&[int(1), Plain::None]), tuple(&[int(2), str("")])),
        (list(&[int(1), int(2)]), list(&[float(1.0), int(3)])),
        (set(&[int(1)]), frozenset(&[int(2), float(1.0)])),
    ];
    for (one, two) in less {
        assert_eq!(
            (one.is_less(&two), two.is_less(&one)),
            (Some(true), Some(false)),
            "{one:?} {two:?}"
        );
        assert!(!one.equals(&two));
    }
    assert_eq!(float(f64::NAN).is_less(&int(1)), Some(false));
    assert_eq!(set(&[int(1)]).is_less(&set(&[int(2)])), Some(false));
}

#[test]
fn some_things_have_no_order() {
    let dict = Plain::Dict(vec![]);
    let pairs = [
        (Plain::None, Plain::None),
        (int(1), str("1")),
        (str("1"), bytes(b"1")),
        (dict.clone(), dict),
        (tuple(&[int(1)]), list(&[int(1)])),
        (tuple(&[int(1), Plain::None]), tuple(&[int(1), int(2)])),
    ];
    for (one, two) in pairs {
        assert_eq!(one.is_less(&two), None, "{one:?} {two:?}");
    }
}

#[test]
fn truth_is_that_of_python() {
    let falsy = [
        Plain::None,
        Plain::Bool(false),
        int(0),
        float(-0.0),
        str(""),
        bytes(b""),
        tuple(&[]),
        set(&[]),
        Plain::Dict(vec![]),
    ];
    for plain in falsy {
        assert!(!plain.is_true(), "{plain:?}");
    }
    for plain in [Plain::Bool(true), int(-1), float(f64::NAN), str("0"), list(&[Plain::None])] {
        assert!(plain.is_true(), "{plain:?}");
    }
}

#[test]
fn ints_are_read_in_whatever_length() {
    let small = |opcodes: &[u8]| match decode(opcodes) {
        Plain::Int(Integer::Small(value)) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(small(b"\x8a\0"), 0);
    assert_eq!(small(b"\x8a\x01\xff"), -1);
    assert_eq!(small(b"\x8a\x0a\x05\0\0\0\0\0\0\0\0\0"), 5);
    assert_eq!(small(b"\x8b\x02\0\0\0\xff\xff"), -1);
    assert_eq!(small(b"M\xff\xff"), 65535);
    assert_eq!(small(b"J\xff\xff\xff\xff"), -1);
    assert_eq!(small(b"\x8a\x08\0\0\0\0\0\0\0\x80"), i64::MIN);
    assert!(matches!(decode(b"\x8a\x09\0\0\0\0\0\0\0\x80\0"), Plain::Int(Integer::Big(_))));
}
