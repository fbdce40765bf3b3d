//! Locks and their kin.

pub(super) mod barrier;
pub(super) mod condition;
pub(super) mod event;
pub(super) mod lock;
pub(super) mod rlock;
pub(super) mod semaphore;
mod turn;

use super::arguments::{ASK, Found, Limit, seconds, truth};
use super::{Call, Outcome};
use crate::pickle::Item;

/// The longest timeout of a lock: `threading.TIMEOUT_MAX`.
const LONGEST: f64 = 9_223_372_036.0;

/// Whether the `acquire` of a lock waits: `acquire(blocking=True, timeout=-1)`. What Python raises has words that depend
/// on its version, so it raises them itself, on a copy, before it looks whether the lock is taken.
fn lock_limit(
    call: &Call<'_>,
    blocking: Option<Item<'_>>,
    timeout: Option<Item<'_>>,
) -> Found<Limit> {
    let blocking = flag(blocking)?;
    let Some(timeout) = timeout else {
        return Ok(if blocking { Limit::Never } else { Limit::Now });
    };
    let timeout = seconds(timeout).ok_or(ASK)?;
    if timeout == -1.0 {
        return Ok(if blocking { Limit::Never } else { Limit::Now });
    }
    if !blocking || timeout < 0.0 || timeout.is_nan() || timeout > LONGEST {
        return Err(ASK);
    }
    Ok(Limit::after(timeout, call.now))
}

/// A truth of plain things: locks do not go to the interpreter.
fn flag(item: Option<Item<'_>>) -> Found<bool> {
    truth(item, true).map_err(|_: Outcome| {
        super::arguments::raise("TypeError", "the argument of a shared lock must be plain")
    })
}
