//! PKCS#1, SEC1 and PKCS#8: private keys in DER.

use pkcs5::EncryptionScheme;
use pkcs5::der::{Decode, Encode};
use zeroize::Zeroizing;

use crate::Error;
use crate::curve::Curve;
use crate::der::{BIT_STRING, Der, INTEGER, NULL, OBJECT, OCTET_STRING, SEQUENCE, put, put_number};
use crate::private::{PrivateKey, Secret};
use crate::public::ed25519;
use crate::rsa_key::{Derived, Rsa};
use crate::wire::padded;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const ED448: &[u8] = &[0x2b, 0x65, 0x71];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];

const PARAMETERS: u8 = 0xa0;
const PUBLIC: u8 = 0xa1;

/// As many as OpenSSL makes, and some more.
const ITERATIONS: u32 = 100_000;

pub(crate) fn pkcs1(der: &[u8]) -> Result<PrivateKey, Error> {
    let mut fields = Der::new(der).sequence()?;
    if fields.take(INTEGER)? != [0] {
        return Err(Error::Malformed("an RSA key of more than two factors"));
    }
    let numbers =
        [fields.number()?, fields.number()?, fields.number()?, fields.number()?, fields.number()?];
    let derived = Derived { dp: fields.number()?, dq: fields.number()?, qinv: fields.number()? };
    Rsa::new(numbers, Some(derived)).map(PrivateKey::from_rsa)
}

pub(crate) fn to_pkcs1(rsa: &Rsa) -> Result<Zeroizing<Vec<u8>>, Error> {
    let derived = rsa.derived()?;
    let mut fields = Zeroizing::new(Vec::new());
    put_number(&mut fields, &[]);
    for number in [&rsa.n, &rsa.e, rsa.d(), rsa.p(), rsa.q()] {
        put_number(&mut fields, number);
    }
    for number in [&derived.dp, &derived.dq, &derived.qinv] {
        put_number(&mut fields, number);
    }
    Ok(sequence(&fields))
}

/// `curve` is the one that is said outside, if any.
pub(crate) fn sec1(der: &[u8], curve: Option<Curve>) -> Result<PrivateKey, Error> {
    let mut fields = Der::new(der).sequence()?;
    if fields.take(INTEGER)? != [1] {
        return Err(Error::Malformed("unknown version of an EC key"));
    }
    let scalar = fields.take(OCTET_STRING)?;
    let named = match fields.peek() {
        Some(PARAMETERS) => Some(named_curve(&mut Der::new(fields.take(PARAMETERS)?))?),
        _ => None,
    };
    let curve =
        named.or(curve).ok_or(Error::Malformed("an EC key without the name of its curve"))?;
    PrivateKey::from_scalar(curve, scalar.to_vec())
}

pub(crate) fn to_sec1(
    curve: Curve,
    scalar: &[u8],
    point: &[u8],
    named: bool,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut fields = Zeroizing::new(Vec::new());
    put(&mut fields, INTEGER, &[1]);
    put(&mut fields, OCTET_STRING, &padded(scalar, curve.size())?);
    if named {
        let mut name = Vec::new();
        put(&mut name, OBJECT, curve.object());
        put(&mut fields, PARAMETERS, &name);
    }
    let mut bits = Vec::new();
    put(&mut bits, BIT_STRING, &[&[0], point].concat());
    put(&mut fields, PUBLIC, &bits);
    Ok(sequence(&fields))
}

fn named_curve(der: &mut Der<'_>) -> Result<Curve, Error> {
    if der.peek() != Some(OBJECT) {
        return Err(Error::Malformed("a curve has to be given by its name"));
    }
    let object = der.take(OBJECT)?;
    Curve::ALL
        .into_iter()
        .find(|curve| curve.object() == object)
        .ok_or_else(|| Error::UnknownType("EC on another curve than nistp256, 384, 521".to_owned()))
}

pub(crate) fn pkcs8(der: &[u8]) -> Result<PrivateKey, Error> {
    let mut fields = Der::new(der).sequence()?;
    if !matches!(fields.take(INTEGER)?, [0 | 1]) {
        return Err(Error::Malformed("unknown version of PKCS#8"));
    }
    let mut algorithm = fields.sequence()?;
    let object = algorithm.take(OBJECT)?;
    let key = fields.take(OCTET_STRING)?;
    match object {
        RSA => pkcs1(key),
        EC => {
            let curve = named_curve(&mut algorithm)?;
            sec1(key, Some(curve))
        }
        ED25519 => PrivateKey::from_seed(ed25519(Der::new(key).take(OCTET_STRING)?)?),
        ED448 => Err(Error::UnknownType("ed448".to_owned())),
        DSA => Err(Error::UnknownType("ssh-dss".to_owned())),
        _ => Err(Error::UnknownType("another than RSA, EC, Ed25519".to_owned())),
    }
}

pub(crate) fn to_pkcs8(key: &PrivateKey) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut algorithm = Vec::new();
    let content = match &key.secret {
        Secret::Rsa(rsa) => {
            put(&mut algorithm, OBJECT, RSA);
            put(&mut algorithm, NULL, &[]);
            to_pkcs1(rsa)?
        }
        Secret::Ecdsa(curve, scalar) => {
            put(&mut algorithm, OBJECT, EC);
            put(&mut algorithm, OBJECT, curve.object());
            to_sec1(*curve, scalar, &curve.public(scalar)?, false)?
        }
        Secret::Ed25519(seed) => {
            put(&mut algorithm, OBJECT, ED25519);
            let mut content = Zeroizing::new(Vec::new());
            put(&mut content, OCTET_STRING, seed.as_ref());
            content
        }
    };
    let mut fields = Zeroizing::new(Vec::new());
    put_number(&mut fields, &[]);
    put(&mut fields, SEQUENCE, &algorithm);
    put(&mut fields, OCTET_STRING, &content);
    Ok(sequence(&fields))
}

pub(crate) fn encrypted_pkcs8(der: &[u8], passphrase: Option<&[u8]>) -> Result<PrivateKey, Error> {
    let mut fields = Der::new(der).sequence()?;
    let scheme = EncryptionScheme::from_der(fields.raw()?)
        .map_err(|_| Error::UnknownCipher("of PKCS#8, other than PBES2's".to_owned()))?;
    let encrypted = fields.take(OCTET_STRING)?;
    let passphrase = passphrase.ok_or(Error::Encrypted)?;
    let plain = scheme.decrypt(passphrase, encrypted).map_err(|error| match error {
        pkcs5::Error::UnsupportedAlgorithm { .. } => {
            Error::UnknownCipher("of PKCS#8, other than PBES2's".to_owned())
        }
        _ => Error::WrongPassphrase,
    })?;
    match pkcs8(&Zeroizing::new(plain)) {
        Err(Error::Malformed(_)) => Err(Error::WrongPassphrase),
        read => read,
    }
}

pub(crate) fn encrypt_pkcs8(plain: &[u8], passphrase: &[u8]) -> Result<Vec<u8>, Error> {
    let unusable = |_| Error::Unusable("the key cannot be encrypted".to_owned());
    let salt: [u8; 16] = rand::random();
    let iv: [u8; 16] = rand::random();
    let scheme: EncryptionScheme =
        pkcs5::pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, iv)
            .map_err(unusable)?
            .into();
    let encrypted = scheme
        .encrypt(passphrase, plain)
        .map_err(|_| Error::Unusable("the key cannot be encrypted".to_owned()))?;
    let mut fields =
        scheme.to_der().map_err(|_| Error::Unusable("the key cannot be encrypted".to_owned()))?;
    put(&mut fields, OCTET_STRING, &encrypted);
    Ok(sequence(&fields).to_vec())
}

fn sequence(fields: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut der = Zeroizing::new(Vec::with_capacity(fields.len() + 8));
    put(&mut der, SEQUENCE, fields);
    der
}
