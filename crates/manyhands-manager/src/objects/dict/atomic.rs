//! Changes that depend on what is there.

use super::Dict;
use crate::objects::arguments::{ASK, Found, GIVE, index, key, only_asked, raise, take, yes};
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
        self.put(key, || item.payload(), payload);
        Ok(Outcome::Return(value))
    }

    pub(super) fn peek(&self, item: Item<'_>) -> Found<Outcome> {
        // The stamp is of no use for a copy, so a key that is not plain takes the dict along.
        let (stamp, value) = match self.table.get(&key(item)?) {
            Some(entry) => (entry.value.stamp, Value::Payload(entry.value.value.clone())),
            None => (0, Value::None),
        };
        Ok(Outcome::Return(Value::Tuple(vec![Value::Int(stamp), value])))
    }

    pub(super) fn swap(&mut self, call: &Call<'_>) -> Found<Outcome> {
        let [item, stamp, value] = take(call, ["", "", ""], 3)?;
        let item = item.ok_or(ASK)?;
        let key = key(item)?;
        let stamp = only_asked(index(stamp.ok_or(ASK)?))?;
        let same = self.table.get(&key).map_or(0, |entry| entry.value.stamp) == stamp;
        if same {
            self.put(key, || item.payload(), value.ok_or(ASK)?.payload());
        }
        Ok(yes(same))
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
