//! What methods make of their arguments.

use std::time::{Duration, Instant};

use super::{Call, Outcome, Raised, Value};
use crate::pickle::{Integer, Item, Key, Payload, Plain};

/// What a helper finds: a thing, or what the whole call comes to.
pub(super) type Found<T> = Result<T, Outcome>;

/// Only the interpreter knows, and the object stays what it is (also: it is an error, which it words).
pub(super) const ASK: Outcome = Outcome::Foreign { changes: false };

/// Only the interpreter can do it.
pub(super) const GIVE: Outcome = Outcome::Foreign { changes: true };

/// The longest wait that is kept as a deadline; longer ones are for ever (Python's own limit is about this, 292 years).
const LONGEST: f64 = 9.0e9;

/// Arguments by position and by name. An empty name can only be given by position.
///
/// # Errors
/// Where Python raises `TypeError`, which is before a method does anything: [`ASK`].
pub(super) fn bind<'a, const N: usize>(
    args: &[Item<'a>],
    kwargs: &[(&str, Item<'a>)],
    names: [&str; N],
    required: usize,
) -> Found<[Option<Item<'a>>; N]> {
    let mut bound = [None; N];
    if args.len() > N {
        return Err(ASK);
    }
    for (place, item) in bound.iter_mut().zip(args) {
        *place = Some(*item);
    }
    for (name, item) in kwargs {
        let found = bound.iter_mut().zip(names).find(|(_, known)| known == name);
        match found {
            Some((place @ None, known)) if !known.is_empty() => *place = Some(*item),
            _ => return Err(ASK),
        }
    }
    if bound.iter().take(required).any(Option::is_none) {
        return Err(ASK);
    }
    Ok(bound)
}

/// As [`bind`], of a call.
pub(super) fn take<'a, const N: usize>(
    call: &Call<'a>,
    names: [&str; N],
    required: usize,
) -> Found<[Option<Item<'a>>; N]> {
    bind(call.args, call.kwargs, names, required)
}

/// The only argument, by position.
pub(super) fn one<'a>(call: &Call<'a>) -> Found<Item<'a>> {
    match (call.args, call.kwargs) {
        ([item], []) => Ok(*item),
        _ => Err(ASK),
    }
}

/// There are no arguments.
pub(super) fn nothing(call: &Call<'_>) -> Found<()> {
    if call.args.is_empty() && call.kwargs.is_empty() { Ok(()) } else { Err(ASK) }
}

/// Python's truth; a default where nothing was given.
pub(super) fn truth(item: Option<Item<'_>>, default: bool) -> Found<bool> {
    let Some(item) = item else { return Ok(default) };
    if let Some(value) = item.bool() {
        return Ok(value);
    }
    item.plain().map(|plain| plain.is_true()).ok_or(GIVE)
}

/// An int or bool that fits.
pub(super) fn int(item: Item<'_>) -> Option<i64> {
    item.int().or_else(|| item.bool().map(i64::from))
}

/// An int where another type is an error (unless it has `__index__`), and one that does not fit is the interpreter's.
pub(super) fn index(item: Item<'_>) -> Found<i64> {
    match int(item) {
        Some(value) => Ok(value),
        None if item.is_plain() => Err(ASK),
        None => Err(GIVE),
    }
}

/// An int, a bool or a float. What does not fit is as large as can be.
pub(super) fn seconds(item: Item<'_>) -> Option<f64> {
    if let Some(value) = item.float() {
        return Some(value);
    }
    if let Some(value) = int(item) {
        // Longer than a few centuries it is for ever, so it need not be exact there.
        return Some(value as f64);
    }
    match item.plain()? {
        Plain::Int(Integer::Big(bytes)) => {
            let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
            Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY })
        }
        _ => None,
    }
}

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    /// For ever.
    Never,
    /// Not at all: no time is left (zero, negative, nan).
    Now,
    /// Until then.
    At(Instant),
}

impl Limit {
    pub(super) fn after(seconds: f64, now: Instant) -> Limit {
        if seconds.is_nan() || seconds <= 0.0 {
            return Limit::Now;
        }
        if seconds > LONGEST {
            return Limit::Never;
        }
        now.checked_add(Duration::from_secs_f64(seconds)).map_or(Limit::Never, Limit::At)
    }

    /// The timeout of a lock or its kin: None, or a number, or an error that needs no interpreter (a lock cannot go
    /// there while others wait for it).
    pub(super) fn of(item: Option<Item<'_>>, now: Instant) -> Found<Limit> {
        match item {
            None => Ok(Limit::Never),
            Some(item) if item.is_none() => Ok(Limit::Never),
            Some(item) => seconds(item).map(|value| Limit::after(value, now)).ok_or_else(|| {
                raise("TypeError", "the timeout of a shared lock must be None, an int or a float")
            }),
        }
    }

    /// What a call that may wait comes to; `late` if it may not.
    pub(super) fn deadline(self) -> Option<Option<Instant>> {
        match self {
            Limit::Never => Some(None),
            Limit::Now => None,
            Limit::At(at) => Some(Some(at)),
        }
    }
}

/// The members of something plain that can be iterated over, in order.
///
/// # Errors
/// [`ASK`] if it is plain and cannot be iterated over, [`GIVE`] if only the interpreter knows.
pub(super) fn members(item: Item<'_>) -> Found<Vec<Payload>> {
    if let Some(items) = item.list().or_else(|| item.tuple()).or_else(|| item.set()) {
        return Ok(items.into_iter().map(Item::payload).collect());
    }
    if let Some(pairs) = item.dict() {
        let mut seen = std::collections::HashSet::new();
        let mut keys = Vec::with_capacity(pairs.len());
        for (key, _) in pairs {
            let plain = key.plain().and_then(Key::new).ok_or(GIVE)?;
            if seen.insert(plain) {
                keys.push(key.payload());
            }
        }
        return Ok(keys);
    }
    match item.plain() {
        Some(Plain::Str(text)) => {
            let mut buffer = [0; 4];
            Ok(text.chars().map(|each| Payload::str(each.encode_utf8(&mut buffer))).collect())
        }
        Some(Plain::Bytes(bytes) | Plain::Bytearray(bytes)) => {
            Ok(bytes.iter().map(|each| Payload::int(i64::from(*each))).collect())
        }
        Some(_) => Err(ASK),
        None => Err(GIVE),
    }
}

/// A key of a dict or set.
///
/// # Errors
/// [`ASK`] if it cannot be hashed, [`GIVE`] if only the interpreter can hash or compare it.
pub(super) fn key(item: Item<'_>) -> Found<Key> {
    key_of(item.plain())
}

/// As [`key`], of something that was kept.
pub(super) fn key_of(plain: Option<Plain>) -> Found<Key> {
    let plain = plain.ok_or(GIVE)?;
    let hashable = is_hashable(&plain);
    Key::new(plain).ok_or(if hashable { GIVE } else { ASK })
}

fn is_hashable(plain: &Plain) -> bool {
    match plain {
        Plain::Tuple(items) => items.iter().all(is_hashable),
        Plain::List(_) | Plain::Dict(_) | Plain::Set(_) | Plain::Bytearray(_) => false,
        _ => true,
    }
}

/// Whether a question about a key can be put to a copy: then it need not go to the interpreter for good.
pub(super) fn only_asked<T>(found: Found<T>) -> Found<T> {
    found.map_err(|outcome| match outcome {
        Outcome::Foreign { .. } => ASK,
        other => other,
    })
}

/// An exception of builtins with a message.
pub(super) fn raise(name: &'static str, message: &str) -> Outcome {
    raise_with(name, vec![Value::Str(message.to_owned())])
}

/// An exception of builtins.
pub(super) fn raise_with(name: &'static str, args: Vec<Value>) -> Outcome {
    Outcome::Raise(Raised { module: "builtins", name, args })
}

/// An exception of a module, without a message.
pub(super) fn raise_bare(module: &'static str, name: &'static str) -> Outcome {
    Outcome::Raise(Raised { module, name, args: Vec::new() })
}

/// What a method that returns nothing returns.
pub(super) const DONE: Outcome = Outcome::Return(Value::None);

pub(super) fn yes(value: bool) -> Outcome {
    Outcome::Return(Value::Bool(value))
}

/// A length or count.
pub(super) fn count(value: usize) -> Outcome {
    Outcome::Return(Value::Int(i64::try_from(value).unwrap_or(i64::MAX)))
}

pub(super) fn payload(value: &Payload) -> Outcome {
    Outcome::Return(Value::Payload(value.clone()))
}

pub(super) fn values<'a>(items: impl IntoIterator<Item = &'a Payload>) -> Vec<Value> {
    items.into_iter().map(|item| Value::Payload(item.clone())).collect()
}

/// Both branches of a result are outcomes.
pub(super) fn either(found: Found<Outcome>) -> Outcome {
    match found {
        Ok(outcome) | Err(outcome) => outcome,
    }
}
