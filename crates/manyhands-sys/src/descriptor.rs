//! File descriptors by their numbers: read, write, wait until there is something to read.
//!
//! Programs of other languages know a descriptor by its number alone, share one between threads,
//! hand it to children, close it while somebody else reads from it. A [`Descriptor`] is just that
//! number; the kernel answers `EBADF` to one that is not open. Who has an owner of it
//! ([`OwnedFd`]) should keep that, and make a `Descriptor` of it for each call.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::os;

/// The number of a file descriptor that is somebody else's to close, and whether it is a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    number: RawFd,
    is_socket: bool,
}

/// How long a read waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Until the buffer is full, where the descriptor is a socket: fewer calls for large messages.
    /// Fewer bytes come from what is no socket, at the end, and after a signal.
    All,
    /// Not at all: what is not there is `EAGAIN`. So is everything where the kernel cannot do that,
    /// which Linux can for sockets, and from 6.4 on for pipes.
    Now,
}

/// Memory to be filled by reading, perhaps not initialised yet; bytes are only ever added.
#[derive(Debug)]
pub struct Room<'a> {
    rest: &'a mut [MaybeUninit<u8>],
}

impl Room<'_> {
    /// How many bytes are left to be filled.
    #[inline]
    pub fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> From<&'a mut [MaybeUninit<u8>]> for Room<'a> {
    fn from(memory: &'a mut [MaybeUninit<u8>]) -> Room<'a> {
        Room { rest: memory }
    }
}

impl<'a> From<&'a mut [u8]> for Room<'a> {
    fn from(memory: &'a mut [u8]) -> Room<'a> {
        let (start, length) = (memory.as_mut_ptr().cast(), memory.len());
        // SAFETY: it is the same memory, borrowed for as long; that it stays initialised is sure
        // because a room lets nothing out, and only the kernel writes to it.
        Room { rest: unsafe { std::slice::from_raw_parts_mut(start, length) } }
    }
}

impl Descriptor {
    /// The descriptor of that number; None if it is negative, which none is.
    pub fn from_number(number: RawFd) -> Option<Descriptor> {
        let is_socket = number >= 0 && os::is_socket(number);
        (number >= 0).then_some(Descriptor { number, is_socket })
    }

    /// The descriptor of that number, where it is known whether it is a socket.
    #[inline]
    pub fn known(number: RawFd, is_socket: bool) -> Option<Descriptor> {
        (number >= 0).then_some(Descriptor { number, is_socket })
    }

    /// The descriptor that somebody owns.
    ///
    /// ```
    /// use manyhands_sys::descriptor::Descriptor;
    ///
    /// let (reader, _writer) = std::io::pipe()?;
    /// assert!(!Descriptor::of(&reader).is_socket());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn of(owner: &impl AsFd) -> Descriptor {
        let number = owner.as_fd().as_raw_fd();
        Descriptor { number, is_socket: os::is_socket(number) }
    }

    /// Its number.
    #[inline]
    pub fn number(self) -> RawFd {
        self.number
    }

    /// Whether it is a socket.
    #[inline]
    pub fn is_socket(self) -> bool {
        self.is_socket
    }

    /// Reads into what is left of the room; 0 at the end.
    ///
    /// # Errors
    /// Those of read(2) and recv(2): `EINTR` after a signal; `EAGAIN` if there is nothing and no
    /// waiting.
    #[inline]
    pub fn read(self, room: &mut Room<'_>, reading: Reading) -> io::Result<usize> {
        let count = if self.is_socket {
            os::receive(self.number, room.rest, reading)?
        } else if reading == Reading::Now {
            os::read_now(self.number, room.rest)?
        } else {
            os::read(self.number, room.rest)?
        };
        // The kernel has filled so much of it.
        let rest = std::mem::take(&mut room.rest);
        room.rest = rest.get_mut(count..).unwrap_or_default();
        Ok(count)
    }

    /// Writes the slices one after the other, waiting for room; returns how many bytes it could,
    /// which is less than all only after a signal, or if there is no waiting for this descriptor.
    ///
    /// # Errors
    /// Those of write(2) and sendmsg(2), among them `EINTR`; never a SIGPIPE from a socket.
    #[inline]
    pub fn write(self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_socket {
            os::send(self.number, slices, true)
        } else {
            os::write(self.number, slices)
        }
    }

    /// Writes as much of the slices as there is room for.
    ///
    /// # Errors
    /// As [`write`](Self::write); `EAGAIN` as for [`Reading::Now`].
    #[inline]
    pub fn write_now(self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_socket {
            os::send(self.number, slices, false)
        } else {
            os::write_now(self.number, slices)
        }
    }

    /// Closes it. The number is free afterwards, also if there was an error.
    ///
    /// # Errors
    /// Those of close(2).
    pub fn close(self) -> io::Result<()> {
        os::close(self.number)
    }

    /// Has a TCP socket send small messages at once, and acknowledge at once what comes in the
    /// near future. Does nothing to what is no TCP socket.
    pub fn hurry(self) {
        os::hurry(self.number);
    }

    /// Asks the kernel to hold up to so many bytes that were written here and not read yet, if it
    /// is a pipe or a local socket, and takes what it gives. Never makes that less.
    ///
    /// Buffers of TCP sockets are left alone: the kernel finds out by itself what these need.
    pub fn enlarge(self, bytes: usize) {
        os::enlarge(self.number, self.is_socket, bytes);
    }
}

/// Waits until one of the descriptors of these numbers has something to read, is at its end or is broken, or for
/// `timeout`; returns for each whether it is so, and how many there are.
///
/// # Errors
/// `EINTR` after a signal; `EINVAL` if there are more than the process may have open.
///
/// ```
/// use std::time::Duration;
/// use std::os::fd::AsRawFd;
/// use manyhands_sys::descriptor::wait_readable;
///
/// let (reader, writer) = std::io::pipe()?;
/// let mut ready = [false];
/// let numbers = [reader.as_raw_fd()];
/// assert_eq!(wait_readable(&numbers, &mut ready, Some(Duration::ZERO))?, 0);
/// drop(writer);
/// assert_eq!(wait_readable(&numbers, &mut ready, None)?, 1);
/// assert!(ready[0]);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// If `ready` is not as long as `numbers`, or one of these is -1.
pub fn wait_readable(
    numbers: &[RawFd],
    ready: &mut [bool],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    assert_eq!(numbers.len(), ready.len());
    os::wait_readable(numbers, ready, timeout)
}

/// Whether something can be written now, or the descriptor is broken.
///
/// # Errors
/// `EINTR` after a signal.
///
/// ```
/// use manyhands_sys::descriptor::{Descriptor, is_writable};
///
/// let (_reader, writer) = std::io::pipe()?;
/// assert!(is_writable(Descriptor::of(&writer))?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn is_writable(descriptor: Descriptor) -> io::Result<bool> {
    os::is_writable(descriptor.number)
}

/// A pair of connected sockets, closed in programs that this process executes.
///
/// # Errors
/// Those of socketpair(2).
pub fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    os::socket_pair()
}

/// A pipe, reading end first, closed in programs that this process executes.
///
/// # Errors
/// Those of pipe2(2).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    os::pipe()
}
