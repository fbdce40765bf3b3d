//! A queue between processes: first in, first out, of messages of any size.
//!
//! Two locks, of those who put and of those who get; both are released by the kernel when their
//! holder dies. Messages lie in a chain of rings (see `ring`): who puts grows the chain when the
//! last ring is full, who gets drops the first when it is empty and another follows. A message of
//! more than a few KiB has a block of its own, and its record says which.
//!
//! # Killed at any instruction
//! * While it writes a record: the record is not there, as `tail` has not moved. The next who puts
//!   counts it as lost.
//! * While it takes one: as long as `head` has not moved the next who gets takes it. Afterwards it is the
//!   dead one's; if it still held the lock it is counted as lost.
//! * A block is the writer's, then the queue's, then the taker's, by one store each. It becomes
//!   the queue's under the put lock, after it was noted in `pending`; who repairs frees it if its
//!   record is not there. It becomes the taker's before its record goes; a record whose block is
//!   not the queue's any more is one of a dead taker, and is counted as lost.
//! * A new segment is noted in `pending`, too: it is linked, or freed. A drained one is noted in
//!   `drained`.
//! * While waiting, or between a change and the wake that it calls for: waiters look again every
//!   200 ms.

mod parcel;
mod ring;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Instant;

use manyhands_sys::robust::{Previous, RobustLock};
use manyhands_sys::{futex, thread};

use parcel::Owned;
pub use parcel::{Parcel, Piece};
use ring::{FIRST_CAPACITY, INLINE, LARGEST_CAPACITY, Record, Segment};

use crate::arena::Arena;
use crate::layout::Ref;
use crate::wait::{is_over, learn, look, next_look};
use crate::{ArenaError, Handle, Kind, Limit, Pause, Reference, Shared, block};

/// From so many bytes on a copy is worth leaving the interpreter for.
const LONG_COPY: usize = 128 << 10;

/// One side's notes of what it is doing, for who finds its lock with the holder dead.
#[repr(C)]
struct Journal {
    /// Bit 63: a record is being put, or taken. Bits 32 to 62: how many were lost.
    /// The lower half: the count of records before.
    state: AtomicU64,
}

impl Journal {
    const BUSY: u64 = 1 << 63;

    fn begin(&self, count: u32) {
        let lost = self.state.load(Ordering::Relaxed) & !Self::BUSY & !0xffff_ffff;
        self.state.store(Self::BUSY | lost | u64::from(count), Ordering::Relaxed);
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }

    fn end(&self) {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        let state = self.state.load(Ordering::Relaxed);
        self.state.store(state & !Self::BUSY, Ordering::Relaxed);
    }

    fn lost(&self) -> u64 {
        (self.state.load(Ordering::Relaxed) & !Self::BUSY) >> 32
    }

    /// The count of records when the dead one began, if it had begun.
    fn interrupted(&self) -> Option<u32> {
        let state = self.state.load(Ordering::Relaxed);
        (state & Self::BUSY != 0).then_some(state as u32)
    }

    /// Ends it, with so many more lost: one store.
    fn settle(&self, lost: u64) {
        let state = self.state.load(Ordering::Relaxed) & !Self::BUSY;
        self.state.store(state + (lost << 32), Ordering::Relaxed);
    }
}

/// Somebody sleeps until the other side moves.
#[repr(C, align(64))]
struct Bell {
    /// 1 while somebody sleeps who has to be woken.
    word: AtomicU32,
    /// How many sleep, or more.
    sleepers: AtomicU32,
    /// On which processor who rang last ran.
    processor: AtomicU32,
}

impl Bell {
    /// After what the sleepers wait for has come to be, and the lock was released.
    #[inline]
    fn ring(&self) {
        // The change is seen by who arms the bell, or the bell is seen here. On x86-64 releasing the
        // lock was a full barrier already, and another would cost a tenth of the whole.
        if !cfg!(target_arch = "x86_64") {
            fence(Ordering::SeqCst);
        }
        if self.word.load(Ordering::Relaxed) != 0 {
            self.ring_now();
        }
    }

    #[cold]
    fn ring_now(&self) {
        self.processor.store(thread::processor(), Ordering::Relaxed);
        if self.word.swap(0, Ordering::SeqCst) != 0 {
            futex::wake_shared(&self.word, 1);
        }
    }

    fn ring_all(&self) {
        self.word.swap(0, Ordering::SeqCst);
        futex::wake_shared(&self.word, u32::MAX);
    }

    /// Says that somebody is going to sleep; afterwards it looks again whether it has to.
    fn arm(&self) {
        self.word.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    fn sleep<P: Pause>(&self, pause: &P, limit: Limit) -> Result<(), P::Error> {
        let begun = Instant::now();
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        let slept = pause.pause(&self.word, 1, next_look(limit));
        if self.sleepers.fetch_sub(1, Ordering::Relaxed) > 1 {
            // The bell has rung for one; others may sleep still.
            self.arm();
        }
        if self.word.load(Ordering::Relaxed) == 0 {
            learn(begun, self.processor.load(Ordering::Relaxed));
        }
        slept
    }
}

#[repr(C, align(64))]
struct Head {
    /// How many messages it holds at most; 0 if any number.
    maxsize: AtomicU32,
    /// 1 when nothing more can be put.
    shut: AtomicU32,
    put_side: PutSide,
    get_side: GetSide,
    not_empty: Bell,
    not_full: Bell,
    tasks: Tasks,
}

#[repr(C, align(64))]
struct PutSide {
    lock: RobustLock,
    unused: AtomicU32,
    journal: Journal,
    /// The last segment.
    segment: AtomicU64,
    /// The block that is becoming the queue's; 0 if there is none.
    pending: AtomicU64,
}

#[repr(C, align(64))]
struct GetSide {
    lock: RobustLock,
    unused: AtomicU32,
    journal: Journal,
    /// The first segment.
    segment: AtomicU64,
    /// The segment that is being dropped; 0 if there is none.
    drained: AtomicU64,
}

#[repr(C, align(64))]
struct Tasks {
    /// How many messages were reported done; wraps around, as the counts of records do.
    done: AtomicU32,
    all_done: AtomicU32,
}

// SAFETY: atomics, and robust locks, which are atomics; `Queue::new` sets the segments before anybody
// else knows the queue.
unsafe impl Shared for Head {}

/// A queue between processes.
///
/// ```
/// use manyhands_shm::{Limit, Message, Patient, Queue};
///
/// let queue = Queue::new(0)?;
/// queue.put(&Patient, Message::of(b"hello"), Limit::Forever).unwrap();
/// let mut scratch = Vec::new();
/// assert!(queue.get(&Patient, &mut scratch, Limit::Never).unwrap().is_none());
/// assert_eq!(scratch, b"hello");
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Queue {
    head: Handle<Head>,
}

/// What is put: bytes, and pieces that are copied straight from where they are.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    head: &'a [u8],
    pieces: &'a [Piece],
}

impl<'a> Message<'a> {
    /// Bytes.
    pub fn of(bytes: &'a [u8]) -> Message<'a> {
        Message { head: bytes, pieces: &[] }
    }

    /// Bytes and pieces.
    ///
    /// # Safety
    /// The pieces are readable for as long as the message is.
    pub unsafe fn with_pieces(head: &'a [u8], pieces: &'a [Piece]) -> Message<'a> {
        Message { head, pieces }
    }
}

/// Why a message was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutError<E> {
    /// The queue was full for as long as could be waited.
    #[error("the queue is full")]
    Full,
    /// The queue was shut down.
    #[error("the queue was shut down")]
    ShutDown,
    /// No memory for it.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// The wait was given up.
    #[error("given up")]
    GivenUp(E),
}

/// Why there is no message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError<E> {
    /// The queue was empty for as long as could be waited.
    #[error("the queue is empty")]
    Empty,
    /// The queue was shut down and is empty.
    #[error("the queue was shut down")]
    ShutDown,
    /// The wait was given up.
    #[error("given up")]
    GivenUp(E),
}

/// `task_done` was called more often than there were messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task_done() called too many times")]
pub struct TooManyDone;

impl Queue {
    /// An empty one for at most `maxsize` messages, or any number if that is 0.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn new(maxsize: u32) -> Result<Queue, ArenaError> {
        let head = Handle::<Head>::new(Kind::Queue)?;
        let segment = new_segment(head.arena(), FIRST_CAPACITY)?;
        head.maxsize.store(maxsize, Ordering::Relaxed);
        block::give(head.arena(), segment.reference, head.block());
        head.put_side.segment.store(segment.reference.to_bits(), Ordering::Release);
        head.get_side.segment.store(segment.reference.to_bits(), Ordering::Release);
        Ok(Queue { head })
    }

    /// That of a reference.
    ///
    /// # Errors
    /// As of [`Handle::open`].
    pub fn open(reference: Reference) -> Result<Queue, ArenaError> {
        Ok(Queue { head: Handle::open(reference, Kind::Queue)? })
    }

    /// What to pass to another process, for [`Queue::open`].
    pub fn reference(&self) -> Reference {
        self.head.reference()
    }

    /// How many messages it holds at most; 0 if any number.
    pub fn maxsize(&self) -> u32 {
        self.head.maxsize.load(Ordering::Relaxed)
    }

    /// How many messages it holds.
    pub fn len(&self) -> usize {
        // In this order: what is put meanwhile makes it more, and never less than none.
        let got = self.got_count();
        self.put_count().wrapping_sub(got) as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.got_count() == self.put_count()
    }

    /// Whether it holds as many as it may.
    pub fn is_full(&self) -> bool {
        let maxsize = self.maxsize();
        maxsize != 0 && self.len() >= maxsize as usize
    }

    /// How many messages were lost with processes that were killed while putting or getting them.
    pub fn lost(&self) -> u64 {
        self.head.put_side.journal.lost() + self.head.get_side.journal.lost()
    }

    /// Whether it was shut down.
    pub fn is_shut(&self) -> bool {
        self.head.shut.load(Ordering::Acquire) != 0
    }

    fn arena(&self) -> &'static Arena {
        self.head.arena()
    }

    fn segment(&self, word: &AtomicU64) -> (Ref, &'static Segment) {
        let reference = Ref::from_bits(word.load(Ordering::Acquire)).expect("set by `new`");
        // SAFETY: the words hold references of segments only.
        (reference, unsafe { Segment::at(self.arena(), reference) })
    }

    /// A count of the segment that a word names: looked up again if it was dropped meanwhile.
    fn count_of(&self, word: &AtomicU64, count: impl Fn(&Segment) -> u32) -> u32 {
        loop {
            let (reference, segment) = self.segment(word);
            let count = count(segment);
            if word.load(Ordering::Acquire) == reference.to_bits() {
                return count;
            }
        }
    }

    fn put_count(&self) -> u32 {
        self.count_of(&self.head.put_side.segment, |segment| segment.tail().count)
    }

    fn got_count(&self) -> u32 {
        self.count_of(&self.head.get_side.segment, |segment| segment.head().count)
    }

    /// Puts a message at the end; waits while the queue is full, at most until `limit`.
    ///
    /// # Errors
    /// Full, shut down, no memory; the wait was given up.
    #[inline]
    pub fn put<P: Pause>(
        &self,
        pause: &P,
        message: Message<'_>,
        limit: Limit,
    ) -> Result<(), PutError<P::Error>> {
        if message.pieces.is_empty() && message.head.len() <= INLINE {
            return self.put_record(pause, Record::Inline(message.head), limit);
        }
        let too_large = || ArenaError::Full { wanted: usize::MAX, capacity: 0 };
        let len = parcel::len(message.head, message.pieces).ok_or_else(too_large)?;
        if self.is_shut() {
            return Err(PutError::ShutDown);
        }
        let mut made = None;
        let mut make = || {
            made = Some(Owned::new(self.arena(), len).inspect(|block| {
                // SAFETY: who made the message vouches for its pieces.
                unsafe { parcel::write(block, message.head, message.pieces) };
            }));
        };
        if len < LONG_COPY {
            make()
        } else {
            pause.aside(&mut make)
        }
        let block = made.expect("`aside` calls it")?;
        self.put_record(pause, Record::Block(block.reference), limit)
    }

    fn put_record<P: Pause>(
        &self,
        pause: &P,
        record: Record<'_>,
        limit: Limit,
    ) -> Result<(), PutError<P::Error>> {
        let side = &self.head.put_side;
        let mut spare: Option<Owned> = None;
        let mut slept = false;
        loop {
            let _debris = self.lock_put_side();
            if self.is_shut() {
                side.lock.unlock();
                self.head.not_full.ring();
                return Err(PutError::ShutDown);
            }
            let (reference, segment) = self.segment(&side.segment);
            if self.is_full() {
                if limit == Limit::Never {
                    side.lock.unlock();
                    return Err(PutError::Full);
                }
                self.head.not_full.arm();
                let is_full = self.is_full();
                side.lock.unlock();
                if is_full && !look(pause, || !self.is_full()) {
                    if is_over(limit) {
                        return Err(PutError::Full);
                    }
                    self.head.not_full.sleep(pause, limit).map_err(PutError::GivenUp)?;
                    slept = true;
                }
                continue;
            }
            let Some(room) = segment.room(record) else {
                if let Some(next) = spare.take() {
                    self.link(reference, segment, &next);
                    side.lock.unlock();
                } else {
                    let capacity = (2 * segment.capacity()).min(LARGEST_CAPACITY);
                    side.lock.unlock();
                    spare = Some(new_segment(self.arena(), capacity)?);
                }
                continue;
            };
            side.journal.begin(room.count());
            if let Record::Block(block) = record {
                side.pending.store(block.to_bits(), Ordering::Relaxed);
                std::sync::atomic::compiler_fence(Ordering::SeqCst);
                block::give(self.arena(), block, self.head.block());
            }
            segment.write(&room, record);
            segment.commit(&room);
            if let Record::Block(_) = record {
                std::sync::atomic::compiler_fence(Ordering::SeqCst);
                side.pending.store(0, Ordering::Relaxed);
            }
            side.journal.end();
            side.lock.unlock();
            self.head.not_empty.ring();
            if slept && !self.is_full() {
                self.head.not_full.ring();
            }
            return Ok(());
        }
    }

    /// Makes a segment the last one; under the put lock.
    fn link(&self, last: Ref, segment: &Segment, next: &Owned) {
        let side = &self.head.put_side;
        debug_assert_eq!(side.segment.load(Ordering::Relaxed), last.to_bits());
        let bits = next.reference.to_bits();
        // SAFETY: made as a segment, and known to nobody else yet.
        unsafe { Segment::at(self.arena(), next.reference) }.count_from(segment.tail().count);
        side.pending.store(bits, Ordering::Relaxed);
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        block::give(self.arena(), next.reference, self.head.block());
        segment.next.store(bits, Ordering::Release);
        side.segment.store(bits, Ordering::Release);
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        side.pending.store(0, Ordering::Relaxed);
    }

    /// Takes the put lock. What has to be released after it is unlocked comes back, as one thread
    /// holds one robust lock at a time.
    fn lock_put_side(&self) -> Option<Debris> {
        match self.head.put_side.lock.lock() {
            Previous::Released => None,
            Previous::Died => self.repair_put_side(),
        }
    }

    #[cold]
    fn repair_put_side(&self) -> Option<Debris> {
        let side = &self.head.put_side;
        let (_, segment) = self.segment(&side.segment);
        let mut debris = None;
        let put = side.journal.interrupted().is_some_and(|count| segment.tail().count != count);
        if let Some(block) = Ref::from_bits(side.pending.load(Ordering::Relaxed))
            && block::is_part(self.arena(), block, self.head.block())
        {
            if segment.next.load(Ordering::Relaxed) == block.to_bits() {
                // A new segment that was linked already.
                side.segment.store(block.to_bits(), Ordering::Release);
            } else if side.segment.load(Ordering::Relaxed) != block.to_bits() && !put {
                block::take(self.arena(), block);
                debris = Some(Debris { arena: self.arena(), block });
            }
        }
        side.pending.store(0, Ordering::Relaxed);
        if side.journal.interrupted().is_some() {
            side.journal.settle(u64::from(!put));
        }
        debris
    }

    /// Takes the oldest message; waits while there is none, at most until `limit`. One of a few KiB
    /// comes in `scratch`, which is cleared before; a larger one as a parcel.
    ///
    /// # Errors
    /// Empty, shut down; the wait was given up.
    #[inline]
    pub fn get<P: Pause>(
        &self,
        pause: &P,
        scratch: &mut Vec<u8>,
        limit: Limit,
    ) -> Result<Option<Parcel>, GetError<P::Error>> {
        let side = &self.head.get_side;
        let mut slept = false;
        scratch.clear();
        // Under the lock there is no time for it.
        scratch.reserve(INLINE);
        loop {
            let _debris = self.lock_get_side();
            let (reference, segment) = self.segment(&side.segment);
            let Some((record, head)) = segment.oldest() else {
                if let Some(next) = Ref::from_bits(segment.next.load(Ordering::Acquire)) {
                    // Nothing is put into a segment that has a next one; but it may have been
                    // between our two looks.
                    let drained = segment.oldest().is_none();
                    let _drained = drained.then(|| self.advance(reference, next));
                    side.lock.unlock();
                    continue;
                }
                if self.is_shut() {
                    side.lock.unlock();
                    self.head.not_empty.ring();
                    return Err(GetError::ShutDown);
                }
                if limit == Limit::Never {
                    side.lock.unlock();
                    return Err(GetError::Empty);
                }
                side.lock.unlock();
                if look(pause, || !self.is_empty() || self.is_shut()) {
                    continue;
                }
                self.head.not_empty.arm();
                if self.is_empty() && !self.is_shut() {
                    if is_over(limit) {
                        return Err(GetError::Empty);
                    }
                    self.head.not_empty.sleep(pause, limit).map_err(GetError::GivenUp)?;
                    slept = true;
                }
                continue;
            };
            let mut parcel = None;
            side.journal.begin(segment.head().count);
            match record {
                Record::Inline(bytes) => {
                    scratch.extend_from_slice(bytes);
                    segment.consume(head);
                    side.journal.end();
                }
                Record::Block(block) => {
                    if block::is_part(self.arena(), block, self.head.block()) {
                        block::take(self.arena(), block);
                        segment.consume(head);
                        side.journal.end();
                        parcel = Some(Parcel::new(Owned::adopt(self.arena(), block)));
                    } else {
                        // It went with a taker that was killed before the record went.
                        segment.consume(head);
                        side.journal.settle(1);
                        side.lock.unlock();
                        continue;
                    }
                }
            }
            side.lock.unlock();
            if self.maxsize() != 0 {
                self.head.not_full.ring();
            }
            if slept && !self.is_empty() {
                self.head.not_empty.ring();
            }
            return Ok(parcel);
        }
    }

    /// Drops the drained first segment; under the get lock.
    fn advance(&self, drained: Ref, next: Ref) -> Debris {
        let side = &self.head.get_side;
        side.drained.store(drained.to_bits(), Ordering::Relaxed);
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        side.segment.store(next.to_bits(), Ordering::Release);
        block::take(self.arena(), drained);
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        side.drained.store(0, Ordering::Relaxed);
        Debris { arena: self.arena(), block: drained }
    }

    fn lock_get_side(&self) -> Option<Debris> {
        match self.head.get_side.lock.lock() {
            Previous::Released => None,
            Previous::Died => self.repair_get_side(),
        }
    }

    #[cold]
    fn repair_get_side(&self) -> Option<Debris> {
        let side = &self.head.get_side;
        let mut debris = None;
        if let Some(drained) = Ref::from_bits(side.drained.load(Ordering::Relaxed))
            && drained.to_bits() != side.segment.load(Ordering::Relaxed)
            && block::is_part(self.arena(), drained, self.head.block())
        {
            block::take(self.arena(), drained);
            debris = Some(Debris { arena: self.arena(), block: drained });
        }
        side.drained.store(0, Ordering::Relaxed);
        if let Some(count) = side.journal.interrupted() {
            let (_, segment) = self.segment(&side.segment);
            side.journal.settle(u64::from(segment.head().count != count));
        }
        debris
    }

    /// Lets nothing more be put; whoever waits is told. What is there can be got still, unless
    /// `immediate`: then it is dropped, and counts as done.
    pub fn shut_down(&self, immediate: bool) {
        self.head.shut.store(1, Ordering::SeqCst);
        if immediate {
            let mut scratch = Vec::new();
            while self.get(&crate::Patient, &mut scratch, Limit::Never).is_ok() {
                let _ = self.task_done();
            }
        }
        self.head.not_empty.ring_all();
        self.head.not_full.ring_all();
    }

    /// How many messages were put and not reported done. One that was lost with a process that took it
    /// counts as done: nobody can report it any more.
    pub fn unfinished(&self) -> u32 {
        self.unfinished_if(self.head.tasks.done.load(Ordering::Acquire))
    }

    fn unfinished_if(&self, done: u32) -> u32 {
        let lost = self.head.get_side.journal.lost() as u32;
        let unfinished = self.put_count().wrapping_sub(done).wrapping_sub(lost);
        if unfinished > u32::MAX / 2 { 0 } else { unfinished }
    }

    /// Reports a message that was got as done.
    ///
    /// # Errors
    /// As many were reported as were put.
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        let tasks = &self.head.tasks;
        let mut done = tasks.done.load(Ordering::Acquire);
        loop {
            if self.unfinished_if(done) == 0 {
                return Err(TooManyDone);
            }
            match tasks.done.compare_exchange(
                done,
                done.wrapping_add(1),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(other) => done = other,
            }
        }
        if self.unfinished() == 0 && tasks.all_done.swap(0, Ordering::SeqCst) != 0 {
            futex::wake_shared(&tasks.all_done, u32::MAX);
        }
        Ok(())
    }

    /// Waits until all messages are reported done; false if `limit` was reached first.
    ///
    /// # Errors
    /// The wait was given up.
    pub fn join<P: Pause>(&self, pause: &P, limit: Limit) -> Result<bool, P::Error> {
        let tasks = &self.head.tasks;
        loop {
            if self.unfinished() == 0 {
                return Ok(true);
            }
            if is_over(limit) {
                return Ok(false);
            }
            tasks.all_done.store(1, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if self.unfinished() != 0 {
                pause.pause(&tasks.all_done, 1, next_look(limit))?;
            }
        }
    }
}

/// A block to be released once no lock is held.
struct Debris {
    arena: &'static Arena,
    block: Ref,
}

impl Drop for Debris {
    fn drop(&mut self) {
        block::release(self.arena, self.block);
    }
}

fn new_segment(arena: &'static Arena, capacity: usize) -> Result<Owned, ArenaError> {
    let block = Owned::new(arena, ring::bytes(capacity))?;
    // SAFETY: the block is large enough, and nobody else's.
    unsafe { Segment::at(arena, block.reference) }.open(capacity);
    Ok(block)
}
