//! Why a process could not be started.

use std::borrow::Cow;
use std::ffi::CStr;
use std::io;

use manyhands_sys::limits;
use rustix::io::Errno;

/// Why a process could not be started. The text names the limit that was reached.
#[derive(Debug, thiserror::Error)]
#[error("{}", sentence(.doing, .error))]
pub struct StartError {
    doing: Cow<'static, str>,
    #[source]
    error: io::Error,
}

impl StartError {
    pub(crate) fn new(
        doing: impl Into<Cow<'static, str>>,
        error: impl Into<io::Error>,
    ) -> StartError {
        StartError { doing: doing.into(), error: error.into() }
    }

    /// The file cannot be run.
    pub(crate) fn of_program(path: &CStr, error: io::Error) -> StartError {
        StartError::new(format!("cannot run {}", path.to_string_lossy()), error)
    }

    /// The system's number of the error, if it came from there.
    pub fn os_error(&self) -> Option<i32> {
        self.error.raw_os_error()
    }
}

fn sentence(doing: &str, error: &io::Error) -> String {
    let limit = match Errno::from_io_error(error) {
        Some(Errno::AGAIN) => Some(
            "the limit of processes (RLIMIT_NPROC of this user, `ulimit -u`; pids.max of the control \
             group; or the system's)",
        ),
        _ => limits::name(error),
    };
    match limit {
        Some(limit) => format!("{doing}: {limit}"),
        None => format!("{doing}: {error}"),
    }
}
