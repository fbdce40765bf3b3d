//! `list`.

mod change;
mod sort;

use super::arguments::{
    ASK, DONE, Found, GIVE, bind, count, either, index, int, members, nothing, one, only_asked,
    payload, raise, take, values, yes,
};
use super::iterator::Iterating;
use super::slices::{clamp, place, span};
use super::{Answers, Call, Object, Outcome, State, Value};
use crate::pickle::{Item, Payload};

/// The most members that `*` makes here; more is left to the interpreter, which knows when memory ends.
const MOST: usize = 1 << 22;

/// A list. Its state is a [`Value::List`] of its members.
#[derive(Debug)]
struct List {
    items: Vec<Payload>,
}

/// `list(iterable=())`.
pub(super) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let [from] = bind(args, kwargs, [""], 0).map_err(|_| GIVE)?;
    let items = from.map_or(Ok(Vec::new()), members).map_err(|_| GIVE)?;
    Ok(Box::new(List { items }))
}

impl Object for List {
    fn kind(&self) -> &'static str {
        "list"
    }

    fn call(&mut self, call: &Call<'_>, _answers: &mut Answers) -> Outcome {
        either(self.dispatch(call))
    }

    fn state(&self) -> State {
        State { kind: "list", value: self.all() }
    }
}

impl List {
    #[doc(alias = "multiprocessing.managers.ListProxy")]
    fn dispatch(&mut self, call: &Call<'_>) -> Found<Outcome> {
        match call.method {
            "__getitem__" => self.get(one(call)?),
            "append" => {
                self.items.push(one(call)?.payload());
                Ok(DONE)
            }
            "__len__" => {
                nothing(call)?;
                Ok(count(self.items.len()))
            }
            "__setitem__" => {
                let [at, value] = take(call, ["", ""], 2)?;
                self.set(at.ok_or(ASK)?, value.ok_or(ASK)?)
            }
            "__delitem__" => self.delete(one(call)?),
            "__contains__" => {
                let found = only_asked(self.find(one(call)?, 0, self.items.len()))?;
                Ok(yes(found.is_some()))
            }
            "index" => self.index(call),
            "count" => only_asked(self.count(one(call)?)),
            "pop" => {
                let [at] = take(call, [""], 0)?;
                self.pop(at.map_or(Ok(-1), index)?)
            }
            "insert" => {
                let [at, value] = take(call, ["", ""], 2)?;
                let at = clamp(index(at.ok_or(ASK)?)?, self.items.len());
                self.items.insert(at, value.ok_or(ASK)?.payload());
                Ok(DONE)
            }
            "extend" => {
                self.items.extend(members(one(call)?)?);
                Ok(DONE)
            }
            "__iadd__" => {
                self.items.extend(members(one(call)?)?);
                Ok(Outcome::Return(self.all()))
            }
            "remove" => match self.find(one(call)?, 0, self.items.len())? {
                Some(at) => {
                    self.items.remove(at);
                    Ok(DONE)
                }
                None => Err(raise("ValueError", "list.remove(x): x not in list")),
            },
            "reverse" => {
                nothing(call)?;
                self.items.reverse();
                Ok(DONE)
            }
            "clear" => {
                nothing(call)?;
                self.items.clear();
                Ok(DONE)
            }
            "copy" | "#GETVALUE" => {
                nothing(call)?;
                Ok(Outcome::Return(self.all()))
            }
            "sort" => self.sort(call),
            "__add__" => {
                let other = one(call)?.list().ok_or(ASK)?;
                let mut sum = values(&self.items);
                sum.extend(other.into_iter().map(|item| Value::Payload(item.payload())));
                Ok(Outcome::Return(Value::List(sum)))
            }
            "__mul__" | "__rmul__" => {
                let times = self.times(one(call)?).map_err(|_| ASK)?;
                Ok(Outcome::Return(Value::List(values(times.iter()))))
            }
            "__imul__" => {
                self.items = self.times(one(call)?)?;
                Ok(Outcome::Return(self.all()))
            }
            // Over what is there now: later changes are not seen.
            "__iter__" => {
                nothing(call)?;
                Ok(Outcome::Made(Iterating::over_copy(self.items.clone())))
            }
            _ => Err(ASK),
        }
    }

    fn all(&self) -> Value {
        Value::List(values(&self.items))
    }

    fn get(&self, at: Item<'_>) -> Found<Outcome> {
        if let Some(at) = int(at) {
            let item = place(at, self.items.len()).and_then(|at| self.items.get(at));
            return item.map(payload).ok_or_else(|| raise("IndexError", "list index out of range"));
        }
        let span = only_asked(span(at.slice().ok_or(ASK)?, self.items.len()))?;
        let items = span.places().filter_map(|at| self.items.get(at));
        Ok(Outcome::Return(Value::List(values(items))))
    }

    fn pop(&mut self, at: i64) -> Found<Outcome> {
        if self.items.is_empty() {
            return Err(raise("IndexError", "pop from empty list"));
        }
        let at = place(at, self.items.len())
            .ok_or_else(|| raise("IndexError", "pop index out of range"))?;
        Ok(Outcome::Return(Value::Payload(self.items.remove(at))))
    }

    /// The first member between two places that equals.
    fn find(&self, what: Item<'_>, from: usize, to: usize) -> Found<Option<usize>> {
        let what = what.plain().ok_or(GIVE)?;
        for (at, item) in self.items.iter().enumerate().take(to).skip(from) {
            if item.plain().ok_or(GIVE)?.equals(&what) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn count(&self, what: Item<'_>) -> Found<Outcome> {
        let what = what.plain().ok_or(ASK)?;
        let mut equal = 0;
        for item in &self.items {
            equal += usize::from(item.plain().ok_or(ASK)?.equals(&what));
        }
        Ok(count(equal))
    }

    fn index(&self, call: &Call<'_>) -> Found<Outcome> {
        let [what, start, stop] = take(call, ["", "", ""], 1)?;
        let length = self.items.len();
        let bound = |item: Option<Item<'_>>, default| match item {
            Some(item) => int(item).map(|at| clamp(at, length)).ok_or(ASK),
            None => Ok(default),
        };
        let (start, stop) = (bound(start, 0)?, bound(stop, length)?);
        // What is not found is an error, whose words depend on Python's version.
        let found = only_asked(self.find(what.ok_or(ASK)?, start, stop))?;
        found.map(count).ok_or(ASK)
    }

    fn times(&self, times: Item<'_>) -> Found<Vec<Payload>> {
        let times = usize::try_from(index(times)?).unwrap_or(0);
        match self.items.len().checked_mul(times) {
            Some(length) if length <= MOST => {
                Ok(self.items.iter().cycle().take(length).cloned().collect())
            }
            _ => Err(GIVE),
        }
    }
}
