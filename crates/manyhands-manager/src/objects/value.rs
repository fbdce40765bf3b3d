//! `Value`.

use super::arguments::{ASK, DONE, Found, GIVE, bind, either, nothing, payload, take};
use super::{Answers, Call, Object, Outcome, State, Value};
use crate::pickle::{Item, Payload};

/// A typecode, which means nothing, and a value. Its state is a [`Value::Tuple`] of both.
#[derive(Debug)]
struct Single {
    typecode: Payload,
    value: Payload,
}

/// `Value(typecode, value, lock=True)`.
pub(super) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let [typecode, value, _] =
        bind(args, kwargs, ["typecode", "value", "lock"], 2).map_err(|_| GIVE)?;
    let (typecode, value) = (typecode.ok_or(GIVE)?.payload(), value.ok_or(GIVE)?.payload());
    Ok(Box::new(Single { typecode, value }))
}

impl Single {
    #[doc(alias = "multiprocessing.managers.ValueProxy")]
    fn dispatch(&mut self, call: &Call<'_>) -> Found<Outcome> {
        match call.method {
            "get" => {
                nothing(call)?;
                Ok(payload(&self.value))
            }
            "set" => {
                let [value] = take(call, ["value"], 1)?;
                self.value = value.ok_or(ASK)?.payload();
                Ok(DONE)
            }
            _ => Err(ASK),
        }
    }
}

impl Object for Single {
    fn kind(&self) -> &'static str {
        "Value"
    }

    fn call(&mut self, call: &Call<'_>, _answers: &mut Answers) -> Outcome {
        either(self.dispatch(call))
    }

    fn state(&self) -> State {
        let parts = [&self.typecode, &self.value];
        State { kind: "Value", value: Value::Tuple(super::arguments::values(parts)) }
    }
}
