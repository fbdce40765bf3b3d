//! Python's indices and slices.

use super::arguments::{ASK, Found, GIVE, index, int};
use crate::pickle::Item;

/// Which places a slice means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) step: i64,
    pub(super) count: usize,
}

impl Span {
    /// In their order.
    pub(super) fn places(self) -> impl Iterator<Item = usize> {
        let mut next = self.start;
        (0..self.count).map(move |_| {
            let place = next;
            // The last step may lead outside; it is not taken.
            next = next.wrapping_add_signed(self.step as isize);
            place
        })
    }
}

/// A place from an index that may count from the end; None if it is outside.
pub(super) fn place(at: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let at = if at < 0 { at.checked_add(length)? } else { at };
    if (0..length).contains(&at) { usize::try_from(at).ok() } else { None }
}

/// An index that is brought inside, as `insert` and `index` do.
pub(super) fn clamp(at: i64, length: usize) -> usize {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let at = if at < 0 { at.saturating_add(length).max(0) } else { at.min(length) };
    usize::try_from(at).unwrap_or(0)
}

/// What a slice means in a sequence of this length.
///
/// # Errors
/// [`ASK`] for a step of zero and other errors, [`GIVE`] for what only the interpreter can turn into an int.
pub(super) fn span(parts: [Item<'_>; 3], length: usize) -> Found<Span> {
    let [start, stop, step] = parts;
    let part = |item: Item<'_>| if item.is_none() { Ok(None) } else { index(item).map(Some) };
    // Those that do not fit are plain: they are an ask, but not an error.
    for item in parts {
        if !item.is_none() && int(item).is_none() {
            return Err(GIVE);
        }
    }
    let step = part(step)?.unwrap_or(1);
    if step == 0 || step == i64::MIN {
        return Err(ASK);
    }
    let length = i64::try_from(length).map_err(|_| GIVE)?;
    // A slice that goes backwards can start at the last, and stop before the first.
    let (low, high) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let bring = |at: i64| if at < 0 { at.saturating_add(length).max(low) } else { at.min(high) };
    let start = part(start)?.map_or(if step < 0 { high } else { low }, bring);
    let stop = part(stop)?.map_or(if step < 0 { low } else { high }, bring);
    let distance = if step < 0 { start - stop } else { stop - start };
    let count = if distance <= 0 { 0 } else { (distance - 1) / step.saturating_abs() + 1 };
    Ok(Span {
        start: usize::try_from(start).unwrap_or(0),
        step,
        count: usize::try_from(count).unwrap_or(0),
    })
}
