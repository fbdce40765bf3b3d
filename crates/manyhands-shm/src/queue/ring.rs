//! Segments: rings of records, one after the other.
//!
//! A segment has one writer and one reader at a time (the holders of the queue's put lock and get
//! lock). `tail` is where the next record goes, `head` where the oldest is; each is one word,
//! position and count of records together, so that a record comes into being, and goes, by one store.
//!
//! Each side notes beside its own word how far it has seen the other's, and looks at that again only when what
//! it has noted would not do: while there are records, and room, the two processors do not ask each other for
//! these words. Always `head` <= noted tail <= `tail`, and noted head <= `head`: the other side's words only
//! grow, and what was noted is so by one store, before what follows from it. So it is as good after a death.
//!
//! A record is a word (length and sort), then what it holds, in units of 16 bytes; it never wraps:
//! where it would, a record that says "go on at the beginning" fills the rest.

use manyhands_sys::step::step;

#[cfg(not(loom))]
use crate::OutOfReach;
#[cfg(not(loom))]
use crate::arena::Arena;
use crate::layout::{GRAIN, Ref, SPAN};
use crate::shim::{AtomicU64, Ordering};

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

/// What one side writes.
#[cfg_attr(loom, derive(Default))]
#[repr(C, align(64))]
struct Line {
    mark: AtomicU64,
    /// The other side's mark, as it was seen last; written by this side, under its lock.
    seen: AtomicU64,
}

#[cfg_attr(loom, derive(Default))]
#[repr(C, align(64))]
pub(super) struct Segment {
    /// Bytes of records; a power of two.
    capacity: AtomicU64,
    /// The segment that follows, a [`Ref`]; 0 if this is the last.
    pub(super) next: AtomicU64,
    tail: Line,
    head: Line,
    /// By which a model notices that somebody reads what another one is writing.
    #[cfg(loom)]
    units: [loom::cell::UnsafeCell<()>; 4],
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
    /// What was there was taken back.
    Retracted,
}

/// What a record holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record<'a> {
    Inline(&'a [u8]),
    Block(Ref),
    /// One that was taken back, with as many bytes.
    Retracted(usize),
}

impl Record<'_> {
    fn units(self) -> u32 {
        let len = match self {
            Record::Inline(bytes) => bytes.len(),
            Record::Block(_) => WORD,
            Record::Retracted(len) => len,
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

    /// Where it begins.
    pub(super) fn position(&self) -> u32 {
        self.tail.position.wrapping_add(self.skip)
    }
}

impl Segment {
    /// That of the reference.
    ///
    /// # Safety
    /// The block is a segment, or was one: what is read of it then is arbitrary, but can be read.
    ///
    /// # Errors
    /// The limit of address space.
    #[cfg(not(loom))]
    #[inline]
    pub(super) unsafe fn at(arena: &Arena, reference: Ref) -> Result<&Segment, OutOfReach> {
        // More than any has, so that nobody has to look how much that is.
        let place = arena.place(reference.index() + 1, SPAN)?;
        // SAFETY: the caller's; a segment is atomics, and what is mapped stays so.
        Ok(unsafe { place.cast().as_ref() })
    }

    /// Makes it empty; no other process knows it yet.
    pub(super) fn open(&self, capacity: usize) {
        self.capacity.store(capacity as u64, Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
        self.count_from(0);
    }

    /// Sets the count of records before its first; while it is empty, and nobody knows it.
    pub(super) fn count_from(&self, count: u32) {
        self.start_from(Mark { position: 0, count });
    }

    fn start_from(&self, start: Mark) {
        for line in [&self.tail, &self.head] {
            line.mark.store(start.bits(), Ordering::Relaxed);
            line.seen.store(start.bits(), Ordering::Relaxed);
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed) as usize
    }

    pub(super) fn tail(&self) -> Mark {
        Mark::of(&self.tail.mark, Ordering::Acquire)
    }

    pub(super) fn head(&self) -> Mark {
        Mark::of(&self.head.mark, Ordering::Acquire)
    }

    fn unit(&self, position: u32) -> *mut u8 {
        let offset = (position as usize * UNIT) & (self.capacity() - 1);
        // SAFETY: the records follow the segment's head, as many bytes as its capacity.
        unsafe { (&raw const *self).add(1).cast::<u8>().cast_mut().add(offset) }
    }

    /// Says to a model that units are read, or written.
    #[inline]
    fn touch(&self, position: u32, units: u32, writes: bool) {
        #[cfg(loom)]
        for position in position..position + units {
            let unit = &self.units[position as usize % self.units.len()];
            if writes { unit.with_mut(|_| ()) } else { unit.with(|_| ()) }
        }
        #[cfg(not(loom))]
        let _ = (position, units, writes);
    }

    /// Room for a record; `None` if there is none. Under the put lock.
    pub(super) fn room(&self, record: Record<'_>) -> Option<Room> {
        let (units, tail) = (record.units(), self.tail());
        let capacity = (self.capacity() / UNIT) as u32;
        let to_end = capacity - (tail.position & (capacity - 1));
        let skip = if units > to_end { to_end } else { 0 };
        let fits =
            |head: Mark| tail.position.wrapping_sub(head.position) + skip + units <= capacity;
        // Whoever noted it had the lock before us: what is free then is free for us.
        let fits = fits(Mark::of(&self.tail.seen, Ordering::Relaxed)) || fits(self.see_head());
        fits.then_some(Room { skip, units, tail })
    }

    #[cold]
    fn see_head(&self) -> Mark {
        let head = self.head();
        self.tail.seen.store(head.bits(), Ordering::Relaxed);
        step();
        head
    }

    #[cold]
    fn see_tail(&self) -> Mark {
        let tail = self.tail();
        self.head.seen.store(tail.bits(), Ordering::Relaxed);
        step();
        tail
    }

    /// Writes a record; it is not there before [`Segment::commit`]. Under the put lock.
    pub(super) fn write(&self, room: &Room, record: Record<'_>) {
        if room.skip > 0 {
            self.store_word(room.tail.position, 0, Sort::Skip);
        }
        let position = room.position();
        self.touch(room.tail.position, room.skip + room.units, true);
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
            Record::Retracted(len) => self.store_word(position, len, Sort::Retracted),
        }
    }

    /// Makes the record that was written the last one of the ring: the one store.
    #[inline]
    pub(super) fn commit(&self, room: &Room) {
        let position = room.tail.position.wrapping_add(room.skip + room.units);
        let tail = Mark { position, count: room.tail.count.wrapping_add(1) };
        self.tail.mark.store(tail.bits(), Ordering::Release);
    }

    fn store_word(&self, position: u32, len: usize, sort: Sort) {
        let word = (len as u64) << 2 | sort as u64;
        // SAFETY: a unit of the ring, which is aligned to 16; see `write` for who writes.
        unsafe { self.unit(position).cast::<u64>().write(word) };
        step();
    }

    /// The oldest record and the head after it; `None` if there is none. Under the get lock.
    pub(super) fn oldest(&self) -> Option<(Record<'_>, Mark)> {
        let mut head = self.head();
        // Whoever noted it had the lock before us: what was there for him is for us.
        let seen = Mark::of(&self.head.seen, Ordering::Relaxed);
        if head.count == seen.count && head.count == self.see_tail().count {
            return None;
        }
        loop {
            let start = self.unit(head.position);
            self.touch(head.position, 1, false);
            let record = match self.record(start) {
                Some(record) => record,
                None => {
                    let capacity = (self.capacity() / UNIT) as u32;
                    let to_end = capacity - (head.position & (capacity - 1));
                    head.position = head.position.wrapping_add(to_end);
                    continue;
                }
            };
            self.touch(head.position, record.units(), false);
            let position = head.position.wrapping_add(record.units());
            return Some((record, Mark { position, count: head.count.wrapping_add(1) }));
        }
    }

    /// The record that begins there; `None` for one that says "go on at the beginning". Under the get lock.
    fn record(&self, start: *const u8) -> Option<Record<'_>> {
        // SAFETY: from head to tail there are whole records, which only the holder of the get lock, which
        // we are, writes to.
        let word = unsafe { start.cast::<u64>().read() };
        // SAFETY: as above.
        let contents = unsafe { start.add(WORD) };
        // What another process has written is believed only as far as it can do no harm.
        let len = ((word >> 2) as usize).min(INLINE).min(self.capacity() - WORD);
        match word & 3 {
            0 => {
                // SAFETY: as above; the record lies within the ring.
                Some(Record::Inline(unsafe { std::slice::from_raw_parts(contents, len) }))
            }
            1 => {
                // SAFETY: as above; the address is a multiple of 8.
                let bits = unsafe { contents.cast::<u64>().read() };
                Some(Record::Block(Ref::from_bits(bits).unwrap_or(Ref::new(1, 0))))
            }
            2 => None,
            _ => Some(Record::Retracted(len)),
        }
    }

    /// Takes back the record at that position, which has not gone: `take` is called with the block that it is
    /// of, if it is. Under the get lock.
    pub(super) fn retract<E>(
        &self,
        position: u32,
        take: impl FnOnce(Ref) -> Result<(), E>,
    ) -> Result<(), E> {
        let len = match self.record(self.unit(position)) {
            Some(Record::Inline(bytes)) => bytes.len(),
            Some(Record::Block(block)) => {
                take(block)?;
                WORD
            }
            Some(Record::Retracted(_)) | None => return Ok(()),
        };
        self.store_word(position, len, Sort::Retracted);
        Ok(())
    }

    /// Makes the oldest record gone: the one store.
    #[inline]
    pub(super) fn consume(&self, head: Mark) {
        self.head.mark.store(head.bits(), Ordering::Release);
    }
}

const _: () = assert!(size_of::<Segment>().is_multiple_of(GRAIN));
const _: () = assert!(2 * (INLINE + UNIT) <= FIRST_CAPACITY);
const _: () = assert!(size_of::<Segment>() + LARGEST_CAPACITY <= SPAN);

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::UnsafeCell;
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const CAPACITY: usize = 16 << 10;

    /// A segment with its records, outside of any arena.
    #[repr(C, align(64))]
    struct Ring {
        segment: Segment,
        records: UnsafeCell<[u8; CAPACITY]>,
    }

    /// An empty one which so much has gone through.
    fn ring(start: Mark) -> Box<Ring> {
        // SAFETY: atomics and bytes, for which zero is fine.
        let ring: Box<Ring> = unsafe { Box::new_zeroed().assume_init() };
        ring.segment.open(CAPACITY);
        ring.segment.start_from(start);
        ring
    }

    proptest! {
        /// Also where position and count wrap around.
        #[test]
        fn a_ring_does_what_a_deque_does(
            position in prop_oneof![Just(0), any::<u32>(), (0_u32..2000).prop_map(|back| !back)],
            count in prop_oneof![Just(0), (0_u32..200).prop_map(|back| !back)],
            sizes in prop::collection::vec(
                prop_oneof![
                    4 => (0_usize..60).prop_map(Some),
                    3 => (0..=INLINE).prop_map(Some),
                    1 => Just(Some(INLINE)),
                    5 => Just(None),
                ],
                0..600,
            ),
        ) {
            let ring = ring(Mark { position, count });
            let segment = &ring.segment;
            let mut model = VecDeque::<Vec<u8>>::new();
            let units = |bytes: &Vec<u8>| Record::Inline(bytes).units();
            for (number, size) in sizes.into_iter().enumerate() {
                let Some(size) = size else {
                    let oldest = segment.oldest();
                    let expected = model.pop_front();
                    prop_assert_eq!(oldest.is_some(), expected.is_some());
                    if let (Some((record, head)), Some(expected)) = (oldest, expected) {
                        let Record::Inline(bytes) = record else { panic!("none such was put") };
                        prop_assert!(bytes == &expected[..], "another record");
                        segment.consume(head);
                    }
                    continue;
                };
                let bytes = vec![number as u8; size];
                match segment.room(Record::Inline(&bytes)) {
                    Some(room) => {
                        segment.write(&room, Record::Inline(&bytes));
                        // Not there before it is committed, whatever was written.
                        prop_assert_eq!(segment.oldest().is_some(), !model.is_empty());
                        segment.commit(&room);
                        model.push_back(bytes);
                    }
                    None => {
                        // What is there, this one, and what may be lost at the end of the ring.
                        let used: u32 = model.iter().map(units).sum();
                        let needed = (used + 2 * units(&bytes)) as usize * UNIT;
                        prop_assert!(needed + INLINE + WORD > CAPACITY, "there was room");
                    }
                }
                let len = segment.tail().count.wrapping_sub(segment.head().count);
                prop_assert_eq!(len as usize, model.len());
            }
        }
    }
}
