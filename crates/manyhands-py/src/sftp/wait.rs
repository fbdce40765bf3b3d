//! How calls wait for the server, and come back to Python in between.
//!
//! A thread leaves the interpreter for as long as a call lasts, and enters it for callbacks and signal handlers. A greenlet stays
//! within, and is parked when it has to wait.
#![expect(
    unsafe_code,
    reason = "a greenlet that waits must not be counted as one more who is within"
)]

use std::sync::Arc;

use manyhands_sftp::{Client, Error, Interruption};
use manyhands_sync::{Deadline, Gate, Parked, Waiter};
use manyhands_sys::thread;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::raise;
use crate::gate::{LOOK_FOR_SIGNALS, Outside};
use crate::green::{awaited, guest};

/// Where a call is while it waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Outside of the interpreter.
    Away,
    /// Within it, in a greenlet.
    Within,
}

impl Place {
    /// Calls something of Python's.
    pub(super) fn call<R>(self, body: impl FnOnce(Python<'_>) -> R) -> R {
        match self {
            Place::Away => Python::attach(body),
            // SAFETY: only calls that stay within the interpreter say so, see `run`.
            Place::Within => body(unsafe { Python::assume_attached() }),
        }
    }
}

impl Gate for Place {
    type Error = Interruption;

    fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Deadline>) -> Result<bool, Interruption> {
        if let Place::Within = self {
            return self.call(|py| Outside(py).wait(waiter, deadline)).map_err(boxed);
        }
        let is_main = thread::is_main();
        loop {
            let look = is_main.then(|| Deadline::after(LOOK_FOR_SIGNALS));
            let is_look = look.is_some() && deadline.is_none_or(|deadline| look < Some(deadline));
            match waiter.park(if is_look { look } else { deadline }) {
                Parked::Notified => return Ok(true),
                Parked::TimedOut if !is_look => return Ok(false),
                Parked::TimedOut | Parked::Interrupted => {
                    self.call(|py| py.check_signals()).map_err(boxed)?;
                }
            }
        }
    }
}

fn boxed(error: PyErr) -> Interruption {
    Box::new(error)
}

/// The exception that ended a wait.
pub(super) fn raised(interruption: Interruption) -> PyErr {
    match interruption.downcast::<PyErr>() {
        Ok(error) => *error,
        Err(other) => PyRuntimeError::new_err(other.to_string()),
    }
}

/// Does something that waits for the server. Where it is decides how that waits; the session that it is given knows.
pub(super) fn run<R: Send>(
    py: Python<'_>,
    client: &Client,
    timeout: Option<&Bound<'_, PyAny>>,
    body: impl FnOnce(&Client, Place) -> Result<R, Error> + Send,
) -> PyResult<R> {
    let stays = guest::is_here(py) || awaited::here(py).is_some();
    let place = if stays { Place::Within } else { Place::Away };
    let timeout = timeout.map(crate::timeout::positive).transpose()?;
    let client = client.with_patience(Arc::new(place)).with_timeout(timeout);
    let result = match place {
        Place::Within => body(&client, place),
        Place::Away => py.detach(|| body(&client, place)),
    };
    result.map_err(raise)
}
