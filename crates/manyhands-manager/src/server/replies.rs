//! Answers, as they go over the wire.

use bytes::Bytes;

use crate::objects::{Note, Raised, Value};
use crate::pickle::{RETURNED_NONE, Writer};

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
        Value::Tuple(members) => writer.tuple(|writer| all(writer, members)),
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
    writer.tuple(|writer| {
        writer.str(kind);
        rest(writer);
    });
    writer.finish()
}

/// A method has returned.
pub(super) fn returned(result: &Value) -> Vec<Bytes> {
    match result {
        Value::None => vec![Bytes::from_static(RETURNED_NONE)],
        Value::Payload(payload) => Writer::returned(payload),
        _ => answer("#RETURN", |writer| value(writer, result)),
    }
}

/// A method has returned, with something to be noted by a client of ours.
pub(super) fn returned_with(result: &Value, note: &Note) -> Vec<Bytes> {
    answer("#RETURN", |writer| {
        value(writer, result);
        writer.dict(|writer| match note {
            Note::Abandoned => {
                writer.str("abandoned");
                writer.bool(true);
            }
            Note::Raced(key) => {
                writer.str("raced");
                writer.payload(key);
            }
        });
    })
}

/// A method has raised an exception.
pub(super) fn raised(exception: &Raised) -> Vec<Bytes> {
    answer("#ERROR", |writer| {
        writer.global(exception.module, exception.name);
        writer.tuple(|writer| {
            for argument in &exception.args {
                value(writer, argument);
            }
        });
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
        writer.tuple(|writer| {
            writer.tuple(|writer| {
                for name in exposed {
                    writer.str(name);
                }
            });
            writer.global("multiprocessing.managers", "Token");
            writer.tuple(|writer| {
                writer.str(typeid);
                // Clients put the address in that they know the server by.
                writer.none();
                writer.str(ident);
            });
            writer.reduce();
        });
    })
}
