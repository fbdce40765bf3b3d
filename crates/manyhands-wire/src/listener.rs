//! Those who wait for connections, and those who make them.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::PathBuf;

use manyhands_sys::fork;

use crate::connection::Connection;
use crate::errors::ConnectError;

/// Where a [`Listener`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP. Port 0 is any free port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Path(PathBuf),
    /// A socket with a name that is in no file system (Linux).
    Abstract(Vec<u8>),
}

impl Address {
    /// A free TCP port that only this machine reaches.
    pub fn localhost() -> Address {
        Address::Tcp((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// The address of that name: abstract if it begins with a zero byte, as in Python.
    pub fn unix(name: &[u8]) -> Address {
        match name.strip_prefix(b"\0") {
            Some(name) => Address::Abstract(name.to_vec()),
            None => Address::Path(OsStr::from_bytes(name).into()),
        }
    }

    fn to_unix(&self) -> io::Result<UnixAddress> {
        match self {
            Address::Path(path) => UnixAddress::from_pathname(path),
            Address::Abstract(name) => UnixAddress::from_abstract_name(name),
            Address::Tcp(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Waits for connections at an address. A socket in the file system is removed with it.
///
/// # Fork safety
/// A forked child may accept connections, too; dropping its copy leaves the socket there.
#[derive(Debug)]
#[doc(alias = "multiprocessing.connection.Listener")]
pub struct Listener {
    socket: Socket,
    address: Address,
    key: Option<Vec<u8>>,
    /// The [`fork::epoch`] of the process to which the socket in the file system belongs.
    epoch: u32,
}

impl Listener {
    /// Begins to listen. With a key, only who knows it gets a connection, and gets to know that
    /// we know it.
    ///
    /// # Errors
    /// Those of bind(2) and listen(2).
    pub fn bind(address: &Address, key: Option<&[u8]>) -> io::Result<Listener> {
        let (socket, address) = match address {
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                let address = listener.local_addr()?;
                (Socket::Tcp(listener), Address::Tcp(address))
            }
            other => (Socket::Unix(UnixListener::bind_addr(&other.to_unix()?)?), other.clone()),
        };
        Ok(Listener { socket, address, key: key.map(<[u8]>::to_vec), epoch: fork::epoch() })
    }

    /// Where it listens; the port is the real one.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// If who connects does not know the key, goes away or speaks something else; the listener is
    /// as good as before.
    #[doc(alias = "multiprocessing.connection.Listener.accept")]
    pub fn accept(&self) -> Result<Connection, ConnectError> {
        let descriptor: OwnedFd = match &self.socket {
            Socket::Tcp(listener) => listener.accept()?.0.into(),
            Socket::Unix(listener) => listener.accept()?.0.into(),
        };
        let connection = Connection::from(descriptor);
        connection.descriptor().hurry();
        if let Some(key) = &self.key {
            connection.challenge(key)?;
            connection.answer(key)?;
            // What the client's system holds back until its welcome is acknowledged comes at once.
            connection.descriptor().hurry();
        }
        Ok(connection)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener) => listener.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Path(path) = &self.address
            && self.epoch == fork::epoch()
        {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Connects to a [`Listener`], with the key that it wants, if it wants one.
///
/// # Errors
/// Those of connect(2); if the listener does not know the key or speaks something else.
#[doc(alias = "multiprocessing.connection.Client")]
pub fn connect(address: &Address, key: Option<&[u8]>) -> Result<Connection, ConnectError> {
    let descriptor: OwnedFd = match address {
        Address::Tcp(address) => TcpStream::connect(address)?.into(),
        other => UnixStream::connect_addr(&other.to_unix()?)?.into(),
    };
    let connection = Connection::from(descriptor);
    connection.descriptor().hurry();
    if let Some(key) = key {
        connection.answer(key)?;
        connection.challenge(key)?;
    }
    Ok(connection)
}
