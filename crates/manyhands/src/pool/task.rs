//! Functions that can be sent to workers, by their names.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What can go to another process and come back: serde can write it down, and read it without borrowing.
/// Every such type has it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to a worker",
    label = "no argument or result of a task",
    note = "arguments and results of tasks implement serde's `Serialize` and `Deserialize`, own what they hold, and are `Send`"
)]
pub trait Transferable: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Transferable for T {}

/// Compiles for what can be sent.
#[doc(hidden)]
pub const fn can_be_sent<T: Transferable>() {}

/// A call of a task, to be submitted to a [`Pool`](crate::Pool): the function, and arguments for it.
///
/// `#[manyhands::task] fn area(...)` makes a function `area::task(...)` that returns one.
pub struct Call<R> {
    pub(super) task: &'static str,
    pub(super) retries: Option<u32>,
    pub(super) body: Box<dyn Body<R>>,
}

impl<R> Call<R> {
    /// What the attribute makes of a function.
    #[doc(hidden)]
    pub fn new<A>(task: &'static str, arguments: A, function: fn(A) -> R) -> Call<R>
    where
        A: Serialize + Send + 'static,
        R: 'static,
    {
        Call { task, retries: None, body: Box::new(Applied { arguments, function }) }
    }

    /// Has it done again, so many times at the most, when the worker that does it dies; instead of as
    /// often as the pool would.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Call<R> {
        self.retries = Some(retries);
        self
    }
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Call").field("task", &self.task).finish_non_exhaustive()
    }
}

/// A function and its arguments, whatever these are.
pub(super) trait Body<R>: Send {
    /// Writes the arguments after what is there.
    fn write(&self, buffer: Vec<u8>) -> Result<Vec<u8>, postcard::Error>;

    /// Calls the function here.
    fn run(self: Box<Self>) -> R;
}

struct Applied<A, R> {
    arguments: A,
    function: fn(A) -> R,
}

impl<A: Serialize + Send, R> Body<R> for Applied<A, R> {
    fn write(&self, buffer: Vec<u8>) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(&self.arguments, buffer)
    }

    fn run(self: Box<Self>) -> R {
        (self.function)(self.arguments)
    }
}

/// What a worker does not return from a call.
#[doc(hidden)]
#[derive(Debug)]
pub enum Failure {
    Arguments(postcard::Error),
    Result(postcard::Error),
}

/// Reads arguments, calls the function, writes the result after what is there.
type Run = fn(&[u8], Vec<u8>) -> Result<Vec<u8>, Failure>;

/// A task of the program. There is a list of all of them, made before `main`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Definition {
    name: &'static str,
    run: Run,
}

impl Definition {
    #[doc(hidden)]
    pub const fn new(name: &'static str, run: Run) -> Definition {
        Definition { name, run }
    }
}

inventory::collect!(Definition);

/// What a worker does for a call, see [`Run`].
#[doc(hidden)]
pub fn run<A: DeserializeOwned, R: Serialize>(
    arguments: &[u8],
    result: Vec<u8>,
    function: fn(A) -> R,
) -> Result<Vec<u8>, Failure> {
    let arguments = postcard::from_bytes(arguments).map_err(Failure::Arguments)?;
    postcard::to_extend(&function(arguments), result).map_err(Failure::Result)
}

/// The program's tasks by their names; the name that two have, if there is one.
fn tasks() -> &'static Result<HashMap<&'static str, Run>, &'static str> {
    static TASKS: OnceLock<Result<HashMap<&'static str, Run>, &'static str>> = OnceLock::new();
    TASKS.get_or_init(|| {
        let mut tasks = HashMap::new();
        for definition in inventory::iter::<Definition> {
            if tasks.insert(definition.name, definition.run).is_some() {
                return Err(definition.name);
            }
        }
        Ok(tasks)
    })
}

/// The name that two tasks have, if there is one.
pub(super) fn duplicate() -> Option<&'static str> {
    tasks().as_ref().err().copied()
}

pub(super) fn find(name: &[u8]) -> Option<Run> {
    let tasks = tasks().as_ref().ok()?;
    tasks.get(std::str::from_utf8(name).ok()?).copied()
}

/// Calls a function; an error is what it said when it panicked.
pub(super) fn guarded<R>(function: impl FnOnce() -> R) -> Result<R, String> {
    // What the function leaves half done when it panics is its own affair, as in a thread.
    catch_unwind(AssertUnwindSafe(function)).map_err(|payload| {
        if let Some(text) = payload.downcast_ref::<&str>() {
            (*text).to_owned()
        } else {
            payload.downcast::<String>().map_or_else(|_| "no message".to_owned(), |text| *text)
        }
    })
}
