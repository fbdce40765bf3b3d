//! `Array`: an `array.array` of numbers.

use super::arguments::{
    ASK, DONE, Found, GIVE, bind, count, either, int, nothing, one, raise, take,
};
use super::slices::place;
use super::{Answers, Call, Object, Outcome, State, Value};
use crate::pickle::{Integer, Item, Plain};

/// Numbers of one type. Its state is a [`Value::Tuple`] of its typecode and a [`Value::List`] of them.
#[derive(Debug)]
struct Array {
    typecode: char,
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// From the least to the greatest that fits. Of unsigned ones of 64 bits, what an i64 can hold.
    Ints { least: i64, greatest: i64, items: Vec<i64> },
    /// Rounded to 32 bits if they are short.
    Floats { short: bool, items: Vec<f64> },
}

/// `Array(typecode, sequence, lock=True)`.
pub(super) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let [typecode, from, _] =
        bind(args, kwargs, ["typecode", "sequence", "lock"], 2).map_err(|_| GIVE)?;
    let typecode = typecode.and_then(Item::str).unwrap_or_default();
    let mut array = Array::new(typecode).ok_or(GIVE)?;
    let from = from.ok_or(GIVE)?;
    for item in from.list().or_else(|| from.tuple()).ok_or(GIVE)? {
        match &mut array.data {
            Data::Ints { least, greatest, items } => {
                items.push(whole(item, *least, *greatest).map_err(|_| GIVE)?);
            }
            Data::Floats { short, items } => items.push(real(item, *short).map_err(|_| GIVE)?),
        }
    }
    Ok(Box::new(array))
}

impl Array {
    fn new(typecode: &str) -> Option<Array> {
        let ints = |least, greatest| Data::Ints { least, greatest, items: Vec::new() };
        let mut letters = typecode.chars();
        let letter = letters.next()?;
        let data = match letter {
            'b' => ints(i64::from(i8::MIN), i64::from(i8::MAX)),
            'B' => ints(0, i64::from(u8::MAX)),
            'h' => ints(i64::from(i16::MIN), i64::from(i16::MAX)),
            'H' => ints(0, i64::from(u16::MAX)),
            'i' => ints(i64::from(i32::MIN), i64::from(i32::MAX)),
            'I' => ints(0, i64::from(u32::MAX)),
            'l' | 'q' => ints(i64::MIN, i64::MAX),
            'L' | 'Q' => ints(0, i64::MAX),
            'f' => Data::Floats { short: true, items: Vec::new() },
            'd' => Data::Floats { short: false, items: Vec::new() },
            _ => return None,
        };
        if letters.next().is_some() { None } else { Some(Array { typecode: letter, data }) }
    }

    fn len(&self) -> usize {
        match &self.data {
            Data::Ints { items, .. } => items.len(),
            Data::Floats { items, .. } => items.len(),
        }
    }

    #[doc(alias = "multiprocessing.managers.ArrayProxy")]
    fn dispatch(&mut self, call: &Call<'_>) -> Found<Outcome> {
        match call.method {
            "__getitem__" => {
                let at = int(one(call)?).ok_or(ASK)?;
                let at = place(at, self.len());
                let value = at.and_then(|at| match &self.data {
                    Data::Ints { items, .. } => items.get(at).copied().map(Value::Int),
                    Data::Floats { items, .. } => items.get(at).copied().map(Value::Float),
                });
                value
                    .map(Outcome::Return)
                    .ok_or_else(|| raise("IndexError", "array index out of range"))
            }
            "__setitem__" => {
                let [at, value] = take(call, ["", ""], 2)?;
                let at = at.ok_or(ASK)?;
                let at = int(at).ok_or(if at.is_plain() { ASK } else { GIVE })?;
                self.set(at, value.ok_or(ASK)?)
            }
            "__len__" => {
                nothing(call)?;
                Ok(count(self.len()))
            }
            _ => Err(ASK),
        }
    }

    fn set(&mut self, at: i64, value: Item<'_>) -> Found<Outcome> {
        let outside = || raise("IndexError", "array assignment index out of range");
        let at = place(at, self.len()).ok_or_else(outside)?;
        match &mut self.data {
            Data::Ints { least, greatest, items } => {
                *items.get_mut(at).ok_or_else(outside)? = whole(value, *least, *greatest)?;
            }
            Data::Floats { short, items } => {
                *items.get_mut(at).ok_or_else(outside)? = real(value, *short)?;
            }
        }
        Ok(DONE)
    }
}

/// An int that fits.
fn whole(item: Item<'_>, least: i64, greatest: i64) -> Found<i64> {
    match int(item) {
        Some(value) if (least..=greatest).contains(&value) => Ok(value),
        Some(_) => Err(ASK),
        // Perhaps one between i64::MAX and u64::MAX.
        None => match item.plain() {
            Some(Plain::Int(Integer::Big(_))) if least == 0 && greatest == i64::MAX => Err(GIVE),
            Some(_) => Err(ASK),
            None => Err(GIVE),
        },
    }
}

/// A number as a float.
fn real(item: Item<'_>, short: bool) -> Found<f64> {
    let value = match (item.float(), int(item)) {
        (Some(value), _) => value,
        // As Python converts an int: to the nearest.
        (None, Some(value)) => value as f64,
        (None, None) => {
            return Err(match item.plain() {
                Some(Plain::Int(Integer::Big(_))) | None => GIVE,
                Some(_) => ASK,
            });
        }
    };
    Ok(if short { f64::from(value as f32) } else { value })
}

impl Object for Array {
    fn kind(&self) -> &'static str {
        "Array"
    }

    fn call(&mut self, call: &Call<'_>, _answers: &mut Answers) -> Outcome {
        either(self.dispatch(call))
    }

    fn state(&self) -> State {
        let items = match &self.data {
            Data::Ints { items, .. } => items.iter().copied().map(Value::Int).collect(),
            Data::Floats { items, .. } => items.iter().copied().map(Value::Float).collect(),
        };
        let typecode = Value::Str(self.typecode.to_string());
        State { kind: "Array", value: Value::Tuple(vec![typecode, Value::List(items)]) }
    }
}
