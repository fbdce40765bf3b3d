//! What sets make of each other.

use super::{Members, Set, all, gathered, operand};
use crate::objects::arguments::{ASK, DONE, Found, one, only_asked, yes};
use crate::objects::table::Table;
use crate::objects::{Call, Outcome};
use crate::pickle::Plain;

/// What becomes of two sets.
#[derive(Clone, Copy)]
enum Operation {
    Or,
    And,
    Minus,
    Either,
}

use Operation::{And, Either, Minus, Or};

impl Set {
    pub(super) fn algebra(&mut self, call: &Call<'_>) -> Found<Outcome> {
        match call.method {
            "__or__" => self.operator(call, Or),
            "__and__" => self.operator(call, And),
            "__sub__" => self.operator(call, Minus),
            "__xor__" => self.operator(call, Either),
            "__ror__" => self.reflected(call, Or),
            "__rand__" => self.reflected(call, And),
            "__rsub__" => self.reflected(call, Minus),
            "__rxor__" => self.reflected(call, Either),
            "__ior__" => self.in_place(call, Or),
            "__iand__" => self.in_place(call, And),
            "__isub__" => self.in_place(call, Minus),
            "__ixor__" => self.in_place(call, Either),
            "union" => only_asked(self.combined(call, Or)).map(returned),
            "intersection" => only_asked(self.combined(call, And)).map(returned),
            "difference" => only_asked(self.combined(call, Minus)).map(returned),
            "symmetric_difference" => {
                one(call)?;
                only_asked(self.combined(call, Either)).map(returned)
            }
            "update" => self.become_combined(call, Or),
            "intersection_update" => self.become_combined(call, And),
            "difference_update" => self.become_combined(call, Minus),
            "symmetric_difference_update" => {
                one(call)?;
                self.become_combined(call, Either)
            }
            "isdisjoint" => {
                let other = only_asked(gathered(one(call)?))?;
                Ok(yes(!other.keyed().any(|(key, _)| self.table.contains(key))))
            }
            "issubset" => Ok(yes(holds(&only_asked(gathered(one(call)?))?, &self.table))),
            "issuperset" => Ok(yes(holds(&self.table, &only_asked(gathered(one(call)?))?))),
            "__le__" => Ok(yes(holds(&only_asked(operand(one(call)?))?, &self.table))),
            "__ge__" => Ok(yes(holds(&self.table, &only_asked(operand(one(call)?))?))),
            "__lt__" => {
                let other = only_asked(operand(one(call)?))?;
                Ok(yes(self.table.len() < other.len() && holds(&other, &self.table)))
            }
            "__gt__" => {
                let other = only_asked(operand(one(call)?))?;
                Ok(yes(other.len() < self.table.len() && holds(&self.table, &other)))
            }
            _ => Err(ASK),
        }
    }

    fn operator(&self, call: &Call<'_>, operation: Operation) -> Found<Outcome> {
        let other = only_asked(operand(one(call)?))?;
        Ok(returned(combine(&self.table, &other, operation)))
    }

    fn reflected(&self, call: &Call<'_>, operation: Operation) -> Found<Outcome> {
        // The result is of the left one's type.
        let item = one(call)?;
        if !matches!(item.plain(), Some(Plain::Set(_))) {
            return Err(ASK);
        }
        let other = only_asked(operand(item))?;
        Ok(returned(combine(&other, &self.table, operation)))
    }

    fn in_place(&mut self, call: &Call<'_>, operation: Operation) -> Found<Outcome> {
        let other = operand(one(call)?)?;
        let new = combine(&self.table, &other, operation);
        self.become_these(new);
        Ok(Outcome::Return(all(&self.table)))
    }

    fn combined(&self, call: &Call<'_>, operation: Operation) -> Found<Members> {
        if !call.kwargs.is_empty() {
            return Err(ASK);
        }
        let mut result = copy(&self.table);
        for item in call.args {
            result = combine(&result, &gathered(*item)?, operation);
        }
        Ok(result)
    }

    fn become_combined(&mut self, call: &Call<'_>, operation: Operation) -> Found<Outcome> {
        let new = self.combined(call, operation)?;
        self.become_these(new);
        Ok(DONE)
    }

    /// Iterators look at the number of this very table, so its members change and it stays.
    fn become_these(&mut self, new: Members) {
        self.table.clear();
        fill(&mut self.table, &new, |_| true);
    }
}

fn returned(members: Members) -> Outcome {
    Outcome::Return(all(&members))
}

/// Whether all members of `small` are in `large`.
fn holds(large: &Members, small: &Members) -> bool {
    small.len() <= large.len() && small.keyed().all(|(key, _)| large.contains(key))
}

fn copy(from: &Members) -> Members {
    let mut to = Table::default();
    fill(&mut to, from, |_| true);
    to
}

fn fill(to: &mut Members, from: &Members, wanted: impl Fn(&crate::pickle::Key) -> bool) {
    for (key, entry) in from.keyed().filter(|(key, _)| wanted(key)) {
        to.insert(key.clone(), || entry.key.clone(), ());
    }
}

/// Where members of both are equal and not the same (1 and 1.0), the one is taken that CPython takes.
fn combine(left: &Members, right: &Members, operation: Operation) -> Members {
    let mut result = Table::default();
    match operation {
        Or => {
            fill(&mut result, left, |_| true);
            fill(&mut result, right, |_| true);
        }
        And if right.len() > left.len() => fill(&mut result, left, |key| right.contains(key)),
        And => fill(&mut result, right, |key| left.contains(key)),
        Minus => fill(&mut result, left, |key| !right.contains(key)),
        Either => {
            fill(&mut result, left, |key| !right.contains(key));
            fill(&mut result, right, |key| !left.contains(key));
        }
    }
    result
}
