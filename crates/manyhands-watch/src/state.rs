//! What a process tells of itself when it is asked: its threads, what they wait for, its objects.
//!
//! It goes from process to process as JSON, one object per line. Fields may be added; who reads
//! passes over those that it does not know, and takes the default for those that are missing.

use serde::{Deserialize, Serialize};

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// That of its parent.
    pub parent: u32,
    /// The words that it was started with.
    pub command: Vec<String>,
    /// The version of Manyhands that it runs on.
    pub version: String,
    /// Processes that serve it and do nothing by themselves, such as the one that forks its children.
    pub helpers: Vec<u32>,
    /// The processes that share objects with it, itself among them.
    pub shares_with: Vec<u32>,
    /// Its threads, the main thread first. Not those of libraries: see `foreign`.
    pub threads: Vec<Thread>,
    /// How many threads it has that nothing is known of.
    pub foreign: u32,
    /// What its threads wait for or hold, and what is worth to be watched.
    pub objects: Vec<Object>,
    /// Its pools and executors.
    pub pools: Vec<Pool>,
    /// Why names and stacks are missing, if they are.
    pub silent: Option<String>,
    /// Whether a signal may call a function of the program, which may wake whoever waits.
    pub handles_signals: bool,
}

/// A thread, or a greenlet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// The kernel's number of the thread; of a greenlet, that of the thread in which it runs.
    pub thread: u32,
    /// Which greenlet of that thread; 0 for the thread itself.
    pub greenlet: u64,
    /// The number by which the process itself knows it: Python's `get_ident()`.
    pub id: u64,
    /// As the program calls it: `MainThread`.
    pub name: String,
    /// Whether the program ends without it.
    pub daemon: bool,
    /// Where it is, the innermost call last.
    pub stack: Vec<Frame>,
    /// What it waits for; none if it runs, or waits for something that is not ours.
    pub wait: Option<Wait>,
}

/// A call under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// The file of the code.
    pub file: String,
    /// The line in it.
    pub line: u32,
    /// The name of the function.
    pub function: String,
    /// The text of the line, without the blanks around it.
    pub text: String,
}

/// A wait of a thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wait {
    /// Its number: another wait of the same thread for the same object has another.
    pub number: u64,
    /// For which object, by [`Object::id`].
    pub object: String,
    /// What was called: `acquire`, `get`...
    pub operation: String,
    /// For how many seconds it has waited; 0 if nobody knows.
    pub seconds: f64,
    /// Whether it ends by itself, sooner or later.
    pub limited: bool,
    /// How often the thread has looked for itself, since it has waited, whether it has to.
    pub looks: u32,
}

/// Something that makes threads wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Object {
    /// The same in all processes that have it, and never that of another object.
    pub id: String,
    /// The name of its class: `Lock`, `Queue`, `Thread`, `Process`...
    pub kind: String,
    /// As the program calls it, if it has a name for it: `Account.lock`.
    pub name: String,
    /// Whether several processes have it.
    pub shared: bool,
    /// Who holds it: a thread of this or another process. For a thread or a process that is waited
    /// for, itself (with thread 0: any of the process).
    pub owner: Option<Hand>,
    /// The number by which the process itself knows the thread that holds it; 0 if nobody does.
    pub thread_id: u64,
    /// How many items it has, or units, or parties that have come.
    pub size: Option<u64>,
    /// How many it may have.
    pub capacity: Option<u64>,
    /// How many have been put into it since it was made, modulo 2^32.
    pub put: Option<u64>,
    /// How many have been taken, modulo 2^32.
    pub taken: Option<u64>,
    /// How often somebody had to wait for it.
    pub waits: u64,
}

/// A thread of a process.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(default)]
pub struct Hand {
    /// The process's number.
    pub pid: u32,
    /// The kernel's number of the thread; 0 if any thread is meant.
    pub thread: u32,
    /// Which greenlet of the thread; 0 for the thread itself.
    pub greenlet: u64,
}

/// A pool or an executor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// A number, unique in its process.
    pub id: u64,
    /// The name of its class: `Pool`, `ProcessPoolExecutor`...
    pub kind: String,
    /// How many workers it has.
    pub workers: u32,
    /// How many calls are done, without those that failed.
    pub done: u64,
    /// How many have failed.
    pub failed: u64,
    /// How many are running.
    pub running: u64,
    /// How many wait for a worker.
    pub waiting: u64,
    /// For how many seconds it has been there, or was.
    pub seconds: f64,
    /// Whether it has ended.
    #[serde(default)]
    pub ended: bool,
}
