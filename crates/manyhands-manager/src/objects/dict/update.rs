//! Several keys at once.

use super::Dict;
use crate::objects::arguments::{ASK, Found, GIVE, key};
use crate::objects::table::Table;
use crate::objects::{Outcome, Value};
use crate::pickle::{Item, Key, Payload, Plain};

impl Dict {
    /// All or nothing: what cannot be done here is seen before the first is stored.
    pub(super) fn update(&mut self, args: &[Item<'_>], kwargs: &[(&str, Item<'_>)]) -> Found<()> {
        let pairs = match args {
            [] => Vec::new(),
            [from] => pairs(*from)?,
            _ => return Err(ASK),
        };
        let mut checked = Vec::with_capacity(pairs.len());
        for (at, value) in pairs {
            checked.push((key(at)?, at, value));
        }
        let mut named = Vec::with_capacity(kwargs.len());
        for (name, value) in kwargs {
            named.push((Key::new(Plain::Str((*name).into())).ok_or(GIVE)?, *name, *value));
        }
        for (key, at, value) in checked {
            self.put(key, || at.payload(), value.payload());
        }
        for (key, name, value) in named {
            self.put(key, || Payload::str(name), value.payload());
        }
        Ok(())
    }

    /// `self | other`.
    pub(super) fn or(&self, other: Item<'_>) -> Found<Outcome> {
        let mut sum = Table::default();
        for (key, entry) in self.table.keyed() {
            sum.insert(key.clone(), || entry.key.clone(), entry.value.value.clone());
        }
        for (at, value) in other.dict().ok_or(ASK)? {
            sum.insert(key(at).map_err(|_| ASK)?, || at.payload(), value.payload());
        }
        Ok(Outcome::Return(all(&sum)))
    }

    /// `other | self`.
    pub(super) fn reflected_or(&self, other: Item<'_>) -> Found<Outcome> {
        let mut sum = Table::default();
        for (at, value) in other.dict().ok_or(ASK)? {
            sum.insert(key(at).map_err(|_| ASK)?, || at.payload(), value.payload());
        }
        for (key, entry) in self.table.keyed() {
            sum.insert(key.clone(), || entry.key.clone(), entry.value.value.clone());
        }
        Ok(Outcome::Return(all(&sum)))
    }
}

fn all(table: &Table<Payload>) -> Value {
    let pair = |entry: &crate::objects::table::Entry<Payload>| {
        (Value::Payload(entry.key.clone()), Value::Payload(entry.value.clone()))
    };
    Value::Dict(table.iter().map(pair).collect())
}

/// The pairs of a dict, or of a sequence of pairs.
fn pairs<'a>(from: Item<'a>) -> Found<Vec<(Item<'a>, Item<'a>)>> {
    if let Some(pairs) = from.dict() {
        return Ok(pairs);
    }
    let unknown = || if from.is_plain() { ASK } else { GIVE };
    let items = from.list().or_else(|| from.tuple()).ok_or_else(unknown)?;
    items
        .into_iter()
        .map(|item| {
            let parts = item.tuple().or_else(|| item.list()).ok_or(GIVE)?;
            match parts.as_slice() {
                [key, value] => Ok((*key, *value)),
                _ => Err(GIVE),
            }
        })
        .collect()
}
