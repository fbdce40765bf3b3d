//! An object, and connections that call it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use manyhands_manager::objects::{
    Answers, Call, Client, Connection, Note, Object, Outcome, Reads, Ticket, Value, make,
};
use manyhands_manager::pickle::{Integer, Item, Message, Payload, Plain};

use crate::literal::arguments;

/// Each connection has one call at a time, so its number is also that of its ticket. Connections from 10 on belong to the client
/// of their first digit, others are a client each.
pub struct World {
    pub object: Box<dyn Object>,
    /// What the last call made.
    pub made: Option<Box<dyn Object>>,
    now: Instant,
    reads: HashMap<u64, Reads>,
}

pub fn client(who: u64) -> Client {
    Client(if who < 10 { who } else { who / 10 })
}

/// The arguments of a pickle of `(args, kwargs)`.
fn parts(message: &Message) -> (Vec<Item<'_>>, Vec<(&str, Item<'_>)>) {
    let both = message.root().tuple().unwrap();
    let kwargs = both[1].dict().unwrap();
    let kwargs = kwargs.into_iter().map(|(name, value)| (name.str().unwrap(), value)).collect();
    (both[0].tuple().unwrap(), kwargs)
}

/// What the constructor comes to if it is not an object.
pub fn refused(kind: &str, source: &str) -> String {
    let message = arguments(source);
    let (args, kwargs) = parts(&message);
    match make(kind, &args, &kwargs) {
        Ok(_) => "made".to_owned(),
        Err(outcome) => outcome_text(&outcome, Instant::now()),
    }
}

impl World {
    pub fn new(kind: &str, source: &str) -> World {
        let message = arguments(source);
        let (args, kwargs) = parts(&message);
        let object = make(kind, &args, &kwargs).unwrap();
        assert_eq!(object.kind(), kind);
        World { object, made: None, now: Instant::now(), reads: HashMap::new() }
    }

    /// Calls `method(arguments)`. `!expire`, `!forget`, `!died` happen to the connection or its client; `!lost method(value)`:
    /// what this method returned never arrived. Gives what comes of it, and the answers to others.
    pub fn call(&mut self, who: u64, source: &str) -> String {
        let mut answers = Answers::default();
        let ticket = Ticket(who);
        let mut text = match source {
            "!expire" => outcome_text(&self.object.expire(ticket, &mut answers), self.now),
            "!forget" => {
                self.object.forget(ticket, &mut answers);
                String::new()
            }
            "!died" => {
                self.object.client_died(client(who), &mut answers);
                String::new()
            }
            "!state" => value_text(&self.object.state().value),
            "!surrender" => {
                let (state, waiting) = self.object.surrender();
                let waiting: Vec<u64> = waiting.into_iter().map(|ticket| ticket.0).collect();
                format!("{} {waiting:?}", value_text(&state.value))
            }
            _ => {
                let (method, source) = source.strip_suffix(')').unwrap().split_once('(').unwrap();
                let message = arguments(source);
                let (args, kwargs) = parts(&message);
                if let Some(method) = method.strip_prefix("!lost ") {
                    let value = match args[0].bool() {
                        Some(value) => Value::Bool(value),
                        None => Value::Payload(args[0].payload()),
                    };
                    let at = Connection(who);
                    self.object.undelivered(at, client(who), method, value, &mut answers);
                    String::new()
                } else {
                    let call = Call {
                        method,
                        args: &args,
                        kwargs: &kwargs,
                        connection: Connection(who),
                        client: client(who),
                        ticket,
                        now: self.now,
                        reads: self.reads.entry(who).or_default(),
                    };
                    let outcome = self.object.call(&call, &mut answers);
                    let text = outcome_text(&outcome, self.now);
                    if let Outcome::Made(object) = outcome {
                        self.made = Some(object);
                    }
                    text
                }
            }
        };
        for (Ticket(ticket), outcome) in &answers.0 {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&format!("{ticket}: {}", outcome_text(outcome, self.now)));
        }
        text
    }

    /// One connection's calls, each with what it comes to.
    pub fn alone(&mut self, table: &[(&str, &str)]) {
        for (source, expected) in table {
            assert_eq!(self.call(1, source), *expected, "{source}");
        }
    }

    /// Calls of several.
    pub fn together(&mut self, table: &[(u64, &str, &str)]) {
        for (line, (who, source, expected)) in table.iter().enumerate() {
            assert_eq!(self.call(*who, source), *expected, "line {line}: {who} {source}");
        }
    }
}

pub fn outcome_text(outcome: &Outcome, now: Instant) -> String {
    match outcome {
        Outcome::Return(value) => value_text(value),
        Outcome::Noted(value, Note::Abandoned) => format!("abandoned {}", value_text(value)),
        Outcome::Noted(value, Note::Raced(key)) => {
            format!("{} raced {}", value_text(value), payload_text(key))
        }
        Outcome::Raise(raised) => {
            let args: Vec<String> = raised.args.iter().map(value_text).collect();
            let module = raised
                .module
                .strip_prefix("builtins")
                .map_or_else(|| format!("{}.", raised.module), str::to_owned);
            format!("{module}{}({})", raised.name, args.join(", "))
        }
        Outcome::Wait(None) => "waits".to_owned(),
        Outcome::Wait(Some(deadline)) => {
            let time: Duration = deadline.duration_since(now);
            format!("waits {}s", time.as_secs_f64())
        }
        Outcome::Made(object) => format!("made {}", object.kind()),
        Outcome::Foreign { changes: false } => "ask".to_owned(),
        Outcome::Foreign { changes: true } => "give".to_owned(),
    }
}

fn joined<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}

pub fn value_text(value: &Value) -> String {
    match value {
        Value::None => "None".to_owned(),
        Value::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Str(value) => format!("'{value}'"),
        Value::Payload(payload) => payload_text(payload),
        Value::Tuple(items) => format!("({})", joined(items, value_text)),
        Value::List(items) => format!("[{}]", joined(items, value_text)),
        Value::Set(items) => format!("{{{}}}", joined(items, value_text)),
        Value::Dict(pairs) => {
            let pair = |(key, value): &(Value, Value)| {
                format!("{}: {}", value_text(key), value_text(value))
            };
            format!("{{{}}}", joined(pairs, pair))
        }
    }
}

pub fn payload_text(payload: &Payload) -> String {
    payload.plain().map_or("?".to_owned(), |plain| plain_text(&plain))
}

fn plain_text(plain: &Plain) -> String {
    match plain {
        Plain::None => "None".to_owned(),
        Plain::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
        Plain::Int(Integer::Small(value)) => value.to_string(),
        Plain::Int(Integer::Big(_)) => "big".to_owned(),
        Plain::Float(value) => format!("{value:?}"),
        Plain::Str(value) => format!("'{value}'"),
        Plain::Bytes(value) | Plain::Bytearray(value) => format!("b{value:?}"),
        Plain::Tuple(items) => format!("({})", joined(items, plain_text)),
        Plain::List(items) => format!("[{}]", joined(items, plain_text)),
        Plain::Set(items) => format!("{{{}}}", joined(items, plain_text)),
        Plain::Frozenset(items) => format!("frozenset({})", joined(items, plain_text)),
        Plain::Dict(pairs) => {
            let pair = |(key, value): &(Plain, Plain)| {
                format!("{}: {}", plain_text(key), plain_text(value))
            };
            format!("{{{}}}", joined(pairs, pair))
        }
    }
}
