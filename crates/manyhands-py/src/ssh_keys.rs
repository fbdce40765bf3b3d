//! `manyhands.paramiko`'s keys

use manyhands_sshkeys::{
    Certificate, CertificateKind, Curve, Error, KeyType, PrivateKey, PublicKey,
};
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

create_exception!(ssh_keys, KeyError, PyValueError, "Why a key cannot be used: (kind, message).");

fn raise(error: &Error) -> PyErr {
    let kind = match error {
        Error::NoKey => "none",
        Error::Encrypted => "encrypted",
        Error::WrongPassphrase => "passphrase",
        Error::UnknownType(_) => "type",
        _ => "other",
    };
    KeyError::new_err((kind, error.to_string()))
}

/// A key, private or public.
// py: manyhands.paramiko.PKey
#[pyclass(frozen, module = "manyhands._native.ssh_keys")]
pub(crate) struct Key {
    public: PublicKey,
    private: Option<PrivateKey>,
}

impl Key {
    fn of(private: PrivateKey) -> Self {
        Key { public: private.public().clone(), private: Some(private) }
    }

    fn private(&self) -> PyResult<&PrivateKey> {
        let missing = || Error::Unusable("the key has no private part".to_owned());
        self.private.as_ref().ok_or_else(|| raise(&missing()))
    }
}

#[pymethods]
impl Key {
    /// The private key that the text of a file is.
    #[staticmethod]
    #[pyo3(signature = (text, passphrase=None))]
    fn read(py: Python<'_>, text: Vec<u8>, passphrase: Option<Vec<u8>>) -> PyResult<Self> {
        py.detach(|| PrivateKey::read(&text, passphrase.as_deref()))
            .map(Key::of)
            .map_err(|error| raise(&error))
    }

    /// The public key that a blob, maybe of a certificate, is.
    #[staticmethod]
    fn public(blob: &[u8]) -> PyResult<Self> {
        let public = PublicKey::from_blob(blob).map_err(|error| raise(&error))?;
        Ok(Key { public, private: None })
    }

    /// A new private key: "rsa", "ecdsa" or "ed25519", of so many bits.
    #[staticmethod]
    fn generate(py: Python<'_>, kind: &str, bits: usize) -> PyResult<Self> {
        let key_type = match (kind, bits) {
            ("rsa", _) => KeyType::Rsa(bits),
            ("ecdsa", 256) => KeyType::Ecdsa(Curve::P256),
            ("ecdsa", 384) => KeyType::Ecdsa(Curve::P384),
            ("ecdsa", 521) => KeyType::Ecdsa(Curve::P521),
            ("ed25519", _) => KeyType::Ed25519,
            _ => return Err(raise(&Error::UnknownType(format!("{kind}, {bits} bits")))),
        };
        py.detach(|| PrivateKey::generate(key_type)).map(Key::of).map_err(|error| raise(&error))
    }

    #[getter]
    fn name(&self) -> &'static str {
        self.public.name()
    }

    #[getter]
    fn bits(&self) -> usize {
        self.public.bits()
    }

    #[getter]
    fn blob<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.public.to_blob())
    }

    #[getter]
    fn comment(&self) -> &str {
        self.private.as_ref().map_or("", PrivateKey::comment)
    }

    #[getter]
    fn can_sign(&self) -> bool {
        self.private.is_some()
    }

    /// The signature of data, with the name of its algorithm.
    #[pyo3(signature = (data, algorithm=None))]
    fn sign<'py>(
        &self,
        py: Python<'py>,
        data: Vec<u8>,
        algorithm: Option<String>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let key = self.private()?;
        let signature =
            py.detach(|| key.sign(&data, algorithm.as_deref())).map_err(|error| raise(&error))?;
        Ok(PyBytes::new(py, &signature))
    }

    /// Whether the signature is the key's, and not made with SHA-1.
    fn verify(&self, py: Python<'_>, data: Vec<u8>, signature: Vec<u8>) -> bool {
        if signature.starts_with(b"\0\0\0\x07ssh-rsa") {
            return false;
        }
        py.detach(|| self.public.verify(&data, &signature))
    }

    /// The text of a file with the private key: "pem", "openssh" or "pkcs8".
    #[pyo3(signature = (form, passphrase=None))]
    fn write(&self, py: Python<'_>, form: &str, passphrase: Option<Vec<u8>>) -> PyResult<String> {
        let key = self.private()?;
        let passphrase = passphrase.as_deref();
        py.detach(|| match form {
            "pem" => key.to_pem(passphrase),
            "openssh" => key.to_openssh(passphrase),
            "pkcs8" => key.to_pkcs8(passphrase),
            _ => Err(Error::Unusable(format!("no form of keys is called {form}"))),
        })
        .map_err(|error| raise(&error))
    }
}

/// What a certificate says: whether it is a host's, its name for logs, whom it holds for, since and until when, the names of
/// what has to be obeyed, the authority's key, and whether that has signed it.
type Said = (bool, String, Vec<String>, (u64, u64), Vec<String>, Vec<u8>, bool);

#[pyfunction]
fn certificate(py: Python<'_>, blob: Vec<u8>) -> PyResult<Said> {
    let found = Certificate::from_blob(&blob).map_err(|error| raise(&error))?;
    let is_signed = py.detach(|| found.is_signed());
    let is_host = found.kind == CertificateKind::Host;
    let options = found.critical_options.into_iter().map(|(name, _)| name).collect();
    let time = (found.valid_after, found.valid_before);
    Ok((is_host, found.id, found.principals, time, options, found.authority.to_blob(), is_signed))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let keys = PyModule::new(py, "ssh_keys")?;
    keys.add_class::<Key>()?;
    keys.add_function(wrap_pyfunction!(certificate, &keys)?)?;
    keys.add("Error", py.get_type::<KeyError>())?;
    module.add_submodule(&keys)
}
