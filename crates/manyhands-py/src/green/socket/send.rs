//! Sending.

use std::os::fd::RawFd;

use manyhands_green::Direction;
use pyo3::Borrowed;
use pyo3::prelude::*;
use rustix::io::Errno;
use rustix::net::{self, SendFlags};

use super::super::method::{self, function};
use super::super::seconds;
use super::receive::LARGE;
use super::wait::{self, Patience};
use super::{Socket, buffer, errors, turn};

// py: gevent.socket.socket.send
function!(
    Send,
    c"send",
    c"send($self, data, flags=0, timeout=...)\n--\n\nSend as much of the data as there is room for; how much that was. `timeout` is instead of the socket's.",
    ["data", "flags", "timeout"],
    1,
    |this, arguments| {
        let py = this.py();
        let socket = method::this::<Socket>(this);
        let flags = arguments.get(1).map_or(Ok(0), |it| it.extract::<i32>())?;
        let mut flags = flags;
        let mut patience = Patience::Fresh;
        if let Some(limit) = arguments.get(2).filter(|it| !is_default(it)) {
            let limit = limit.extract::<Option<f64>>()?;
            if limit == Some(0.0) {
                flags |= libc::MSG_DONTWAIT;
            }
            patience = Patience::Until(limit.map_or(Ok(None), seconds::after)?);
        }
        turn::begin(py)?;
        loop {
            match attempt(socket, arguments.get(0), 0, flags)? {
                Ok((count, _)) => return Ok(count.into_pyobject(py)?.into_any()),
                Err(errno) => wait::after(socket, errno, Direction::Write, flags, &mut patience)?,
            }
        }
    }
);

/// Whether it is what stands for the socket's own timeout.
fn is_default(timeout: &Bound<'_, PyAny>) -> bool {
    !timeout.is_none() && timeout.extract::<f64>().is_err()
}

// py: gevent.socket.socket.sendall
function!(
    SendAll,
    c"sendall",
    c"sendall($self, data, flags=0)\n--\n\nSend all of the data. After an error nobody knows how much has gone.",
    ["data", "flags"],
    1,
    |this, arguments| {
        let py = this.py();
        let socket = method::this::<Socket>(this);
        let flags = arguments.get(1).map_or(Ok(0), |it| it.extract::<i32>())?;
        let mut patience = Patience::Fresh;
        if let Some(limit) = socket.get().timeout().filter(|limit| *limit > 0.0) {
            patience = Patience::Until(seconds::after(limit)?);
        }
        let mut sent = 0;
        turn::begin(py)?;
        loop {
            match attempt(socket, arguments.get(0), sent, flags)? {
                Ok((count, left)) => {
                    if count == left {
                        return Ok(py.None().into_bound(py));
                    }
                    sent += count;
                    if patience.is_over() {
                        return Err(errors::timed_out());
                    }
                    turn::begin(py)?;
                }
                Err(errno) => wait::after(socket, errno, Direction::Write, flags, &mut patience)?,
            }
        }
    }
);

/// How many bytes were sent, and how many there were.
fn attempt(
    socket: Borrowed<'_, '_, Socket>,
    data: Option<Borrowed<'_, '_, PyAny>>,
    from: usize,
    flags: i32,
) -> PyResult<Result<(usize, usize), Errno>> {
    let fd = socket.get().fd();
    let Some(data) = data else { return Ok(Ok((0, 0))) };
    buffer::reading(&data, |memory| {
        let memory = memory.get(from..).unwrap_or_default();
        if memory.is_empty() && from > 0 {
            return Ok((0, 0));
        }
        send(socket.py(), fd, memory, flags).map(|count| (count, memory.len()))
    })
}

fn send(py: Python<'_>, fd: RawFd, memory: &[u8], flags: i32) -> Result<usize, Errno> {
    let fd = buffer::borrowed(fd)?;
    let flags = SendFlags::from_bits_retain(flags as u32);
    let send = || net::send(fd, memory, flags);
    if memory.len() >= LARGE { py.detach(send) } else { send() }
}
