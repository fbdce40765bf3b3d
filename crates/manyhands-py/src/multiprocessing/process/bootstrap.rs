//! What a child does around what it was started for.
//!
//! The standard library does this in `BaseProcess._bootstrap`. A child that was forked shares its
//! parent's memory until one of them writes to it, which takes microseconds for each page, and code of
//! Python's writes wherever it looks: counts of references, frames, caches. So here the same is done in
//! the same order, but what would find nothing to do is not called, and what all children need alike is
//! made before they are born. A function that a program has put in the place of the standard library's is
//! called where the standard library would call it.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use manyhands_process::program_threads;
use manyhands_sys::thread;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyAttributeError, PyException, PyNameError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyList, PyModule, PySet, PyString, PyTuple, PyType};

use super::exits::Exits;
use crate::trace;

/// Strings that are there before a child is: what is interned first would be written.
macro_rules! names {
    ($($name:ident)*) => {
        struct Names { $($name: Py<PyString>),* }

        impl Names {
            fn new(py: Python<'_>) -> Names {
                Names { $($name: PyString::intern(py, stringify!($name)).unbind()),* }
            }
        }
    };
}

names! {
    __init__ _actual_context _after_fork _afterfork_registry _args _bootstrap _children
    _concrete_contexts _current_process _default_context _exiting _finalizer_registry
    _kwargs _logger _main_thread _native_id _parent_name _parent_pid
    _parent_process _process_counter _sentinel _start_method _target _threading_atexits clear close
    data flush info r run stderr stdin stdout
}

/// A function of the standard library. None if it was another's already when this was looked up.
struct Original(Option<Py<PyAny>>);

impl Original {
    /// What `owner` has by that name, if it is a function of that module.
    fn of(owner: &Bound<'_, PyAny>, name: &str, module: &Bound<'_, PyModule>) -> PyResult<Self> {
        let function = owner.getattr(name)?;
        let globals = function.getattr("__globals__");
        let is_theirs = globals.is_ok_and(|globals| globals.is(module.dict()));
        Ok(Original(is_theirs.then(|| function.unbind())))
    }

    fn is(&self, function: &Bound<'_, PyAny>) -> bool {
        self.0.as_ref().is_some_and(|original| function.is(original))
    }
}

/// A function that a module has, and as the standard library has it.
struct Function {
    globals: Py<PyDict>,
    name: Py<PyString>,
    original: Original,
}

impl Function {
    fn of(module: &Bound<'_, PyModule>, name: &str) -> PyResult<Function> {
        let original = Original::of(module, name, module)?;
        let name = PyString::intern(module.py(), name).unbind();
        Ok(Function { globals: module.dict().unbind(), name, original })
    }

    /// Calls it, unless it is the original and `done` says that this is not needed.
    fn call_unless(&self, py: Python<'_>, done: impl FnOnce() -> PyResult<bool>) -> PyResult<()> {
        let function = get(self.globals.bind(py), &self.name)?;
        if !self.original.is(&function) || !done()? {
            function.call0()?;
        }
        Ok(())
    }
}

/// A global of a module.
fn get<'py>(globals: &Bound<'py, PyDict>, name: &Py<PyString>) -> PyResult<Bound<'py, PyAny>> {
    globals
        .get_item(name)?
        .ok_or_else(|| PyNameError::new_err(format!("name '{name}' is not defined")))
}

/// The text of `/dev/null`, and the file beneath, which still has to be told a descriptor.
struct Stdin {
    text: Py<PyAny>,
    file: Py<PyAny>,
}

impl Stdin {
    /// # Errors
    /// The limit of descriptors.
    fn new(py: Python<'_>) -> PyResult<Stdin> {
        let null = File::open("/dev/null")?;
        let options = [
            ("encoding", "utf-8".into_bound_py_any(py)?),
            ("closefd", false.into_bound_py_any(py)?),
        ];
        let options = options.into_py_dict(py)?;
        let text = py.import("io")?.call_method("open", (null.as_raw_fd(),), Some(&options))?;
        let file = text.getattr("buffer")?.getattr("raw")?.unbind();
        Ok(Stdin { text: text.unbind(), file })
    }
}

/// What every child has of its own, made by its parent.
struct Supplies {
    counter: Py<PyAny>,
    children: Py<PySet>,
    /// What a child has for `sys.stdin`; None if that could not be made.
    stdin: Option<Stdin>,
    /// What stands for the parent, without its sentinel.
    parent: Py<PyAny>,
    name: Py<PyAny>,
    pid: u32,
}

/// What a process object has in the places that programs may put something of their own in. Looked up
/// by the parent, which has most of it in caches.
pub(super) struct Plan<'py> {
    process: Bound<'py, PyAny>,
    /// None: nothing but what the engine does.
    bootstrap: Option<Bound<'py, PyAny>>,
    after_fork: Option<Bound<'py, PyAny>>,
    run: Option<Bound<'py, PyAny>>,
    /// The default contexts that have to be told the start method, and theirs for it.
    contexts: Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
}

/// Runs process objects in the processes that were started for them.
// py: multiprocessing.process.BaseProcess._bootstrap
#[pyclass(frozen, module = "manyhands._native.multiprocessing")]
pub(super) struct Bootstrap {
    names: Names,
    process: Py<PyDict>,
    util: Py<PyDict>,
    threading: Py<PyDict>,
    sys: Py<PyDict>,
    /// The modules that have a default context each, the standard library's and ours.
    contexts: [Py<PyModule>; 2],
    base: Py<PyType>,
    base_bootstrap: Original,
    base_run: Original,
    base_after_fork: Original,
    /// `_bootstrap` of our processes.
    our_bootstrap: Py<PyAny>,
    /// `_after_fork` of processes that are of the default context, which calls that of its own class.
    forwards: [Original; 2],
    close_stdin: Function,
    run_after_forkers: Function,
    /// None where it is run by `atexit`.
    exit_function: Option<Function>,
    shut_down_threads: Function,
    flush_streams: Function,
    /// Called with a process object and the exception that ended it; returns the exit code.
    report: Py<PyAny>,
    supplies: Mutex<Option<Supplies>>,
    exits: Exits,
}

#[pymethods]
impl Bootstrap {
    /// `modules` are `process`, `util` and `threading`; `contexts` the two that have default contexts;
    /// `our_bootstrap` is what our processes have. With `exits` it calls `util._exit_function`.
    #[new]
    fn new(
        py: Python<'_>,
        modules: [Bound<'_, PyModule>; 3],
        contexts: [Py<PyModule>; 2],
        our_bootstrap: Py<PyAny>,
        report: Py<PyAny>,
        exits: bool,
    ) -> PyResult<Bootstrap> {
        let [process, util, threading] = modules;
        let base = process.getattr("BaseProcess")?.cast_into::<PyType>()?;
        let forward = |module: &Py<PyModule>| {
            let module = module.bind(py);
            Original::of(&module.getattr("Process")?, "_after_fork", module)
        };
        Ok(Bootstrap {
            names: Names::new(py),
            forwards: [forward(&contexts[0])?, forward(&contexts[1])?],
            contexts,
            base_bootstrap: Original::of(&base, "_bootstrap", &process)?,
            base_run: Original::of(&base, "run", &process)?,
            base_after_fork: Original::of(&base, "_after_fork", &process)?,
            our_bootstrap,
            base: base.unbind(),
            close_stdin: Function::of(&util, "_close_stdin")?,
            run_after_forkers: Function::of(&util, "_run_after_forkers")?,
            exit_function: exits.then(|| Function::of(&util, "_exit_function")).transpose()?,
            shut_down_threads: Function::of(&threading, "_shutdown")?,
            flush_streams: Function::of(&util, "_flush_std_streams")?,
            process: process.dict().unbind(),
            util: util.dict().unbind(),
            threading: threading.dict().unbind(),
            sys: py.import("sys")?.dict().unbind(),
            report,
            supplies: Mutex::new(None),
            exits: Exits::default(),
        })
    }

    /// Makes what children of a process of that name and number have of their own, if it is not there.
    fn supply(&self, name: &Bound<'_, PyAny>, pid: u32) -> PyResult<()> {
        let fits = |there: &Supplies| there.pid == pid && there.name.is(name);
        if !self.supplies().as_ref().is_some_and(fits) {
            let made = self.make_supplies(name, pid)?;
            let before = self.supplies().replace(made);
            // Not while it is locked: that may run code of Python's.
            drop(before);
        }
        self.exits.look(&self.registered(name.py())?);
        Ok(())
    }

    /// Whether `_bootstrap` of processes is not the standard library's any more.
    fn is_replaced(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(!self.base_bootstrap.is(&self.base.bind(py).getattr(&self.names._bootstrap)?))
    }

    /// Does what `_bootstrap` of the process object does, whatever that is. Returns the exit code.
    fn __call__(&self, process: &Bound<'_, PyAny>, sentinel: i32) -> PyResult<i32> {
        self.live(&self.plan(process)?, sentinel)
    }

    /// Does what the standard library's `_bootstrap` does. Returns the exit code.
    fn run(&self, process: &Bound<'_, PyAny>, sentinel: Option<i32>) -> PyResult<i32> {
        self.follow(&self.plan(process)?, sentinel)
    }
}

impl Bootstrap {
    /// Before a fork: what there will be to do for a process object. Makes what the child will have of
    /// its own, and writes what waits in the standard streams, so that it does not do so as well.
    pub(super) fn prepare<'py>(&self, process: &Bound<'py, PyAny>) -> PyResult<Plan<'py>> {
        let pid = process.getattr(&self.names._parent_pid)?.extract()?;
        self.supply(&process.getattr(&self.names._parent_name)?, pid)?;
        self.flush_streams.call_unless(process.py(), || self.flush(process.py()))?;
        let mut plan = self.plan(process)?;
        let forwards = |function: &_| self.forwards.iter().any(|forward| forward.is(function));
        plan.after_fork = plan.after_fork.filter(|function| !forwards(function));
        Ok(plan)
    }

    fn plan<'py>(&self, process: &Bound<'py, PyAny>) -> PyResult<Plan<'py>> {
        let (py, names) = (process.py(), &self.names);
        let class = process.get_type();
        let bootstrap = class.getattr(&names._bootstrap)?;
        let is_ours = bootstrap.is(&self.our_bootstrap) && !self.is_replaced(py)?;
        let run = class.getattr(&names.run)?;
        let after_fork = process.getattr(&names._after_fork)?;
        let method = process.getattr(&names._start_method)?;
        let mut contexts = Vec::new();
        if !method.is_none() {
            for module in &self.contexts {
                let module = module.bind(py);
                let default = module.getattr(&names._default_context)?;
                let wanted = module.getattr(&names._concrete_contexts)?.get_item(&method)?;
                if !default.getattr(&names._actual_context)?.is(&wanted) {
                    contexts.push((default, wanted));
                }
            }
        }
        Ok(Plan {
            process: process.clone(),
            bootstrap: (!is_ours).then(|| process.getattr(&names._bootstrap)).transpose()?,
            after_fork: (!self.base_after_fork.is(&after_fork)).then_some(after_fork),
            run: (!self.base_run.is(&run)).then(|| process.getattr(&names.run)).transpose()?,
            contexts,
        })
    }

    /// Is the child of whom a plan was made. Returns the exit code.
    pub(super) fn live(&self, plan: &Plan<'_>, sentinel: i32) -> PyResult<i32> {
        let Some(bootstrap) = &plan.bootstrap else { return self.follow(plan, Some(sentinel)) };
        let named = PyDict::new(bootstrap.py());
        named.set_item("parent_sentinel", sentinel)?;
        bootstrap.call((), Some(&named))?.extract()
    }

    fn follow(&self, plan: &Plan<'_>, sentinel: Option<i32>) -> PyResult<i32> {
        let py = plan.process.py();
        if manyhands_trace::is_on() {
            trace::name_process(&plan.process)?;
        }
        let code = match self.begin(plan, sentinel).and_then(|()| self.work(plan)) {
            Ok(()) => Ok(0),
            Err(error) => {
                let code = self.report.bind(py).call1((&plan.process, error));
                code.and_then(|code| code.extract())
            }
        };
        self.shut_down_threads.call_unless(py, || {
            // With other threads there is more to do.
            Ok(program_threads() <= 1 && self.exits.are_done(&self.registered(py)?)?)
        })?;
        self.info(py, || format!("process exiting with exitcode {}", code.as_ref().unwrap_or(&1)))?;
        self.flush_streams.call_unless(py, || self.flush(py))?;
        if manyhands_trace::is_on() {
            manyhands_trace::finish();
        }
        code
    }

    fn supplies(&self) -> MutexGuard<'_, Option<Supplies>> {
        self.supplies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `threading` is to call at the end.
    fn registered<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let registered = get(self.threading.bind(py), &self.names._threading_atexits)?;
        Ok(registered.cast_into()?)
    }

    fn make_supplies(&self, name: &Bound<'_, PyAny>, pid: u32) -> PyResult<Supplies> {
        let py = name.py();
        let class = PyString::new(py, "_ParentProcess").unbind();
        let parent = get(self.process.bind(py), &class)?;
        let stdin = match Stdin::new(py) {
            Err(error) if error.is_instance_of::<PyOSError>(py) => None,
            made => Some(made?),
        };
        Ok(Supplies {
            counter: py.import("itertools")?.call_method1("count", (1,))?.unbind(),
            children: PySet::empty(py)?.unbind(),
            stdin,
            parent: parent.call1((name, pid, py.None()))?.unbind(),
            name: name.clone().unbind(),
            pid,
        })
    }

    /// All that comes before `run()`.
    fn begin(&self, plan: &Plan<'_>, sentinel: Option<i32>) -> PyResult<()> {
        let (process, names) = (&plan.process, &self.names);
        let py = process.py();
        for (default, context) in &plan.contexts {
            default.setattr(&names._actual_context, context)?;
        }
        let (name, pid) =
            (process.getattr(&names._parent_name)?, process.getattr(&names._parent_pid)?);
        let pid = pid.extract()?;
        let there = self.supplies().take();
        let supplies = match there {
            Some(supplies) if supplies.pid == pid && name.eq(&supplies.name)? => supplies,
            _ => self.make_supplies(&name, pid)?,
        };
        // To give it back would be to write to memory that the child has no use for.
        let supplies = ManuallyDrop::new(supplies);
        let globals = self.process.bind(py);
        globals.set_item(&names._process_counter, &supplies.counter)?;
        globals.set_item(&names._children, &supplies.children)?;
        self.close_stdin.call_unless(py, || self.replace_stdin(py, supplies.stdin.as_ref()))?;
        let before = get(globals, &names._current_process)?;
        globals.set_item(&names._current_process, process)?;
        supplies.parent.bind(py).setattr(&names._sentinel, sentinel)?;
        globals.set_item(&names._parent_process, &supplies.parent)?;
        let main = get(self.threading.bind(py), &names._main_thread)?;
        main.setattr(&names._native_id, thread::kernel_id())?;
        match &plan.after_fork {
            Some(after_fork) => drop(after_fork.call0()?),
            None => self.after_fork(py)?,
        }
        // What ends with that object does so when those are through.
        drop(before);
        self.info(py, || "child process calling self.run()".to_owned())
    }

    /// Does what `util._close_stdin` does, if it can; whether it could.
    fn replace_stdin(&self, py: Python<'_>, stdin: Option<&Stdin>) -> PyResult<bool> {
        let names = &self.names;
        let there = get(self.sys.bind(py), &names.stdin)?;
        if there.is_none() {
            return Ok(true);
        }
        let (Some(stdin), Ok(null)) = (stdin, File::open("/dev/null")) else { return Ok(false) };
        if let Err(error) = there.call_method0(&names.close)
            && !error.is_instance_of::<PyOSError>(py)
            && !error.is_instance_of::<PyValueError>(py)
        {
            return Err(error);
        }
        // The descriptor stays open, as the standard library's does.
        let told = (null.into_raw_fd(), &names.r, false);
        stdin.file.bind(py).call_method1(&names.__init__, told)?;
        self.sys.bind(py).set_item(&names.stdin, &stdin.text)?;
        Ok(true)
    }

    /// What `BaseProcess._after_fork` does.
    fn after_fork(&self, py: Python<'_>) -> PyResult<()> {
        let (util, names) = (self.util.bind(py), &self.names);
        let finalizers = get(util, &names._finalizer_registry)?;
        if !finalizers.is_empty()? {
            finalizers.call_method0(&names.clear)?;
        }
        self.run_after_forkers.call_unless(py, || self.call_registered(py))
    }

    /// What `util._run_after_forkers` does.
    fn call_registered(&self, py: Python<'_>) -> PyResult<bool> {
        let registry = get(self.util.bind(py), &self.names._afterfork_registry)?;
        // By (count, id, function) weak references to what is passed to the function.
        let references = registry.getattr(&self.names.data)?.cast_into::<PyDict>()?;
        let mut calls = Vec::with_capacity(references.len());
        for (key, reference) in &references {
            let object = reference.call0()?;
            if !object.is_none() {
                let key = key.cast_into::<PyTuple>()?;
                calls.push((key.get_item(0)?.extract::<u64>()?, key.get_item(2)?, object));
            }
        }
        calls.sort_by_key(|&(count, ..)| count);
        for (_, function, object) in calls {
            match function.call1((object,)) {
                Err(error) if error.is_instance_of::<PyException>(py) => {
                    self.info(py, || format!("after forker raised exception {}", error.value(py)))?;
                }
                outcome => drop(outcome?),
            }
        }
        Ok(true)
    }

    /// What the process was started for.
    fn work(&self, plan: &Plan<'_>) -> PyResult<()> {
        let py = plan.process.py();
        let outcome = match &plan.run {
            Some(run) => run.call0().map(drop),
            None => self.call_target(&plan.process),
        };
        // In Python there would be a next instruction, before which handlers of signals run.
        let outcome = outcome.and_then(|()| py.check_signals());
        if let Some(exit_function) = &self.exit_function {
            exit_function.call_unless(py, || self.exit(py))?;
        }
        outcome
    }

    /// What `BaseProcess.run` does.
    fn call_target(&self, process: &Bound<'_, PyAny>) -> PyResult<()> {
        let names = &self.names;
        let target = process.getattr(&names._target)?;
        if target.is_truthy()? {
            let arguments = process.getattr(&names._args)?;
            let named = process.getattr(&names._kwargs)?;
            match (arguments.cast_exact::<PyTuple>(), named.cast_exact::<PyDict>()) {
                (Ok(arguments), Ok(named)) => target.call(arguments, Some(named))?,
                _ => process.call_method0(&names.run)?,
            };
        }
        Ok(())
    }

    /// Does what `util._exit_function` would if that is little; whether it was.
    fn exit(&self, py: Python<'_>) -> PyResult<bool> {
        let (util, names) = (self.util.bind(py), &self.names);
        let is_little = get(util, &names._finalizer_registry)?.is_empty()?
            && get(self.process.bind(py), &names._children)?.is_empty()?
            && get(util, &names._logger)?.is_none();
        if is_little {
            util.set_item(&names._exiting, true)?;
        }
        Ok(is_little)
    }

    /// What `util._flush_std_streams` does.
    fn flush(&self, py: Python<'_>) -> PyResult<bool> {
        for name in [&self.names.stdout, &self.names.stderr] {
            let Some(stream) = self.sys.bind(py).get_item(name)? else { continue };
            if let Err(error) = stream.call_method0(&self.names.flush)
                && !error.is_instance_of::<PyAttributeError>(py)
                && !error.is_instance_of::<PyValueError>(py)
            {
                return Err(error);
            }
        }
        Ok(true)
    }

    fn info(&self, py: Python<'_>, text: impl FnOnce() -> String) -> PyResult<()> {
        let util = self.util.bind(py);
        if !get(util, &self.names._logger)?.is_none() {
            get(util, &self.names.info)?.call1((text(),))?;
        }
        Ok(())
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Bootstrap>()
}
