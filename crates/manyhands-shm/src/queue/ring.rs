//! Segments: rings of records, one after the other.
//!
//! A segment has one writer and one reader at a time (the holders of the queue's put lock and get
//! lock). `tail` is where the next record goes, `head` where the oldest is; each is one word,
//! position and count of records together, so that a record comes into being, and goes, by one store.
//!
//! A record is a word (length and sort), then what it holds, in units of 16 bytes; it never wraps:
//! where it would, a record that says "go on at the beginning" fills the rest.

use std::sync::atomic::{AtomicU64, Ordering};

use manyhands_sys::step::step;

use crate::arena::Arena;
use crate::layout::{GRAIN, Ref};

/// Positions count units of so many bytes.
const UNIT: usize = 16;

/// Bytes of a record's first word.
const WORD: usize = 8;

/// What fits into a record; more goes into a block of its own.
pub(super) const INLINE: usize = 4096;

/// Bytes of records in the first segment of a queue, and in the largest.
pub(super) const FIRST_CAPACITY: usize = 16 << 10;
pub(super) const LARGEST_CAPACITY: usize = 1 << 20;

/// A position and the number of records before it; both wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) position: u32,
    pub(super) count: u32,
}

impl Mark {
    fn of(word: &AtomicU64, ordering: Ordering) -> Mark {
        let bits = word.load(ordering);
        Mark { position: (bits >> 32) as u32, count: bits as u32 }
    }

    fn bits(self) -> u64 {
        u64::from(self.position) << 32 | u64::from(self.count)
    }
}

#[repr(C, align(64))]
struct Line(AtomicU64, [AtomicU64; 7]);

#[repr(C, align(64))]
pub(super) struct Segment {
    /// Bytes of records; a power of two.
    capacity: AtomicU64,
    /// The segment that follows, a [`Ref`]; 0 if this is the last.
    pub(super) next: AtomicU64,
    tail: Line,
    head: Line,
}

/// How many bytes a segment of that capacity takes.
pub(super) fn bytes(capacity: usize) -> usize {
    size_of::<Segment>() + capacity
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Bytes.
    Inline,
    /// The reference of a block.
    Block,
    /// Nothing: the next record is at the beginning of the ring.
    Skip,
}

/// What a record holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record<'a> {
    Inline(&'a [u8]),
    Block(Ref),
}

impl Record<'_> {
    fn units(self) -> u32 {
        let len = match self {
            Record::Inline(bytes) => bytes.len(),
            Record::Block(_) => WORD,
        };
        (WORD + len).div_ceil(UNIT) as u32
    }
}

/// Where a record is to be written.
pub(super) struct Room {
    /// Units to skip before it, up to the end of the ring.
    skip: u32,
    units: u32,
    tail: Mark,
}

impl Room {
    /// The count of records before it.
    pub(super) fn count(&self) -> u32 {
        self.tail.count
    }
}

impl Segment {
    /// That of the reference.
    ///
    /// # Safety
    /// The block is a segment, or was one: what is read of it then is arbitrary, but can be read.
    pub(super) unsafe fn at(arena: &Arena, reference: Ref) -> &Segment {
        // SAFETY: the caller's; a segment is atomics.
        unsafe { arena.at(reference.index() + 1) }
    }

    /// Makes it empty; no other process knows it yet.
    pub(super) fn open(&self, capacity: usize) {
        self.capacity.store(capacity as u64, Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
        self.count_from(0);
    }

    /// Sets the count of records before its first; while it is empty, and nobody knows it.
    pub(super) fn count_from(&self, count: u32) {
        let start = Mark { position: 0, count };
        self.tail.0.store(start.bits(), Ordering::Relaxed);
        self.head.0.store(start.bits(), Ordering::Relaxed);
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed) as usize
    }

    pub(super) fn tail(&self) -> Mark {
        Mark::of(&self.tail.0, Ordering::Acquire)
    }

    pub(super) fn head(&self) -> Mark {
        Mark::of(&self.head.0, Ordering::Acquire)
    }

    fn unit(&self, position: u32) -> *mut u8 {
        let offset = (position as usize * UNIT) & (self.capacity() - 1);
        // SAFETY: the records follow the segment's head, as many bytes as its capacity.
        unsafe { (&raw const *self).add(1).cast::<u8>().cast_mut().add(offset) }
    }

    /// Room for a record; `None` if there is none. Under the put lock.
    pub(super) fn room(&self, record: Record<'_>) -> Option<Room> {
        let (units, tail) = (record.units(), self.tail());
        let capacity = (self.capacity() / UNIT) as u32;
        let to_end = capacity - (tail.position & (capacity - 1));
        let skip = if units > to_end { to_end } else { 0 };
        let used = tail.position.wrapping_sub(self.head().position);
        (used + skip + units <= capacity).then_some(Room { skip, units, tail })
    }

    /// Writes a record; it is not there before [`Segment::commit`]. Under the put lock.
    pub(super) fn write(&self, room: &Room, record: Record<'_>) {
        if room.skip > 0 {
            self.store_word(room.tail.position, 0, Sort::Skip);
        }
        let position = room.tail.position.wrapping_add(room.skip);
        // SAFETY: `room` has found so many units free and in a row, and only the holder of the put
        // lock, which we are, writes to free ones.
        let contents = unsafe { self.unit(position).add(WORD) };
        match record {
            Record::Inline(bytes) => {
                self.store_word(position, bytes.len(), Sort::Inline);
                // SAFETY: as above.
                unsafe { contents.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
            }
            Record::Block(block) => {
                self.store_word(position, WORD, Sort::Block);
                // SAFETY: as above; the address is a multiple of 8.
                unsafe { contents.cast::<u64>().write(block.to_bits()) };
            }
        }
    }

    /// Makes the record that was written the last one of the ring: the one store.
    #[inline]
    pub(super) fn commit(&self, room: &Room) {
        let position = room.tail.position.wrapping_add(room.skip + room.units);
        let tail = Mark { position, count: room.tail.count.wrapping_add(1) };
        self.tail.0.store(tail.bits(), Ordering::Release);
        step();
    }

    fn store_word(&self, position: u32, len: usize, sort: Sort) {
        let word = (len as u64) << 2 | sort as u64;
        // SAFETY: a unit of the ring, which is aligned to 16; see `write` for who writes.
        unsafe { self.unit(position).cast::<u64>().write(word) };
        step();
    }

    /// The oldest record and the head after it; `None` if there is none. Under the get lock.
    pub(super) fn oldest(&self) -> Option<(Record<'_>, Mark)> {
        let tail = self.tail();
        let mut head = self.head();
        if head.count == tail.count {
            return None;
        }
        loop {
            let start = self.unit(head.position);
            // SAFETY: from head to tail there are whole records, which nobody writes to.
            let word = unsafe { start.cast::<u64>().read() };
            // SAFETY: as above.
            let contents = unsafe { start.add(WORD) };
            // What another process has written is believed only as far as it can do no harm.
            let len = ((word >> 2) as usize).min(INLINE).min(self.capacity() - WORD);
            let record = match word & 3 {
                0 => {
                    // SAFETY: as above; the record lies within the ring.
                    Record::Inline(unsafe { std::slice::from_raw_parts(contents, len) })
                }
                1 => {
                    // SAFETY: as above; the address is a multiple of 8.
                    let bits = unsafe { contents.cast::<u64>().read() };
                    Record::Block(Ref::from_bits(bits).unwrap_or(Ref::new(1, 0)))
                }
                _ => {
                    let capacity = (self.capacity() / UNIT) as u32;
                    let to_end = capacity - (head.position & (capacity - 1));
                    head.position = head.position.wrapping_add(to_end);
                    continue;
                }
            };
            let position = head.position.wrapping_add(record.units());
            return Some((record, Mark { position, count: head.count.wrapping_add(1) }));
        }
    }

    /// Makes the oldest record gone: the one store.
    #[inline]
    pub(super) fn consume(&self, head: Mark) {
        self.head.0.store(head.bits(), Ordering::Release);
        step();
    }
}

const _: () = assert!(size_of::<Segment>().is_multiple_of(GRAIN));
const _: () = assert!(2 * (INLINE + UNIT) <= FIRST_CAPACITY);
