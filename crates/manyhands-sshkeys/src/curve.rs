//! The three curves of ECDSA.

use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::Error;
use crate::wire::{Reader, Write, padded};

/// A curve of ECDSA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// nistp256
    P256,
    /// nistp384
    P384,
    /// nistp521
    P521,
}

/// Runs an expression with `$lib` (and `$digest`) being those of a curve.
macro_rules! with {
    ($curve:expr, |$lib:ident| $body:expr) => {
        match $curve {
            Curve::P256 => {
                use p256 as $lib;
                $body
            }
            Curve::P384 => {
                use p384 as $lib;
                $body
            }
            Curve::P521 => {
                use p521 as $lib;
                $body
            }
        }
    };
    ($curve:expr, |$lib:ident, $digest:ident| $body:expr) => {
        match $curve {
            Curve::P256 => {
                type $digest = Sha256;
                use p256 as $lib;
                $body
            }
            Curve::P384 => {
                type $digest = Sha384;
                use p384 as $lib;
                $body
            }
            Curve::P521 => {
                type $digest = Sha512;
                use p521 as $lib;
                $body
            }
        }
    };
}

const NO_POINT: Error = Error::Malformed("the point is not on its curve");
const NO_SCALAR: Error = Error::Malformed("the private number is out of range");

impl Curve {
    pub(crate) const ALL: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

    /// Its name in SSH: `nistp256` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Curve::P256 => "nistp256",
            Curve::P384 => "nistp384",
            Curve::P521 => "nistp521",
        }
    }

    /// The name of the keys on it: `ecdsa-sha2-nistp256` and so on.
    pub fn key_name(self) -> &'static str {
        match self {
            Curve::P256 => "ecdsa-sha2-nistp256",
            Curve::P384 => "ecdsa-sha2-nistp384",
            Curve::P521 => "ecdsa-sha2-nistp521",
        }
    }

    /// How many bits its keys have.
    pub fn bits(self) -> usize {
        match self {
            Curve::P256 => 256,
            Curve::P384 => 384,
            Curve::P521 => 521,
        }
    }

    /// The content of its object identifier in DER.
    pub(crate) fn object(self) -> &'static [u8] {
        match self {
            Curve::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Curve::P384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
            Curve::P521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
        }
    }

    pub(crate) fn size(self) -> usize {
        self.bits().div_ceil(8)
    }

    /// A point of it as SSH writes points, not compressed.
    pub(crate) fn point(self, encoded: &[u8]) -> Result<Vec<u8>, Error> {
        with!(self, |lib| {
            let key = lib::ecdsa::VerifyingKey::from_sec1_bytes(encoded).map_err(|_| NO_POINT)?;
            Ok(key.to_sec1_point(false).as_bytes().to_vec())
        })
    }

    /// The point that belongs to a private number.
    pub(crate) fn public(self, private: &[u8]) -> Result<Vec<u8>, Error> {
        let private = Zeroizing::new(padded(private, self.size())?);
        with!(self, |lib| {
            let key = lib::ecdsa::SigningKey::from_slice(&private).map_err(|_| NO_SCALAR)?;
            Ok(key.verifying_key().to_sec1_point(false).as_bytes().to_vec())
        })
    }

    /// A new private number.
    pub(crate) fn generate(self) -> Vec<u8> {
        with!(self, |lib| {
            use lib::elliptic_curve::Generate;
            let key = lib::ecdsa::SigningKey::generate_from_rng(&mut rand::rng());
            key.to_bytes().to_vec()
        })
    }

    /// A signature as SSH writes it, without its name.
    pub(crate) fn sign(self, private: &[u8], data: &[u8]) -> Result<Vec<u8>, Error> {
        let private = Zeroizing::new(padded(private, self.size())?);
        let (r, s) = with!(self, |lib, D| {
            let key = lib::ecdsa::SigningKey::from_slice(&private).map_err(|_| NO_SCALAR)?;
            let signature: lib::ecdsa::Signature = key
                .sign_prehash(&D::digest(data))
                .map_err(|error| Error::Unusable(error.to_string()))?;
            let (r, s) = signature.split_bytes();
            (r.to_vec(), s.to_vec())
        });
        let mut written = Vec::new();
        written.put_number(&r);
        written.put_number(&s);
        Ok(written)
    }

    pub(crate) fn verify(self, point: &[u8], data: &[u8], signature: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(signature);
        let r = padded(&reader.number()?, self.size())?;
        let s = padded(&reader.number()?, self.size())?;
        let both = [r, s].concat();
        let wrong = |_| Error::Malformed("the signature is another's");
        with!(self, |lib, D| {
            let key = lib::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| NO_POINT)?;
            let signature = lib::ecdsa::Signature::from_slice(&both).map_err(wrong)?;
            key.verify_prehash(&D::digest(data), &signature).map_err(wrong)
        })
    }
}
