//! Setting and deleting members and slices.

use super::List;
use crate::objects::Outcome;
use crate::objects::arguments::{ASK, DONE, Found, GIVE, int, members, raise};
use crate::objects::slices::{place, span};
use crate::pickle::Item;

impl List {
    pub(super) fn set(&mut self, at: Item<'_>, value: Item<'_>) -> Found<Outcome> {
        if let Some(at) = int(at) {
            let slot = place(at, self.items.len()).and_then(|at| self.items.get_mut(at));
            let slot =
                slot.ok_or_else(|| raise("IndexError", "list assignment index out of range"))?;
            *slot = value.payload();
            return Ok(DONE);
        }
        let span = span(at.slice().ok_or_else(|| not_a_place(at))?, self.items.len())?;
        let new = members(value)?;
        if span.step == 1 {
            let end = span.start.saturating_add(span.count).min(self.items.len());
            self.items.splice(span.start.min(end)..end, new);
            return Ok(DONE);
        }
        if new.len() != span.count {
            return Err(ASK);
        }
        for (at, item) in span.places().zip(new) {
            if let Some(slot) = self.items.get_mut(at) {
                *slot = item;
            }
        }
        Ok(DONE)
    }

    pub(super) fn delete(&mut self, at: Item<'_>) -> Found<Outcome> {
        if let Some(at) = int(at) {
            let at = place(at, self.items.len())
                .ok_or_else(|| raise("IndexError", "list assignment index out of range"))?;
            self.items.remove(at);
            return Ok(DONE);
        }
        let span = span(at.slice().ok_or_else(|| not_a_place(at))?, self.items.len())?;
        let mut doomed: Vec<usize> = span.places().collect();
        doomed.sort_unstable();
        let mut doomed = doomed.into_iter().peekable();
        let mut at = 0;
        self.items.retain(|_| {
            let goes = doomed.next_if_eq(&at).is_some();
            at += 1;
            !goes
        });
        Ok(DONE)
    }
}

/// What is neither an int nor a slice: plain things are errors, others may have `__index__`.
fn not_a_place(at: Item<'_>) -> Outcome {
    if at.is_plain() { ASK } else { GIVE }
}
