//! Queues of the server's Python, used from the server's own thread where nothing has to wait.
//!
//! A program's server often hands out queues that it keeps itself, too. Each call of such a one by a thread of Python
//! costs two switches between threads; most of them could be carried out on the spot.

#![allow(unsafe_code, reason = "the collector is switched by C functions")]

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use manyhands_manager::pickle::{RETURNED_NONE, Writer};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString, PyTuple};

use crate::multiprocessing::connection::dump;

/// What may be called: by the name that clients use, something that never waits but raises.
type Methods = HashMap<String, Py<PyAny>>;

/// The objects of Python that never need a thread of their own unless they raise.
#[derive(Default)]
pub(super) struct Quick(Mutex<HashMap<String, Methods>>);

/// Keeps the collector from running: the program's finalizers may ask this server for something, and its thread is busy here.
struct NoCollection(bool);

impl NoCollection {
    fn new(_py: Python<'_>) -> NoCollection {
        // SAFETY: attached to the interpreter.
        NoCollection(unsafe { ffi::PyGC_Disable() } == 1)
    }
}

impl Drop for NoCollection {
    fn drop(&mut self) {
        if self.0 {
            // SAFETY: as above; it does not outlive the attachment.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}

impl std::fmt::Debug for Quick {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Quick").finish_non_exhaustive()
    }
}

impl Quick {
    /// Whoever has it is in the interpreter and stays there, so that nobody waits for both in opposite orders.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Methods>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn offer(&self, ident: String, methods: Methods) {
        let before = self.lock().insert(ident, methods);
        drop(before);
    }

    pub(super) fn withdraw(&self, ident: &str) {
        let before = self.lock().remove(ident);
        drop(before);
    }

    /// Carries a call out, if that is possible at once; None if it is left to a thread of Python, and has done nothing.
    /// `keep` is given what must not be let go of here.
    pub(super) fn call(
        &self,
        ident: &str,
        method: &str,
        arguments: usize,
        request: &Bytes,
        keep: impl FnOnce(Py<PyAny>),
    ) -> Option<Vec<Bytes>> {
        Python::try_attach(|py| {
            let function = self.lock().get(ident)?.get(method)?.clone_ref(py);
            let _quiet = NoCollection::new(py);
            let result = match (method.starts_with("put"), arguments) {
                (true, 1) => {
                    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
                    let loads = LOADS.import(py, "pickle", "loads").ok()?;
                    let request = loads.call1((PyBytes::new(py, request),)).ok()?;
                    let arguments = request.get_item(2).ok()?.cast_into::<PyTuple>().ok()?;
                    function.bind(py).call1(arguments)
                }
                (false, 0) => function.bind(py).call0(),
                _ => return None,
            };
            let result = result.ok()?;
            let message = returned(&result);
            // Anything else may have a finalizer, which is for another thread to run.
            if !is_simple(&result) {
                keep(result.unbind());
            }
            Some(message)
        })
        .flatten()
    }
}

/// Whether nothing of the program's runs when it is let go of.
fn is_simple(object: &Bound<'_, PyAny>) -> bool {
    object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyBytes>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
}

/// The pickle of `('#RETURN', result)`.
fn returned(result: &Bound<'_, PyAny>) -> Vec<Bytes> {
    let py = result.py();
    if result.is_none() {
        return vec![Bytes::from_static(RETURNED_NONE)];
    }
    let answer = |write: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::new();
        writer.str("#RETURN");
        write(&mut writer);
        writer.pair();
        writer.finish()
    };
    if let Ok(value) = result.cast_exact::<PyBool>() {
        return answer(&|writer| writer.bool(value.is_true()));
    }
    if let Ok(value) = result.cast_exact::<PyInt>()
        && let Ok(value) = value.extract::<i64>()
    {
        return answer(&|writer| writer.int(value));
    }
    if let Ok(value) = result.cast_exact::<PyBytes>() {
        return answer(&|writer| writer.bytes(value.as_bytes()));
    }
    let pieces = ("#RETURN", result).into_pyobject(py).and_then(|pair| dump(pair.as_any()));
    match pieces {
        Ok(pieces) => {
            pieces.iter().map(|piece| Bytes::copy_from_slice(piece.as_bytes(py))).collect()
        }
        Err(error) => {
            let mut writer = Writer::new();
            writer.str("#UNSERIALIZABLE");
            writer.str(&error.to_string());
            writer.pair();
            writer.finish()
        }
    }
}
