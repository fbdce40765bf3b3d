//! poll(2), sendmsg(2), recv(2), setsockopt(2), fcntl(2).

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, sockopt,
};
use rustix::pipe::PipeFlags;

use crate::descriptor::Reading;

/// The number as the calls below want it.
fn borrow<'a>(number: RawFd) -> BorrowedFd<'a> {
    assert_ne!(number, -1, "no descriptor has this number");
    // SAFETY: it is not -1, the one value that would be undefined. Whether it is open is for the
    // kernel to say at each call, and whose it is for the caller to know, as with any number: see
    // the documentation of `crate::descriptor`.
    unsafe { BorrowedFd::borrow_raw(number) }
}

pub(crate) fn is_socket(number: RawFd) -> bool {
    sockopt::socket_type(borrow(number)).is_ok()
}

pub(crate) fn read(number: RawFd, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    Ok(rustix::io::read(borrow(number), buffer)?.0.len())
}

/// Whether the kernel has said that it cannot read from or write to something else than a socket
/// without waiting.
static MUST_WAIT: AtomicBool = AtomicBool::new(false);

/// The result of a call with RWF_NOWAIT.
fn now(call: impl FnOnce() -> Result<usize, Errno>) -> io::Result<usize> {
    if MUST_WAIT.load(Ordering::Relaxed) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    match call() {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
            MUST_WAIT.store(true, Ordering::Relaxed);
            Err(io::ErrorKind::WouldBlock.into())
        }
        result => Ok(result?),
    }
}

/// No position: where the descriptor is.
const HERE: u64 = u64::MAX;

pub(crate) fn read_now(number: RawFd, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let into = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // rustix's function is for memory that is initialised, and glibc has one since 2.26 only.
    now(|| {
        // SAFETY: the slice is a buffer of that length, which the kernel may write to. The two
        // halves of the position are -1 each.
        let count = unsafe {
            let (low, high): (libc::c_long, libc::c_long) = (-1, -1);
            let into = &raw const into;
            libc::syscall(libc::SYS_preadv2, number, into, 1_usize, low, high, libc::RWF_NOWAIT)
        };
        usize::try_from(count)
            .map_err(|_| Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
    })
}

pub(crate) fn write_now(number: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    now(|| rustix::io::pwritev2(borrow(number), slices, HERE, ReadWriteFlags::NOWAIT))
}

pub(crate) fn receive(
    number: RawFd,
    buffer: &mut [MaybeUninit<u8>],
    reading: Reading,
) -> io::Result<usize> {
    let flags = match reading {
        Reading::All => RecvFlags::WAITALL,
        Reading::Now => RecvFlags::DONTWAIT,
    };
    Ok(rustix::net::recv(borrow(number), buffer, flags)?.0.0.len())
}

pub(crate) fn write(number: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::io::writev(borrow(number), slices)?)
}

pub(crate) fn send(number: RawFd, slices: &[IoSlice<'_>], wait: bool) -> io::Result<usize> {
    let mut nothing = SendAncillaryBuffer::default();
    let flags = if wait { SendFlags::empty() } else { SendFlags::DONTWAIT };
    let flags = flags | SendFlags::NOSIGNAL;
    Ok(rustix::net::sendmsg(borrow(number), slices, &mut nothing, flags)?)
}

pub(crate) fn inode(number: RawFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(borrow(number))?.st_ino)
}

pub(crate) fn close(number: RawFd) -> io::Result<()> {
    // SAFETY: closing a number has no precondition; whose it is, is for the caller to know.
    match unsafe { libc::close(number) } {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            // Linux has freed the number by then.
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
    }
}

pub(crate) fn hurry(number: RawFd) {
    // What is not TCP says so.
    let _ = sockopt::set_tcp_nodelay(borrow(number), true);
    let _ = sockopt::set_tcp_quickack(borrow(number), true);
}

pub(crate) fn enlarge(number: RawFd, socket: bool, bytes: usize) {
    // What the kernel does not give, or not so much of, costs speed only.
    let descriptor = borrow(number);
    if !socket {
        if rustix::pipe::fcntl_getpipe_size(descriptor).is_ok_and(|size| size < bytes) {
            let _ = rustix::pipe::fcntl_setpipe_size(descriptor, bytes);
        }
    } else if sockopt::socket_domain(descriptor) == Ok(AddressFamily::UNIX)
        // The kernel doubles what is asked for, to allow for its own bookkeeping.
        && sockopt::socket_send_buffer_size(descriptor).is_ok_and(|size| size < 2 * bytes)
    {
        let _ = sockopt::set_socket_send_buffer_size(descriptor, bytes);
    }
}

pub(crate) fn wait_readable(
    numbers: &[RawFd],
    ready: &mut [bool],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    let timeout = timeout.map(super::timespec);
    let new = |&number: &RawFd| PollFd::from_borrowed_fd(borrow(number), PollFlags::IN);
    let wait = |polled: &mut [PollFd<'_>], ready: &mut [bool]| {
        let count = rustix::event::poll(polled, timeout.as_ref())?;
        for (polled, ready) in polled.iter().zip(ready) {
            *ready = !polled.revents().is_empty();
        }
        Ok(count)
    };
    match numbers {
        [only] => wait(&mut [new(only)], ready),
        _ => wait(&mut numbers.iter().map(new).collect::<Vec<_>>(), ready),
    }
}

pub(crate) fn is_writable(number: RawFd) -> io::Result<bool> {
    let mut polled = [PollFd::from_borrowed_fd(borrow(number), PollFlags::OUT)];
    Ok(rustix::event::poll(&mut polled, Some(&super::timespec(Duration::ZERO)))? > 0)
}

pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}
