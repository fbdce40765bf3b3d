//! What a program did: who ran which task, waited for what, held which lock, put and took how much, and
//! when.
//!
//! Each thread notes its events in a ring of its own, in a memory file that all processes of a program share
//! ([`Store`]): it never waits for anybody, and what a process has noted is there also when it was killed.
//! When a ring is full the oldest events go, and are counted. Calls and items of a queue that come faster than
//! once in 10 us are noted several at a time, and shorter waits not at all. Who made the memory reads it in the end
//! ([`Trace::read`]), and writes it down: for Perfetto and Chrome ([`chrome`]), as a page ([`html`]), as a
//! picture ([`svg`]).
//!
//! ```
//! use std::sync::Arc;
//!
//! use manyhands_trace::{Kind, Store, Trace, begin, end, label, now, span};
//!
//! let store = Arc::new(Store::create()?);
//! begin(&store);
//! let begun = now();
//! span(Kind::Task, label("tea"), 0, 0, begun);
//! end();
//! let trace = Trace::read(&store);
//! assert_eq!(trace.events.len(), 1);
//! assert_eq!(trace.text(&trace.events[0]), "tea");
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod chrome;
pub mod html;
mod lanes;
mod pace;
mod recorder;
pub mod ring;
mod store;
pub mod svg;
mod trace;

pub use pace::{call, finish, is_noted, item, pause};
pub use recorder::{
    begin, end, fixed_label, is_on, label, name, name_object, now, prepare_for_forks, span,
};
pub use ring::{Event, Kind, Label, UNKNOWN};
pub use store::{Store, What};
pub use trace::{Noted, SHARED, Trace};
