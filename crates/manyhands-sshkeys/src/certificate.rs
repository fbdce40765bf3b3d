use crate::wire::{Reader, Write};
use crate::{Error, PublicKey};

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateKind {
    /// It lets users in.
    User,
    /// It says who a host is.
    Host,
}

/// A key with what an authority says of it.
///
/// # References
/// OpenSSH's `PROTOCOL.certkeys`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// The key.
    pub key: PublicKey,
    /// A number that the authority gave it.
    pub serial: u64,
    /// What it is for.
    pub kind: CertificateKind,
    /// A name for logs.
    pub id: String,
    /// The users or hosts that it holds for; none for all.
    pub principals: Vec<String>,
    /// The second since 1970 from which on it holds.
    pub valid_after: u64,
    /// The second since 1970 from which on it does not hold any more.
    pub valid_before: u64,
    /// What has to be obeyed: names and values.
    pub critical_options: Vec<(String, Vec<u8>)>,
    /// What may be done: names and values.
    pub extensions: Vec<(String, Vec<u8>)>,
    /// The authority's key.
    pub authority: PublicKey,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl Certificate {
    /// What the names of certificates' types end in.
    pub const SUFFIX: &str = "-cert-v01@openssh.com";

    /// Reads a certificate, as SSH writes them. Its signature is not verified.
    ///
    /// # Errors
    /// [`Error::UnknownType`], or [`Error::Malformed`] if it is not what it says.
    pub fn from_blob(blob: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(blob);
        let name = reader.text()?;
        let plain =
            name.strip_suffix(Self::SUFFIX).ok_or_else(|| Error::UnknownType(name.to_owned()))?;
        let _nonce = reader.string()?;
        let key = PublicKey::fields(plain, &mut reader)?;
        let serial = reader.u64()?;
        let kind = match reader.u32()? {
            1 => CertificateKind::User,
            2 => CertificateKind::Host,
            _ => return Err(Error::Malformed("a certificate of another kind")),
        };
        let id = String::from_utf8_lossy(reader.string()?).into_owned();
        let principals = list(reader.string()?)?;
        let (valid_after, valid_before) = (reader.u64()?, reader.u64()?);
        let critical_options = options(reader.string()?)?;
        let extensions = options(reader.string()?)?;
        let _reserved = reader.string()?;
        let authority = PublicKey::from_blob(reader.string()?)?;
        let signed = blob[..blob.len() - reader.rest().len()].to_vec();
        let signature = reader.string()?.to_vec();
        Ok(Certificate {
            key,
            serial,
            kind,
            id,
            principals,
            valid_after,
            valid_before,
            critical_options,
            extensions,
            authority,
            signed,
            signature,
        })
    }

    /// Whether the authority that it names has signed it, and not with SHA-1.
    pub fn is_signed(&self) -> bool {
        let modern = Reader::new(&self.signature)
            .text()
            .is_ok_and(|algorithm| algorithm != crate::rsa_key::SHA1);
        modern && self.authority.verify(&self.signed, &self.signature)
    }

    /// Whether it holds at that second since 1970.
    pub fn holds_at(&self, second: u64) -> bool {
        (self.valid_after..self.valid_before).contains(&second)
    }

    /// The certificate as SSH writes it.
    pub fn to_blob(&self) -> Vec<u8> {
        let mut blob = self.signed.clone();
        blob.put_string(&self.signature);
        blob
    }
}

fn list(bytes: &[u8]) -> Result<Vec<String>, Error> {
    let mut reader = Reader::new(bytes);
    let mut names = Vec::new();
    while !reader.rest().is_empty() {
        names.push(reader.text()?.to_owned());
    }
    Ok(names)
}

fn options(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut reader = Reader::new(bytes);
    let mut options = Vec::new();
    while !reader.rest().is_empty() {
        let name = reader.text()?.to_owned();
        // A value is a string within a string, or nothing.
        let value = reader.string()?;
        let value = if value.is_empty() { value } else { Reader::new(value).string()? };
        options.push((name, value.to_vec()));
    }
    Ok(options)
}
