//! The computing half of multiprocessing.connection's challenges. What fails is a ValueError with
//! the text of the AuthenticationError that the Python half raises.

use manyhands_wire::authentication::{self, Digest};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

fn failed(error: authentication::AuthenticationError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A challenge for the other end, that names the digest.
// py: multiprocessing.connection.deliver_challenge
#[pyfunction]
pub(super) fn create_challenge<'py>(
    py: Python<'py>,
    digest_name: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let digest = Digest::named(digest_name.as_bytes())
        .ok_or_else(|| PyValueError::new_err(format!("unsupported digest {digest_name}")))?;
    Ok(PyBytes::new(py, &authentication::challenge(digest).map_err(failed)?))
}

/// The challenge in the first message of the other end.
// py: multiprocessing.connection.answer_challenge
#[pyfunction]
pub(super) fn read_challenge<'py>(
    py: Python<'py>,
    message: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, authentication::read_challenge(message).map_err(failed)?))
}

/// The response to a challenge.
// py: multiprocessing.connection._create_response
#[pyfunction]
pub(super) fn create_response<'py>(
    py: Python<'py>,
    authkey: &[u8],
    message: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &authentication::create_response(authkey, message).map_err(failed)?))
}

/// Whether the response to our challenge is a good one.
// py: multiprocessing.connection._verify_challenge
#[pyfunction]
pub(super) fn verify_response(authkey: &[u8], message: &[u8], response: &[u8]) -> PyResult<()> {
    authentication::verify_response(authkey, message, response).map_err(failed)
}
