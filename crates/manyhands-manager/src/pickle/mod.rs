//! Pickles without an interpreter: cut apart, kept as they are, put together again.
//!
//! Three ways to look at a pickled object:
//! * [`Item`]: where it stands in a message that came, and what shape it has. Costs next to nothing.
//! * [`Payload`]: cut out, to be kept and sent again; what it is made of stays unknown.
//! * [`Plain`]: decoded, if it consists of plain types only.

mod compare;
mod convert;
mod cut;
mod decode;
mod encode;
mod integer;
mod key;
mod node;
mod opcode;
mod parts;
mod payload;
mod plain;
mod proxies;
mod scan;
mod scanner;
mod write;

pub use convert::OtherType;
pub use integer::Integer;
pub use key::Key;
pub use payload::Payload;
pub use plain::Plain;
pub use scan::{Item, Malformed, Members, Message};
pub use write::{RETURNED_NONE, Writer};
