//! The objects that a server keeps without an interpreter.
//!
//! An object's methods never block: a call that has to wait is parked and answered later, by a call of somebody
//! else, by its deadline, or never if its caller goes away.

use std::time::Instant;

use crate::pickle::{Item, Payload};

/// Who makes a call: a connection, which is one thread of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection(pub u64);

/// The process that a connection belongs to, as far as it is known; otherwise the connection by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(pub u64);

/// A call that was parked. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// A method's call.
#[derive(Debug)]
pub struct Call<'a> {
    pub method: &'a str,
    /// Positional arguments.
    pub args: &'a [Item<'a>],
    /// Arguments by name.
    pub kwargs: &'a [(&'a str, Item<'a>)],
    pub connection: Connection,
    pub client: Client,
    /// The ticket of this call, should it have to wait.
    pub ticket: Ticket,
    pub now: Instant,
}

/// What becomes of a call.
#[derive(Debug)]
pub enum Outcome {
    /// It returns.
    Return(Value),
    /// It returns, and what it got had an owner that died while it held it (`AbandonedLockWarning`).
    Abandoned(Value),
    /// It raises.
    Raise(Raised),
    /// It waits: the object keeps the ticket. With a deadline, [`Object::expire`] is called then.
    Wait(Option<Instant>),
    /// It returns a new object of its own (the iterator of a dict).
    Made(Box<dyn Object>),
    /// Only the interpreter can answer (arguments of an odd shape, comparisons of unknown objects, `repr`). Nothing was
    /// changed. The server asks for the object's [`State`] and makes a Python object of it: a passing copy if
    /// `changes` is false, otherwise for good.
    Foreign { changes: bool },
}

/// What a method returns.
#[derive(Clone, Debug)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Payload(Payload),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Set(Vec<Value>),
}

/// An exception of Python: `module.name(*args)`.
#[derive(Clone, Debug)]
pub struct Raised {
    pub module: &'static str,
    pub name: &'static str,
    pub args: Vec<Value>,
}

/// Calls that waited and are answered now, by somebody else's call.
#[derive(Debug, Default)]
pub struct Answers(pub Vec<(Ticket, Outcome)>);

/// What an object is made of, for the interpreter to make a Python object of it.
#[derive(Clone, Debug)]
pub struct State {
    /// "list", "dict", "Queue", "Lock"...
    pub kind: &'static str,
    /// Its parts; what they mean depends on the kind and is documented there.
    pub value: Value,
}

/// An object that is kept here.
///
/// All methods are called under the server's lock, one at a time.
pub trait Object: Send + std::fmt::Debug {
    /// Its kind: "list", "dict"...
    fn kind(&self) -> &'static str;

    /// Carries a call out, as far as it can be carried out now. Calls that waited and can go on now are put into `answers`.
    fn call(&mut self, call: &Call<'_>, answers: &mut Answers) -> Outcome;

    /// The deadline of a parked call has passed: what it gets now. (May be [`Outcome::Wait`] again: a condition's waiter
    /// whose time is up still has to get its lock back.)
    fn expire(&mut self, ticket: Ticket, answers: &mut Answers) -> Outcome {
        let _ = (ticket, answers);
        Outcome::Return(Value::None)
    }

    /// The caller of a parked call is gone: the ticket is forgotten.
    fn forget(&mut self, ticket: Ticket, answers: &mut Answers) {
        let _ = (ticket, answers);
    }

    /// The answer to a call could not be delivered: what it took is put back, as if it had not been (a queue's `get`).
    fn undelivered(&mut self, value: Value, answers: &mut Answers) {
        let _ = (value, answers);
    }

    /// A client (and its connections) has died: what it held is released, or taken tasks given back.
    fn client_died(&mut self, client: Client, answers: &mut Answers) {
        let _ = (client, answers);
    }

    /// Whether clients may hold something of it, so that it has to know when one dies.
    fn is_held_by_clients(&self) -> bool {
        false
    }

    /// What it is made of. Parked calls are not part of it.
    fn state(&self) -> State;

    /// It is given away to the interpreter: its state, and the tickets of the calls that wait (these are made again
    /// there from the start).
    fn surrender(&mut self) -> (State, Vec<Ticket>) {
        (self.state(), Vec::new())
    }
}

/// Makes an object of a kind ("list", "dict", "Queue"...) from the arguments of its constructor.
///
/// # Errors
/// What the constructor raises; `Outcome::Foreign` if only the interpreter can make it.
pub fn make(
    kind: &str,
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let _ = (kind, args, kwargs);
    Err(Outcome::Foreign { changes: true })
}
