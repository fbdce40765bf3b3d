//! A channel

use manyhands_ssh::{Exit, Output, Request, Size};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{failed, raise};
use crate::gate::Outside;
use crate::timeout::optional;

/// The most that one call reads.
const MOST: usize = 1 << 20;

/// As much as usually comes at once.
const PACKET: usize = 32 << 10;

// py: manyhands.paramiko.Channel
#[pyclass(frozen, module = "manyhands._native.ssh")]
pub(crate) struct Channel(pub(crate) manyhands_ssh::Channel);

fn output(errors: bool) -> Output {
    if errors { Output::Error } else { Output::Standard }
}

impl Channel {
    fn ask(&self, py: Python<'_>, request: Request, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.0.request(request, &Outside(py), optional(timeout)?).map_err(raise)
    }
}

type Timeout<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

#[pymethods]
impl Channel {
    #[getter]
    fn id(&self) -> u32 {
        self.0.id()
    }

    fn exec(&self, py: Python<'_>, command: Vec<u8>, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.ask(py, Request::Exec(command), timeout)
    }

    fn shell(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.ask(py, Request::Shell, timeout)
    }

    fn subsystem(&self, py: Python<'_>, name: String, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.ask(py, Request::Subsystem(name), timeout)
    }

    /// A terminal of that size: columns, rows, and both in pixels.
    fn pty(
        &self,
        py: Python<'_>,
        term: String,
        size: (u32, u32, u32, u32),
        timeout: Timeout<'_, '_>,
    ) -> PyResult<()> {
        self.ask(py, Request::Pty { term, size: sized(size) }, timeout)
    }

    fn resize(
        &self,
        py: Python<'_>,
        size: (u32, u32, u32, u32),
        timeout: Timeout<'_, '_>,
    ) -> PyResult<()> {
        self.ask(py, Request::Resize(sized(size)), timeout)
    }

    /// Sets a variable; whether the server takes it is not asked.
    fn env(
        &self,
        py: Python<'_>,
        name: String,
        value: String,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<()> {
        let request = Request::Env(name, value);
        self.0.request_unanswered(request, &Outside(py), optional(timeout)?).map_err(raise)
    }

    /// Offers this side's agent to what is started next; whether the server takes the offer is not asked.
    fn offer_agent(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<()> {
        let limit = optional(timeout)?;
        self.0.request_unanswered(Request::AgentForwarding, &Outside(py), limit).map_err(raise)
    }

    /// Offers this side's display to what is started next.
    fn offer_x11(
        &self,
        py: Python<'_>,
        single: bool,
        protocol: String,
        cookie: String,
        screen: u32,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<()> {
        self.ask(py, Request::X11 { single, protocol, cookie, screen }, timeout)
    }

    fn recv<'py>(
        &self,
        py: Python<'py>,
        errors: bool,
        count: usize,
        timeout: Timeout<'_, 'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let limit = optional(timeout)?;
        let there = usize::try_from(self.0.unread(output(errors))).unwrap_or(MOST);
        let take =
            |room: &mut [u8]| self.0.recv(output(errors), room, &Outside(py), limit).map_err(raise);
        if there == 0 {
            let mut room = vec![0; count.min(PACKET)];
            let count = take(&mut room)?;
            return Ok(PyBytes::new(py, room.get(..count).unwrap_or_default()));
        }
        let size = count.min(there).min(MOST);
        let mut taken = size;
        let bytes = PyBytes::new_with(py, size, |room| {
            taken = take(room)?;
            Ok(())
        })?;
        // Another thread may have taken some of it.
        Ok(if taken == size {
            bytes
        } else {
            PyBytes::new(py, bytes.as_bytes().get(..taken).unwrap_or_default())
        })
    }

    fn unread(&self, errors: bool) -> u64 {
        self.0.unread(output(errors))
    }

    fn send(&self, py: Python<'_>, bytes: &[u8], timeout: Timeout<'_, '_>) -> PyResult<usize> {
        self.0.send(bytes, &Outside(py), optional(timeout)?).map_err(raise)
    }

    fn send_error(
        &self,
        py: Python<'_>,
        bytes: &[u8],
        timeout: Timeout<'_, '_>,
    ) -> PyResult<usize> {
        self.0.send_error(bytes, &Outside(py), optional(timeout)?).map_err(raise)
    }

    #[getter]
    fn is_writable(&self) -> bool {
        self.0.is_writable()
    }

    fn send_eof(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.0.send_eof(&Outside(py), optional(timeout)?).map_err(raise)
    }

    /// The exit status; -1 if the command was ended by a signal, or that is not known.
    fn exit(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<i64> {
        let exit = self.0.exit(&Outside(py), optional(timeout)?).map_err(raise)?;
        Ok(match exit {
            Exit::Status(status) => i64::from(status),
            Exit::Signal(_) | Exit::Unknown => -1,
        })
    }

    #[getter]
    fn is_exit_known(&self) -> bool {
        self.0.is_exit_known()
    }

    fn combine_outputs(&self, combined: bool) -> PyResult<bool> {
        self.0.combine_outputs(combined).map_err(|error| failed(&error))
    }

    fn readiness(&self) -> PyResult<i32> {
        Ok(self.0.readiness()?)
    }

    #[getter]
    fn is_ended(&self) -> bool {
        self.0.is_ended()
    }

    #[getter]
    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&self) {
        self.0.close();
    }
}

pub(super) fn sized((columns, rows, width, height): (u32, u32, u32, u32)) -> Size {
    Size { columns, rows, width, height }
}
