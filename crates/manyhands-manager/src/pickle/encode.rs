//! Opcodes of plain objects.

use super::opcode as op;
use super::parts::counted;
use super::{Integer, Plain};

pub(super) fn int(buffer: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u8::try_from(value) {
        buffer.extend_from_slice(&[op::BININT1, value]);
    } else if let Ok(value) = u16::try_from(value) {
        buffer.push(op::BININT2);
        buffer.extend_from_slice(&value.to_le_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        buffer.push(op::BININT);
        buffer.extend_from_slice(&value.to_le_bytes());
    } else {
        buffer.extend_from_slice(&[op::LONG1, 8]);
        buffer.extend_from_slice(&value.to_le_bytes());
    }
}

fn integer(buffer: &mut Vec<u8>, value: &Integer) {
    match value {
        Integer::Small(value) => int(buffer, *value),
        Integer::Big(bytes) => counted(buffer, [Some(op::LONG1), Some(op::LONG4), None], bytes),
    }
}

pub(super) fn float(buffer: &mut Vec<u8>, value: f64) {
    buffer.push(op::BINFLOAT);
    buffer.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn str(buffer: &mut Vec<u8>, value: &str) {
    let opcodes = [Some(op::SHORT_BINUNICODE), Some(op::BINUNICODE), Some(op::BINUNICODE8)];
    counted(buffer, opcodes, value.as_bytes());
}

pub(super) fn bytes(buffer: &mut Vec<u8>, value: &[u8]) {
    let opcodes = [Some(op::SHORT_BINBYTES), Some(op::BINBYTES), Some(op::BINBYTES8)];
    counted(buffer, opcodes, value);
}

fn bytearray(buffer: &mut Vec<u8>, value: &[u8]) {
    counted(buffer, [None, None, Some(op::BYTEARRAY8)], value);
}

pub(super) fn bool(buffer: &mut Vec<u8>, value: bool) {
    buffer.push(if value { op::NEWTRUE } else { op::NEWFALSE });
}

/// `members` between the opcode that makes an empty container and the one that fills it.
fn filled<'a>(buffer: &mut Vec<u8>, empty: u8, members: impl Iterator<Item = &'a Plain>, fill: u8) {
    buffer.push(empty);
    marked(buffer, members, fill);
}

fn marked<'a>(buffer: &mut Vec<u8>, members: impl Iterator<Item = &'a Plain>, end: u8) {
    buffer.push(op::MARK);
    members.for_each(|member| plain(buffer, member));
    buffer.push(end);
}

pub(super) fn plain(buffer: &mut Vec<u8>, value: &Plain) {
    match value {
        Plain::None => buffer.push(op::NONE),
        Plain::Bool(value) => bool(buffer, *value),
        Plain::Int(value) => integer(buffer, value),
        Plain::Float(value) => float(buffer, *value),
        Plain::Str(value) => str(buffer, value),
        Plain::Bytes(value) => bytes(buffer, value),
        Plain::Bytearray(value) => bytearray(buffer, value),
        Plain::Tuple(members) if members.is_empty() => buffer.push(op::EMPTY_TUPLE),
        Plain::List(members) if members.is_empty() => buffer.push(op::EMPTY_LIST),
        Plain::Dict(pairs) if pairs.is_empty() => buffer.push(op::EMPTY_DICT),
        Plain::Set(members) if members.is_empty() => buffer.push(op::EMPTY_SET),
        Plain::Tuple(members) => marked(buffer, members.iter(), op::TUPLE),
        Plain::Frozenset(members) => marked(buffer, members.iter(), op::FROZENSET),
        Plain::List(members) => filled(buffer, op::EMPTY_LIST, members.iter(), op::APPENDS),
        Plain::Set(members) => filled(buffer, op::EMPTY_SET, members.iter(), op::ADDITEMS),
        Plain::Dict(pairs) => {
            let members = pairs.iter().flat_map(|(key, value)| [key, value]);
            filled(buffer, op::EMPTY_DICT, members, op::SETITEMS);
        }
    }
}
