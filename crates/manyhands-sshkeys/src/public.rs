use sha2::{Digest, Sha256};

use crate::certificate::Certificate;
use crate::curve::Curve;
use crate::error::Error;
use crate::pem;
use crate::rsa_key;
use crate::wire::{Reader, Write, bits, trimmed};

/// What kind of key is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// RSA of so many bits.
    Rsa(usize),
    /// ECDSA on a curve.
    Ecdsa(Curve),
    /// Ed25519.
    Ed25519,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublicKey {
    /// An RSA key: exponent and modulus, big-endian without zeros in front.
    Rsa {
        /// The exponent.
        e: Vec<u8>,
        /// The modulus.
        n: Vec<u8>,
    },
    /// A point of a curve, not compressed.
    Ecdsa {
        /// The curve.
        curve: Curve,
        /// Its point.
        point: Vec<u8>,
    },
    /// An Ed25519 key.
    Ed25519([u8; 32]),
}

impl PublicKey {
    /// Reads a key, or the key of a certificate, as SSH writes them.
    ///
    /// # Errors
    /// [`Error::UnknownType`], or [`Error::Malformed`] if it is not what it says.
    #[doc(alias = "paramiko.PKey.from_type_string")]
    pub fn from_blob(blob: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(blob);
        let name = reader.text()?;
        if name.ends_with(Certificate::SUFFIX) {
            return Certificate::from_blob(blob).map(|certificate| certificate.key);
        }
        let key = Self::fields(name, &mut reader)?;
        if reader.rest().is_empty() {
            Ok(key)
        } else {
            Err(Error::Malformed("there is something behind the key"))
        }
    }

    /// Reads what follows a type's name.
    pub(crate) fn fields(name: &str, reader: &mut Reader<'_>) -> Result<Self, Error> {
        match name {
            "ssh-rsa" => {
                let (e, n) = (reader.number()?, reader.number()?);
                rsa_key::check_public(&n, &e)?;
                Ok(PublicKey::Rsa { e, n })
            }
            "ssh-ed25519" => Ok(PublicKey::Ed25519(ed25519(reader.string()?)?)),
            _ => {
                let curve = Curve::ALL
                    .into_iter()
                    .find(|curve| curve.key_name() == name)
                    .ok_or_else(|| Error::UnknownType(name.to_owned()))?;
                if reader.text()? != curve.name() {
                    return Err(Error::Malformed("the curve is another than the type's"));
                }
                let point = curve.point(reader.string()?)?;
                Ok(PublicKey::Ecdsa { curve, point })
            }
        }
    }

    /// The key as SSH writes it.
    #[doc(alias = "paramiko.PKey.asbytes")]
    pub fn to_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        blob.put_string(self.name().as_bytes());
        match self {
            PublicKey::Rsa { e, n } => {
                blob.put_number(e);
                blob.put_number(n);
            }
            PublicKey::Ecdsa { curve, point } => {
                blob.put_string(curve.name().as_bytes());
                blob.put_string(point);
            }
            PublicKey::Ed25519(bytes) => blob.put_string(bytes),
        }
        blob
    }

    /// The name of its type in SSH.
    pub fn name(&self) -> &'static str {
        match self {
            PublicKey::Rsa { .. } => "ssh-rsa",
            PublicKey::Ecdsa { curve, .. } => curve.key_name(),
            PublicKey::Ed25519(_) => "ssh-ed25519",
        }
    }

    /// How many bits it has.
    pub fn bits(&self) -> usize {
        match self {
            PublicKey::Rsa { n, .. } => bits(n),
            PublicKey::Ecdsa { curve, .. } => curve.bits(),
            PublicKey::Ed25519(_) => 256,
        }
    }

    /// Its fingerprint as OpenSSH shows it: `SHA256:` and base64.
    pub fn fingerprint(&self) -> String {
        let digest = pem::encode(&Sha256::digest(self.to_blob()));
        format!("SHA256:{}", digest.trim_end_matches('='))
    }

    /// Its old fingerprint: `MD5:` and bytes between colons.
    pub fn fingerprint_md5(&self) -> String {
        let digest = md5::Md5::digest(self.to_blob());
        let bytes: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("MD5:{}", bytes.join(":"))
    }

    /// Whether a signature, with the name of its algorithm in front, is this key's of the data.
    ///
    /// `ssh-rsa`, which is SHA-1, is verified here; who must not accept it looks at the name.
    #[doc(alias = "paramiko.PKey.verify_ssh_sig")]
    pub fn verify(&self, data: &[u8], signature: &[u8]) -> bool {
        self.check(data, signature).is_ok()
    }

    fn check(&self, data: &[u8], signature: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(signature);
        let (algorithm, signature) = (reader.text()?, reader.string()?);
        if !matches!(self, PublicKey::Rsa { .. }) && algorithm != self.name() {
            return Err(Error::Malformed("the signature is another algorithm's"));
        }
        match self {
            PublicKey::Rsa { e, n } => rsa_key::verify(n, e, data, algorithm, signature),
            PublicKey::Ecdsa { curve, point } => curve.verify(point, data, signature),
            PublicKey::Ed25519(bytes) => {
                ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, bytes)
                    .verify(data, signature)
                    .map_err(|_| Error::Malformed("the signature is another's"))
            }
        }
    }
}

/// The 32 bytes of an Ed25519 key.
pub(crate) fn ed25519(bytes: &[u8]) -> Result<[u8; 32], Error> {
    bytes.try_into().map_err(|_| Error::Malformed("an Ed25519 key has 32 bytes"))
}

/// Whether two numbers are the same.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    trimmed(one) == trimmed(other)
}
