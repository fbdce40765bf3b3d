//! One connection's bytes: messages come in whole, and go out as far as there is room.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use manyhands_sys::descriptor::{Descriptor, Reading, Room};
use manyhands_wire::{Header, Prefix};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags};

use super::tls::Tls;

/// How much is read at once while nothing is known of a message.
const STEP: usize = 16 * 1024;

/// A message up to this long gets its memory at once; a longer one as it comes, no more than twice what has come.
const AT_ONCE: usize = 64 << 20;

/// A message longer than this gets more room in the kernel.
const LARGE: usize = 32 * 1024;

/// So much.
const ROOM: usize = 256 * 1024;

/// How many parts the kernel is given at once.
const MOST_PARTS: usize = 64;

/// What a read came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// There may be more.
    More,
    /// That was all that was there.
    Short,
    /// There was nothing.
    Nothing,
    /// The other end is closed.
    End,
}

/// A connected socket, read and written without waiting.
#[derive(Debug)]
pub(super) struct Wire {
    owner: OwnedFd,
    descriptor: Descriptor,
    incoming: BytesMut,
    outgoing: VecDeque<Bytes>,
    /// Whether the kernel was asked to hold more.
    is_roomy: bool,
    /// Whether the other end is a socket of this machine's own kind.
    is_local: bool,
    /// How many bytes of what is in `incoming` the kernel still has.
    looked_at: usize,
    /// What stands between the socket and the messages, if anything does.
    tls: Option<Box<Tls>>,
}

/// Has the kernel ask the other machine whether it is there when nothing comes from it.
fn listen_for_silence(socket: &OwnedFd, silence: Duration) -> rustix::io::Result<()> {
    use rustix::net::sockopt;
    let second = Duration::from_secs(1);
    // Half of the time goes by before the first question, and there are four.
    sockopt::set_tcp_keepidle(socket, (silence / 2).max(second))?;
    sockopt::set_tcp_keepintvl(socket, (silence / 8).max(second))?;
    sockopt::set_tcp_keepcnt(socket, 4)?;
    // As long for what was sent and is not acknowledged.
    let milliseconds = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(socket, milliseconds)?;
    sockopt::set_socket_keepalive(socket, true)
}

impl Wire {
    /// A machine that is not heard of for as long as `silence` is taken for gone.
    pub(super) fn new(owner: OwnedFd, silence: Duration, tls: Option<Box<Tls>>) -> Wire {
        let descriptor = Descriptor::of(&owner);
        descriptor.hurry();
        // A socket of this machine needs none of that, and knows none of it.
        let _ = listen_for_silence(&owner, silence);
        let domain = rustix::net::sockopt::socket_domain(&owner);
        Wire {
            is_local: domain.is_ok_and(|domain| domain == AddressFamily::UNIX),
            looked_at: 0,
            owner,
            descriptor,
            incoming: BytesMut::new(),
            outgoing: VecDeque::new(),
            is_roomy: false,
            tls,
        }
    }

    pub(super) fn number(&self) -> RawFd {
        self.owner.as_raw_fd()
    }

    pub(super) fn owner(&self) -> &OwnedFd {
        &self.owner
    }

    /// Small messages go out at once, also those that the kernel would hold back.
    pub(super) fn hurry(&self) {
        self.descriptor.hurry();
    }

    /// Whether the kernel tells of room for more each time when the other end has read something, whoever asked for it.
    pub(super) fn is_chatty(&self) -> bool {
        self.is_local && self.tls.is_none()
    }

    /// As [`read`](Self::read), where the other end is probably asleep and waits for an answer.
    ///
    /// The kernel wakes who sleeps in recv(2) on a Unix socket also when the other end has taken a message of his out, as
    /// there is room for another one then, of which he wants nothing. So the message is only looked at, and taken out by
    /// [`settle`](Self::settle) when he has his answer and is awake.
    ///
    /// # Errors
    /// Those of recv(2).
    pub(super) fn look(&mut self) -> io::Result<Read> {
        if !self.is_chatty() || !self.incoming.is_empty() || self.looked_at > 0 {
            return self.read();
        }
        let owner = &self.owner;
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let result = fill_by(&mut self.incoming, STEP, |room| {
            Ok(rustix::net::recv(owner, room, flags)?.0.0.len())
        })?;
        self.looked_at = self.incoming.len();
        if self.missing() != Some(0) {
            self.settle()?;
        }
        Ok(result)
    }

    /// Takes out of the kernel what was only looked at.
    ///
    /// # Errors
    /// Those of recv(2).
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let mut scratch = [MaybeUninit::uninit(); 512];
        while self.looked_at > 0 {
            let most = self.looked_at.min(scratch.len());
            let (into, _) = scratch.split_at_mut(most);
            match rustix::net::recv(&self.owner, into, RecvFlags::DONTWAIT) {
                Ok(((taken, _), _)) if !taken.is_empty() => self.looked_at -= taken.len(),
                Err(Errno::INTR) => {}
                // Somebody else has read it, who has no business to.
                Ok(_) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what is there, up to what the message that is coming needs.
    ///
    /// # Errors
    /// Those of recv(2).
    pub(super) fn read(&mut self) -> io::Result<Read> {
        self.settle()?;
        if let Some(tls) = &mut self.tls {
            let was_open = tls.is_open();
            let result = tls.read(self.descriptor, &mut self.incoming);
            // Also if that was nonsense, which the other end is told then.
            tls.flush(self.descriptor)?;
            if tls.is_open() && !was_open {
                // What had to wait for that.
                self.flush()?;
            }
            return result;
        }
        let missing = self.missing().unwrap_or(0);
        let step = match missing.checked_sub(AT_ONCE) {
            Some(1..) => self.incoming.len().max(AT_ONCE).min(missing),
            _ => missing,
        };
        fill(self.descriptor, &mut self.incoming, step.max(STEP))
    }

    /// How many bytes of the message that is coming are missing; None if its length is not known yet.
    fn missing(&self) -> Option<usize> {
        let (header, length) = self.length().ok()??;
        let whole = usize::try_from(length).ok()?.checked_add(header)?;
        Some(whole.saturating_sub(self.incoming.len()))
    }

    /// The lengths of the header and of the message that comes, as far as they are known.
    fn length(&self) -> Result<Option<(usize, u64)>, manyhands_wire::Malformed> {
        let Some((first, rest)) = self.incoming.split_first_chunk::<4>() else {
            return Ok(None);
        };
        Ok(match Prefix::parse(*first)? {
            Prefix::Length(length) => Some((4, u64::from(length))),
            Prefix::Wide => rest.first_chunk::<8>().map(|wide| (12, u64::from_be_bytes(*wide))),
        })
    }

    /// The next message, if it is here whole.
    ///
    /// # Errors
    /// If what comes is no message, or one longer than `limit`.
    pub(super) fn message(
        &mut self,
        limit: u64,
    ) -> Result<Option<Bytes>, manyhands_wire::Malformed> {
        let Some((header, length)) = self.length()? else {
            return Ok(None);
        };
        if length > limit {
            return Err(manyhands_wire::Malformed::TooLong { length, limit });
        }
        let Ok(length) = usize::try_from(length) else {
            return Ok(None);
        };
        if self.incoming.len() - header < length {
            return Ok(None);
        }
        self.incoming.advance(header);
        Ok(Some(self.incoming.split_to(length).freeze()))
    }

    /// Sends a message, of which what there is no room for waits here.
    ///
    /// # Errors
    /// Those of sendmsg(2).
    pub(super) fn send(&mut self, parts: &[Bytes]) -> io::Result<()> {
        let length: usize = parts.iter().map(Bytes::len).sum();
        let header = Header::of(length as u64);
        if length > LARGE && !self.is_roomy {
            // So that the two ends do not have to take turns for every piece of it.
            self.is_roomy = true;
            self.descriptor.enlarge(ROOM);
        }
        if self.outgoing.is_empty() && parts.len() < 4 && self.tls.is_none() {
            let mut slices = [IoSlice::new(&[]); 4];
            let all = std::iter::once(header.as_bytes()).chain(parts.iter().map(Bytes::as_ref));
            for (slice, part) in slices.iter_mut().zip(all) {
                *slice = IoSlice::new(part);
            }
            let written = self.write(&slices)?;
            if written < header.as_bytes().len() + length {
                self.keep(header, parts);
                self.written(written);
            }
            return Ok(());
        }
        self.keep(header, parts);
        self.flush()
    }

    fn keep(&mut self, header: Header, parts: &[Bytes]) {
        self.outgoing.push_back(Bytes::copy_from_slice(header.as_bytes()));
        self.outgoing.extend(parts.iter().cloned());
    }

    /// Goes on with what waits here.
    ///
    /// # Errors
    /// Those of sendmsg(2).
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            return tls.send(self.descriptor, &mut self.outgoing);
        }
        while !self.outgoing.is_empty() {
            let slices: Vec<IoSlice<'_>> =
                self.outgoing.iter().take(MOST_PARTS).map(|part| IoSlice::new(part)).collect();
            let whole: usize = slices.iter().map(|slice| slice.len()).sum();
            let written = self.write(&slices)?;
            drop(slices);
            self.written(written);
            if written < whole {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        write(self.descriptor, slices)
    }

    fn written(&mut self, mut count: usize) {
        while let Some(first) = self.outgoing.front_mut() {
            if first.len() > count {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.outgoing.pop_front();
        }
    }

    /// Whether all that was sent is with the kernel, but for what waits for something to be read before.
    pub(super) fn is_flushed(&self) -> bool {
        match &self.tls {
            None => self.outgoing.is_empty(),
            Some(tls) => tls.is_flushed() && (self.outgoing.is_empty() || !tls.is_open()),
        }
    }
}

/// Reads what is there, up to `step` bytes or what there is room for.
///
/// # Errors
/// Those of recv(2).
pub(super) fn fill(
    descriptor: Descriptor,
    incoming: &mut BytesMut,
    step: usize,
) -> io::Result<Read> {
    fill_by(incoming, step, |room| descriptor.read(&mut Room::from(room), Reading::Now))
}

/// As [`fill`]; `receive` fills the beginning of the memory that it gets, and returns how much of it.
fn fill_by(
    incoming: &mut BytesMut,
    step: usize,
    receive: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<usize>,
) -> io::Result<Read> {
    incoming.reserve(step);
    let room = incoming.spare_capacity_mut();
    let before = room.len();
    let count = match receive(room) {
        Ok(0) => return Ok(Read::End),
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Read::Nothing),
        Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Read::More),
        Err(error) => return Err(error),
    };
    let filled = incoming.len() + count;
    #[allow(unsafe_code, reason = "to read into memory that need not be cleared before")]
    // SAFETY: the kernel has filled the first `count` bytes of the spare capacity.
    unsafe {
        incoming.set_len(filled);
    }
    Ok(if count < before { Read::Short } else { Read::More })
}

/// Writes as far as there is room; how many bytes that were.
///
/// # Errors
/// Those of sendmsg(2).
pub(super) fn write(descriptor: Descriptor, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        match descriptor.write_now(slices) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
