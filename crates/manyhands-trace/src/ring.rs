//! A ring of events: written by one thread at a time, read by anybody at any moment.
//!
//! Invariants:
//! * `begun` is the number of events whose writing has begun, `done` of those that are whole; only the writer
//!   changes them, and `done <= begun <= done + 1`.
//! * Event `n` lies in slot `n % capacity`, and may be overwritten once `begun > n + capacity`.
//! * A reader reads `done`, the slots, then `begun`. What it read of event `n` is whole if `n < done` and
//!   `n + capacity >= begun`: the writer raises `begun` before it touches a slot, and the fences make sure
//!   that who sees a word of the new event also sees that.
//!
//! `tests/loom.rs` has the model.

use std::sync::atomic::{self, AtomicU64, Ordering};

/// A word of memory that threads share; models have their own.
pub trait Word {
    /// As of [`AtomicU64`].
    fn load(&self, order: Ordering) -> u64;
    /// As of [`AtomicU64`].
    fn store(&self, value: u64, order: Ordering);
    /// As [`atomic::fence`].
    fn fence(order: Ordering);
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        AtomicU64::load(self, order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        AtomicU64::store(self, value, order);
    }

    #[inline]
    fn fence(order: Ordering) {
        atomic::fence(order);
    }
}

/// What sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A call of a pool's or an executor's worker.
    Task = 1,
    /// The same, and it raised.
    Failed = 2,
    /// A wait for something.
    Wait = 3,
    /// Somebody had a lock.
    Hold = 4,
    /// An item was put into a queue; the value is how many it has then.
    Put = 5,
    /// An item was taken out of a queue; the value is how many are left.
    Get = 6,
}

impl Kind {
    fn of(bits: u8) -> Option<Kind> {
        use Kind::{Failed, Get, Hold, Put, Task, Wait};
        [Task, Failed, Wait, Hold, Put, Get].into_iter().find(|&kind| kind as u8 == bits)
    }

    /// Whether it lasts; otherwise it has a value.
    pub fn lasts(self) -> bool {
        !matches!(self, Kind::Put | Kind::Get)
    }
}

/// A text that the process has noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(pub u16);

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// What is called, or the method.
    pub label: Label,
    /// The kernel's number of the thread.
    pub thread: u32,
    /// Which greenlet of it; 0 for the thread itself. 48 bits of it are kept.
    pub greenlet: u64,
    /// How many like it this stands for, itself among them; those of a kind that come fast are noted together.
    pub count: u16,
    /// With what; 0 for nothing.
    pub object: u64,
    /// When it began: nanoseconds of the monotonic clock.
    pub begun: u64,
    /// For how many nanoseconds it lasted; or the value of what does not last, [`UNKNOWN`] if nobody asked.
    pub value: u64,
}

/// A value that is not known.
pub const UNKNOWN: u64 = u64::MAX;

/// How many words an event takes.
pub const WORDS: usize = 5;

/// How many words a ring has for itself.
pub const HEAD: usize = 8;

/// The bits of a greenlet's number.
const GREENLET: u64 = (1 << 48) - 1;

impl Event {
    fn words(&self) -> [u64; WORDS] {
        let packed = u64::from(self.kind as u8)
            | u64::from(self.label.0) << 16
            | u64::from(self.thread) << 32;
        let counted = self.greenlet & GREENLET | u64::from(self.count) << 48;
        [self.begun, self.value, self.object, counted, packed]
    }

    fn of(words: [u64; WORDS]) -> Option<Event> {
        let [begun, value, object, counted, packed] = words;
        Some(Event {
            kind: Kind::of(packed as u8)?,
            label: Label((packed >> 16) as u16),
            thread: (packed >> 32) as u32,
            greenlet: counted & GREENLET,
            count: (counted >> 48) as u16,
            object,
            begun,
            value,
        })
    }
}

/// A ring in memory that begins as zeros.
#[derive(Debug)]
pub struct Ring<'a, W = AtomicU64> {
    head: &'a [W],
    slots: &'a [W],
}

const BEGUN: usize = 0;
const DONE: usize = 1;
const OWNER: usize = 2;

impl<'a, W: Word> Ring<'a, W> {
    /// That in these words: [`HEAD`], and then [`WORDS`] for each event that it can keep, of which there is one
    /// at least.
    pub fn new(words: &'a [W]) -> Ring<'a, W> {
        let (head, slots) = words.split_at(HEAD);
        assert!(slots.len() >= WORDS, "a ring keeps an event at least");
        Ring { head, slots }
    }

    fn capacity(&self) -> u64 {
        (self.slots.len() / WORDS) as u64
    }

    fn slot(&self, number: u64) -> &'a [W] {
        let begin = (number % self.capacity()) as usize * WORDS;
        &self.slots[begin..begin + WORDS]
    }

    /// Says which process writes here.
    pub fn set_owner(&self, pid: u32) {
        self.head[OWNER].store(pid.into(), Ordering::Relaxed);
    }

    /// The process that writes here.
    pub fn owner(&self) -> u32 {
        self.head[OWNER].load(Ordering::Relaxed) as u32
    }

    /// How many events were noted: what who is to write next begins with.
    pub fn written(&self) -> u64 {
        self.head[DONE].load(Ordering::Acquire)
    }

    /// Notes the event of that number, in the place of the oldest if there is no room. Only one thread at a
    /// time may do so, and with the numbers in their order.
    #[inline]
    pub fn push(&self, number: u64, event: &Event) {
        self.head[BEGUN].store(number + 1, Ordering::Relaxed);
        W::fence(Ordering::Release);
        for (word, value) in self.slot(number).iter().zip(event.words()) {
            word.store(value, Ordering::Relaxed);
        }
        self.head[DONE].store(number + 1, Ordering::Release);
    }

    /// The events that are there, oldest first, and how many were there before them.
    pub fn read(&self) -> (Vec<Event>, u64) {
        let done = self.head[DONE].load(Ordering::Acquire);
        let oldest = done.saturating_sub(self.capacity());
        let copies: Vec<[u64; WORDS]> = (oldest..done)
            .map(|number| {
                let slot = self.slot(number);
                std::array::from_fn(|index| slot[index].load(Ordering::Relaxed))
            })
            .collect();
        W::fence(Ordering::Acquire);
        let begun = self.head[BEGUN].load(Ordering::Relaxed);
        let whole = begun.saturating_sub(self.capacity()).max(oldest);
        let skipped = usize::try_from(whole - oldest).unwrap_or(usize::MAX);
        let events = copies.into_iter().skip(skipped).filter_map(Event::of).collect();
        (events, whole.min(done))
    }
}
