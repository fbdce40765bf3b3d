//! Fairness: who never has to wait lets others run now and then.

use std::cell::Cell;

use pyo3::prelude::*;

use super::super::park::Thrown;
use super::super::{api, home, park};

/// After how many operations of this thread's that did not wait.
const OPERATIONS: u32 = 32;

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(OPERATIONS) };
}

/// To be called before an operation: so what is thrown in while others run costs nothing that was read.
#[inline]
pub(super) fn begin(py: Python<'_>) -> Result<(), Box<Thrown>> {
    let left = LEFT.get();
    LEFT.set(left.saturating_sub(1));
    if left == 0 { pause(py) } else { Ok(()) }
}

#[cold]
#[inline(never)]
fn pause(py: Python<'_>) -> Result<(), Box<Thrown>> {
    LEFT.set(OPERATIONS);
    // Callbacks of the loop cannot wait; without a hub there is nobody else.
    if home::home().is_none() || home::is_hub(&api::current(py).map_err(Thrown::new)?) {
        return Ok(());
    }
    park::give_way(py)
}

/// To be called after a wait, in which others have run.
#[inline]
pub(super) fn waited() {
    LEFT.set(OPERATIONS);
}
