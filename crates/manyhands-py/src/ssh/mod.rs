//! `manyhands.paramiko`'s connections

use manyhands_ssh::{Cause, Error, Stop};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

mod channel;
mod session;

pub(crate) use channel::Channel;

create_exception!(ssh, SshError, PyException, "Why a call failed: (kind, message, code).");

/// The exception for a failure; what a signal handler has raised is passed on.
fn raise(stop: Stop<PyErr>) -> PyErr {
    match stop {
        Stop::Interrupted(error) => error,
        Stop::Failed(error) => failed(&error),
    }
}

fn failed(error: &Error) -> PyErr {
    let (kind, code) = match &error.cause {
        Cause::TimedOut => ("timeout", 0),
        Cause::NoBanner => ("banner", 0),
        Cause::Io(_, _, number) => ("io", number.unwrap_or(0)),
        Cause::Closed(_) | Cause::Disconnected { .. } | Cause::Lifeless(_) => ("closed", 0),
        Cause::NoCommonAlgorithm { .. } | Cause::Algorithm(_) => ("algorithm", 0),
        Cause::Order(_) => ("order", 0),
        Cause::Refused { code, .. } => ("refused", *code as i32),
        Cause::NotAccepted(_) => ("denied", 0),
        Cause::ChannelClosed => ("channel", 0),
        Cause::NoMethod => ("method", 0),
        _ => ("other", 0),
    };
    SshError::new_err((kind, error.to_string(), code))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let ssh = PyModule::new(py, "ssh")?;
    ssh.add_class::<session::Session>()?;
    ssh.add_class::<channel::Channel>()?;
    ssh.add_function(wrap_pyfunction!(session::algorithms, &ssh)?)?;
    ssh.add_function(wrap_pyfunction!(session::software, &ssh)?)?;
    ssh.add("Error", py.get_type::<SshError>())?;
    module.add_submodule(&ssh)
}
