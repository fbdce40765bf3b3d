#![doc = include_str!("../README.md")]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod hub;
mod line;
mod outside;
mod pulse;
mod readiness;
mod sleepers;
mod slots;
mod timers;

pub use hub::{Hub, Nap, Turn};
pub use line::{Line, Wakeable};
pub use outside::Outside;
pub use pulse::{Pulse, Watchdog};
pub use readiness::{Direction, Registration};
pub use sleepers::{Errand, sleep_for};
pub use slots::{Key, Wake};
