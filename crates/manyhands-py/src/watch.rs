//! `manyhands.watch`

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use manyhands_shm::{Reference, observed_id};
use manyhands_sys::{fork, liveness};
use manyhands_watch::state::Process;
use manyhands_watch::{Deadlocks, client, report};
use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::concurrent::future::Future;
use crate::green::guest;
use crate::queue::{Queue, SimpleQueue};
use crate::threading::{Barrier, Condition, Event, Lock, RLock, Semaphore};

/// Why there are no names and stacks.
const ENDING: &str = "no names and stacks: the program is ending";

/// The environment variable that says what to do about deadlocks.
const DEADLOCK: &str = "MANYHANDS_DEADLOCK";

create_exception!(
    manyhands.watch,
    DeadlockError,
    PyRuntimeError,
    "What was waited for can never come: nobody is left who could bring it about."
);

/// The objects that have made threads wait, as plain data.
///
/// Returns a list of dicts, in the order in which the objects first made somebody wait:
///
/// * `id`: a number, unique in this process and its forked children;
/// * `kind`: the name of its class, such as `'Lock'`;
/// * `owner`: the identifier of the thread that holds it, or None;
/// * `waiters`: a list of dicts with `thread` (its identifier), `operation` (the method that it
///   called) and `waited` (seconds), longest first.
// py: manyhands.watch.snapshot
#[pyfunction]
fn snapshot(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let result = PyList::empty(py);
    for seen in manyhands_watch::snapshot() {
        let waiters = PyList::empty(py);
        for waiting in seen.waiters {
            let entry = PyDict::new(py);
            entry.set_item("thread", waiting.thread.get())?;
            entry.set_item("operation", waiting.operation)?;
            entry.set_item("waited", waiting.waited.as_secs_f64())?;
            waiters.append(entry)?;
        }
        let entry = PyDict::new(py);
        entry.set_item("id", seen.id)?;
        entry.set_item("kind", seen.kind.to_string())?;
        entry.set_item("owner", seen.owner.map(|owner| owner.get()))?;
        entry.set_item("waiters", waiters)?;
        result.append(entry)?;
    }
    Ok(result)
}

/// The name under which observers know an object that somebody has waited for, or that processes share;
/// None if they do not.
#[pyfunction]
fn watched_id(object: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    macro_rules! subject {
        ($($class:ty),*) => {
            $(if let Ok(object) = object.cast::<$class>() {
                return Ok(local(object.get().subject()));
            })*
        };
    }
    if let Ok(lock) = object.cast::<Lock>() {
        return Ok(local(lock.get().core().subject()));
    }
    if let Ok(lock) = object.cast::<RLock>() {
        return Ok(local(lock.get().core().subject()));
    }
    subject!(Semaphore, Event, Condition, Barrier, SimpleQueue, Queue, Future);
    let class = object.get_type();
    let module = class.getattr(intern!(object.py(), "__module__"))?;
    let is_ours = module.extract::<&str>().is_ok_and(|module| module.contains("multiprocessing"));
    if !is_ours || !object.hasattr(intern!(object.py(), "_reference"))? {
        return Ok(None);
    }
    let reference = object.call_method0(intern!(object.py(), "_reference"))?;
    Ok(reference
        .extract::<(u64, u64)>()
        .ok()
        .map(|(arena, block)| observed_id(Reference { arena, block })))
}

fn local(subject: Option<u64>) -> Option<String> {
    subject.map(manyhands_watch::subject_id)
}

/// Says what to do about deadlocks from now on: 'report', 'raise', 'abort' or 'off'.
#[pyfunction]
fn set_deadlocks(what: &str) -> PyResult<()> {
    let deadlocks = Deadlocks::named(what).ok_or_else(|| {
        PyValueError::new_err(format!(
            "deadlocks can be 'report', 'raise', 'abort' or 'off', not {what:?}"
        ))
    })?;
    manyhands_watch::set_deadlocks(deadlocks);
    Ok(())
}

/// Has this process answer to observers from now on.
#[pyfunction]
fn begin_watch() {
    manyhands_watch::begin();
}

/// The report about a program, by the number of one of its processes, or of this one.
#[pyfunction]
#[pyo3(signature = (pid=None))]
fn why(py: Python<'_>, pid: Option<u32>) -> PyResult<String> {
    let processes = tree(py, pid)?;
    Ok(report::full(&processes))
}

/// What a program and its children tell of themselves, as JSON.
#[pyfunction]
#[pyo3(signature = (pid=None))]
fn why_json(py: Python<'_>, pid: Option<u32>) -> PyResult<String> {
    let processes = tree(py, pid)?;
    serde_json::to_string(&processes).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

/// The programs of this user that can be asked: pairs of a number and a command.
#[pyfunction]
fn programs(py: Python<'_>) -> Vec<(u32, String)> {
    py.detach(client::programs)
}

fn tree(py: Python<'_>, pid: Option<u32>) -> PyResult<Vec<Process>> {
    let pid = pid.unwrap_or_else(|| {
        manyhands_watch::begin();
        liveness::process_id()
    });
    py.detach(|| client::tree(pid, true)).map_err(|error| PyOSError::new_err(error.to_string()))
}

/// Who is in the interpreter for observers: the number of forks, and how many threads. A thread that is there
/// when the interpreter ends would be ended with it, amid what it does.
static DESCRIBING: AtomicU64 = AtomicU64::new(0);

/// Nobody begins to any more.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// So long the interpreter's end waits for those who are there: they may be in code of the program.
const PATIENCE: Duration = Duration::from_secs(5);

/// While there is one, the calling thread describes this process.
struct Describing;

impl Describing {
    fn begin() -> Option<Describing> {
        let epoch = u64::from(fork::epoch()) << 32;
        let enter =
            |known: u64| Some(if known & !0xffff_ffff == epoch { known } else { epoch } + 1);
        let _ = DESCRIBING.fetch_update(Ordering::SeqCst, Ordering::SeqCst, enter);
        let begun = Describing;
        (!IS_ENDING.load(Ordering::SeqCst)).then_some(begun)
    }

    fn are_there() -> bool {
        let known = DESCRIBING.load(Ordering::SeqCst);
        known >> 32 == u64::from(fork::epoch()) && known & 0xffff_ffff > 0
    }
}

impl Drop for Describing {
    fn drop(&mut self) {
        DESCRIBING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Has observers get no more names and stacks: the interpreter is about to end.
#[pyfunction]
fn end_describing(py: Python<'_>) {
    IS_ENDING.store(true, Ordering::SeqCst);
    py.detach(|| {
        let begun = Instant::now();
        while Describing::are_there() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// Has a function called when the interpreter ends: registered early, it is called late, after all that the
/// program has it call. A program that has not imported `atexit` does not find it imported.
fn at_exit(function: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = function.py();
    let (name, modules) = ("atexit", py.import("sys")?.getattr("modules")?);
    let is_there = modules.contains(name)?;
    py.import(name)?.call_method1("register", (function,))?;
    // What is registered is the interpreter's, not the module's.
    if is_there { Ok(()) } else { modules.del_item(name) }
}

/// Adds what only the interpreter knows, see [`manyhands_watch::Describe`].
fn describe(process: &mut Process, stacks: bool) {
    let Some(_describing) = Describing::begin() else {
        process.silent = Some(ENDING.to_owned());
        return;
    };
    let described = Python::try_attach(|py| -> PyResult<Process> {
        let text = serde_json::to_string(process)
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let explain = py.import("manyhands._explain")?;
        let told: String = explain.call_method1("describe", (text, stacks))?.extract()?;
        serde_json::from_str(&told).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    });
    match described {
        Some(Ok(full)) => *process = full,
        Some(Err(error)) => process.silent = Some(format!("no names and stacks: {error}")),
        None => process.silent = Some(ENDING.to_owned()),
    }
}

/// The error of a wait that cannot come to a good end.
#[cold]
pub(crate) fn check_condemned() -> PyResult<()> {
    if manyhands_watch::is_condemned() {
        return Err(DeadlockError::new_err(
            "nobody is left who could bring about what this thread waits for; the report is on stderr",
        ));
    }
    Ok(())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    manyhands_watch::set_describe(describe);
    manyhands_watch::set_current_greenlet(guest::current);
    // The command has checked it.
    if let Some(deadlocks) = std::env::var(DEADLOCK).ok().and_then(|what| Deadlocks::named(&what)) {
        manyhands_watch::set_deadlocks(deadlocks);
    }
    at_exit(&wrap_pyfunction!(end_describing, module)?.into_any())?;
    module.add("DeadlockError", module.py().get_type::<DeadlockError>())?;
    module.add_function(wrap_pyfunction!(snapshot, module)?)?;
    module.add_function(wrap_pyfunction!(watched_id, module)?)?;
    module.add_function(wrap_pyfunction!(set_deadlocks, module)?)?;
    module.add_function(wrap_pyfunction!(begin_watch, module)?)?;
    module.add_function(wrap_pyfunction!(why, module)?)?;
    module.add_function(wrap_pyfunction!(why_json, module)?)?;
    module.add_function(wrap_pyfunction!(programs, module)?)
}
