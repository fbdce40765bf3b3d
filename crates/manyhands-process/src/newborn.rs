//! How a copy of a zygote becomes a child: it is to be as if the program had started it itself.

use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

use manyhands_sys::process::{self, Disposition, INTERRUPT, Room};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::Guard;
use crate::message::Order;
use crate::surroundings::ignored_anyway;

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

/// What a copy of a zygote has when it gets an order.
pub(crate) struct Newborn {
    pub(crate) parent: OwnedFd,
    pub(crate) guard: Guard,
    pub(crate) interrupt: Disposition,
    pub(crate) room: Room,
}

impl Newborn {
    /// Makes the surroundings of this process those of the program.
    pub(crate) fn settle(
        self,
        datagram: &[u8],
        rest: std::vec::IntoIter<OwnedFd>,
    ) -> std::io::Result<Born> {
        let broken = || std::io::Error::other("the order is broken");
        let (order, contents) = Order::decode(datagram).ok_or_else(broken)?;
        let mut rest = rest.map(Some).collect::<Vec<_>>();
        if rest.len() + 1 != order.descriptors() {
            // The system keeps back what would exceed this process's limit.
            return Err(Errno::MFILE.into());
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
        for number in 0..3 {
            if !order.standard[number] {
                process::close(number as RawFd);
            }
        }
        for (number, descriptor) in standard {
            // It stays open for as long as this process is there.
            let _ = copy(&descriptor, number as RawFd)?.into_raw_fd();
        }
        // Only what is kept is open by now, and has to make way.
        let seats = Seats::new(&order.targets);
        let parent = seats.make_way(parent)?;
        let arena = match arena {
            Some((descriptor, ticket)) => Some((seats.make_way(descriptor)?, ticket)),
            None => None,
        };
        let descriptors = seats.place(descriptors)?;
        drop(self.room);
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
}

impl<'a> Seats<'a> {
    fn new(targets: &'a [RawFd]) -> Seats<'a> {
        Seats { targets }
    }

    /// The descriptor, by another number if its own is somebody's target.
    fn make_way(&self, descriptor: OwnedFd) -> rustix::io::Result<OwnedFd> {
        let is_free = |number: RawFd| number >= 3 && !self.targets.contains(&number);
        if is_free(descriptor.as_raw_fd()) {
            return Ok(descriptor);
        }
        let mut from = 3;
        loop {
            // Not beyond all targets at once: that could be beyond the limit.
            let copy = fcntl_dupfd_cloexec(&descriptor, from)?;
            if is_free(copy.as_raw_fd()) {
                return Ok(copy);
            }
            from = copy.as_raw_fd() + 1;
        }
    }

    fn place(&self, descriptors: Vec<OwnedFd>) -> std::io::Result<Vec<OwnedFd>> {
        let apart = descriptors
            .into_iter()
            .map(|descriptor| self.make_way(descriptor))
            .collect::<rustix::io::Result<Vec<_>>>()?;
        let room = Room::up_to(self.targets.iter().copied().max().unwrap_or(-1));
        let placed = apart
            .into_iter()
            .zip(self.targets)
            .map(
                |(descriptor, &target)| {
                    if target < 0 { Ok(descriptor) } else { copy(&descriptor, target) }
                },
            )
            .collect();
        drop(room);
        placed
    }
}

/// A copy by that number, which programs that this process runs inherit.
fn copy(descriptor: &OwnedFd, number: RawFd) -> std::io::Result<OwnedFd> {
    process::copy_to(descriptor.as_fd(), number)
}
