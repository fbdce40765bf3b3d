//! A connection

#![expect(unsafe_code, reason = "a descriptor comes as a number")]

use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use manyhands_ssh::{
    Authentication, Certificate, Options, Origin, PublicKey, Question, Stop, Wire,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::channel::Channel;
use super::{failed, raise};
use crate::gate::Outside;
use crate::timeout::optional;

type Timeout<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// How often a server may be silent, when asked for a sign of life, before the connection ends.
const SILENCES: u32 = 3;

// py: manyhands.paramiko.Transport
#[pyclass(frozen, module = "manyhands._native.ssh")]
pub(crate) struct Session(manyhands_ssh::Session);

/// "success", "partial" or "failure", with the methods that may be tried.
fn told(authentication: Authentication) -> (&'static str, Vec<String>) {
    match authentication {
        Authentication::Success => ("success", Vec::new()),
        Authentication::Partial(methods) => ("partial", methods),
        Authentication::Failure(methods) => ("failure", methods),
    }
}

fn invalid(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(format!("invalid key: {error}"))
}

#[pymethods]
impl Session {
    /// Exchanges keys over the descriptor of a connected socket, which is taken over. `disabled` has names of algorithms of
    /// kinds: "kex", "keys", "ciphers", "macs", "pubkeys".
    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "what a connection is made of")]
    fn start(
        py: Python<'_>,
        descriptor: i32,
        is_local: bool,
        host: &str,
        disabled: Vec<(String, Vec<String>)>,
        first_keys: Vec<String>,
        compress: bool,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<Session> {
        // SAFETY: the caller has made the descriptor for this, and uses it no more.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let wire = if is_local { Wire::Unix(owned.into()) } else { Wire::Tcp(owned.into()) };
        let mut options = Options::default();
        let algorithms = &mut options.algorithms;
        for (kind, names) in disabled {
            let list = match kind.as_str() {
                "kex" => &mut algorithms.kex,
                "keys" => &mut algorithms.host_keys,
                "ciphers" => &mut algorithms.ciphers,
                "macs" => &mut algorithms.macs,
                "pubkeys" => &mut algorithms.signatures,
                _ => continue,
            };
            list.retain(|name| !names.contains(name));
        }
        let first: Vec<&str> = first_keys.iter().map(String::as_str).collect();
        algorithms.prefer_host_keys(&first);
        if compress {
            algorithms.compress();
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
    #[expect(clippy::too_many_arguments, reason = "what there is to say of a key")]
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
        let signing = |data: &[u8], algorithm: Option<&str>| {
            Python::attach(|py| {
                let data = PyBytes::new(py, data);
                sign.bind(py).call1((data, algorithm)).and_then(|made| made.extract())
            })
            .map_err(|error: PyErr| error.to_string())
        };
        let limit = optional(timeout)?;
        self.0
            .auth_key_with(user, &key, certificate.as_ref(), signing, &Outside(py), limit)
            .map(told)
            .map_err(raise)
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

    /// The next channel that the server opens for a forwarded port, from where, and to which address.
    #[expect(clippy::type_complexity, reason = "a channel and two addresses")]
    fn accept(
        &self,
        py: Python<'_>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<(Channel, (String, u32), (String, u32))> {
        let limit = optional(timeout)?;
        let (channel, origin) = self.0.accept(&Outside(py), limit).map_err(raise)?;
        let (from, to) = match origin {
            Origin::Forwarded { address, port, originator, originator_port } => {
                ((originator, originator_port), (address, port))
            }
            Origin::X11 { originator, originator_port } => {
                ((originator, originator_port), (String::new(), 0))
            }
            Origin::Agent => ((String::new(), 0), (String::new(), 0)),
        };
        Ok((Channel(channel), from, to))
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

    fn rekey(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.0.rekey(&Outside(py), optional(timeout)?).map_err(raise)
    }

    fn set_keepalive(&self, seconds: f64) -> PyResult<()> {
        let interval = Duration::try_from_secs_f64(seconds)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        self.0.set_keepalive(interval, SILENCES).map_err(|error| failed(&error))
    }

    /// The server's key: its type and bytes.
    #[getter]
    fn host_key<'py>(&self, py: Python<'py>) -> Option<(String, Bound<'py, PyBytes>)> {
        self.0.host_key().map(|key| (key.algorithm, PyBytes::new(py, &key.blob)))
    }

    #[getter]
    fn remote_version(&self) -> String {
        self.0.remote_version()
    }

    #[getter]
    fn banner(&self) -> Option<String> {
        self.0.banner()
    }

    /// The cipher that was agreed on.
    #[getter]
    fn cipher(&self) -> Option<String> {
        self.0.negotiated().map(|negotiated| negotiated.cipher)
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
