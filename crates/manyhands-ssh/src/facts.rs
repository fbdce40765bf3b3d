//! What is known about the other side.

/// The key by which a server has proved who it is. Whether that is the expected one is for the caller to decide,
/// before authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// The name of its type, say `ssh-ed25519`.
    pub algorithm: String,
    /// The key, or a certificate with it, as the protocol encodes it.
    pub blob: Vec<u8>,
}

/// What the two sides have agreed on, by the names of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Key exchange.
    pub kex: String,
    /// The algorithm of the server's signature.
    pub host_key: String,
    /// Encryption.
    pub cipher: String,
    /// Message authentication, if the cipher has none of its own.
    pub mac: String,
    /// Whether both sides are strict about the order of packets in the key exchange.
    pub strict: bool,
}
