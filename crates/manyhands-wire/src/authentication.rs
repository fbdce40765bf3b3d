//! Who connects and who listens prove to each other that they know the same key.

use hmac::{Hmac, KeyInit, Mac, SimpleHmac};
use md5::Md5;
use sha2::{Sha256, Sha384};
use sha3::{Sha3_256, Sha3_384};

/// What a challenge begins with.
pub const CHALLENGE: &[u8] = b"#CHALLENGE#";
/// The answer to a good response.
pub const WELCOME: &[u8] = b"#WELCOME#";
/// The answer to a bad response.
pub const FAILURE: &[u8] = b"#FAILURE#";

/// The longest message of an authentication that is accepted.
pub const LONGEST_MESSAGE: u64 = 256;

/// How many random bytes a challenge has.
const RANDOM_BYTES: usize = 40;

/// The length of a challenge of CPython 3.11 and older, which names no digest.
const OLD_CHALLENGE: usize = 20;
/// The length of a response of CPython 3.11 and older: a bare HMAC-MD5.
const OLD_RESPONSE: usize = 16;

/// Why an authentication failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError {
    /// The other end's response to our challenge is not that of the same key.
    #[error("digest received was wrong")]
    WrongResponse,
    /// The other end did not accept our response.
    #[error("digest sent was rejected")]
    Rejected,
    /// Something else came where a challenge was expected.
    #[error("Protocol error, expected challenge: message={}", literal(.0))]
    NoChallenge(Vec<u8>),
    /// A challenge with so few random bytes that it could be a replay.
    #[error("challenge too short: {0} bytes")]
    ShortChallenge(usize),
    /// A message that names no digest, or one that is not accepted.
    #[error(
        "unsupported message length, missing digest prefix, or unsupported digest: message={}",
        literal(.0)
    )]
    Unsupported(Vec<u8>),
    /// A response of a length that the digest that it names does not have.
    #[error("expected '{digest}' of length {expected} got {got}")]
    WrongLength {
        /// The digest that the response names.
        digest: &'static str,
        /// The length of such a digest.
        expected: usize,
        /// The length of what came.
        got: usize,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for a challenge: {0}")]
    NoRandomness(String),
}

/// Bytes as a Python literal, for messages that both kinds of readers know.
fn literal(bytes: &[u8]) -> String {
    let quoted: String = bytes.iter().map(|byte| byte.escape_ascii().to_string()).collect();
    format!("b'{}'", quoted.replace("\\\"", "\""))
}

/// The digests that may be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// MD5, for the sake of CPython 3.11 and older.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-384.
    Sha3_384,
}

impl Digest {
    const ALL: [Digest; 5] =
        [Digest::Md5, Digest::Sha256, Digest::Sha384, Digest::Sha3_256, Digest::Sha3_384];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Digest::Md5 => "md5",
            Digest::Sha256 => "sha256",
            Digest::Sha384 => "sha384",
            Digest::Sha3_256 => "sha3_256",
            Digest::Sha3_384 => "sha3_384",
        }
    }

    /// The digest of that name.
    pub fn named(name: &[u8]) -> Option<Digest> {
        Digest::ALL.into_iter().find(|digest| digest.name().as_bytes() == name)
    }

    /// The length of its MAC.
    fn length(self) -> usize {
        match self {
            Digest::Md5 => 16,
            Digest::Sha256 | Digest::Sha3_256 => 32,
            Digest::Sha384 | Digest::Sha3_384 => 48,
        }
    }

    fn mac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Digest::Md5 => keyed::<Hmac<Md5>>(key, message).finalize().into_bytes().to_vec(),
            Digest::Sha256 => keyed::<Hmac<Sha256>>(key, message).finalize().into_bytes().to_vec(),
            Digest::Sha384 => {
                keyed::<SimpleHmac<Sha384>>(key, message).finalize().into_bytes().to_vec()
            }
            Digest::Sha3_256 => {
                keyed::<SimpleHmac<Sha3_256>>(key, message).finalize().into_bytes().to_vec()
            }
            Digest::Sha3_384 => {
                keyed::<SimpleHmac<Sha3_384>>(key, message).finalize().into_bytes().to_vec()
            }
        }
    }

    /// Compares in a time that does not depend on where the difference is.
    fn verify(self, key: &[u8], message: &[u8], mac: &[u8]) -> bool {
        match self {
            Digest::Md5 => keyed::<Hmac<Md5>>(key, message).verify_slice(mac),
            Digest::Sha256 => keyed::<Hmac<Sha256>>(key, message).verify_slice(mac),
            Digest::Sha384 => keyed::<SimpleHmac<Sha384>>(key, message).verify_slice(mac),
            Digest::Sha3_256 => keyed::<SimpleHmac<Sha3_256>>(key, message).verify_slice(mac),
            Digest::Sha3_384 => keyed::<SimpleHmac<Sha3_384>>(key, message).verify_slice(mac),
        }
        .is_ok()
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> M {
    match M::new_from_slice(key) {
        Ok(mac) => mac.chain_update(message),
        Err(_) => unreachable!("an HMAC takes keys of any length"),
    }
}

/// The digest that a message names; None for one of CPython 3.11 or older, which names none.
fn digest_of(message: &[u8]) -> Result<(Option<Digest>, &[u8]), AuthenticationError> {
    if matches!(message.len(), OLD_CHALLENGE | OLD_RESPONSE) {
        return Ok((None, message));
    }
    let named = message.strip_prefix(b"{").and_then(|rest| {
        let end = rest.iter().position(|&byte| byte == b'}')?;
        let (name, mac) = rest.split_at_checked(end)?;
        Some((Digest::named(name)?, mac.get(1..)?))
    });
    match named {
        Some((digest, payload)) => Ok((Some(digest), payload)),
        None => Err(AuthenticationError::Unsupported(message.to_vec())),
    }
}

/// A challenge, without [`CHALLENGE`] before it: the digest that is preferred and random bytes.
///
/// # Errors
/// If the operating system gives no random bytes.
#[doc(alias = "multiprocessing.connection.deliver_challenge")]
pub fn challenge(digest: Digest) -> Result<Vec<u8>, AuthenticationError> {
    let mut random = [0; RANDOM_BYTES];
    let mut rest = random.as_mut_slice();
    while !rest.is_empty() {
        match rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(AuthenticationError::NoRandomness(error.to_string())),
        }
    }
    Ok([b"{", digest.name().as_bytes(), b"}", &random].concat())
}

/// The response to a challenge (given without [`CHALLENGE`] before it).
///
/// ```
/// use manyhands_wire::authentication::{create_response, verify_response};
///
/// let challenge = b"{sha256}some forty random bytes";
/// let response = create_response(b"key", challenge)?;
/// assert!(verify_response(b"key", challenge, &response).is_ok());
/// assert!(verify_response(b"another key", challenge, &response).is_err());
/// # Ok::<(), manyhands_wire::authentication::AuthenticationError>(())
/// ```
///
/// # Errors
/// If the challenge names no digest that is accepted.
#[doc(alias = "multiprocessing.connection._create_response")]
pub fn create_response(key: &[u8], challenge: &[u8]) -> Result<Vec<u8>, AuthenticationError> {
    Ok(match digest_of(challenge)?.0 {
        None => Digest::Md5.mac(key, challenge),
        Some(digest) => {
            let mac = digest.mac(key, challenge);
            [b"{", digest.name().as_bytes(), b"}", &mac].concat()
        }
    })
}

/// Whether a response to our challenge is that of somebody with the same key.
///
/// # Errors
/// If it is not.
#[doc(alias = "multiprocessing.connection._verify_challenge")]
pub fn verify_response(
    key: &[u8],
    challenge: &[u8],
    response: &[u8],
) -> Result<(), AuthenticationError> {
    let (digest, mac) = digest_of(response)?;
    let digest = digest.unwrap_or(Digest::Md5);
    let (expected, got) = (digest.length(), mac.len());
    if expected != got {
        return Err(AuthenticationError::WrongLength { digest: digest.name(), expected, got });
    }
    if digest.verify(key, challenge, mac) {
        Ok(())
    } else {
        Err(AuthenticationError::WrongResponse)
    }
}

/// The challenge in the first message of the other end.
///
/// # Errors
/// If it is none.
#[doc(alias = "multiprocessing.connection.answer_challenge")]
pub fn read_challenge(message: &[u8]) -> Result<&[u8], AuthenticationError> {
    let challenge = message
        .strip_prefix(CHALLENGE)
        .ok_or_else(|| AuthenticationError::NoChallenge(message.to_vec()))?;
    if challenge.len() < OLD_CHALLENGE {
        return Err(AuthenticationError::ShortChallenge(challenge.len()));
    }
    Ok(challenge)
}
