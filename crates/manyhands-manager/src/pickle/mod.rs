//! Pickles without an interpreter: cut apart, kept as they are, put together again.
//!
//! Three ways to look at a pickled object:
//! * [`Item`]: where it stands in a message that came, and what shape it has. Costs next to nothing.
//! * [`Payload`]: cut out, to be kept and sent again; what it is made of stays unknown.
//! * [`Plain`]: decoded, if it consists of plain types only.

mod payload;
mod plain;
mod scan;
mod write;

pub use payload::Payload;
pub use plain::{Integer, Key, Plain};
pub use scan::{Item, Malformed, Message};
pub use write::Writer;
