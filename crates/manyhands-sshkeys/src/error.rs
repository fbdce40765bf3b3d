/// Why a key cannot be read, written or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no private key in the text.
    #[error("there is no private key in it")]
    NoKey,
    /// The key is encrypted.
    #[error("Private key file is encrypted; a passphrase is needed")]
    Encrypted,
    /// The passphrase does not fit, which cannot be told from damage.
    #[error("Bad password or corrupt private key file")]
    WrongPassphrase,
    /// A way to encrypt that is not known.
    #[error("unknown private key cipher \"{0}\"")]
    UnknownCipher(String),
    /// A type of key that is not known.
    #[error("unknown type of key \"{0}\"")]
    UnknownType(String),
    /// The text or its bytes are not what they say to be.
    #[error("invalid key: {0}")]
    Malformed(&'static str),
    /// The key cannot do this.
    #[error("{0}")]
    Unusable(String),
}

/// What ends before it should.
pub(crate) const TRUNCATED: Error = Error::Malformed("it ends too early");
