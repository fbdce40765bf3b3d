//! Receiving.

use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use manyhands_green::Direction;
use pyo3::Borrowed;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::io::Errno;
use rustix::net::{self, RecvFlags};

use super::super::method::{self, function};
use super::super::park::Thrown;
use super::wait::{self, Patience};
use super::{Socket, buffer, turn};

/// Up to this size what comes is copied into bytes of its own size.
const SMALL: usize = 16 * 1024;

/// From this size on other threads may run meanwhile.
pub(super) const LARGE: usize = 128 * 1024;

// py: gevent.socket.socket.recv
function!(
    Recv,
    c"recv",
    c"recv($self, bufsize, flags=0)\n--\n\nReceive up to so many bytes; none at the end.",
    ["bufsize", "flags"],
    1,
    |this, arguments| Ok(recv(this, arguments)?.into_any())
);

/// With errors in a box, see [`Thrown`].
#[inline(always)]
fn recv<'py>(
    this: Borrowed<'_, 'py, PyAny>,
    arguments: &method::Arguments<'_, 'py>,
) -> Result<Bound<'py, PyBytes>, Box<Thrown>> {
    let py = this.py();
    let socket = method::this::<Socket>(this);
    let (size, flags) = size_and_flags(arguments)?;
    turn::begin(py)?;
    let mut patience = Patience::Fresh;
    loop {
        match receive(py, socket.get().fd(), size, flags)? {
            Ok(bytes) => return Ok(bytes),
            Err(errno) => wait::after(socket, errno, Direction::Read, flags, &mut patience)?,
        }
    }
}

/// What `recv` was given. Not inlined, as its errors take room in the stack of who waits.
#[inline(never)]
fn size_and_flags(arguments: &method::Arguments<'_, '_>) -> Result<(usize, i32), Box<Thrown>> {
    let size = arguments.get(0).map_or(Ok(0), |it| it.extract::<isize>()).map_err(Thrown::new)?;
    let size = usize::try_from(size)
        .map_err(|_| Thrown::new(PyValueError::new_err("negative buffersize in recv")))?;
    let flags = arguments.get(1).map_or(Ok(0), |it| it.extract::<i32>()).map_err(Thrown::new)?;
    Ok((size, flags))
}

// py: gevent.socket.socket.recv_into
function!(
    RecvInto,
    c"recv_into",
    c"recv_into($self, buffer, nbytes=0, flags=0)\n--\n\nReceive up to so many bytes into the buffer; 0: as many as it has. How many have come; 0 at the end.",
    ["buffer", "nbytes", "flags"],
    1,
    |this, arguments| {
        let py = this.py();
        let socket = method::this::<Socket>(this);
        let size = arguments.some(1).map_or(Ok(0), |it| it.extract::<isize>())?;
        let size = usize::try_from(size)
            .map_err(|_| PyValueError::new_err("negative buffersize in recv_into"))?;
        let flags = arguments.get(2).map_or(Ok(0), |it| it.extract::<i32>())?;
        turn::begin(py)?;
        let mut patience = Patience::Fresh;
        loop {
            let Some(target) = arguments.get(0) else { return Ok(py.None().into_bound(py)) };
            let fd = socket.get().fd();
            let received = buffer::writing(&target, |memory| {
                let most = memory.len();
                let memory = match size {
                    0 => memory,
                    size => memory.get_mut(..size).ok_or(most)?,
                };
                Ok(receive_into(py, fd, memory, flags))
            })?;
            let received = received.map_err(|_: usize| {
                PyValueError::new_err("buffer too small for requested bytes")
            })?;
            match received {
                Ok(count) => return Ok(count.into_pyobject(py)?.into_any()),
                Err(errno) => wait::after(socket, errno, Direction::Read, flags, &mut patience)?,
            }
        }
    }
);

#[inline(never)]
fn receive<'py>(
    py: Python<'py>,
    fd: RawFd,
    size: usize,
    flags: i32,
) -> Result<Result<Bound<'py, PyBytes>, Errno>, Box<Thrown>> {
    if size <= SMALL {
        return Ok(receive_small(py, fd, size, flags));
    }
    buffer::filled(py, size, |memory| receive_into(py, fd, memory, flags)).map_err(Thrown::new)
}

/// Not inlined: its memory would be part of the stack of every greenlet that waits.
#[inline(never)]
fn receive_small<'py>(
    py: Python<'py>,
    fd: RawFd,
    size: usize,
    flags: i32,
) -> Result<Bound<'py, PyBytes>, Errno> {
    let mut memory = [MaybeUninit::<u8>::uninit(); SMALL];
    let memory = memory.get_mut(..size).unwrap_or_default();
    let fd = buffer::borrowed(fd)?;
    let ((received, _), _) = net::recv(fd, memory, RecvFlags::from_bits_retain(flags as u32))?;
    Ok(PyBytes::new(py, received))
}

fn receive_into(
    py: Python<'_>,
    fd: RawFd,
    memory: &mut [MaybeUninit<u8>],
    flags: i32,
) -> Result<usize, Errno> {
    let fd = buffer::borrowed(fd)?;
    let flags = RecvFlags::from_bits_retain(flags as u32);
    let large = memory.len() >= LARGE;
    let receive = || net::recv(fd, memory, flags).map(|((received, _), _)| received.len());
    if large { py.detach(receive) } else { receive() }
}
