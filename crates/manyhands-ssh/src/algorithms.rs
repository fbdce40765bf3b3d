//! Which algorithms are offered, and in which order.

use std::borrow::Cow;
use std::str::FromStr;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, compression, kex, mac};

use crate::Cause;

/// The algorithms to offer, of each kind the most preferred first, by the names of the protocol.
///
/// The default has what is fast first among what is safe, and nothing that depends on SHA-1.
///
/// ```
/// use manyhands_ssh::Algorithms;
///
/// let mut algorithms = Algorithms::default();
/// algorithms.ciphers.retain(|name| name != "chacha20-poly1305@openssh.com");
/// assert_eq!(algorithms.ciphers.first().map(String::as_str), Some("aes128-gcm@openssh.com"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithms {
    /// Key exchange.
    pub kex: Vec<String>,
    /// Keys of the server.
    pub host_keys: Vec<String>,
    /// Encryption.
    pub ciphers: Vec<String>,
    /// Message authentication, for ciphers that have none of their own.
    pub macs: Vec<String>,
    /// Compression.
    pub compression: Vec<String>,
    /// Signatures made with RSA keys in authentication.
    pub signatures: Vec<String>,
}

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_GEX_SHA256,
    kex::DH_G14_SHA256,
];

/// What is no key exchange, but stands in the list of them: that this side understands extensions, and is
/// strict about the order of packets until keys are exchanged (CVE-2023-48795).
const KEX_EXTENSIONS: &[kex::Name] =
    &[kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

const MACS: &[mac::Name] =
    &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

const HOST_KEYS: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

const SIGNATURES: &[&str] = &["rsa-sha2-512", "rsa-sha2-256"];

/// What old servers may know nothing better than: SHA-1, block ciphers in the mode CBC, and small groups.
const OLD_KEX: &[kex::Name] =
    &[kex::DH_G14_SHA1, kex::DH_GEX_SHA1, kex::DH_G15_SHA512, kex::DH_G17_SHA512, kex::DH_G1_SHA1];
const OLD_CIPHERS: &[cipher::Name] =
    &[cipher::AES_128_CBC, cipher::AES_192_CBC, cipher::AES_256_CBC];
const OLD_MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];
const OLD_KEYS: &[&str] = &["ssh-rsa"];

fn names<T: AsRef<str>>(list: &[T]) -> Vec<String> {
    list.iter().map(|name| name.as_ref().to_owned()).collect()
}

impl Default for Algorithms {
    fn default() -> Self {
        Algorithms {
            kex: names(KEX),
            host_keys: names(HOST_KEYS),
            ciphers: names(CIPHERS),
            macs: names(MACS),
            compression: names(&[compression::NONE]),
            signatures: names(SIGNATURES),
        }
    }
}

impl Algorithms {
    /// What can be asked for, and is not offered otherwise, as it is not safe any more or slow.
    pub fn old() -> Self {
        Algorithms {
            kex: names(OLD_KEX),
            host_keys: names(OLD_KEYS),
            ciphers: names(OLD_CIPHERS),
            macs: names(OLD_MACS),
            compression: Vec::new(),
            signatures: names(OLD_KEYS),
        }
    }

    /// Takes the names in `disabled` out of all lists.
    pub fn disable(&mut self, disabled: &[&str]) {
        for list in [
            &mut self.kex,
            &mut self.host_keys,
            &mut self.ciphers,
            &mut self.macs,
            &mut self.compression,
            &mut self.signatures,
        ] {
            list.retain(|name| !disabled.contains(&name.as_str()));
        }
    }

    /// Offers compression, and prefers it.
    pub fn compress(&mut self) {
        self.compression = names(&[compression::ZLIB_LEGACY, compression::ZLIB, compression::NONE]);
    }

    /// Moves host keys of these algorithms to the front, say as such a key of the host is known already.
    pub fn prefer_host_keys(&mut self, first: &[&str]) {
        self.host_keys.sort_by_key(|name| !first.contains(&name.as_str()));
    }

    pub(crate) fn preferred(&self) -> Result<Preferred, Cause> {
        let mut kex = known("key exchange", &self.kex, |name| kex::Name::try_from(name).ok())?;
        kex.extend_from_slice(KEX_EXTENSIONS);
        let host_key = |name: &str| match Algorithm::from_str(name) {
            Ok(Algorithm::Other(_)) | Err(_) => None,
            Ok(algorithm) => Some(algorithm),
        };
        let (certificates, keys): (Vec<_>, Vec<_>) =
            self.host_keys.iter().cloned().partition(|name| name.contains("-cert-v01@"));
        let certificate = |name: &str| Algorithm::new_certificate(name).ok();
        let certificates: Option<Vec<Algorithm>> =
            certificates.iter().map(|name| certificate(name)).collect();
        Ok(Preferred {
            kex: Cow::Owned(kex),
            key: Cow::Owned(known("host key algorithm", &keys, host_key)?),
            host_key_certificates: Cow::Owned(certificates.ok_or_else(|| {
                Cause::Algorithm("unknown certificate algorithm for host keys".to_owned())
            })?),
            cipher: Cow::Owned(known("cipher", &self.ciphers, |name| {
                cipher::Name::try_from(name).ok()
            })?),
            mac: Cow::Owned(known("MAC", &self.macs, |name| mac::Name::try_from(name).ok())?),
            compression: Cow::Owned(known("compression", &self.compression, |name| {
                compression::Name::try_from(name).ok()
            })?),
        })
    }
}

fn known<T>(
    kind: &str,
    names: &[String],
    find: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Cause> {
    if names.is_empty() {
        return Err(Cause::Algorithm(format!("no {kind} is left to be offered")));
    }
    names
        .iter()
        .map(|name| find(name).ok_or_else(|| Cause::Algorithm(format!("unknown {kind}: {name}"))))
        .collect()
}
