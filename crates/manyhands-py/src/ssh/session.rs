//! A connection

#![expect(unsafe_code, reason = "a descriptor comes as a number")]

use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use manyhands_ssh::{
    Algorithms, Authentication, Cause, Certificate, Options, Origin, PublicKey, Question, Request,
    Stop, Wire,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::channel::{Channel, sized};
use super::{failed, raise};
use crate::gate::Outside;
use crate::timeout::optional;

/// A channel, what it is for, from where and to which address.
type Accepted = (Channel, &'static str, (String, u32), (String, u32));

type Timeout<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// How often a server may be silent, when asked for a sign of life, before the connection ends.
const SILENCES: u32 = 3;

// py: manyhands.paramiko.Transport
#[pyclass(frozen, module = "manyhands._native.ssh")]
pub(crate) struct Session(manyhands_ssh::Session);

/// What a connection runs on.
#[derive(FromPyObject)]
enum Below {
    Descriptor(i32),
    Channel(Py<Channel>),
}

/// "success", "partial" or "failure", with the methods that may be tried.
fn told(authentication: Authentication) -> (&'static str, Vec<String>) {
    match authentication {
        Authentication::Success => ("success", Vec::new()),
        Authentication::Partial(methods) => ("partial", methods),
        Authentication::Failure(methods) => ("failure", methods),
    }
}

/// The names of one kind of algorithms.
fn list<'a>(algorithms: &'a mut Algorithms, kind: &str) -> PyResult<&'a mut Vec<String>> {
    Ok(match kind {
        "kex" => &mut algorithms.kex,
        "keys" => &mut algorithms.host_keys,
        "ciphers" => &mut algorithms.ciphers,
        "macs" => &mut algorithms.macs,
        "pubkeys" => &mut algorithms.signatures,
        "compression" => &mut algorithms.compression,
        _ => return Err(PyValueError::new_err(format!("unknown kind of algorithms: {kind}"))),
    })
}

/// A kind of algorithms, and the names that are offered, and offered if asked for.
type Known = (&'static str, Vec<String>, Vec<String>);

/// The names of the algorithms that there are, of each kind the most preferred first, and of those that are only
/// offered if they are asked for.
#[pyfunction]
pub(crate) fn algorithms() -> PyResult<Vec<Known>> {
    let mut known = Algorithms::default();
    known.compress();
    let mut old = Algorithms::old();
    ["kex", "keys", "ciphers", "macs", "pubkeys", "compression"]
        .into_iter()
        .map(|kind| {
            let usual = std::mem::take(list(&mut known, kind)?);
            Ok((kind, usual, std::mem::take(list(&mut old, kind)?)))
        })
        .collect()
}

/// What stands behind `SSH-2.0-` unless something else is asked for.
#[pyfunction]
pub(crate) fn software() -> String {
    Options::default().software
}

fn seconds(number: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(number).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn invalid(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(format!("invalid key: {error}"))
}

#[pymethods]
impl Session {
    /// Exchanges keys over the descriptor of a connected socket, which is taken over, or over a channel. `algorithms` has the
    /// names that are offered of each kind that `algorithms()` has; `software` is what stands behind `SSH-2.0-`; `banner_time` how many
    /// seconds the server may be silent at first.
    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "what a connection is made of")]
    fn start(
        py: Python<'_>,
        below: Below,
        is_local: bool,
        host: &str,
        algorithms: Vec<(String, Vec<String>)>,
        software: String,
        banner_time: Option<f64>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<Session> {
        let wire = match below {
            Below::Descriptor(descriptor) => {
                // SAFETY: the caller has made the descriptor for this, and uses it no more.
                let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
                if is_local { Wire::Unix(owned.into()) } else { Wire::Tcp(owned.into()) }
            }
            Below::Channel(channel) => channel.get().0.as_wire(),
        };
        let banner_time = banner_time.map(seconds).transpose()?;
        let mut options = Options { software, banner_time, ..Options::default() };
        for (kind, names) in algorithms {
            *list(&mut options.algorithms, &kind)? = names;
        }
        manyhands_ssh::Session::start(wire, host, &options, &Outside(py), optional(timeout)?)
            .map(Session)
            .map_err(raise)
    }

    fn auth_none(
        &self,
        py: Python<'_>,
        user: &str,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<(&'static str, Vec<String>)> {
        self.0.auth_none(user, &Outside(py), optional(timeout)?).map(told).map_err(raise)
    }

    fn auth_password(
        &self,
        py: Python<'_>,
        user: &str,
        password: &str,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<(&'static str, Vec<String>)> {
        let limit = optional(timeout)?;
        self.0.auth_password(user, password, &Outside(py), limit).map(told).map_err(raise)
    }

    /// By a key with these public bytes, maybe a certificate's; `sign` is called with the data and the algorithm.
    fn auth_key(
        &self,
        py: Python<'_>,
        user: &str,
        key: &[u8],
        certificate: Option<&[u8]>,
        sign: Py<PyAny>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<(&'static str, Vec<String>)> {
        let key = PublicKey::from_bytes(key).map_err(invalid)?;
        let certificate = certificate.map(Certificate::from_bytes).transpose().map_err(invalid)?;
        let mut raised = None;
        let signing = |data: &[u8], algorithm: Option<&str>| {
            Python::attach(|py| {
                let data = PyBytes::new(py, data);
                sign.bind(py).call1((data, algorithm)).and_then(|made| made.extract())
            })
            .map_err(|error: PyErr| raised.insert(error).to_string())
        };
        let limit = optional(timeout)?;
        let outcome =
            self.0.auth_key_with(user, &key, certificate.as_ref(), signing, &Outside(py), limit);
        match (outcome, raised) {
            (Err(Stop::Failed(error)), Some(raised))
                if matches!(error.cause, Cause::Signing(_)) =>
            {
                Err(raised)
            }
            (outcome, _) => outcome.map(told).map_err(raise),
        }
    }

    /// `answer` is called with a title, instructions and a list of prompts.
    fn auth_interactive(
        &self,
        py: Python<'_>,
        user: &str,
        submethods: &str,
        answer: &Bound<'_, PyAny>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<(&'static str, Vec<String>)> {
        let asking = |question: Question| {
            let prompts: Vec<(String, bool)> =
                question.prompts.into_iter().map(|prompt| (prompt.text, prompt.echo)).collect();
            answer
                .call1((question.title, question.instructions, prompts))
                .and_then(|answers| answers.extract())
                .map_err(Stop::Interrupted)
        };
        let limit = optional(timeout)?;
        self.0
            .auth_interactive(user, submethods, asking, &Outside(py), limit)
            .map(told)
            .map_err(raise)
    }

    fn open(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<Channel> {
        let limit = optional(timeout)?;
        self.0.open(Vec::new(), &Outside(py), limit).map(Channel).map_err(raise)
    }

    /// A channel on which a command runs, with a terminal and variables if there are any; two round trips.
    fn open_command(
        &self,
        py: Python<'_>,
        command: Vec<u8>,
        pty: Option<(String, (u32, u32, u32, u32))>,
        environment: Vec<(String, String)>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<Channel> {
        let pty = pty.map(|(term, size)| Request::Pty { term, size: sized(size) });
        let variables = environment.into_iter().map(|(name, value)| Request::Env(name, value));
        let requests = pty.into_iter().chain(variables).chain([Request::Exec(command)]).collect();
        let limit = optional(timeout)?;
        self.0.open(requests, &Outside(py), limit).map(Channel).map_err(raise)
    }

    fn open_x11(
        &self,
        py: Python<'_>,
        from: (String, u16),
        timeout: Timeout<'_, '_>,
    ) -> PyResult<Channel> {
        let limit = optional(timeout)?;
        self.0.open_x11((&from.0, from.1), &Outside(py), limit).map(Channel).map_err(raise)
    }

    fn open_direct(
        &self,
        py: Python<'_>,
        to: (String, u16),
        from: (String, u16),
        timeout: Timeout<'_, '_>,
    ) -> PyResult<Channel> {
        let limit = optional(timeout)?;
        self.0
            .open_direct(&to.0, to.1, (&from.0, from.1), &Outside(py), limit)
            .map(Channel)
            .map_err(raise)
    }

    /// The next channel that the server opens: what for ("forwarded", "x11" or "agent"), from where, and to which address.
    fn accept(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<Accepted> {
        let limit = optional(timeout)?;
        let (channel, origin) = self.0.accept(&Outside(py), limit).map_err(raise)?;
        let nowhere = || (String::new(), 0);
        let (kind, from, to) = match origin {
            Origin::Forwarded { address, port, originator, originator_port } => {
                ("forwarded", (originator, originator_port), (address, port))
            }
            Origin::X11 { originator, originator_port } => {
                ("x11", (originator, originator_port), nowhere())
            }
            Origin::Agent => ("agent", nowhere(), nowhere()),
        };
        Ok((Channel(channel), kind, from, to))
    }

    /// Lets the server open channels.
    fn welcome(&self) {
        self.0.welcome();
    }

    fn forward(
        &self,
        py: Python<'_>,
        address: &str,
        port: u16,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<u16> {
        self.0.forward(address, port, &Outside(py), optional(timeout)?).map_err(raise)
    }

    fn cancel_forward(
        &self,
        py: Python<'_>,
        address: &str,
        port: u16,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<()> {
        self.0.cancel_forward(address, port, &Outside(py), optional(timeout)?).map_err(raise)
    }

    /// The server's answer, None if it refuses or is not to answer.
    fn global_request<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        data: &[u8],
        answered: bool,
        timeout: Timeout<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let limit = optional(timeout)?;
        let answer = self.0.global_request(name, data, answered, &Outside(py), limit);
        Ok(answer.map_err(raise)?.map(|data| PyBytes::new(py, &data)))
    }

    fn rekey(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.0.rekey(&Outside(py), optional(timeout)?).map_err(raise)
    }

    /// Has new keys exchanged after every so many bytes, too.
    fn set_rekey_bytes(&self, bytes: u64) {
        self.0.set_rekey_bytes(bytes);
    }

    /// Waits until it has ended; false if that takes longer.
    fn join(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<bool> {
        self.0.join(&Outside(py), optional(timeout)?).map_err(raise)
    }

    fn set_keepalive(&self, interval: f64) -> PyResult<()> {
        self.0.set_keepalive(seconds(interval)?, SILENCES).map_err(|error| failed(&error))
    }

    /// The server's key: its type and bytes.
    #[getter]
    fn host_key<'py>(&self, py: Python<'py>) -> Option<(String, Bound<'py, PyBytes>)> {
        self.0.host_key().map(|key| (key.algorithm, PyBytes::new(py, &key.blob)))
    }

    /// The server, as errors name it.
    #[getter]
    fn host(&self) -> &str {
        self.0.host()
    }

    #[getter]
    fn remote_version(&self) -> String {
        self.0.remote_version()
    }

    #[getter]
    fn banner(&self) -> Option<String> {
        self.0.banner()
    }

    /// What was agreed on: key exchange, algorithm of the host key, cipher, MAC, and whether to be strict about the
    /// order of packets.
    #[getter]
    fn negotiated(&self) -> Option<(String, String, String, String, bool)> {
        let agreed = self.0.negotiated()?;
        Some((agreed.kex, agreed.host_key, agreed.cipher, agreed.mac, agreed.strict))
    }

    #[getter]
    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    #[getter]
    fn is_authenticated(&self) -> bool {
        self.0.is_authenticated()
    }

    /// Why it has ended, if it has.
    #[getter]
    fn end(&self) -> Option<String> {
        self.0.end().map(|cause| cause.to_string())
    }

    fn close(&self) {
        self.0.close();
    }
}
