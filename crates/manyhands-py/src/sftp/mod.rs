//! `manyhands.paramiko`'s files on servers: `manyhands-sftp` over a channel of `manyhands-ssh`.

use std::sync::MutexGuard;

use manyhands_sftp::packet::StatusCode;
use manyhands_sftp::{Attributes, Ended, Error};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;

mod client;
mod file;
mod local;
mod stream;
mod wait;

create_exception!(sftp, SftpError, PyException, "Why a call failed: (kind, message, code).");

/// Size, numbers of user and group, mode, times of access and change, and what only some servers know.
type Fields =
    (Option<u64>, Option<(u32, u32)>, Option<u32>, Option<(u32, u32)>, Vec<(Vec<u8>, Vec<u8>)>);

fn told(attributes: Attributes) -> Fields {
    let extended =
        attributes.extended.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    (attributes.size, attributes.owner, attributes.mode, attributes.times, extended)
}

fn wanted((size, owner, mode, times, extended): Fields) -> Attributes {
    let extended = extended.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Attributes { size, owner, mode, times, extended }
}

/// The exception for a failure; what a signal handler, a callback or a file of Python's has raised is passed on.
fn raise(error: Error) -> PyErr {
    let (kind, code) = match error {
        Error::Interrupted(interruption) => return wait::raised(interruption),
        Error::Local(error) => return local::raised(error),
        Error::Status(ref status) => match status.code {
            StatusCode::NO_SUCH_FILE => ("status", libc::ENOENT),
            StatusCode::PERMISSION_DENIED => ("status", libc::EACCES),
            StatusCode::EOF => ("eof", 0),
            _ => ("status", 0),
        },
        Error::Ended(Ended::Closed) => ("closed", 0),
        Error::Ended(Ended::Version(_)) | Error::Unexpected { .. } => ("protocol", 0),
        Error::Ended(_) => ("ended", 0),
        Error::TimedOut => ("timeout", 0),
        Error::NotOffered(_) => ("status", libc::EOPNOTSUPP),
        Error::TooLong(_) => ("status", libc::ENAMETOOLONG),
        Error::SizeMismatch { .. } => ("status", 0),
        Error::Mode(_) => ("mode", 0),
    };
    SftpError::new_err((kind, error.to_string(), code))
}

/// What a panic would leave behind is unknown.
fn sound<T>(lock: std::sync::LockResult<MutexGuard<'_, T>>) -> PyResult<MutexGuard<'_, T>> {
    lock.map_err(|_| PyRuntimeError::new_err("a bug in manyhands: see the message above"))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let sftp = PyModule::new(py, "sftp")?;
    sftp.add_class::<client::Client>()?;
    sftp.add_class::<client::Entries>()?;
    sftp.add_class::<file::File>()?;
    sftp.add_class::<file::Ranges>()?;
    sftp.add("Error", py.get_type::<SftpError>())?;
    module.add_submodule(&sftp)
}
