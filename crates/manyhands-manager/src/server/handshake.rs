//! Both ends prove that they know the key, before anything else is read.

use bytes::Bytes;
use manyhands_wire::authentication::{
    self as auth, AuthenticationError, CHALLENGE, Digest, FAILURE, WELCOME,
};

/// How far the handshake of a connection is.
#[derive(Debug)]
pub(super) enum Handshake {
    /// Our challenge was sent.
    Challenged(Vec<u8>),
    /// The client has proved itself; its challenge comes.
    Welcomed,
    /// Its challenge is answered; its welcome comes.
    Answered,
}

/// What a message of the handshake leads to.
#[derive(Debug)]
pub(super) enum Step {
    /// Send that; go on.
    Send(Vec<u8>, Handshake),
    /// Send that, and then hang up.
    Refuse(Vec<u8>),
    /// Hang up: there is nothing to be said.
    HangUp,
    /// Each knows the other.
    Done,
}

impl Handshake {
    /// Begins: the message to send, and what to expect.
    pub(super) fn begin() -> Result<(Vec<u8>, Handshake), AuthenticationError> {
        let challenge = auth::challenge(Digest::Sha256)?;
        Ok(([CHALLENGE, &challenge].concat(), Handshake::Challenged(challenge)))
    }

    pub(super) fn step(self, key: &[u8], message: &Bytes) -> Step {
        match self {
            Handshake::Challenged(challenge) => {
                match auth::verify_response(key, &challenge, message) {
                    Ok(()) => Step::Send(WELCOME.to_vec(), Handshake::Welcomed),
                    Err(_) => Step::Refuse(FAILURE.to_vec()),
                }
            }
            Handshake::Welcomed => {
                match auth::read_challenge(message)
                    .and_then(|challenge| auth::create_response(key, challenge))
                {
                    Ok(response) => Step::Send(response, Handshake::Answered),
                    Err(_) => Step::HangUp,
                }
            }
            Handshake::Answered if message == WELCOME => Step::Done,
            Handshake::Answered => Step::HangUp,
        }
    }
}
