//! The life of a zygote: it waits for orders, and copies itself for each.
//!
//! It does nothing else, so that it stays small and its children find it as it was: no memory is
//! allocated but for a moment, no code of an interpreter runs.

use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

use manyhands_sys::process::{self, Disposition, INTERRUPT};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};

use crate::message::{Answer, DATAGRAM, MOST_DESCRIPTORS, Order};
use crate::surroundings::ignored_anyway;
use crate::{Guard, StartError};

/// How a zygote's waiting ends.
#[derive(Debug)]
pub enum Served {
    /// Its program is gone, or does not want it any more: it has to end.
    Over,
    /// This is a child.
    Born(Box<Born>),
}

/// What a child finds.
#[derive(Debug)]
pub struct Born {
    /// What the program has to say to it.
    pub payload: Vec<u8>,
    /// The program's environment, if it is another one than the zygote's.
    pub environment: Option<Vec<u8>>,
    /// The program's descriptors, in the order given.
    pub descriptors: Vec<OwnedFd>,
    /// The arena's descriptor, and what to join it with.
    pub arena: Option<(OwnedFd, u64)>,
    /// Becomes readable when the program ends.
    pub parent: OwnedFd,
    /// Which of the first three descriptors are there.
    pub standard: [bool; 3],
    /// The signals that the program ignores, as a set of [`process::signal_bit`], if others than
    /// the zygote.
    pub ignored: Option<u64>,
}

struct Letter {
    length: usize,
    descriptors: Vec<OwnedFd>,
}

/// Serves the program at the other end of `socket`, which is this process's parent. Returns in each
/// child, and in the zygote itself when the program is gone.
///
/// `by_main` says that the program's main thread has started this zygote.
///
/// # Errors
/// The system lacks something: descriptors of processes, /proc. The process has several threads.
pub fn serve(socket: OwnedFd, by_main: bool) -> Result<Served, StartError> {
    const DOING: &str = "cannot serve as a zygote";
    let fail = |error: std::io::Error| StartError::new(DOING, error);
    if process::threads() != 1 {
        return Err(fail(std::io::Error::other("it has several threads")));
    }
    let program = process::parent();
    let parent = process::open(program).map_err(fail)?;
    if process::parent() != program {
        return Ok(Served::Over);
    }
    let guard = Guard::new(program, by_main);
    // The keyboard means the program. Its children are to have what they would have without us.
    let interrupt = process::ignore_signal(INTERRUPT).map_err(fail)?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let mut watched =
            [PollFd::new(&parent, PollFlags::IN), PollFd::new(&socket, PollFlags::IN)];
        if poll(&mut watched, None).is_err() {
            continue;
        }
        if !watched[0].revents().is_empty() {
            return Ok(Served::Over);
        }
        let Some(letter) = receive(&socket, &mut buffer) else { continue };
        if letter.length == 0 {
            return Ok(Served::Over);
        }
        let Some((answers, rest)) = split_first(letter.descriptors) else { continue };
        match process::fork_sibling() {
            Ok(None) => {
                drop(socket);
                // Should the zygote be killed before it can: there is a child.
                answer(&answers, Answer::Born(std::process::id()));
                drop(answers);
                let newborn = Newborn { parent, guard, interrupt };
                return newborn
                    .settle(buffer.get(..letter.length).unwrap_or_default(), rest)
                    .map(|born| Served::Born(Box::new(born)))
                    .map_err(|error| StartError::new("cannot begin as a child process", error));
            }
            Ok(Some(pid)) => answer(&answers, Answer::Born(pid)),
            Err(error) => {
                let number = error.raw_os_error().unwrap_or(Errno::OPNOTSUPP.raw_os_error());
                answer(&answers, Answer::Failed(number));
            }
        }
    }
}

fn answer(socket: &OwnedFd, answer: Answer) {
    // Nobody listens to the second one who answers.
    let _ = send(socket, &answer.encode(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

fn split_first(descriptors: Vec<OwnedFd>) -> Option<(OwnedFd, std::vec::IntoIter<OwnedFd>)> {
    let mut descriptors = descriptors.into_iter();
    Some((descriptors.next()?, descriptors))
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Option<Letter> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS + 6))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    let received = recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC);
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

struct Newborn {
    parent: OwnedFd,
    guard: Guard,
    interrupt: Disposition,
}

impl Newborn {
    /// Makes the surroundings of this process those of the program.
    fn settle(self, datagram: &[u8], rest: std::vec::IntoIter<OwnedFd>) -> std::io::Result<Born> {
        let broken = || std::io::Error::other("the order is broken");
        let (order, contents) = Order::decode(datagram).ok_or_else(broken)?;
        let mut rest = rest.map(Some).collect::<Vec<_>>();
        if rest.len() + 1 != order.descriptors() {
            return Err(broken());
        }
        let mut next = rest.iter_mut();
        let mut take = || next.next().and_then(Option::take).ok_or_else(broken);
        let mut standard = Vec::new();
        for number in 0..3 {
            if order.standard[number] {
                standard.push((number, take()?));
            }
        }
        let mut contents = contents.to_vec();
        if order.in_memory_file {
            let mut file = std::fs::File::from(take()?);
            contents.clear();
            contents.reserve_exact(usize::try_from(order.contents).map_err(|_| broken())?);
            file.read_to_end(&mut contents)?;
        }
        if contents.len() as u64 != order.contents {
            return Err(broken());
        }
        let arena = match order.ticket {
            Some(ticket) => Some((take()?, ticket)),
            None => None,
        };
        let descriptors = (0..order.targets.len()).map(|_| take()).collect::<Result<_, _>>()?;
        let parent = self.parent;
        let seats = Seats::new(&order.targets)?;
        let parent = seats.make_way(parent)?;
        let arena = match arena {
            Some((descriptor, ticket)) => Some((seats.make_way(descriptor)?, ticket)),
            None => None,
        };
        let descriptors = seats.place(descriptors)?;
        for number in 0..3 {
            if !order.standard[number] {
                process::close(number as RawFd);
            }
        }
        for (number, descriptor) in standard {
            // It stays open for as long as this process is there.
            let _ = copy(&descriptor, number as RawFd)?.into_raw_fd();
        }
        if let Some(inherited) = &order.inherited {
            inherited.apply();
        }
        process::restore_signal(INTERRUPT, &self.interrupt)?;
        process::set_blocked_signals(order.blocked);
        if order.guarded {
            self.guard.stand(&parent)?;
        }
        let environment = match order.environment {
            Some(length) => {
                let length = usize::try_from(length).map_err(|_| broken())?;
                let payload = contents.split_off(length.min(contents.len()));
                Some(std::mem::replace(&mut contents, payload))
            }
            None => None,
        };
        Ok(Born {
            payload: contents,
            environment,
            descriptors,
            arena,
            parent,
            standard: order.standard,
            ignored: order.inherited.map(|inherited| inherited.ignored & !ignored_anyway()),
        })
    }
}

/// The numbers that the program's descriptors are to have.
struct Seats<'a> {
    targets: &'a [RawFd],
    /// All numbers from here on are free of targets.
    above: RawFd,
}

impl<'a> Seats<'a> {
    fn new(targets: &'a [RawFd]) -> std::io::Result<Seats<'a>> {
        let above = targets.iter().copied().max().unwrap_or(0).max(2).saturating_add(1);
        Ok(Seats { targets, above })
    }

    /// The descriptor, by another number if its own is somebody's target.
    fn make_way(&self, descriptor: OwnedFd) -> std::io::Result<OwnedFd> {
        if self.targets.contains(&descriptor.as_raw_fd()) || descriptor.as_raw_fd() < 3 {
            Ok(rustix::io::fcntl_dupfd_cloexec(&descriptor, self.above)?)
        } else {
            Ok(descriptor)
        }
    }

    fn place(&self, descriptors: Vec<OwnedFd>) -> std::io::Result<Vec<OwnedFd>> {
        let apart = descriptors
            .into_iter()
            .map(|descriptor| self.make_way(descriptor))
            .collect::<std::io::Result<Vec<_>>>()?;
        apart
            .into_iter()
            .zip(self.targets)
            .map(
                |(descriptor, &target)| {
                    if target < 0 { Ok(descriptor) } else { copy(&descriptor, target) }
                },
            )
            .collect()
    }
}

/// A copy by that number, which programs that this process runs inherit.
fn copy(descriptor: &OwnedFd, number: RawFd) -> std::io::Result<OwnedFd> {
    process::copy_to(descriptor.as_fd(), number)
}
