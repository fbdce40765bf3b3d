//! Descriptors that are on their way to a child.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use manyhands_sys::fork::{ForkMutex, Protected};
use manyhands_sys::process::close;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// The ends of sockets that are a child's, as long as this process has them too.
///
/// A child that another thread forks meanwhile would have them as well, and nobody would ever learn from
/// the socket that its owner has gone. So who forks holds the lock, and the forked child closes them.
struct Transit(Vec<RawFd>);

static TRANSIT: ForkMutex<Transit> = ForkMutex::new(Transit(Vec::new()));

impl Protected for Transit {
    fn mutex() -> &'static ForkMutex<Transit> {
        &TRANSIT
    }

    fn in_child(&mut self) {
        // The thread that would is not there. The memory stays as it is.
        self.0.drain(..).for_each(|number| _ = close(number));
    }
}

/// The end of a socket that will be a child's; closed here when this is dropped.
#[derive(Debug)]
pub(crate) struct Theirs(ManuallyDrop<OwnedFd>);

impl Theirs {
    fn keep(transit: &mut Transit, descriptor: OwnedFd) -> Theirs {
        transit.0.push(descriptor.as_raw_fd());
        Theirs(ManuallyDrop::new(descriptor))
    }

    /// The same by another number, of at least that.
    pub(crate) fn duplicate(&self, least: RawFd) -> Result<Theirs, Errno> {
        let mut transit = TRANSIT.lock();
        let copy = fcntl_dupfd_cloexec(self, least)?;
        Ok(Theirs::keep(&mut transit, copy))
    }
}

impl AsFd for Theirs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Theirs {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let mut transit = TRANSIT.lock();
        // In a child that was forked in between, it is closed already.
        if let Some(index) = transit.0.iter().position(|&number| number == self.as_raw_fd()) {
            close(transit.0.swap_remove(index));
        }
    }
}

/// A socket of datagrams: this process's end, and that of a child.
pub(crate) fn pair() -> Result<(OwnedFd, Theirs), Errno> {
    let mut transit = TRANSIT.lock();
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((ours, Theirs::keep(&mut transit, theirs)))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use manyhands_sys::process;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::net::{RecvFlags, recv};

    use super::*;

    #[test]
    fn a_child_that_is_forked_meanwhile_has_no_end_of_it() {
        let (ours, theirs) = pair().unwrap();
        let copy = theirs.duplicate(50).unwrap();
        assert!(copy.as_raw_fd() >= 50);
        let Some(child) = process::fork().unwrap() else {
            // Until its parent ends it.
            loop {
                std::thread::park();
            }
        };
        let child = process::open(child).unwrap();
        drop((theirs, copy));
        // There would be nothing to hear as long as the child lives, had that the other end.
        let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
        poll(&mut [PollFd::new(&ours, PollFlags::IN)], Some(&patience)).unwrap();
        let heard = recv(&ours, &mut [0; 8][..], RecvFlags::DONTWAIT);
        process::send_signal(child.as_fd(), process::KILL).unwrap();
        assert_eq!(heard.map(|(len, _)| len), Ok(0));
    }
}
