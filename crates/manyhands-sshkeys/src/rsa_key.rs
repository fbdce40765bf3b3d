//! RSA: the numbers of a private key, and who signs with them.

use std::sync::OnceLock;

use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, KeyPairComponents, PublicKeyComponents};
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA512};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Error;
use crate::wire::{bits, trimmed};

/// The algorithms of RSA signatures, and the one that is only verified.
pub(crate) const SHA1: &str = "ssh-rsa";
pub(crate) const SHA256: &str = "rsa-sha2-256";
pub(crate) const SHA512: &str = "rsa-sha2-512";

/// More bits than this take too long for who only wants to connect.
const MOST_BITS: usize = 16384;
const FEWEST_BITS: usize = 512;

/// What is derived from the other numbers.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Derived {
    pub(crate) dp: Vec<u8>,
    pub(crate) dq: Vec<u8>,
    pub(crate) qinv: Vec<u8>,
}

/// The numbers of a private key, each without zeros in front.
#[derive(Clone)]
pub(crate) struct Rsa {
    pub(crate) n: Vec<u8>,
    pub(crate) e: Vec<u8>,
    secret: Secret,
    derived: OnceLock<Derived>,
    fast: OnceLock<Option<std::sync::Arc<KeyPair>>>,
}

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Secret {
    d: Vec<u8>,
    p: Vec<u8>,
    q: Vec<u8>,
}

impl Rsa {
    pub(crate) fn new(
        [n, e, d, p, q]: [Vec<u8>; 5],
        derived: Option<Derived>,
    ) -> Result<Self, Error> {
        check_public(&n, &e)?;
        if [&d, &p, &q].iter().any(|number| number.is_empty()) {
            return Err(Error::Malformed("a private number is zero"));
        }
        Ok(Rsa {
            n,
            e,
            secret: Secret { d, p, q },
            derived: derived.map_or_else(OnceLock::new, OnceLock::from),
            fast: OnceLock::new(),
        })
    }

    pub(crate) fn generate(bits: usize) -> Result<Self, Error> {
        if !(1024..=MOST_BITS).contains(&bits) {
            let range = format!("an RSA key has 1024 to {MOST_BITS} bits, not {bits}");
            return Err(Error::Unusable(range));
        }
        let key = RsaPrivateKey::new(&mut rand::rng(), bits).map_err(unusable)?;
        let [p, q] = key.primes() else {
            return Err(Error::Unusable("a new key has two factors".to_owned()));
        };
        let numbers = [key.n().as_ref(), key.e(), key.d(), p, q].map(bytes);
        Rsa::new(numbers, None)
    }

    pub(crate) fn d(&self) -> &[u8] {
        &self.secret.d
    }

    pub(crate) fn p(&self) -> &[u8] {
        &self.secret.p
    }

    pub(crate) fn q(&self) -> &[u8] {
        &self.secret.q
    }

    /// The numbers by which signing is quicker.
    pub(crate) fn derived(&self) -> Result<&Derived, Error> {
        if let Some(derived) = self.derived.get() {
            return Ok(derived);
        }
        let key = self.slow()?;
        let missing = || Error::Malformed("the numbers of the key do not belong together");
        let derived = Derived {
            dp: bytes(key.dp().ok_or_else(missing)?),
            dq: bytes(key.dq().ok_or_else(missing)?),
            qinv: bytes(&key.crt_coefficient().ok_or_else(missing)?),
        };
        Ok(self.derived.get_or_init(|| derived))
    }

    pub(crate) fn sign(&self, data: &[u8], algorithm: &str) -> Result<Vec<u8>, Error> {
        let Some(fast) = self.fast() else {
            return self.sign_slowly(data, algorithm);
        };
        let padding = match algorithm {
            SHA256 => &RSA_PKCS1_SHA256,
            SHA512 => &RSA_PKCS1_SHA512,
            _ => return self.sign_slowly(data, algorithm),
        };
        let mut signature = vec![0; fast.public().modulus_len()];
        fast.sign(padding, &SystemRandom::new(), data, &mut signature)
            .map_err(|_| Error::Unusable("the RSA key cannot sign".to_owned()))?;
        Ok(signature)
    }

    /// ring's key, which is several times as fast, if it takes this one: 2048 to 4096 bits.
    fn fast(&self) -> Option<&KeyPair> {
        let made = self.fast.get_or_init(|| {
            if !(2048..=4096).contains(&bits(&self.n)) {
                return None;
            }
            let derived = self.derived().ok()?;
            let components = KeyPairComponents {
                public_key: PublicKeyComponents { n: &self.n, e: &self.e },
                d: &self.secret.d,
                p: &self.secret.p,
                q: &self.secret.q,
                dP: &derived.dp,
                dQ: &derived.dq,
                qInv: &derived.qinv,
            };
            KeyPair::from_components(&components).ok().map(Into::into)
        });
        made.as_deref()
    }

    fn slow(&self) -> Result<RsaPrivateKey, Error> {
        let Secret { d, p, q } = &self.secret;
        let primes = vec![number(p), number(q)];
        RsaPrivateKey::from_components(number(&self.n), number(&self.e), number(d), primes)
            .map_err(unusable)
    }

    fn sign_slowly(&self, data: &[u8], algorithm: &str) -> Result<Vec<u8>, Error> {
        let (padding, digest) = hashed(data, algorithm)
            .filter(|_| algorithm != SHA1)
            .ok_or_else(|| Error::Unusable(format!("an RSA key does not sign by {algorithm}")))?;
        self.slow()?.sign_with_rng(&mut rand::rng(), padding, &digest).map_err(unusable)
    }
}

/// Whether the numbers can be those of a public key.
pub(crate) fn check_public(n: &[u8], e: &[u8]) -> Result<(), Error> {
    if !(FEWEST_BITS..=MOST_BITS).contains(&bits(n)) {
        return Err(Error::Malformed("an RSA modulus has an impossible size"));
    }
    if e.is_empty() || e.len() > n.len() || n.last().is_none_or(|last| last & 1 == 0) {
        return Err(Error::Malformed("RSA numbers that cannot be"));
    }
    Ok(())
}

pub(crate) fn verify(
    n: &[u8],
    e: &[u8],
    data: &[u8],
    algorithm: &str,
    signature: &[u8],
) -> Result<(), Error> {
    let (padding, digest) =
        hashed(data, algorithm).ok_or(Error::Malformed("no algorithm of RSA signatures"))?;
    // Some leave zeros in front out.
    let signature = crate::wire::padded(signature, n.len())?;
    RsaPublicKey::new_with_max_size(number(n), number(e), MOST_BITS)
        .and_then(|key| key.verify(padding, &digest, &signature))
        .map_err(unusable)
}

fn hashed(data: &[u8], algorithm: &str) -> Option<(Pkcs1v15Sign, Vec<u8>)> {
    Some(match algorithm {
        SHA256 => (Pkcs1v15Sign::new::<Sha256>(), Sha256::digest(data).to_vec()),
        SHA512 => (Pkcs1v15Sign::new::<Sha512>(), Sha512::digest(data).to_vec()),
        SHA1 => (Pkcs1v15Sign::new::<Sha1>(), Sha1::digest(data).to_vec()),
        _ => return None,
    })
}

fn number(bytes: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(bytes)
}

fn bytes(number: &BoxedUint) -> Vec<u8> {
    trimmed(&number.to_be_bytes()).to_vec()
}

fn unusable(error: rsa::Error) -> Error {
    Error::Unusable(format!("the RSA key cannot be used: {error}"))
}
