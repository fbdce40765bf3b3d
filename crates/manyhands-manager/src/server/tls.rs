//! TLS between a connection's socket and its messages.

use std::collections::VecDeque;
use std::io::{self, BufRead, ErrorKind, IoSlice, Write};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use manyhands_sys::descriptor::Descriptor;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection};

use super::wire::{self, Read};

/// How much is read from the socket at once: a record, about.
const STEP: usize = 17 * 1024;

/// What shows clients that a server is the one that they mean: its certificate, and the key to it.
#[derive(Clone, Debug)]
pub struct Identity(Arc<ServerConfig>);

/// Why a server cannot show who it is.
#[derive(Debug, thiserror::Error)]
pub enum BadIdentity {
    /// There is no certificate in what should have one.
    #[error("there is no certificate in PEM")]
    NoCertificate,
    /// It cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(pem::Error),
    /// There is no private key in what should have one, or it cannot be read.
    #[error("there is no private key in PEM that can be read (one with a password cannot): {0}")]
    Key(pem::Error),
    /// They are not what TLS can use, or do not belong together.
    #[error("the certificate and the key are of no use: {0}")]
    Useless(#[from] rustls::Error),
}

impl Identity {
    /// The identity that these are in PEM: the server's certificate with those that lead from it to one that clients trust,
    /// and its private key.
    ///
    /// # Errors
    /// If one of them cannot be read, or they do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Identity, BadIdentity> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(BadIdentity::Certificate)?;
        if certificates.is_empty() {
            return Err(BadIdentity::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(BadIdentity::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        // Connections are kept; nothing is won by making the next one cheaper.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Identity(Arc::new(config)))
    }

    /// The server's end of a new connection.
    pub(super) fn begin(&self) -> Result<Box<Tls>, rustls::Error> {
        let connection = ServerConnection::new(Arc::clone(&self.0))?;
        Ok(Box::new(Tls { connection, sealed: BytesMut::new() }))
    }
}

/// One end of a connection by TLS.
#[derive(Debug)]
pub(super) struct Tls {
    connection: ServerConnection,
    /// What was read from the socket and not yet opened.
    sealed: BytesMut,
}

impl Tls {
    /// Whether messages can go out: the client's half of the handshake is there.
    pub(super) fn is_open(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Whether all that was encrypted is with the kernel.
    pub(super) fn is_flushed(&self) -> bool {
        !self.connection.wants_write()
    }

    /// Reads what is there, up to about a record, and adds what that says to `incoming`.
    ///
    /// # Errors
    /// Those of recv(2), and that it is no TLS.
    pub(super) fn read(
        &mut self,
        descriptor: Descriptor,
        incoming: &mut BytesMut,
    ) -> io::Result<Read> {
        let result = wire::fill(descriptor, &mut self.sealed, STEP)?;
        while !self.sealed.is_empty() {
            let mut rest: &[u8] = &self.sealed;
            let count = self.connection.read_tls(&mut rest)?;
            self.sealed.advance(count);
            let state = self
                .connection
                .process_new_packets()
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            let mut left = state.plaintext_bytes_to_read();
            incoming.reserve(left);
            let mut reader = self.connection.reader();
            while left > 0 {
                let opened = reader.fill_buf()?;
                let length = opened.len();
                incoming.extend_from_slice(opened);
                reader.consume(length);
                // None are promised that do not come, and nobody shall turn in circles for one.
                left = if length == 0 { 0 } else { left.saturating_sub(length) };
            }
            if state.peer_has_closed() || count == 0 {
                return Ok(Read::End);
            }
        }
        Ok(result)
    }

    /// Encrypts and sends as much of `outgoing` as there is room for.
    ///
    /// # Errors
    /// Those of sendmsg(2).
    pub(super) fn send(
        &mut self,
        descriptor: Descriptor,
        outgoing: &mut VecDeque<Bytes>,
    ) -> io::Result<()> {
        self.flush(descriptor)?;
        while self.is_open() && self.is_flushed() && !outgoing.is_empty() {
            // The connection takes only so much at a time, which bounds what it keeps.
            while let Some(first) = outgoing.front_mut() {
                let count = self.connection.writer().write(first)?;
                first.advance(count);
                if !first.is_empty() {
                    break;
                }
                outgoing.pop_front();
            }
            self.flush(descriptor)?;
        }
        Ok(())
    }

    /// Goes on with what was encrypted before.
    ///
    /// # Errors
    /// Those of sendmsg(2).
    pub(super) fn flush(&mut self, descriptor: Descriptor) -> io::Result<()> {
        let mut socket = Socket { descriptor, is_full: false };
        while self.connection.wants_write() && !socket.is_full {
            self.connection.write_tls(&mut socket)?;
        }
        Ok(())
    }
}

/// Where encrypted bytes go to.
struct Socket {
    descriptor: Descriptor,
    /// There is no room for more.
    is_full: bool,
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = wire::write(self.descriptor, slices)?;
        self.is_full = count < slices.iter().map(|slice| slice.len()).sum();
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
