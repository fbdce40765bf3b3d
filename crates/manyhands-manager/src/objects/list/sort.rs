//! Sorting without an interpreter.

use super::List;
use crate::objects::arguments::{ASK, DONE, Found, GIVE, take, truth};
use crate::objects::{Call, Outcome};
use crate::pickle::Plain;

impl List {
    pub(super) fn sort(&mut self, call: &Call<'_>) -> Found<Outcome> {
        if !call.args.is_empty() {
            return Err(ASK);
        }
        let [key, reverse] = take(call, ["key", "reverse"], 0)?;
        if key.is_some_and(|key| !key.is_none()) {
            return Err(GIVE);
        }
        let reverse = truth(reverse, false)?;
        let plain: Option<Vec<Plain>> = self.items.iter().map(|item| item.plain()).collect();
        let plain = plain.ok_or(GIVE)?;
        // Without an order for all (nan, sets) the outcome depends on which are compared.
        if plain.len() > 1 && !plain.iter().all(is_ordered) {
            return Err(GIVE);
        }
        let order = sorted(&plain, reverse).ok_or(ASK)?;
        self.items = order.into_iter().filter_map(|at| self.items.get(at).cloned()).collect();
        Ok(DONE)
    }
}

/// Whether `<` sorts things like this, or raises `TypeError`.
fn is_ordered(plain: &Plain) -> bool {
    match plain {
        Plain::Float(value) => !value.is_nan(),
        Plain::Tuple(items) | Plain::List(items) => items.iter().all(is_ordered),
        Plain::Set(_) | Plain::Frozenset(_) => false,
        _ => true,
    }
}

/// The places of the items in their order; None if two cannot be compared.
///
/// Merging: equal ones stay in their order, also in reverse. It needs no total order, as the standard library's sorts
/// do; and two neighbours of the result have been compared, as with every sort, so that Python finds an error where this
/// does.
fn sorted(items: &[Plain], reverse: bool) -> Option<Vec<usize>> {
    let comes_first = |a: usize, b: usize| {
        let (a, b) = (items.get(a)?, items.get(b)?);
        if reverse { b.is_less(a) } else { a.is_less(b) }
    };
    let mut runs: Vec<usize> = (0..items.len()).collect();
    let mut width = 1;
    while width < runs.len() {
        let mut merged = Vec::with_capacity(runs.len());
        for pair in runs.chunks(width.saturating_mul(2)) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
            while let (Some(&&a), Some(&&b)) = (left.peek(), right.peek()) {
                if comes_first(b, a)? {
                    merged.extend(right.next());
                } else {
                    merged.extend(left.next());
                }
            }
            merged.extend(left);
            merged.extend(right);
        }
        runs = merged;
        width = width.saturating_mul(2);
    }
    Some(runs)
}
