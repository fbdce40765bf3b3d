//! Answers, as they go over the wire.

use bytes::Bytes;

use crate::objects::{Raised, Value};
use crate::pickle::Writer;

/// Writes a value of an object as a pickle.
pub fn value(writer: &mut Writer, value: &Value) {
    let all = |writer: &mut Writer, members: &[Value]| {
        for member in members {
            self::value(writer, member);
        }
    };
    match value {
        Value::None => writer.none(),
        Value::Bool(value) => writer.bool(*value),
        Value::Int(value) => writer.int(*value),
        Value::Float(value) => writer.float(*value),
        Value::Str(value) => writer.str(value),
        Value::Payload(payload) => writer.payload(payload),
        Value::Tuple(members) => {
            writer.mark();
            all(writer, members);
            writer.tuple();
        }
        Value::List(members) => writer.list(|writer| all(writer, members)),
        Value::Set(members) => writer.set(|writer| all(writer, members)),
        Value::Dict(pairs) => writer.dict(|writer| {
            for (key, value) in pairs {
                self::value(writer, key);
                self::value(writer, value);
            }
        }),
    }
}

fn answer(kind: &str, rest: impl FnOnce(&mut Writer)) -> Vec<Bytes> {
    let mut writer = Writer::new();
    writer.mark();
    writer.str(kind);
    rest(&mut writer);
    writer.tuple();
    writer.finish()
}

/// A method has returned.
pub(super) fn returned(result: &Value) -> Vec<Bytes> {
    answer("#RETURN", |writer| value(writer, result))
}

/// A method has returned, with something to be noted by a client of ours.
pub(super) fn returned_with(result: &Value, note: &str) -> Vec<Bytes> {
    answer("#RETURN", |writer| {
        value(writer, result);
        writer.dict(|writer| {
            writer.str(note);
            writer.bool(true);
        });
    })
}

/// A method has raised an exception.
pub(super) fn raised(exception: &Raised) -> Vec<Bytes> {
    answer("#ERROR", |writer| {
        writer.global(exception.module, exception.name);
        writer.mark();
        for argument in &exception.args {
            value(writer, argument);
        }
        writer.tuple();
        writer.reduce();
    })
}

/// The request itself was no good, or the server could not do it: the text of a traceback.
pub(super) fn traceback(text: &str) -> Vec<Bytes> {
    answer("#TRACEBACK", |writer| writer.str(text))
}

/// A method has returned a new object of the server's.
pub(super) fn proxy(exposed: &[String], typeid: &str, ident: &str) -> Vec<Bytes> {
    answer("#PROXY", |writer| {
        writer.mark();
        writer.mark();
        for name in exposed {
            writer.str(name);
        }
        writer.tuple();
        writer.global("multiprocessing.managers", "Token");
        writer.mark();
        writer.str(typeid);
        // Clients put the address in that they know the server by.
        writer.none();
        writer.str(ident);
        writer.tuple();
        writer.reduce();
        writer.tuple();
    })
}
