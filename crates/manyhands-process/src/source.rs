//! The program's end of a zygote's socket: who is there at its other end.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use manyhands_sys::fork::{self, ForkMutex, OwnDescriptor, Protected};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::StartError;
use crate::child::Child;
use crate::message::Announcement;

/// Where children come from.
///
/// The reaper listens to it, so that also copies of a zygote that were never used are reaped: when the
/// zygote says that one has died, or when nobody is at the other end any more. Its lock is taken
/// before the registry's.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) socket: OwnDescriptor,
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
    /// Not there before it is known to have died.
    child: Option<Arc<Child>>,
}

/// A spare that was announced so many spares ago and has died was never used; of one that was announced
/// later its parent may be about to hear that it is a child.
const LONG_AGO: u32 = 64;

impl Spares {
    fn note(&mut self, announcement: Announcement) {
        match announcement {
            Announcement::Waits { count, pid } => {
                self.count = self.count.max(count);
                self.known.insert(pid, Spare { count, child: None });
                self.known.retain(|_, spare| {
                    spare.child.is_none() || count.saturating_sub(spare.count) < LONG_AGO
                });
            }
            Announcement::Died { count, pid } => {
                if count > self.count {
                    // It could not even announce itself.
                    self.note(Announcement::Waits { count, pid });
                }
                if let Some(spare) = self.known.get_mut(&pid).filter(|spare| spare.count == count) {
                    spare.has_died(pid);
                }
            }
        }
    }
}

impl Spare {
    /// Has it reaped.
    fn has_died(&mut self, pid: u32) {
        if self.child.is_none() {
            self.child = Child::watch(pid).ok();
        }
    }
}

impl Source {
    pub(crate) fn new(socket: OwnedFd) -> Source {
        Source { socket: socket.into(), epoch: fork::epoch(), spares: Mutex::default() }
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
                Ok((8, _)) => spares.note(Announcement::decode(bytes)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break true,
                Ok(_) | Err(_) => break false,
            }
        };
        if !more {
            // Those who wait do so at that other end.
            spares.known.iter_mut().for_each(|(&pid, spare)| spare.has_died(pid));
        }
        more
    }

    /// The child of that number, which is in use from now on.
    pub(crate) fn take(&self, pid: u32) -> Result<Arc<Child>, StartError> {
        self.listen();
        match self.lock().known.remove(&pid).and_then(|spare| spare.child) {
            Some(child) => Ok(child),
            None => Child::adopt(pid),
        }
    }

    /// Those who wait, or have died waiting.
    pub(crate) fn spares(&self) -> Vec<Arc<Child>> {
        self.lock().known.values().filter_map(|spare| spare.child.clone()).collect()
    }
}

/// The zygotes of this process, by their numbers. A forked child has its parent's, which it cannot
/// listen to.
struct Zygotes(Vec<(u32, Weak<Source>)>);

static ZYGOTES: ForkMutex<Zygotes> = ForkMutex::new(Zygotes(Vec::new()));

impl Protected for Zygotes {
    fn mutex() -> &'static ForkMutex<Zygotes> {
        &ZYGOTES
    }
}

/// Has observers know a zygote and its spares for what they are.
pub(crate) fn announce(zygote: u32, source: &Arc<Source>) {
    manyhands_watch::set_helpers(helpers);
    let mut zygotes = ZYGOTES.lock();
    zygotes.0.retain(|(_, source)| source.strong_count() > 0);
    zygotes.0.push((zygote, Arc::downgrade(source)));
}

/// The processes that do nothing before this one orders a child of them.
fn helpers() -> Vec<u32> {
    let zygotes = ZYGOTES.lock().0.clone();
    let mut helpers = Vec::new();
    for (zygote, source) in zygotes {
        if let Some(source) = source.upgrade()
            && source.listen()
        {
            helpers.push(zygote);
            let known = &source.lock().known;
            helpers.extend(known.iter().filter(|(_, it)| it.child.is_none()).map(|(&pid, _)| pid));
        }
    }
    helpers
}
