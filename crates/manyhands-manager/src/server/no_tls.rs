//! In the place of TLS, where this crate is built without it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;

use bytes::{Bytes, BytesMut};
use manyhands_sys::descriptor::Descriptor;

use super::wire::Read;

/// What shows clients that a server is the one that they mean. There is none without TLS.
#[derive(Clone, Debug)]
pub struct Identity(Infallible);

/// Why a server cannot show who it is.
#[derive(Debug, thiserror::Error)]
pub enum BadIdentity {
    /// The feature `tls` of this crate is off.
    #[error("manyhands-manager was built without TLS: its feature `tls` is off")]
    NoTls,
}

impl Identity {
    /// The identity that these are in PEM.
    ///
    /// # Errors
    /// Always: there is no TLS here.
    pub fn from_pem(_certificates: &[u8], _key: &[u8]) -> Result<Identity, BadIdentity> {
        Err(BadIdentity::NoTls)
    }

    pub(super) fn begin(&self) -> Result<Box<Tls>, Infallible> {
        match self.0 {}
    }
}

/// One end of a connection by TLS, of which there is none.
#[derive(Debug)]
pub(super) struct Tls(Infallible);

impl Tls {
    pub(super) fn is_open(&self) -> bool {
        match self.0 {}
    }

    pub(super) fn is_flushed(&self) -> bool {
        match self.0 {}
    }

    pub(super) fn read(&mut self, _: Descriptor, _: &mut BytesMut) -> io::Result<Read> {
        match self.0 {}
    }

    pub(super) fn send(&mut self, _: Descriptor, _: &mut VecDeque<Bytes>) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn flush(&mut self, _: Descriptor) -> io::Result<()> {
        match self.0 {}
    }
}
