//! How a copy of a zygote becomes a child: it is to be as if the program had started it itself.

use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

use manyhands_sys::process::{self, Disposition, HigherLimit, INTERRUPT};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::Guard;
use crate::message::Order;

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
    pub(crate) limit: HigherLimit,
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
        drop(self.limit);
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
            ignored: order.inherited.map(|inherited| inherited.ignored),
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
        let limit = HigherLimit::up_to(self.targets.iter().copied().max().unwrap_or(-1));
        let placed = apart
            .into_iter()
            .zip(self.targets)
            .map(
                |(descriptor, &target)| {
                    if target < 0 { Ok(descriptor) } else { copy(&descriptor, target) }
                },
            )
            .collect();
        drop(limit);
        placed
    }
}

/// A copy by that number, which programs that this process runs inherit.
fn copy(descriptor: &OwnedFd, number: RawFd) -> std::io::Result<OwnedFd> {
    process::copy_to(descriptor.as_fd(), number)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use rustix::fs::{MemfdFlags, memfd_create};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;
    use crate::{ExitStatus, Process};

    fn file(text: &str) -> OwnedFd {
        let mut file = File::from(memfd_create("seat", MemfdFlags::CLOEXEC).expect("a memfd"));
        file.write_all(text.as_bytes()).expect("some memory");
        file.into()
    }

    fn text(descriptor: &OwnedFd) -> String {
        let mut buffer = [0; 16];
        let length = rustix::io::pread(descriptor, &mut buffer, 0).expect("it is open");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Runs what moves descriptors around in a process of its own.
    fn alone(body: impl FnOnce()) {
        let child = Process::fork(|| {
            body();
            0
        });
        assert_eq!(child.expect("a process").join(None), Some(ExitStatus::Exited(0)));
    }

    /// Places files whose numbers are the targets in any order, with others in the way.
    fn place(order: &[usize]) {
        let numbers: Vec<RawFd> = (40..40 + order.len() as RawFd).collect();
        let mut files = Vec::new();
        for &number in &numbers {
            files.push(copy(&file(&number.to_string()), number).expect("a number below the limit"));
        }
        let targets: Vec<RawFd> = order.iter().map(|&index| numbers[index]).collect();
        let seats = Seats::new(&targets);
        // Two that are kept; one of them, and each of the passed ones, sits on somebody's seat.
        let apart = seats.make_way(file("apart")).expect("room");
        let first = files.remove(0);
        let kept = seats.make_way(first).expect("room");
        assert!(!targets.contains(&kept.as_raw_fd()));
        files.insert(0, file("40"));
        let placed = seats.place(files).expect("room");
        for ((number, target), descriptor) in numbers.iter().zip(&targets).zip(&placed) {
            assert_eq!(text(descriptor), number.to_string());
            assert_eq!(descriptor.as_raw_fd(), *target);
        }
        assert_eq!((text(&apart).as_str(), text(&kept).as_str()), ("apart", "40"));
    }

    #[test]
    fn descriptors_get_their_numbers_whoever_has_them() {
        alone(|| {
            for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 2, 3, 0], [1, 0, 3, 2]] {
                place(&order);
            }
        });
    }

    #[test]
    fn a_descriptor_without_a_seat_stays_off_the_others() {
        alone(|| {
            let [first, second] = ["first", "second"].map(file);
            let targets = [-1, first.as_raw_fd()];
            let placed = Seats::new(&targets).place(vec![first, second]).expect("room");
            assert_eq!(placed.iter().map(text).collect::<Vec<_>>(), ["first", "second"]);
            assert_eq!(placed[1].as_raw_fd(), targets[1]);
            assert_ne!(placed[0].as_raw_fd(), targets[1]);
        });
    }

    #[test]
    fn there_is_room_where_the_limit_is_low() {
        alone(|| {
            let files = ["first", "second"].map(file);
            let high: RawFd = 800;
            let before = getrlimit(Resource::Nofile);
            let limit = Rlimit { current: Some(200), ..before };
            setrlimit(Resource::Nofile, limit).expect("lower is allowed");
            let targets = [high, 3];
            let placed = Seats::new(&targets).place(files.into()).expect("room");
            assert_eq!(placed.iter().map(text).collect::<Vec<_>>(), ["first", "second"]);
            assert_eq!(getrlimit(Resource::Nofile), limit);
            assert_eq!(placed[0].as_raw_fd(), high);
        });
    }
}
