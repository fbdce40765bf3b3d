//! OpenSSH's own form of private keys.
//!
//! # References
//! OpenSSH's `PROTOCOL.key`.

use aes::{Aes128, Aes192, Aes256};
use ctr::cipher::block_padding::NoPadding;
use ctr::cipher::{BlockModeDecrypt, KeyIvInit, StreamCipher};
use des::TdesEde3;
use zeroize::Zeroizing;

use crate::curve::Curve;
use crate::private::{PrivateKey, Secret};
use crate::public::{ed25519, same};
use crate::rsa_key::Rsa;
use crate::wire::{Reader, Write};
use crate::{Error, PublicKey};

const MAGIC: &[u8] = b"openssh-key-v1\0";
const ROUNDS: u32 = 16;
/// More take hours, and no one asks for so many.
const MOST_ROUNDS: u32 = 1 << 20;

pub(crate) fn read(content: &[u8], passphrase: Option<&[u8]>) -> Result<PrivateKey, Error> {
    let mut reader = Reader::new(content);
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(Error::Malformed("unexpected OpenSSH key header"));
    }
    let (cipher, kdf, options) = (reader.text()?, reader.text()?, reader.string()?);
    if reader.u32()? != 1 {
        return Err(Error::Malformed("private key files of several keys are not read"));
    }
    let public = reader.string()?;
    let section = reader.string()?;
    if cipher == "none" && kdf == "none" {
        return private(section, public);
    }
    if kdf != "bcrypt" {
        return Err(Error::UnknownCipher(format!("{cipher} with {kdf}")));
    }
    let (key_size, iv_size) = sizes(cipher)?;
    let passphrase = passphrase.ok_or(Error::Encrypted)?;
    let key = derive(passphrase, options, key_size + iv_size)?;
    let plain = decrypt(cipher, &key, key_size, section).ok_or(Error::WrongPassphrase)?;
    // A right passphrase makes the two numbers at the beginning the same.
    private(&plain, public).map_err(|error| match error {
        Error::Malformed(_) => Error::WrongPassphrase,
        error => error,
    })
}

fn private(section: &[u8], public: &[u8]) -> Result<PrivateKey, Error> {
    let mut reader = Reader::new(section);
    if reader.u32()? != reader.u32()? {
        return Err(Error::Malformed("the check numbers do not match"));
    }
    let key = match reader.text()? {
        "ssh-rsa" => {
            let (n, e, d) = (reader.number()?, reader.number()?, reader.number()?);
            let _qinv = reader.number()?;
            Rsa::new([n, e, d, reader.number()?, reader.number()?], None).map(PrivateKey::from_rsa)
        }
        "ssh-ed25519" => {
            let _public = reader.string()?;
            let both = reader.string()?;
            let seed = both.get(..32).ok_or(crate::error::TRUNCATED)?;
            PrivateKey::from_seed(ed25519(seed)?)
        }
        name => {
            let curve = Curve::ALL
                .into_iter()
                .find(|curve| curve.key_name() == name)
                .ok_or_else(|| Error::UnknownType(name.to_owned()))?;
            let _name = reader.string()?;
            let _point = reader.string()?;
            PrivateKey::from_scalar(curve, reader.number()?)
        }
    }?;
    if !matches(key.public(), public) {
        return Err(Error::Malformed("public and private part are of different keys"));
    }
    // Some files end without a comment, and with any padding.
    let comment = reader.string().unwrap_or_default();
    Ok(key.with_comment(String::from_utf8_lossy(comment)))
}

fn matches(key: &PublicKey, public: &[u8]) -> bool {
    match (key, PublicKey::from_blob(public)) {
        (PublicKey::Rsa { n, .. }, Ok(PublicKey::Rsa { n: other, .. })) => same(n, &other),
        (key, Ok(other)) => *key == other,
        _ => false,
    }
}

pub(crate) fn write(key: &PrivateKey, passphrase: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let mut section = section(key)?;
    let mut content = MAGIC.to_vec();
    match passphrase {
        None => {
            pad(&mut section, 8);
            content.put_string(b"none");
            content.put_string(b"none");
            content.put_string(b"");
        }
        Some(passphrase) => {
            pad(&mut section, 16);
            let salt: [u8; 16] = rand::random();
            let mut options = Vec::new();
            options.put_string(&salt);
            options.put_u32(ROUNDS);
            let derived = derive(passphrase, &options, 32 + 16)?;
            ctr::Ctr128BE::<Aes256>::new_from_slices(&derived[..32], &derived[32..])
                .map_err(|_| Error::Malformed("the key's size"))?
                .apply_keystream(&mut section);
            content.put_string(b"aes256-ctr");
            content.put_string(b"bcrypt");
            content.put_string(&options);
        }
    }
    content.put_u32(1);
    content.put_string(&key.public().to_blob());
    content.put_string(&section);
    Ok(content)
}

fn section(key: &PrivateKey) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut section = Zeroizing::new(Vec::new());
    let check: u32 = rand::random();
    section.put_u32(check);
    section.put_u32(check);
    section.put_string(key.public().name().as_bytes());
    match (&key.secret, key.public()) {
        (Secret::Rsa(rsa), _) => {
            let qinv = &rsa.derived()?.qinv;
            for number in [&rsa.n, &rsa.e, rsa.d(), qinv, rsa.p(), rsa.q()] {
                section.put_number(number);
            }
        }
        (Secret::Ecdsa(curve, scalar), PublicKey::Ecdsa { point, .. }) => {
            section.put_string(curve.name().as_bytes());
            section.put_string(point);
            section.put_number(scalar);
        }
        (Secret::Ed25519(seed), PublicKey::Ed25519(public)) => {
            section.put_string(public);
            section.put_string(&Zeroizing::new([seed.as_ref(), public].concat()));
        }
        _ => return Err(Error::Malformed("public and private part are of different keys")),
    }
    section.put_string(key.comment().as_bytes());
    Ok(section)
}

/// Appends 1, 2, 3 and so on.
fn pad(section: &mut Vec<u8>, block: usize) {
    let missing = section.len().next_multiple_of(block) - section.len();
    section.extend((1..=u8::MAX).take(missing));
}

fn sizes(cipher: &str) -> Result<(usize, usize), Error> {
    match cipher {
        "aes128-ctr" | "aes128-cbc" => Ok((16, 16)),
        "aes192-ctr" | "aes192-cbc" => Ok((24, 16)),
        "aes256-ctr" | "aes256-cbc" => Ok((32, 16)),
        "3des-cbc" => Ok((24, 8)),
        _ => Err(Error::UnknownCipher(cipher.to_owned())),
    }
}

fn derive(passphrase: &[u8], options: &[u8], size: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut reader = Reader::new(options);
    let (salt, rounds) = (reader.string()?, reader.u32()?);
    if !(1..=MOST_ROUNDS).contains(&rounds) {
        return Err(Error::Malformed("an impossible count of bcrypt rounds"));
    }
    let mut key = Zeroizing::new(vec![0; size]);
    if passphrase.is_empty() {
        return Err(Error::WrongPassphrase);
    }
    bcrypt_pbkdf::bcrypt_pbkdf(passphrase, salt, rounds, &mut key)
        .map_err(|_| Error::Malformed("the salt of bcrypt"))?;
    Ok(key)
}

fn decrypt(
    cipher: &str,
    derived: &[u8],
    key_size: usize,
    encrypted: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (key, iv) = derived.split_at_checked(key_size)?;
    match cipher {
        "aes128-ctr" => stream::<ctr::Ctr128BE<Aes128>>(key, iv, encrypted),
        "aes192-ctr" => stream::<ctr::Ctr128BE<Aes192>>(key, iv, encrypted),
        "aes256-ctr" => stream::<ctr::Ctr128BE<Aes256>>(key, iv, encrypted),
        "aes128-cbc" => blocks::<cbc::Decryptor<Aes128>>(key, iv, encrypted),
        "aes192-cbc" => blocks::<cbc::Decryptor<Aes192>>(key, iv, encrypted),
        "aes256-cbc" => blocks::<cbc::Decryptor<Aes256>>(key, iv, encrypted),
        _ => blocks::<cbc::Decryptor<TdesEde3>>(key, iv, encrypted),
    }
}

fn stream<C: StreamCipher + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    encrypted: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(encrypted.to_vec());
    C::new_from_slices(key, iv).ok()?.apply_keystream(&mut plain);
    Some(plain)
}

fn blocks<C: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    encrypted: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = C::new_from_slices(key, iv).ok()?;
    let plain = cipher.decrypt_padded_vec::<NoPadding>(encrypted).ok()?;
    Some(Zeroizing::new(plain))
}
