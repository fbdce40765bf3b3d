//! A channel as a stream of bytes, for two threads that are not Python's.

use std::io::{self, Read, Write};

use manyhands_ssh::{Error, Output, Stop};
use manyhands_sync::{Limit, Patient};
use pyo3::prelude::*;

use crate::ssh::Channel;

/// What comes on it.
pub(super) struct Reader(pub(super) Py<Channel>);

/// Where what is sent goes. The channel is closed with this.
pub(super) struct Writer(pub(super) Py<Channel>);

fn failed<E>(stop: Stop<E>) -> io::Error {
    let error: Error = match stop {
        Stop::Failed(error) => error,
        // The gate that is used never gives up.
        Stop::Interrupted(_) => return io::ErrorKind::Interrupted.into(),
    };
    io::Error::other(error.to_string())
}

impl Read for Reader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let channel = &self.0.get().0;
        channel.recv(Output::Standard, room, &Patient, Limit::Forever).map_err(failed)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get().0.send(bytes, &Patient, Limit::Forever).map_err(failed)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.get().0.close();
    }
}
