//! Keys of SSH: files, certificates, fingerprints, signatures.
//!
//! Reads private keys as OpenSSH, OpenSSL and PuTTYgen's exports write them: PKCS#1, SEC1 and PKCS#8
//! in PEM, encrypted in the old way or by PBES2, and OpenSSH's own format. Nothing checks whether the
//! factors of an RSA key are prime, which takes longer than to sign with it.
//!
//! ```
//! use manyhands_sshkeys::{KeyType, PrivateKey};
//!
//! let key = PrivateKey::generate(KeyType::Ed25519)?;
//! let signature = key.sign(b"what is signed", None)?;
//! assert!(key.public().verify(b"what is signed", &signature));
//! let file = key.to_openssh(Some(b"passphrase"))?;
//! assert_eq!(PrivateKey::read(file.as_bytes(), Some(b"passphrase"))?.public(), key.public());
//! # Ok::<(), manyhands_sshkeys::Error>(())
//! ```

mod authorized;
mod certificate;
mod curve;
mod der;
mod error;
mod legacy;
mod openssh;
mod pem;
mod pkcs;
mod private;
mod public;
mod rsa_key;
mod wire;

pub use authorized::AuthorizedKey;
pub use certificate::{Certificate, CertificateKind};
pub use curve::Curve;
pub use error::Error;
pub use private::PrivateKey;
pub use public::{KeyType, PublicKey};
