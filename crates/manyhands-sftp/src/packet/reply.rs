//! What a server answers.

use std::fmt;

use bytes::Bytes;

use crate::attributes::Attributes;
use crate::wire::{Fields, Malformed, put_string, put_u32};

/// How a request ended, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusCode(pub u32);

impl StatusCode {
    /// It was done.
    pub const OK: StatusCode = StatusCode(0);
    /// There is no more: of a file, of a directory.
    pub const EOF: StatusCode = StatusCode(1);
    /// There is no such file or directory.
    pub const NO_SUCH_FILE: StatusCode = StatusCode(2);
    /// It is not permitted.
    pub const PERMISSION_DENIED: StatusCode = StatusCode(3);
    /// All else.
    pub const FAILURE: StatusCode = StatusCode(4);
    /// The server did not understand the packet.
    pub const BAD_MESSAGE: StatusCode = StatusCode(5);
    /// The server does not offer it.
    pub const UNSUPPORTED: StatusCode = StatusCode(8);
}

/// How a request ended. It is an error if the code is not [`StatusCode::OK`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The number.
    pub code: StatusCode,
    /// The server's words, which should be UTF-8 and may be none.
    pub message: Bytes,
    /// The language of the words.
    pub language: Bytes,
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.message.is_empty() {
            return out.write_str(&String::from_utf8_lossy(&self.message));
        }
        let known = [
            "Success",
            "End of file",
            "No such file",
            "Permission denied",
            "Failure",
            "Bad message",
            "No connection",
            "Connection lost",
            "Operation unsupported",
        ];
        match known.get(self.code.0 as usize) {
            Some(words) => out.write_str(words),
            None => write!(out, "Status {}", self.code.0),
        }
    }
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its name.
    pub name: Bytes,
    /// A line as of `ls -l`, in the server's own way.
    pub long_name: Bytes,
    /// What the server says of it.
    pub attributes: Attributes,
}

/// A version, and extensions: name and value.
pub(crate) type Version = (u32, Vec<(Bytes, Bytes)>);

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// How it ended.
    Status(Status),
    /// What was opened.
    Handle(Bytes),
    /// What was read.
    Data(Bytes),
    /// Names.
    Names(Vec<Name>),
    /// Attributes.
    Attributes(Attributes),
    /// The fields of an extension's answer, as they are.
    Extended(Bytes),
}

const VERSION: u8 = 2;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

impl Reply {
    /// What kind of answer it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Reply::Status(_) => "a status",
            Reply::Handle(_) => "a handle",
            Reply::Data(_) => "data",
            Reply::Names(_) => "names",
            Reply::Attributes(_) => "attributes",
            Reply::Extended(_) => "an extension's reply",
        }
    }

    /// The number of the request and the answer to it.
    ///
    /// # Errors
    /// It is no answer.
    pub fn decode(packet: Bytes) -> Result<(u32, Reply), Malformed> {
        let mut fields = Fields::new(packet);
        let kind = fields.byte()?;
        if !matches!(kind, STATUS | HANDLE | DATA | NAME | ATTRS | EXTENDED_REPLY) {
            return Err(Malformed::Type(kind));
        }
        let id = fields.u32()?;
        let reply = match kind {
            STATUS => Reply::Status(decode_status(&mut fields)?),
            HANDLE => Reply::Handle(fields.string()?),
            DATA => Reply::Data(fields.string()?),
            NAME => {
                let mut names = Vec::new();
                for _ in 0..fields.u32()? {
                    names.push(Name {
                        name: fields.string()?,
                        long_name: fields.string()?,
                        attributes: Attributes::decode(&mut fields)?,
                    });
                }
                Reply::Names(names)
            }
            ATTRS => Reply::Attributes(Attributes::decode(&mut fields)?),
            _ => Reply::Extended(fields.rest()),
        };
        fields.finish()?;
        Ok((id, reply))
    }

    /// The packet with its length: for servers, and tests of clients.
    pub fn encode(&self, id: u32) -> Vec<u8> {
        let kind = match self {
            Reply::Status(_) => STATUS,
            Reply::Handle(_) => HANDLE,
            Reply::Data(_) => DATA,
            Reply::Names(_) => NAME,
            Reply::Attributes(_) => ATTRS,
            Reply::Extended(_) => EXTENDED_REPLY,
        };
        let mut body = vec![kind];
        put_u32(&mut body, id);
        match self {
            Reply::Status(status) => {
                put_u32(&mut body, status.code.0);
                put_string(&mut body, &status.message);
                put_string(&mut body, &status.language);
            }
            Reply::Handle(bytes) | Reply::Data(bytes) => put_string(&mut body, bytes),
            Reply::Names(names) => {
                put_u32(&mut body, u32::try_from(names.len()).unwrap_or(u32::MAX));
                for name in names {
                    put_string(&mut body, &name.name);
                    put_string(&mut body, &name.long_name);
                    name.attributes.encode(&mut body);
                }
            }
            Reply::Attributes(attributes) => attributes.encode(&mut body),
            Reply::Extended(fields) => body.extend_from_slice(fields),
        }
        let mut packet = Vec::with_capacity(body.len() + 4);
        put_string(&mut packet, &body);
        packet
    }

    /// The version and the extensions (name and value) of a server's first packet.
    pub(crate) fn decode_version(packet: &Bytes) -> Option<Result<Version, Malformed>> {
        (packet.first() == Some(&VERSION)).then(|| {
            let mut fields = Fields::new(packet.slice(1..));
            let version = fields.u32()?;
            let mut extensions = Vec::new();
            while !fields.is_empty() {
                extensions.push((fields.string()?, fields.string()?));
            }
            Ok((version, extensions))
        })
    }
}

/// Servers older than version 3 end after the code.
fn decode_status(fields: &mut Fields) -> Result<Status, Malformed> {
    let code = StatusCode(fields.u32()?);
    if fields.is_empty() {
        return Ok(Status { code, message: Bytes::new(), language: Bytes::new() });
    }
    let message = fields.string()?;
    let language = if fields.is_empty() { Bytes::new() } else { fields.string()? };
    Ok(Status { code, message, language })
}
