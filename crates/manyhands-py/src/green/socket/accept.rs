//! Accepting connections.

use std::os::fd::{IntoRawFd, RawFd};

use manyhands_green::Direction;
use pyo3::prelude::*;
use rustix::io::Errno;
use rustix::net::{self, SocketAddrV4, SocketFlags};

use super::super::method::{self, function};
use super::wait::{self, Patience};
use super::{Socket, buffer, turn};

// For sockets of the family AF_INET, whose addresses have an easy form.
function!(
    Accept,
    c"_accept_inet",
    c"_accept_inet($self)\n--\n\nWait for a connection. Its descriptor, which does not block, and the address of its other end.",
    [],
    0,
    |this, _arguments| {
        let py = this.py();
        let socket = method::this::<Socket>(this);
        turn::begin(py)?;
        let mut patience = Patience::Fresh;
        loop {
            match accept(socket.get().fd()) {
                Ok((fd, address)) => {
                    let address = (address.ip().to_string(), address.port());
                    return Ok((fd, address).into_pyobject(py)?.into_any());
                }
                Err(errno) => wait::after(socket, errno, Direction::Read, 0, &mut patience)?,
            }
        }
    }
);

fn accept(fd: RawFd) -> Result<(RawFd, SocketAddrV4), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (accepted, address) = net::acceptfrom_with(buffer::borrowed(fd)?, flags)?;
    let address = address.ok_or(Errno::CONNABORTED)?;
    Ok((accepted.into_raw_fd(), SocketAddrV4::try_from(address)?))
}
