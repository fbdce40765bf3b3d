//! The objects that a server keeps without an interpreter.
//!
//! An object's methods never block: a call that has to wait is parked and answered later, by a call of somebody
//! else, by its deadline, or never if its caller goes away.

use std::time::Instant;

mod arguments;
mod array;
mod dict;
mod iterator;
mod list;
mod methods;
mod namespace;
mod queue;
mod set;
mod slices;
mod sync;
mod table;
mod value;

use crate::pickle::{Item, Payload};

pub(crate) use methods::KINDS;
pub use methods::methods;

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
    /// The method's name.
    pub method: &'a str,
    /// Positional arguments.
    pub args: &'a [Item<'a>],
    /// Arguments by name.
    pub kwargs: &'a [(&'a str, Item<'a>)],
    /// Who calls.
    pub connection: Connection,
    /// The process that calls.
    pub client: Client,
    /// The ticket of this call, should it have to wait.
    pub ticket: Ticket,
    /// When it is made.
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
    ///
    /// A parked call can be answered so as well: it is then made again by the interpreter, as if it had come now.
    Foreign {
        /// Whether the object may be another one afterwards.
        changes: bool,
    },
}

/// What a method returns.
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`.
    None,
    /// A bool.
    Bool(bool),
    /// An int.
    Int(i64),
    /// A float.
    Float(f64),
    /// A str.
    Str(String),
    /// Something that came pickled.
    Payload(Payload),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A list.
    List(Vec<Value>),
    /// A dict: its keys and values, in order.
    Dict(Vec<(Value, Value)>),
    /// A set.
    Set(Vec<Value>),
}

/// An exception of Python: `module.name(*args)`.
#[derive(Clone, Debug)]
pub struct Raised {
    /// Where the class is: "builtins", "queue", "threading".
    pub module: &'static str,
    /// The name of the class.
    pub name: &'static str,
    /// What it is made with.
    pub args: Vec<Value>,
}

/// Calls that waited and are answered now, by somebody else's call.
#[derive(Debug, Default)]
pub struct Answers(pub Vec<(Ticket, Outcome)>);

/// What an object is made of, for the interpreter to make a Python object of it.
///
/// | kind | value |
/// |---|---|
/// | list | a list of its members |
/// | dict, Namespace | a dict |
/// | set | a set |
/// | Iterator | a list of what is left |
/// | Queue, JoinableQueue, LifoQueue, PriorityQueue | a dict: `items` (a list, as Python's queue has them inside), `maxsize`, `unfinished_tasks`, `is_shutdown` |
/// | Value | a tuple: typecode, value |
/// | Array | a tuple: typecode, list of numbers |
/// | Lock | a bool: whether it is locked |
/// | RLock, Condition | an int: how many times it is locked |
/// | Semaphore | an int: the units that are left |
/// | BoundedSemaphore | a tuple: the units that are left, the most that there can be |
/// | Event | a bool: whether it is set |
/// | Barrier | a tuple: parties, timeout or None, whether it is broken |
#[derive(Clone, Debug)]
pub struct State {
    /// "list", "dict", "Queue", "Lock"...
    pub kind: &'static str,
    /// Its parts.
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

    /// The answer to a call of `connection` could not be delivered: what it took is put back, as if it had not been (a
    /// queue's `get`, a lock's `acquire`). Only for what a method returned; called before
    /// [`client_died`](Object::client_died).
    fn undelivered(
        &mut self,
        connection: Connection,
        client: Client,
        method: &str,
        value: Value,
        answers: &mut Answers,
    ) {
        let _ = (connection, client, method, value, answers);
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
/// What the constructor raises; [`Outcome::Foreign`] if only the interpreter can make it.
pub fn make(
    kind: &str,
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    match kind {
        "Queue" => queue::make(queue::Order::First, "Queue", args, kwargs),
        "JoinableQueue" => queue::make(queue::Order::First, "JoinableQueue", args, kwargs),
        "LifoQueue" => queue::make(queue::Order::Last, "LifoQueue", args, kwargs),
        "PriorityQueue" => queue::make(queue::Order::Least, "PriorityQueue", args, kwargs),
        "list" => list::make(args, kwargs),
        "dict" => dict::make(args, kwargs),
        "set" => set::make(args, kwargs),
        "Namespace" => namespace::make(args, kwargs),
        "Value" => value::make(args, kwargs),
        "Array" => array::make(args, kwargs),
        "Lock" => sync::lock::make(args, kwargs),
        "RLock" => sync::rlock::make(args, kwargs),
        "Semaphore" => sync::semaphore::make(false, args, kwargs),
        "BoundedSemaphore" => sync::semaphore::make(true, args, kwargs),
        "Condition" => sync::condition::make(args, kwargs),
        "Event" => sync::event::make(args, kwargs),
        "Barrier" => sync::barrier::make(args, kwargs),
        _ => Err(Outcome::Foreign { changes: true }),
    }
}
