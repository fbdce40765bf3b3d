//! fork(2) as an interpreter has to do it.
#![allow(unsafe_code, reason = "the interpreter's hooks around a fork are C functions")]

use std::cell::Cell;
use std::os::fd::IntoRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use manyhands_process::{Forked, pause_reaper, program_threads, resume_reaper};
use manyhands_sys::{process, thread};
use pyo3::exceptions::PyDeprecationWarning;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;

use super::bootstrap::{Bootstrap, Plan};
use super::child::PyChild;
use crate::green::guest;

thread_local! {
    /// This thread is in a fork of ours, which does not mind the threads of ours.
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// Starts a process object in a copy of this process, with its `Bootstrap`. Returns the child, a
/// `Child`; does not return in that itself. A daemon dies when this process does. If an exit function
/// is given, the child runs it and what it has registered with `atexit`.
// py: multiprocessing.popen_fork.Popen._launch
#[pyfunction]
fn fork<'py>(
    process_obj: &Bound<'py, PyAny>,
    bootstrap: &Bound<'py, Bootstrap>,
    exit_function: Option<&Bound<'py, PyAny>>,
) -> PyResult<PyChild> {
    let py = process_obj.py();
    let guarded = process_obj.getattr(intern!(py, "daemon"))?.is_truthy()?;
    let plan = bootstrap.get().prepare(process_obj)?;
    OWN.set(true);
    manyhands_shm::prepare_for_forks();
    // SAFETY: this thread is attached; one of the other two follows in each process.
    unsafe { ffi::PyOS_BeforeFork() };
    let forked = manyhands_process::fork(guarded);
    if let Ok(Forked::Child(parent)) = forked {
        // SAFETY: this is the child, after PyOS_BeforeFork.
        unsafe { ffi::PyOS_AfterFork_Child() };
        OWN.set(false);
        live(&plan, bootstrap.get(), parent.into_raw_fd(), exit_function);
    }
    let child = match &forked {
        Ok(Forked::Parent(child)) => Some(child.id()),
        _ => None,
    };
    manyhands_shm::forked(child);
    // SAFETY: this is the parent, after PyOS_BeforeFork.
    unsafe { ffi::PyOS_AfterFork_Parent() };
    OWN.set(false);
    match forked {
        Ok(Forked::Parent(child)) => {
            warn_about_threads(py);
            Ok(PyChild::new(child))
        }
        Ok(Forked::Child(_)) => unreachable!("the child has returned"),
        Err(error) => Err(super::error(&error)),
    }
}

/// Is the child, from birth to death.
fn live(
    plan: &Plan<'_>,
    bootstrap: &Bootstrap,
    sentinel: i32,
    exit_function: Option<&Bound<'_, PyAny>>,
) -> ! {
    guest::leave_parent();
    let lives = || {
        let Some(exit_function) = exit_function else {
            return bootstrap.live(plan, sentinel);
        };
        let atexit = exit_function.py().import("atexit")?;
        atexit.call_method0("_clear")?;
        atexit.call_method1("register", (exit_function,))?;
        let code = bootstrap.live(plan, sentinel);
        atexit.call_method0("_run_exitfuncs")?;
        code
    };
    // What there is to say of an exception, or a panic, has been said. Nothing must get out of here.
    let code = catch_unwind(AssertUnwindSafe(lives)).map_or(1, |code| code.unwrap_or(1));
    manyhands_shm::segment::leave();
    process::exit(code)
}

/// What `os.fork()` says from 3.12 on; but the engine's own threads, which a fork does not disturb, do
/// not count.
fn warn_about_threads(py: Python<'_>) {
    if cfg!(Py_3_12) && program_threads() > 1 {
        let text = format!(
            "This process (pid={}) is multi-threaded, use of fork() may lead to deadlocks in the child.",
            std::process::id()
        );
        let text = std::ffi::CString::new(text).unwrap_or_default();
        let category = py.get_type::<PyDeprecationWarning>();
        if let Err(error) = PyErr::warn(py, &category, &text, 1) {
            // There is a child: it is too late to fail.
            error.write_unraisable(py, None);
        }
    }
}

/// For `os.register_at_fork(before=...)`: a program that forks itself finds no thread of ours.
#[pyfunction]
fn before_fork(py: Python<'_>) {
    if !OWN.get() {
        py.detach(pause_reaper);
    }
}

/// For `os.register_at_fork(after_in_parent=...)`.
#[pyfunction]
fn after_fork_in_parent() {
    extern "C" fn resume(_nothing: *mut std::ffi::c_void) -> std::ffi::c_int {
        resume_reaper();
        0
    }
    if !OWN.get() {
        // Later: `os.fork()` counts the threads when this has returned. Only the main thread makes such
        // calls; if it is not this one, there are several threads anyway.
        // SAFETY: the function is fit for that, and needs no argument.
        let queued = thread::is_main()
            && unsafe { ffi::Py_AddPendingCall(Some(resume), std::ptr::null_mut()) } == 0;
        if !queued {
            resume_reaper();
        }
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(fork, module)?)?;
    module.add_function(wrap_pyfunction!(before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(after_fork_in_parent, module)?)
}
