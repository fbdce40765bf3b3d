//! `set`.

mod algebra;

use super::arguments::{
    ASK, DONE, Found, GIVE, bind, count, either, key, key_of, members, nothing, one, only_asked,
    raise, raise_with, yes,
};
use super::iterator::Iterating;
use super::table::Table;
use super::{Answers, Call, Object, Outcome, State, Value};
use crate::pickle::{Item, Payload};

/// The members of a set, or of another that it is compared with.
type Members = Table<()>;

/// A set of plain members. Its state is a [`Value::Set`].
#[derive(Debug, Default)]
struct Set {
    table: Members,
}

/// `set(iterable=())`.
pub(super) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let [from] = bind(args, kwargs, [""], 0).map_err(|_| GIVE)?;
    let table = from.map_or(Ok(Table::default()), gathered).map_err(|_| GIVE)?;
    Ok(Box::new(Set { table }))
}

/// The members of anything that can be iterated over.
fn gathered(item: Item<'_>) -> Found<Members> {
    let mut table = Table::default();
    for member in members(item)? {
        insert(&mut table, member)?;
    }
    Ok(table)
}

fn insert(table: &mut Members, member: Payload) -> Found<()> {
    table.insert(key_of(member.plain())?, || member, ());
    Ok(())
}

/// The members of a set or frozenset: operators take nothing else.
fn operand(item: Item<'_>) -> Found<Members> {
    if item.set().is_some() { gathered(item) } else { Err(ASK) }
}

fn all(table: &Members) -> Value {
    Value::Set(table.iter().map(|entry| Value::Payload(entry.key.clone())).collect())
}

impl Object for Set {
    fn kind(&self) -> &'static str {
        "set"
    }

    fn call(&mut self, call: &Call<'_>, _answers: &mut Answers) -> Outcome {
        either(self.dispatch(call))
    }

    fn state(&self) -> State {
        State { kind: "set", value: all(&self.table) }
    }
}

impl Set {
    #[doc(alias = "multiprocessing.managers.SetProxy")]
    fn dispatch(&mut self, call: &Call<'_>) -> Found<Outcome> {
        match call.method {
            "add" => {
                let item = one(call)?;
                self.table.insert(key(item)?, || item.payload(), ());
                Ok(DONE)
            }
            // A set stands for its frozenset here, which is the interpreter's.
            "__contains__" => Ok(yes(self.table.contains(&only_asked(key(one(call)?))?))),
            "__len__" => {
                nothing(call)?;
                Ok(count(self.table.len()))
            }
            "discard" | "remove" => {
                let item = one(call)?;
                // As a set can be looked for by a set, which is not hashable, that is no error.
                let key = if item.set().is_some() { Err(GIVE) } else { key(item) };
                match self.table.remove(&key?) {
                    None if call.method == "remove" => {
                        Err(raise_with("KeyError", vec![Value::Payload(item.payload())]))
                    }
                    _ => Ok(DONE),
                }
            }
            "pop" => {
                nothing(call)?;
                let entry =
                    self.table.pop().ok_or_else(|| raise("KeyError", "pop from an empty set"))?;
                Ok(Outcome::Return(Value::Payload(entry.key)))
            }
            "clear" => {
                nothing(call)?;
                self.table.clear();
                Ok(DONE)
            }
            "copy" | "#GETVALUE" => {
                nothing(call)?;
                Ok(Outcome::Return(all(&self.table)))
            }
            "__iter__" => {
                nothing(call)?;
                let keys = self.table.iter().map(|entry| entry.key.clone()).collect();
                let message = "Set changed size during iteration";
                Ok(Outcome::Made(Iterating::over(keys, self.table.size(), message)))
            }
            _ => self.algebra(call),
        }
    }
}
