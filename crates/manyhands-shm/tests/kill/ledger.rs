//! Who has put what, who has got what: in shared memory, so that the dead have told.

use std::sync::atomic::{AtomicU32, Ordering};

use manyhands_shm::{Handle, Kind, Plain};

/// How many participants there can be in a round.
pub const PAGES: usize = 6000;

/// So many pages are for those who are started by the test itself; the rest is for their children.
const KEPT: u32 = 1500;

/// How many messages one of them may put.
pub const MESSAGES: u32 = 8000;

#[repr(C)]
pub struct Page {
    /// How many puts were begun, and ended well.
    pub begun: AtomicU32,
    pub put: AtomicU32,
    /// How many gets were begun, and ended in any way.
    pub asked: AtomicU32,
    pub answered: AtomicU32,
    /// A bit for each message: whether it came out.
    seen: [AtomicU32; MESSAGES as usize / 32],
}

/// What the pages say in all.
#[derive(Default)]
pub struct Ledger {
    pub put: u64,
    pub got: u64,
    /// Put, and never got.
    pub missing: u64,
    /// How many died inside of get.
    pub excused: u64,
    /// How many died inside of put.
    pub putting: u64,
}

#[derive(Clone)]
pub struct Pages {
    memory: Handle<Plain>,
}

impl Pages {
    pub fn new() -> Pages {
        let memory = Handle::with_tail(Kind::Plain, 64 + PAGES * size_of::<Page>()).unwrap();
        Pages { memory }
    }

    pub fn page(&self, who: u32) -> &Page {
        assert!((who as usize) < PAGES);
        // SAFETY: the memory has as many, they are atomics, and zero is fine.
        unsafe { &*self.memory.tail().0.add(64).cast::<Page>().add(who as usize) }
    }

    /// A page that nobody has.
    pub fn fresh(&self) -> u32 {
        // SAFETY: the first bytes, aligned to 64.
        let next = unsafe { &*self.memory.tail().0.cast::<AtomicU32>() };
        next.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether there are pages enough for children of participants.
    pub fn has_many(&self) -> bool {
        // SAFETY: as in `fresh`.
        let next = unsafe { &*self.memory.tail().0.cast::<AtomicU32>() };
        next.load(Ordering::Relaxed) < PAGES as u32 - KEPT
    }

    /// Notes that a message came out, once and no more.
    pub fn note(&self, who: u32, number: u32) {
        let page = self.page(who);
        assert!(number < page.begun.load(Ordering::Acquire), "{number} of {who} was never put");
        let bit = 1 << (number % 32);
        let before = page.seen[number as usize / 32].fetch_or(bit, Ordering::Relaxed);
        assert!(before & bit == 0, "{number} of {who} came twice");
    }

    pub fn balance(&self) -> Ledger {
        let mut sum = Ledger::default();
        for page in (0..PAGES as u32).map(|who| self.page(who)) {
            let get = |word: &AtomicU32| u64::from(word.load(Ordering::Relaxed));
            let (begun, put) = (get(&page.begun), get(&page.put));
            assert!(begun - put <= 1);
            let seen: u64 = page
                .seen
                .iter()
                .map(|word| u64::from(word.load(Ordering::Relaxed).count_ones()))
                .sum();
            let last = page.seen[put as usize % MESSAGES as usize / 32].load(Ordering::Relaxed);
            let unsure = u64::from(put < u64::from(MESSAGES) && last & 1 << (put % 32) != 0);
            sum.put += put;
            sum.got += seen;
            sum.missing += put - (seen - unsure);
            sum.putting += begun - put;
            sum.excused += get(&page.asked) - get(&page.answered);
        }
        sum
    }
}
