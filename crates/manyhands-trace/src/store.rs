//! The memory that the processes of a program note their events in.
//!
//! It is divided into regions of 1 MiB, of which the first has the number of those that were given out, and of
//! events for which there was none. A region is given out once, to a process: as a ring, which its threads
//! write one after the other, or for names, which are added under a lock of the process. So nobody ever
//! waits for another process, and none can leave anything half done that others would have to repair: a
//! ring's `done` and a region's `used` are raised last.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use manyhands_sys::memory::SharedMemory;

use crate::ring::Ring;

const REGION: usize = 1 << 20;
/// There is so much room, of which only what is used takes memory.
const REGIONS: u64 = 4096;

const GIVEN: usize = 0;
const LOST: usize = 1;

/// What a region is for.
const RING: u64 = 1;
const NAMES: u64 = 2;

/// The words of a region for itself: what it is for, whose, and how much of it is used.
const HEAD: usize = 8;
const USE: usize = 0;
const OWNER: usize = 1;
const USED: usize = 2;

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum What {
    /// A label, by its number.
    Label = 1,
    /// A lock, queue..., by its number.
    Object = 2,
    /// A thread, by the kernel's number.
    Thread = 3,
    /// A process, by its number.
    Process = 4,
    /// The name that the program has for an object.
    Given = 5,
}

impl What {
    fn of(bits: u64) -> Option<What> {
        use What::{Given, Label, Object, Process, Thread};
        [Label, Object, Thread, Process, Given].into_iter().find(|&what| what as u64 == bits)
    }
}

/// The memory of one trace.
#[derive(Debug)]
pub struct Store(SharedMemory);

/// What something is called, and by which process.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) pid: u32,
    pub(crate) what: What,
    pub(crate) key: u64,
    pub(crate) text: String,
}

/// A region, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region(u64);

impl Store {
    /// A new one.
    ///
    /// # Errors
    /// The limits of descriptors, address space, the size of files, memory.
    pub fn create() -> io::Result<Store> {
        SharedMemory::create("manyhands-trace", REGION * REGIONS as usize).map(Store)
    }

    /// That of another process, which has it under that descriptor.
    ///
    /// # Errors
    /// The process is gone, or not this user's; there is nothing of the kind.
    pub fn open(pid: u32, descriptor: RawFd) -> io::Result<Store> {
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .open(format!("/proc/{pid}/fd/{descriptor}"))?;
        let memory = SharedMemory::map(OwnedFd::from(file))?;
        if memory.len() != REGION * REGIONS as usize {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no memory of a trace"));
        }
        Ok(Store(memory))
    }

    /// The descriptor by which others can open it, as long as this is there.
    ///
    /// # Errors
    /// Somebody has closed it.
    pub fn descriptor(&self) -> io::Result<RawFd> {
        self.0.descriptor().map(|descriptor| descriptor.as_raw_fd())
    }

    fn words(&self, region: u64) -> io::Result<&[AtomicU64]> {
        self.0.words(region as usize * REGION, REGION / size_of::<u64>())
    }

    fn head(&self) -> io::Result<&[AtomicU64]> {
        self.0.words(0, HEAD)
    }

    /// Counts events that were not noted.
    pub(crate) fn lose(&self, events: u64) {
        if let Ok(head) = self.head() {
            head[LOST].fetch_add(events, Ordering::Relaxed);
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.head().map_or(0, |head| head[LOST].load(Ordering::Relaxed))
    }

    fn give(&self, pid: u32, purpose: u64) -> Option<(Region, &[AtomicU64])> {
        let given = self.head().ok()?[GIVEN].fetch_add(1, Ordering::Relaxed) + 1;
        if given >= REGIONS {
            return None;
        }
        let words = self.words(given).ok()?;
        words[OWNER].store(pid.into(), Ordering::Relaxed);
        words[USE].store(purpose, Ordering::Release);
        Some((Region(given), words))
    }

    /// A ring for that process; `None` if there is no room.
    pub(crate) fn give_ring(&self, pid: u32) -> Option<Region> {
        let (region, words) = self.give(pid, RING)?;
        Ring::new(&words[HEAD..]).set_owner(pid);
        Some(region)
    }

    /// The ring in a region that was given out as one.
    #[inline]
    pub(crate) fn ring(&self, region: Region) -> Option<Ring<'_>> {
        Some(Ring::new(&self.words(region.0).ok()?[HEAD..]))
    }

    /// Room for the names that a process gives.
    pub(crate) fn give_names(&self, pid: u32) -> Option<Region> {
        self.give(pid, NAMES).map(|(region, _)| region)
    }

    /// Adds a name to those of a process, of which one thread at a time does so; false if there is no room.
    pub(crate) fn add_name(&self, region: Region, what: What, key: u64, text: &str) -> bool {
        const LONGEST: usize = 4096;
        let Ok(words) = self.words(region.0) else { return false };
        let end = text.floor_char_boundary(LONGEST);
        let bytes = &text.as_bytes()[..end];
        let used = words[USED].load(Ordering::Relaxed) as usize;
        let begin = HEAD + used;
        let len = 2 + bytes.len().div_ceil(8);
        let Some(room) = words.get(begin..begin + len) else { return false };
        room[0].store(what as u64 | (bytes.len() as u64) << 8, Ordering::Relaxed);
        room[1].store(key, Ordering::Relaxed);
        for (word, chunk) in room[2..].iter().zip(bytes.chunks(8)) {
            let mut value = [0; 8];
            value[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_ne_bytes(value), Ordering::Relaxed);
        }
        words[USED].store((used + len) as u64, Ordering::Release);
        true
    }

    /// All rings, and all names, each process's in the order in which it gave them.
    pub(crate) fn contents(&self) -> (Vec<Ring<'_>>, Vec<Name>) {
        let given = self.head().map_or(0, |head| head[GIVEN].load(Ordering::Relaxed));
        let (mut rings, mut names) = (Vec::new(), Vec::new());
        for region in 1..=given.min(REGIONS - 1) {
            let Ok(words) = self.words(region) else { continue };
            match words[USE].load(Ordering::Acquire) {
                RING => rings.push(Ring::new(&words[HEAD..])),
                NAMES => read_names(words, &mut names),
                _ => {}
            }
        }
        (rings, names)
    }
}

fn read_names(words: &[AtomicU64], names: &mut Vec<Name>) {
    let pid = words[OWNER].load(Ordering::Relaxed) as u32;
    let used = words[USED].load(Ordering::Acquire) as usize;
    let mut left = words.get(HEAD..HEAD + used).unwrap_or_default();
    while let [head, key, rest @ ..] = left {
        let head = head.load(Ordering::Relaxed);
        let len = (head >> 8) as usize;
        let taken = len.div_ceil(8);
        let Some(text) = rest.get(..taken) else { return };
        let mut bytes: Vec<u8> =
            text.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        bytes.truncate(len);
        if let Some(what) = What::of(head & 0xff) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            names.push(Name { pid, what, key: key.load(Ordering::Relaxed), text });
        }
        left = &rest[taken..];
    }
}
