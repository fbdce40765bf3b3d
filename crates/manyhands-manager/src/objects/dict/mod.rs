//! `dict`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

mod atomic;
mod update;

use super::arguments::{
    ASK, DONE, Found, GIVE, count, either, key, nothing, one, only_asked, payload, raise,
    raise_with, take, yes,
};
use super::iterator::Iterating;
use super::table::{Entry, Table};
use super::{Answers, Call, Note, Object, Outcome, State, Value};
use crate::pickle::{Item, Key, Payload};

/// A dict with plain keys. Its state is a [`Value::Dict`].
///
/// # Atomic changes
/// Beyond Python's methods, for what would otherwise need a lock:
/// * `increment(key, by=1)` adds to a number (a missing one is 0), and returns the sum.
/// * `#PEEK(key)` returns `(stamp, value, origin)`, and `(0, None, 0)` for a missing key.
/// * `#SWAP(key, stamp, new, changed=False)` sets the key if its stamp still is the same (0: if it is still missing), and
///   returns whether it did. Every store gives a new stamp, so a value that was replaced by an equal one counts as another.
///   `changed` says that `new` is the value that was there, changed in place: it has its origin.
/// * `#KEEP(key, origin, value)` sets the key unless what is there has that origin.
///
/// # Lost updates
/// Who sets a key that somebody else has changed since he has read it is told ([`Note::Raced`]). What was only replaced by
/// the same has not changed: nothing of it can be lost.
#[derive(Debug)]
struct Dict {
    number: u64,
    table: Table<Stored>,
    /// The stamp of the last store; never 0 for one.
    stamps: i64,
}

/// Tells dicts apart.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Debug)]
struct Stored {
    value: Payload,
    stamp: i64,
    /// The stamp of the first of the stores since which it has been the same.
    since: i64,
    /// The stamp of the value of which this is what became by changes in place.
    origin: i64,
}

/// `dict(mapping_or_pairs=(), **kwargs)`.
pub(super) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let mut dict = Dict { number, table: Table::default(), stamps: 0 };
    dict.update(args, kwargs).map_err(|_| GIVE)?;
    Ok(Box::new(dict))
}

impl Object for Dict {
    fn kind(&self) -> &'static str {
        "dict"
    }

    fn call(&mut self, call: &Call<'_>, _answers: &mut Answers) -> Outcome {
        either(self.dispatch(call))
    }

    fn state(&self) -> State {
        State { kind: "dict", value: self.all() }
    }
}

impl Dict {
    #[doc(alias = "multiprocessing.managers.DictProxy")]
    fn dispatch(&mut self, call: &Call<'_>) -> Found<Outcome> {
        match call.method {
            "__getitem__" => {
                let item = one(call)?;
                let entry = self.read(call, &only_asked(key(item))?);
                entry.map(|entry| payload(&entry.value.value)).ok_or_else(|| key_error(item))
            }
            "__setitem__" => {
                let [at, value] = take(call, ["", ""], 2)?;
                self.set(call, at.ok_or(ASK)?, value.ok_or(ASK)?)
            }
            "get" => {
                let [at, default] = take(call, ["", ""], 1)?;
                let entry = self.read(call, &only_asked(key(at.ok_or(ASK)?))?);
                Ok(match entry {
                    Some(entry) => payload(&entry.value.value),
                    None => given(default),
                })
            }
            "__contains__" => Ok(yes(self.table.contains(&only_asked(key(one(call)?))?))),
            "__len__" => {
                nothing(call)?;
                Ok(count(self.table.len()))
            }
            "__delitem__" => {
                let item = one(call)?;
                self.remove(call, &key(item)?).map(|_| DONE).ok_or_else(|| key_error(item))
            }
            "pop" => {
                let [item, default] = take(call, ["", ""], 1)?;
                let item = item.ok_or(ASK)?;
                match (self.remove(call, &key(item)?), default) {
                    (Some(entry), _) => Ok(Outcome::Return(Value::Payload(entry.value.value))),
                    (None, Some(_)) => Ok(given(default)),
                    (None, None) => Err(key_error(item)),
                }
            }
            "popitem" => {
                nothing(call)?;
                call.reads.forget(self.number);
                let entry = self
                    .table
                    .pop()
                    .ok_or_else(|| raise("KeyError", "popitem(): dictionary is empty"))?;
                Ok(Outcome::Return(Value::Tuple(vec![
                    Value::Payload(entry.key),
                    Value::Payload(entry.value.value),
                ])))
            }
            "setdefault" => {
                let [item, default] = take(call, ["", ""], 1)?;
                let item = item.ok_or(ASK)?;
                let key = key(item)?;
                if !self.table.contains(&key) {
                    let value = default.map_or_else(Payload::none, Item::payload);
                    self.put(key.clone(), || item.payload(), value);
                }
                self.read(call, &key).map(|entry| payload(&entry.value.value)).ok_or(ASK)
            }
            "update" => {
                self.update(call.args, call.kwargs)?;
                call.reads.forget(self.number);
                Ok(DONE)
            }
            "keys" => {
                nothing(call)?;
                let keys = self.table.iter().map(|entry| Value::Payload(entry.key.clone()));
                Ok(Outcome::Return(Value::List(keys.collect())))
            }
            "values" => {
                nothing(call)?;
                let values = self.table.iter().map(|each| Value::Payload(each.value.value.clone()));
                Ok(Outcome::Return(Value::List(values.collect())))
            }
            "items" => {
                nothing(call)?;
                let items = self.pairs().into_iter().map(|(key, at)| Value::Tuple(vec![key, at]));
                Ok(Outcome::Return(Value::List(items.collect())))
            }
            "copy" | "#GETVALUE" => {
                nothing(call)?;
                Ok(Outcome::Return(self.all()))
            }
            "clear" => {
                nothing(call)?;
                self.table.clear();
                call.reads.forget(self.number);
                Ok(DONE)
            }
            "__iter__" => {
                nothing(call)?;
                let keys = self.table.iter().map(|entry| entry.key.clone()).collect();
                let message = "dictionary changed size during iteration";
                Ok(Outcome::Made(Iterating::over(keys, self.table.size(), message)))
            }
            "__or__" => self.or(one(call)?),
            "__ror__" => self.reflected_or(one(call)?),
            "__ior__" => {
                one(call)?;
                self.update(call.args, &[])?;
                call.reads.forget(self.number);
                Ok(Outcome::Return(self.all()))
            }
            "increment" => self.increment(call),
            "#PEEK" => self.peek(one(call)?),
            "#SWAP" => self.swap(call),
            "#KEEP" => self.keep(call),
            _ => Err(ASK),
        }
    }

    fn pairs(&self) -> Vec<(Value, Value)> {
        self.table.iter().map(pair).collect()
    }

    fn all(&self) -> Value {
        Value::Dict(self.pairs())
    }

    fn read(&self, call: &Call<'_>, key: &Key) -> Option<&Entry<Stored>> {
        let entry = self.table.get(key);
        let since = entry.map_or(0, |entry| entry.value.since);
        call.reads.note(self.number, hash(key), since);
        entry
    }

    fn set(&mut self, call: &Call<'_>, at: Item<'_>, value: Item<'_>) -> Found<Outcome> {
        let key = key(at)?;
        let present = self.table.get(&key).map_or(0, |entry| entry.value.since);
        let seen = call.reads.take(self.number, hash(&key)).unwrap_or(present);
        self.put(key, || at.payload(), value.payload());
        if seen == present {
            Ok(DONE)
        } else {
            Ok(Outcome::Noted(Value::None, Note::Raced(at.payload())))
        }
    }

    fn remove(&mut self, call: &Call<'_>, key: &Key) -> Option<Entry<Stored>> {
        call.reads.take(self.number, hash(key));
        self.table.remove(key)
    }

    /// The only way in.
    fn put(&mut self, key: Key, pickled: impl FnOnce() -> Payload, value: Payload) {
        self.stamps += 1;
        let stamp = self.stamps;
        let before = self.table.get(&key).map(|entry| &entry.value);
        let since = before.filter(|before| before.value.is_same(&value)).map(|before| before.since);
        let stored = Stored { value, stamp, since: since.unwrap_or(stamp), origin: stamp };
        self.table.insert(key, pickled, stored);
    }
}

fn pair(entry: &Entry<Stored>) -> (Value, Value) {
    (Value::Payload(entry.key.clone()), Value::Payload(entry.value.value.clone()))
}

fn hash(key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

fn given(default: Option<Item<'_>>) -> Outcome {
    Outcome::Return(default.map_or(Value::None, |item| Value::Payload(item.payload())))
}

fn key_error(item: Item<'_>) -> Outcome {
    raise_with("KeyError", vec![Value::Payload(item.payload())])
}
