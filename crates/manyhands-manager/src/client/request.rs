//! Requests as they are sent, and answers as they come.

use bytes::Bytes;

use super::errors::CallError;
use crate::pickle::{Item, Message, Plain, Writer};

/// What is to be called with what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// The object; None is the server itself.
    pub(super) ident: Option<&'a str>,
    pub(super) method: &'a str,
    pub(super) args: &'a [Plain],
    pub(super) kwargs: &'a [(&'a str, Plain)],
}

impl Request<'_> {
    /// As it is sent; with a number to a server of ours.
    pub(super) fn pickle(&self, number: Option<i64>) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.tuple(|writer| {
            match self.ident {
                Some(ident) => writer.str(ident),
                None => writer.none(),
            }
            writer.str(self.method);
            writer.tuple(|writer| self.args.iter().for_each(|argument| writer.plain(argument)));
            writer.dict(|writer| {
                for (name, value) in self.kwargs {
                    writer.str(name);
                    writer.plain(value);
                }
            });
            if let Some(number) = number {
                writer.int(number);
            }
        });
        writer.finish().concat()
    }
}

/// An object of the server's, as answers name it.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) ident: String,
    pub(super) methods: Vec<String>,
}

/// What a call came to.
#[derive(Debug)]
pub(super) enum Content {
    Value(Plain),
    Object(Reference),
}

fn malformed(what: &str) -> CallError {
    CallError::Malformed(what.to_owned())
}

/// Reads an answer to a call of `method`.
pub(super) fn read(method: &str, answer: Vec<u8>) -> Result<Content, CallError> {
    let message = Message::scan(Bytes::from(answer))
        .map_err(|error| CallError::Malformed(error.to_string()))?;
    let mut parts = message.root().tuple_members().ok_or_else(|| malformed("no tuple"))?;
    let (Some(kind), Some(content)) = (parts.next().and_then(Item::str), parts.next()) else {
        return Err(malformed("a tuple of something else"));
    };
    match kind {
        "#RETURN" => {
            let plain = content.plain().map(Content::Value);
            plain.ok_or_else(|| CallError::NotPlain { method: method.to_owned() })
        }
        "#PROXY" => proxied(content).map(Content::Object).ok_or_else(|| malformed("no proxy")),
        "#ERROR" => {
            Err(raised(content).unwrap_or_else(|| malformed("an exception that cannot be read")))
        }
        "#TRACEBACK" | "#UNSERIALIZABLE" => {
            let text = content.str().ok_or_else(|| malformed("a traceback that is no text"))?;
            Err(CallError::Traceback(text.to_owned()))
        }
        other => Err(CallError::Malformed(format!("an answer of the kind {other:?}"))),
    }
}

/// The exposed methods and the token of a proxy.
fn proxied(content: Item<'_>) -> Option<Reference> {
    let mut parts = content.tuple_members()?;
    let methods = names(parts.next()?)?;
    let (_, args, state) = parts.next()?.reduced()?;
    // Type, address and identity: in the state of a token of CPython, in the arguments of one of ours.
    let ident = state.unwrap_or(args).tuple_members()?.last()?.str()?;
    Some(Reference { ident: ident.to_owned(), methods })
}

fn names(content: Item<'_>) -> Option<Vec<String>> {
    content.tuple_members()?.map(|name| name.str().map(str::to_owned)).collect()
}

fn raised(content: Item<'_>) -> Option<CallError> {
    let (class, args, _) = content.reduced()?;
    let (module, name) = class.global()?;
    let args = args.tuple_members()?.map(|argument| argument.plain().unwrap_or(Plain::None));
    Some(CallError::Raised {
        module: module.to_owned(),
        name: name.to_owned(),
        args: args.collect(),
    })
}

/// What `create` returned: identity and methods.
pub(super) fn created(value: Plain) -> Option<Reference> {
    let (ident, methods) = value.try_into().ok()?;
    let methods: Vec<Plain> = methods.try_into().ok()?;
    let methods = methods.into_iter().map(|name| String::try_from(name).ok());
    Some(Reference { ident: ident.try_into().ok()?, methods: methods.collect::<Option<_>>()? })
}
