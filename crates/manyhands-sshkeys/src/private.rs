use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::curve::Curve;
use crate::pem::Block;
use crate::public::KeyType;
use crate::rsa_key::{self, Rsa};
use crate::wire::Write;
use crate::{Error, PublicKey, legacy, openssh, pem, pkcs};

/// A private key, with its public one.
#[derive(Clone)]
pub struct PrivateKey {
    public: PublicKey,
    pub(crate) secret: Secret,
    comment: String,
}

#[derive(Clone)]
pub(crate) enum Secret {
    Rsa(Box<Rsa>),
    Ecdsa(Curve, Zeroizing<Vec<u8>>),
    Ed25519(Zeroizing<[u8; 32]>),
}

impl std::fmt::Debug for PrivateKey {
    /// Nothing that is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey")
            .field("public", &self.public)
            .field("comment", &self.comment)
            .finish_non_exhaustive()
    }
}

impl PrivateKey {
    pub(crate) fn from_rsa(rsa: Rsa) -> Self {
        PrivateKey {
            public: PublicKey::Rsa { e: rsa.e.clone(), n: rsa.n.clone() },
            secret: Secret::Rsa(Box::new(rsa)),
            comment: String::new(),
        }
    }

    pub(crate) fn from_scalar(curve: Curve, scalar: Vec<u8>) -> Result<Self, Error> {
        let scalar = Zeroizing::new(scalar);
        Ok(PrivateKey {
            public: PublicKey::Ecdsa { curve, point: curve.public(&scalar)? },
            secret: Secret::Ecdsa(curve, scalar),
            comment: String::new(),
        })
    }

    pub(crate) fn from_seed(seed: [u8; 32]) -> Result<Self, Error> {
        let seed = Zeroizing::new(seed);
        let pair = ed25519(&seed)?;
        Ok(PrivateKey {
            public: PublicKey::Ed25519(crate::public::ed25519(pair.public_key().as_ref())?),
            secret: Secret::Ed25519(seed),
            comment: String::new(),
        })
    }

    /// Makes a new key.
    ///
    /// # Errors
    /// [`Error::Unusable`] if an RSA key cannot have so many bits.
    #[doc(alias = "paramiko.RSAKey.generate")]
    #[doc(alias = "paramiko.ECDSAKey.generate")]
    pub fn generate(key_type: KeyType) -> Result<Self, Error> {
        match key_type {
            KeyType::Rsa(bits) => Rsa::generate(bits).map(Self::from_rsa),
            KeyType::Ecdsa(curve) => Self::from_scalar(curve, curve.generate()),
            KeyType::Ed25519 => Self::from_seed(rand::random()),
        }
    }

    /// Reads a key from the text of a file, in any of the forms that it may have.
    ///
    /// A passphrase for a key that is not encrypted is not looked at.
    ///
    /// # Errors
    /// What is wrong with the text, see [`Error`].
    #[doc(alias = "paramiko.PKey.from_private_key_file")]
    pub fn read(text: &[u8], passphrase: Option<&[u8]>) -> Result<Self, Error> {
        let block = Block::private_key(text)?;
        match block.label.as_str() {
            "OPENSSH PRIVATE KEY" => openssh::read(&block.content, passphrase),
            "PRIVATE KEY" => pkcs::pkcs8(&block.content),
            "ENCRYPTED PRIVATE KEY" => pkcs::encrypted_pkcs8(&block.content, passphrase),
            "RSA PRIVATE KEY" => in_pem(&block, passphrase, pkcs::pkcs1),
            "EC PRIVATE KEY" => in_pem(&block, passphrase, |der| pkcs::sec1(der, None)),
            label => Err(Error::UnknownType(label.trim_end_matches(" PRIVATE KEY").to_owned())),
        }
    }

    /// Writes the key in OpenSSH's form, encrypted by AES-256 and bcrypt if there is a passphrase.
    ///
    /// # Errors
    /// [`Error::Unusable`] if the numbers of the key do not belong together.
    pub fn to_openssh(&self, passphrase: Option<&[u8]>) -> Result<String, Error> {
        let content = openssh::write(self, passphrase)?;
        Ok(pem::write("OPENSSH PRIVATE KEY", &[], &content, 70))
    }

    /// Writes the key in the form that OpenSSL had before PKCS#8, encrypted by AES-256 if there is a
    /// passphrase. Ed25519 has no such form and is written in OpenSSH's.
    ///
    /// # Errors
    /// [`Error::Unusable`] if the numbers of the key do not belong together.
    #[doc(alias = "paramiko.PKey.write_private_key_file")]
    pub fn to_pem(&self, passphrase: Option<&[u8]>) -> Result<String, Error> {
        let (label, content) = match &self.secret {
            Secret::Rsa(rsa) => ("RSA PRIVATE KEY", pkcs::to_pkcs1(rsa)?),
            Secret::Ecdsa(curve, scalar) => {
                let point = curve.public(scalar)?;
                ("EC PRIVATE KEY", pkcs::to_sec1(*curve, scalar, &point, true)?)
            }
            Secret::Ed25519(_) => return self.to_openssh(passphrase),
        };
        let (headers, content) = match passphrase {
            Some(passphrase) => legacy::encrypt(&content, passphrase)?,
            None => (Vec::new(), content.to_vec()),
        };
        Ok(pem::write(label, &headers, &content, 64))
    }

    /// Writes the key as PKCS#8, encrypted by PBES2 with AES-256 if there is a passphrase.
    ///
    /// # Errors
    /// [`Error::Unusable`] if the numbers of the key do not belong together.
    pub fn to_pkcs8(&self, passphrase: Option<&[u8]>) -> Result<String, Error> {
        let content = pkcs::to_pkcs8(self)?;
        match passphrase {
            None => Ok(pem::write("PRIVATE KEY", &[], &content, 64)),
            Some(passphrase) => {
                let content = pkcs::encrypt_pkcs8(&content, passphrase)?;
                Ok(pem::write("ENCRYPTED PRIVATE KEY", &[], &content, 64))
            }
        }
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// What its file says of it.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The same key with another comment.
    #[must_use]
    pub fn with_comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = comment.into();
        self
    }

    /// A signature of the data, with the name of its algorithm in front.
    ///
    /// RSA keys sign by `rsa-sha2-512` or, if asked for, `rsa-sha2-256`; never with SHA-1. All others have
    /// one algorithm, and what is asked for is not looked at.
    ///
    /// # Errors
    /// [`Error::Unusable`] if the key does not sign by that algorithm, or at all.
    #[doc(alias = "paramiko.PKey.sign_ssh_data")]
    pub fn sign(&self, data: &[u8], algorithm: Option<&str>) -> Result<Vec<u8>, Error> {
        let mut name = self.public.name();
        let signature = match &self.secret {
            Secret::Rsa(rsa) => {
                let algorithm = algorithm.unwrap_or(rsa_key::SHA512);
                name = [rsa_key::SHA256, rsa_key::SHA512]
                    .into_iter()
                    .find(|&known| known == algorithm)
                    .ok_or_else(|| {
                        Error::Unusable(format!("an RSA key does not sign by {algorithm}"))
                    })?;
                rsa.sign(data, name)?
            }
            Secret::Ecdsa(curve, scalar) => curve.sign(scalar, data)?,
            Secret::Ed25519(seed) => ed25519(seed)?.sign(data).as_ref().to_vec(),
        };
        let mut written = Vec::new();
        written.put_string(name.as_bytes());
        written.put_string(&signature);
        Ok(written)
    }
}

fn ed25519(seed: &[u8; 32]) -> Result<Ed25519KeyPair, Error> {
    Ed25519KeyPair::from_seed_unchecked(seed)
        .map_err(|_| Error::Malformed("an Ed25519 key has 32 bytes"))
}

/// Reads a block that may be encrypted in the old way.
fn in_pem(
    block: &Block,
    passphrase: Option<&[u8]>,
    read: impl FnOnce(&[u8]) -> Result<PrivateKey, Error>,
) -> Result<PrivateKey, Error> {
    let content = legacy::content(block, passphrase)?;
    read(&content).map_err(|error| {
        // One of 256 wrong passphrases leaves something that looks well padded.
        let encrypted = block.header("proc-type").is_some();
        if encrypted { Error::WrongPassphrase } else { error }
    })
}
