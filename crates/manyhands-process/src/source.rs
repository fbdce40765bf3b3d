//! The program's end of a zygote's socket: who is there at its other end.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use manyhands_sys::fork;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::StartError;
use crate::child::Child;
use crate::message::Announcement;

/// Where children come from.
///
/// The reaper listens to it, so that also copies of a zygote that were never used are reaped. Its lock
/// is taken before the registry's.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) socket: OwnedFd,
    /// The [`fork::epoch`] of the process whose children these are.
    epoch: u32,
    spares: Mutex<Spares>,
}

#[derive(Debug, Default)]
struct Spares {
    /// The last that was announced.
    count: u32,
    /// By their numbers.
    known: HashMap<u32, Spare>,
}

#[derive(Debug)]
struct Spare {
    count: u32,
    /// Not there yet if there was no descriptor for it.
    child: Option<Arc<Child>>,
}

/// A spare that was announced so many spares ago and has died was never used; one that was announced
/// later may have been a child already, which has ended before its parent could hear that there is one.
const LONG_AGO: u32 = 64;

impl Source {
    pub(crate) fn new(socket: OwnedFd) -> Source {
        Source { socket, epoch: fork::epoch(), spares: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Spares> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears who has announced himself. False if nobody is at the other end any more.
    pub(crate) fn listen(&self) -> bool {
        if self.epoch != fork::epoch() {
            return false;
        }
        let mut spares = self.lock();
        let more = loop {
            let mut bytes = [0; 8];
            match recv(&self.socket, &mut bytes[..], RecvFlags::DONTWAIT) {
                Ok((8, _)) => {
                    let Announcement { count, pid } = Announcement::decode(bytes);
                    // One is announced again when it has died, and its number may be another's.
                    if count > spares.count {
                        spares.count = count;
                        spares.known.insert(pid, Spare { count, child: None });
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break true,
                Ok(_) | Err(_) => break false,
            }
        };
        let newest = spares.count;
        spares.known.retain(|&pid, spare| {
            if spare.child.is_none() {
                // Without a descriptor for it: next time.
                spare.child = Child::watch(pid).ok();
            }
            let has_ended = spare.child.as_ref().is_some_and(|child| child.known().is_some());
            !has_ended || newest - spare.count < LONG_AGO
        });
        more
    }

    /// The child of that number, which is in use from now on.
    pub(crate) fn take(&self, pid: u32) -> Result<Arc<Child>, StartError> {
        self.listen();
        match self.lock().known.remove(&pid).and_then(|spare| spare.child) {
            Some(child) => Ok(child),
            // It is there, and ours: nobody but who knows it reaps it.
            None => Child::adopt(pid),
        }
    }

    /// Those who wait, or have died waiting.
    pub(crate) fn spares(&self) -> Vec<Arc<Child>> {
        self.lock().known.values().filter_map(|spare| spare.child.clone()).collect()
    }
}
