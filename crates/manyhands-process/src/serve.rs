//! The life of a zygote: it copies itself, and the copy, a spare, waits for an order of the program
//! while the zygote waits for the spare to be used up.
//!
//! So a child is there, with the memory already its own that it will need, before it is wanted. The zygote itself does
//! nothing else, so that it stays small and its copies find it as it was: no memory is allocated
//! but for a moment, no code of the program that became a zygote runs.
//!
//! * The spare announces itself first of all, and the zygote its death if it is never used: it is the
//!   program that reaps it.
//! * Orders that nobody has taken stay in the socket. Who takes one answers it. If there can be no
//!   copy the zygote takes it, and says why.
//! * When the program is gone, or has shut down its end of the socket, everybody ends.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{OwnedFd, RawFd};

use manyhands_sys::footprint::{Footprint, Part};
use manyhands_sys::process::{self, Disposition, HigherLimit, INTERRUPT, signal_bit};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};

use crate::message::{Announcement, Answer, DATAGRAM, MOST_DESCRIPTORS};
use crate::newborn::{Born, Newborn};
use crate::{Guard, StartError};

/// How a zygote's waiting ends.
#[derive(Debug)]
pub enum Served {
    /// Its program is gone, or does not want it any more: it has to end.
    Over,
    /// This is a copy, and there was an order already.
    Born(Box<Born>),
    /// This is a copy, and has time until there is an order.
    Spare(Box<Spare>),
}

struct Letter {
    length: usize,
    descriptors: Vec<OwnedFd>,
}

const DOING: &str = "cannot serve as a zygote";
const BEGINNING: &str = "cannot begin as a child process";

/// After so many spares have died unused, one after another, there is none until one is wanted.
const DEATHS: u32 = 3;

/// Up to which number a zygote needs descriptors: what it is sent, and some of its own.
const ROOM: RawFd = MOST_DESCRIPTORS as RawFd + 64;

/// Serves the program at the other end of `socket`, which is this process's parent. Returns in each
/// copy, and in the zygote itself when the program is gone.
///
/// `by_main` says that the program's main thread has started this zygote; `footprint` is that of a child.
///
/// # Errors
/// The system lacks something: descriptors of processes, /proc. The process has several threads.
pub fn serve(socket: OwnedFd, by_main: bool, footprint: &Footprint) -> Result<Served, StartError> {
    let fail = |error: std::io::Error| StartError::new(DOING, error);
    if process::threads() != 1 {
        return Err(fail(std::io::Error::other("it has several threads")));
    }
    let program = process::parent();
    let parent = process::open(program).map_err(fail)?;
    if process::parent() != program {
        return Ok(Served::Over);
    }
    let mut spare = Spare {
        socket,
        parent,
        taken: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| fail(error.into()))?,
        guard: Guard::new(program, by_main),
        // The keyboard means the program. Its children are to have what they would have without us.
        interrupt: ignore_interrupts().map_err(fail)?,
        buffer: vec![0; DATAGRAM],
        limit: HigherLimit::up_to(ROOM),
    };
    let (mut count, mut deaths) = (0, 0);
    loop {
        if deaths >= DEATHS {
            deaths = 0;
            if !spare.wait_for_order() {
                return Ok(Served::Over);
            }
        }
        count += 1;
        match process::fork_sibling() {
            Ok(None) => {
                announce(&spare.socket, Announcement::Waits { count, pid: std::process::id() });
                return spare.begin(footprint);
            }
            Ok(Some(pid)) => match spare.watch(count, pid) {
                Watched::Taken => deaths = 0,
                Watched::Died => deaths += 1,
                Watched::Over => return Ok(Served::Over),
            },
            Err(error) => {
                if !spare.wait_for_order() {
                    return Ok(Served::Over);
                }
                let number = error.raw_os_error().unwrap_or(Errno::OPNOTSUPP.raw_os_error());
                if let Taken::Order { answers, .. } = spare.take() {
                    answer(&answers, Answer::Failed(number));
                }
            }
        }
    }
}

/// Ignores interrupts, also such as have come already; tells what they would have done.
fn ignore_interrupts() -> std::io::Result<Disposition> {
    let before = process::ignore_signal(INTERRUPT)?;
    // The system keeps even an ignored signal for later while it is blocked.
    let blocked = process::blocked_signals();
    process::set_blocked_signals(blocked & !signal_bit(INTERRUPT));
    Ok(before)
}

fn announce(socket: &OwnedFd, announcement: Announcement) {
    let _ = send(socket, &announcement.encode(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

/// What became of a spare.
enum Watched {
    Taken,
    Died,
    Over,
}

/// What was in the socket.
enum Taken {
    Nothing,
    Over,
    Order { answers: OwnedFd, rest: std::vec::IntoIter<OwnedFd>, length: usize },
}

/// A copy of a zygote that waits to become a child, or the zygote itself.
#[derive(Debug)]
pub struct Spare {
    socket: OwnedFd,
    parent: OwnedFd,
    /// Tells the zygote that this copy has an order.
    taken: OwnedFd,
    guard: Guard,
    interrupt: Disposition,
    buffer: Vec<u8>,
    /// The program's limit may be too low now for what it will send when it is not.
    limit: HigherLimit,
}

impl Spare {
    /// The zygote's part: waits until the copy of that number has an order.
    fn watch(&self, count: u32, pid: u32) -> Watched {
        let Ok(copy) = process::open(pid) else {
            // Gone and reaped already.
            return Watched::Died;
        };
        loop {
            let mut watched = [
                PollFd::new(&self.parent, PollFlags::IN),
                PollFd::new(&self.socket, PollFlags::RDHUP),
                PollFd::new(&self.taken, PollFlags::IN),
                PollFd::new(&copy, PollFlags::IN),
            ];
            if poll(&mut watched, None).is_err() {
                continue;
            }
            let [parent, socket, taken, copy] = watched.map(|each| !each.revents().is_empty());
            if parent || socket {
                return Watched::Over;
            }
            if taken && rustix::io::read(&self.taken, &mut [0; 8]).is_ok() {
                return Watched::Taken;
            }
            if copy {
                announce(&self.socket, Announcement::Died { count, pid });
                return Watched::Died;
            }
        }
    }

    /// Waits until there is an order; false if there will be none.
    fn wait_for_order(&self) -> bool {
        loop {
            let mut watched = [
                PollFd::new(&self.parent, PollFlags::IN),
                PollFd::new(&self.socket, PollFlags::IN),
            ];
            if poll(&mut watched, None).is_err() {
                continue;
            }
            let [parent, socket] = watched.map(|each| !each.revents().is_empty());
            if parent || socket {
                return !parent;
            }
        }
    }

    fn take(&mut self) -> Taken {
        let Some(letter) = receive(&self.socket, &mut self.buffer) else { return Taken::Nothing };
        if letter.length == 0 {
            return Taken::Over;
        }
        let mut rest = letter.descriptors.into_iter();
        match rest.next() {
            Some(answers) => Taken::Order { answers, rest, length: letter.length },
            None => Taken::Nothing,
        }
    }

    /// The first that a copy does: it makes the memory its own that it will need.
    fn begin(mut self, footprint: &Footprint) -> Result<Served, StartError> {
        let mut parts = footprint.parts();
        loop {
            match self.take() {
                Taken::Nothing => match parts.next() {
                    Some(part) => part.tread(),
                    None => return Ok(Served::Spare(Box::new(self))),
                },
                Taken::Over => return Ok(Served::Over),
                Taken::Order { answers, rest, length } => {
                    return self.be_born(answers, rest, length, parts);
                }
            }
        }
    }

    /// Whether there is an order, or will be none.
    pub fn is_wanted(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        !matches!(poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&now)), Ok(0))
    }

    /// Waits for an order and becomes the child that it asks for.
    ///
    /// # Errors
    /// The limit of descriptors.
    pub fn wait(mut self) -> Result<Served, StartError> {
        loop {
            if !self.wait_for_order() {
                return Ok(Served::Over);
            }
            match self.take() {
                // The zygote has made another copy, which was faster.
                Taken::Nothing => {}
                Taken::Over => return Ok(Served::Over),
                Taken::Order { answers, rest, length } => {
                    return self.be_born(answers, rest, length, std::iter::empty());
                }
            }
        }
    }

    fn be_born<'a>(
        self,
        answers: OwnedFd,
        rest: std::vec::IntoIter<OwnedFd>,
        length: usize,
        missing: impl Iterator<Item = Part<'a>>,
    ) -> Result<Served, StartError> {
        answer(&answers, Answer::Born(std::process::id()));
        drop((answers, self.socket));
        let _ = rustix::io::write(&self.taken, &1_u64.to_ne_bytes());
        drop(self.taken);
        // Program and zygote go on meanwhile.
        missing.for_each(|part| part.tread());
        let newborn = Newborn {
            parent: self.parent,
            guard: self.guard,
            interrupt: self.interrupt,
            limit: self.limit,
        };
        newborn
            .settle(self.buffer.get(..length).unwrap_or_default(), rest)
            .map(|born| Served::Born(Box::new(born)))
            .map_err(|error| StartError::new(BEGINNING, error))
    }
}

fn answer(socket: &OwnedFd, answer: Answer) {
    let _ = send(socket, &answer.encode(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Option<Letter> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS + 6))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(socket, &mut parts, &mut control, flags);
    let length = match received {
        Ok(received) => received.bytes,
        Err(Errno::INTR | Errno::AGAIN) => return None,
        Err(_) => 0,
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    Some(Letter { length, descriptors })
}
