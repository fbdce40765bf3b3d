//! Changes that depend on what is there.

use super::{Dict, Stored, hash};
use crate::objects::arguments::{
    ASK, DONE, Found, GIVE, index, key, only_asked, raise, take, truth, yes,
};
use crate::objects::{Call, Outcome, Value};
use crate::pickle::{Integer, Item, Payload, Plain};

impl Dict {
    /// Adds to a number: ints and floats here, all else by the interpreter.
    pub(super) fn increment(&mut self, call: &Call<'_>) -> Found<Outcome> {
        let [item, by] = take(call, ["key", "by"], 1)?;
        let item = item.ok_or(ASK)?;
        let key = key(item)?;
        let by = by.map_or(Ok(Plain::Int(Integer::Small(1))), |by| by.plain().ok_or(GIVE))?;
        let old = match self.table.get(&key) {
            Some(entry) => entry.value.value.plain().ok_or(GIVE)?,
            None => Plain::Int(Integer::Small(0)),
        };
        let (payload, value) = match (number(&old)?, number(&by)?) {
            (Number::Int(a), Number::Int(b)) => {
                let sum = a.checked_add(b).ok_or(GIVE)?;
                (Payload::int(sum), Value::Int(sum))
            }
            (a, b) => {
                let sum = a.float() + b.float();
                (Payload::float(sum), Value::Float(sum))
            }
        };
        call.reads.take(self.number, hash(&key));
        self.put(key, || item.payload(), payload);
        Ok(Outcome::Return(value))
    }

    pub(super) fn peek(&self, item: Item<'_>) -> Found<Outcome> {
        // The stamp is of no use for a copy, so a key that is not plain takes the dict along.
        let (stamp, value, origin) = match self.table.get(&key(item)?) {
            Some(entry) => {
                let Stored { value, stamp, origin, .. } = &entry.value;
                (*stamp, Value::Payload(value.clone()), *origin)
            }
            None => (0, Value::None, 0),
        };
        Ok(Outcome::Return(Value::Tuple(vec![Value::Int(stamp), value, Value::Int(origin)])))
    }

    pub(super) fn swap(&mut self, call: &Call<'_>) -> Found<Outcome> {
        let [item, stamp, value, changed] = take(call, ["", "", "", ""], 3)?;
        let item = item.ok_or(ASK)?;
        let key = key(item)?;
        let stamp = only_asked(index(stamp.ok_or(ASK)?))?;
        let changed = truth(changed, false)?;
        let (present, origin) = match self.table.get(&key) {
            Some(entry) => (entry.value.stamp, entry.value.origin),
            None => (0, 0),
        };
        let same = present == stamp;
        if same {
            call.reads.take(self.number, hash(&key));
            self.put(key.clone(), || item.payload(), value.ok_or(ASK)?.payload());
            if changed && let Some(entry) = self.table.get_mut(&key) {
                entry.value.origin = origin;
            }
        }
        Ok(yes(same))
    }

    pub(super) fn keep(&mut self, call: &Call<'_>) -> Found<Outcome> {
        let [item, origin, value] = take(call, ["", "", ""], 3)?;
        let item = item.ok_or(ASK)?;
        let key = key(item)?;
        let origin = only_asked(index(origin.ok_or(ASK)?))?;
        call.reads.take(self.number, hash(&key));
        if self.table.get(&key).is_none_or(|entry| entry.value.origin != origin) {
            self.put(key, || item.payload(), value.ok_or(ASK)?.payload());
        }
        Ok(DONE)
    }
}

#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn float(self) -> f64 {
        match self {
            // As Python converts an int: to the nearest.
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

fn number(plain: &Plain) -> Found<Number> {
    match plain {
        Plain::Int(Integer::Small(value)) => Ok(Number::Int(*value)),
        Plain::Bool(value) => Ok(Number::Int(i64::from(*value))),
        Plain::Float(value) => Ok(Number::Float(*value)),
        Plain::Int(Integer::Big(_)) => Err(GIVE),
        _ => Err(raise("TypeError", "increment() adds to numbers only")),
    }
}
