//! `Namespace`.

use super::arguments::{ASK, DONE, Found, GIVE, either, one, payload, take};
use super::table::Table;
use super::{Answers, Call, Object, Outcome, State, Value};
use crate::pickle::{Item, Key, Payload, Plain};

/// Attributes. Its state is a [`Value::Dict`] of them.
#[derive(Debug, Default)]
struct Namespace {
    attributes: Table<Payload>,
}

/// `Namespace(**kwargs)`.
pub(super) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let mut namespace = Namespace::default();
    if !args.is_empty() {
        return Err(GIVE);
    }
    for (name, value) in kwargs {
        namespace.set(name, value.payload()).map_err(|_| GIVE)?;
    }
    Ok(Box::new(namespace))
}

/// Names like `__class__` may mean something to the class.
fn is_special(name: &str) -> bool {
    name.starts_with("__")
}

fn key(name: &str) -> Found<Key> {
    Key::new(Plain::Str(name.into())).ok_or(GIVE)
}

impl Namespace {
    fn set(&mut self, name: &str, value: Payload) -> Found<()> {
        if is_special(name) {
            return Err(GIVE);
        }
        self.attributes.insert(key(name)?, || Payload::str(name), value);
        Ok(())
    }

    fn all(&self) -> Value {
        let pair = |entry: &super::table::Entry<Payload>| {
            (Value::Payload(entry.key.clone()), Value::Payload(entry.value.clone()))
        };
        Value::Dict(self.attributes.iter().map(pair).collect())
    }

    #[doc(alias = "multiprocessing.managers.Namespace")]
    fn dispatch(&mut self, call: &Call<'_>) -> Found<Outcome> {
        match call.method {
            "__getattribute__" => {
                let name = one(call)?.str().ok_or(ASK)?;
                if is_special(name) {
                    return Err(ASK);
                }
                // A missing one is an error that tells more than its words.
                self.attributes.get(&key(name)?).map(|entry| payload(&entry.value)).ok_or(ASK)
            }
            "__setattr__" => {
                let [name, value] = take(call, ["", ""], 2)?;
                let name = name.ok_or(ASK)?.str().ok_or(ASK)?;
                self.set(name, value.ok_or(ASK)?.payload())?;
                Ok(DONE)
            }
            "__delattr__" => {
                let name = one(call)?.str().ok_or(ASK)?;
                if is_special(name) {
                    return Err(GIVE);
                }
                self.attributes.remove(&key(name)?).map(|_| DONE).ok_or(ASK)
            }
            _ => Err(ASK),
        }
    }
}

impl Object for Namespace {
    fn kind(&self) -> &'static str {
        "Namespace"
    }

    fn call(&mut self, call: &Call<'_>, _answers: &mut Answers) -> Outcome {
        either(self.dispatch(call))
    }

    fn state(&self) -> State {
        State { kind: "Namespace", value: self.all() }
    }
}
