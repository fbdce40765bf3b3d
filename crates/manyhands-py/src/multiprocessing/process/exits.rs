//! What executors have `threading` call at the end of a process, which is nothing in most children.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFunction, PyList, PyString, PyTuple};

/// The modules of such functions, with what a function goes through, which is empty where there is nothing
/// to do, and what it sets.
const KNOWN: [(&str, &str, &str); 3] = [
    ("concurrent.futures.thread", "_threads_queues", "_shutdown"),
    ("concurrent.futures.process", "_threads_wakeups", "_global_shutdown"),
    ("manyhands.concurrent.futures.process", "_pools", "_global_shutdown"),
];

/// Its name in each of the modules.
const FUNCTION: &str = "_python_exit";

struct Exit {
    globals: Py<PyDict>,
    /// A dictionary or a set.
    entries: Py<PyAny>,
    flag: Py<PyString>,
}

/// The functions that were registered when somebody looked.
struct Found {
    count: usize,
    /// None if there are others than those that are known.
    known: Option<Vec<Exit>>,
}

impl Found {
    fn of(registered: &Bound<'_, PyList>) -> Found {
        let exits = registered.iter().map(|each| known(&each).ok().flatten());
        Found { count: registered.len(), known: exits.collect() }
    }

    fn are_done(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(known) = &self.known else { return Ok(false) };
        for exit in known {
            if !exit.entries.bind(py).is_empty()? {
                return Ok(false);
            }
        }
        for exit in known {
            exit.globals.bind(py).set_item(&exit.flag, PyBool::new(py, true))?;
        }
        Ok(true)
    }
}

/// What is known of those functions.
#[derive(Default)]
pub(super) struct Exits(Mutex<Option<Found>>);

impl Exits {
    /// Looks at what is registered. The parent does, so that its children need not write to more memory
    /// than they have to.
    pub(super) fn look(&self, registered: &Bound<'_, PyList>) {
        // Nobody waits: a fork may have left it locked.
        if let Ok(mut found) = self.0.try_lock() {
            // None of them is ever taken back.
            if found.as_ref().is_none_or(|found| found.count != registered.len()) {
                *found = Some(Found::of(registered));
            }
        }
    }

    /// Does what they would if that is nothing but to note the end; whether it was. Called in a process
    /// with one thread.
    pub(super) fn are_done(&self, registered: &Bound<'_, PyList>) -> PyResult<bool> {
        self.look(registered);
        match self.0.try_lock().as_deref() {
            Ok(Some(found)) => found.are_done(registered.py()),
            _ => Ok(false),
        }
    }
}

fn known(registered: &Bound<'_, PyAny>) -> PyResult<Option<Exit>> {
    let py = registered.py();
    let Some(function) = without_arguments(registered)? else { return Ok(None) };
    let globals = function.getattr("__globals__")?.cast_into::<PyDict>()?;
    let Some(module) = globals.get_item("__name__")? else { return Ok(None) };
    for (name, entries, flag) in KNOWN {
        // As long as the program has nothing else in its place.
        let is_known = module.eq(name)?
            && globals.get_item(FUNCTION)?.is_some_and(|there| there.is(&function))
            && function.getattr("__code__")?.getattr("co_name")?.eq(FUNCTION)?;
        if is_known && let Some(entries) = globals.get_item(entries)? {
            // Of a dictionary or a set with weak references.
            let entries = entries.getattr("data")?.unbind();
            let flag = PyString::intern(py, flag).unbind();
            return Ok(Some(Exit { globals: globals.unbind(), entries, flag }));
        }
    }
    Ok(None)
}

/// The function that `threading` was given, if it is to be called without arguments.
fn without_arguments<'py>(registered: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let parts = match registered.cast::<PyFunction>() {
        // From 3.13 on it is a function that has the other one, and what to call it with.
        Ok(outer) => outer
            .getattr("__closure__")?
            .try_iter()?
            .map(|cell| cell?.getattr("cell_contents"))
            .collect::<PyResult<Vec<_>>>()?,
        // Before it is a partial one.
        Err(_) => ["func", "args", "keywords"]
            .into_iter()
            .map(|name| registered.getattr(name))
            .collect::<PyResult<Vec<_>>>()?,
    };
    let mut found = None;
    for part in parts {
        if part.is_instance_of::<PyFunction>() {
            found = Some(part);
        } else if !(part.is_instance_of::<PyTuple>() || part.is_instance_of::<PyDict>())
            || part.is_truthy()?
        {
            return Ok(None);
        }
    }
    Ok(found)
}
