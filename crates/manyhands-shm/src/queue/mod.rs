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
//! * A new segment is noted in `pending`, too: it becomes the last one, then the one before it, noted
//!   in `previous`, gets it for its next. In this order: a segment that has a next one may be
//!   dropped by who gets, and nobody who puts may look at it any more. Who repairs does what is left
//!   of this, or frees the new one.
//! * A drained segment is noted in `drained`.
//! * While waiting, or between a change and the wake that it calls for: waiters look again every
//!   200 ms.
//!
//! # Without address space
//! Segments and blocks that others have added may lie where this process has no address space for them.
//! Whatever a step needs is reached before anything is changed for it, be it the lock's own work or the
//! repair of what a dead one left: whoever cannot reach it releases the lock with all as it was (for the
//! next as after a death, if it was for him so), and gives an error.

mod bell;
mod get;
mod journal;
mod parcel;
mod put;
mod ring;
mod tasks;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use manyhands_sys::robust::RobustLock;
use manyhands_sys::step::step;
use manyhands_watch::traced;

use bell::Bell;
use journal::Journal;
use parcel::Owned;
pub use parcel::{Parcel, Piece};
use ring::{FIRST_CAPACITY, Segment};
use tasks::Tasks;

use crate::arena::Arena;
use crate::block::{self, Block};
use crate::layout::Ref;
use crate::{ArenaError, Handle, Kind, Limit, OutOfReach, Reference, Shared, participant};

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
    /// If that is a segment: the one that was the last before.
    previous: AtomicU64,
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

/// A message's place in the order of all that were put into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    count: u32,
    /// Where its record is, while it is there.
    position: u32,
    segment: Ref,
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

/// Why a wait ended before there was what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError<E> {
    /// This process has no address space for what another one has added to the queue.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// The wait was given up.
    #[error("given up")]
    GivenUp(E),
}

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum GetError<E> {
    /// The queue was empty for as long as could be waited.
    #[error("the queue is empty")]
    Empty,
    /// The queue was shut down and is empty.
    #[error("the queue was shut down")]
    ShutDown,
    /// This process has no address space for it.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// The wait was given up.
    #[error("given up")]
    GivenUp(E),
}

impl<E> From<WaitError<E>> for PutError<E> {
    fn from(error: WaitError<E>) -> PutError<E> {
        match error {
            WaitError::Arena(error) => PutError::Arena(error),
            WaitError::GivenUp(error) => PutError::GivenUp(error),
        }
    }
}

impl<E> From<WaitError<E>> for GetError<E> {
    fn from(error: WaitError<E>) -> GetError<E> {
        match error {
            WaitError::Arena(error) => GetError::Arena(error),
            WaitError::GivenUp(error) => GetError::GivenUp(error),
        }
    }
}

/// Why a message was not reported as done.
#[derive(Debug, thiserror::Error)]
pub enum DoneError {
    /// `task_done` was called more often than there were messages.
    #[error("task_done() called too many times")]
    TooMany,
    /// This process has no address space to look how many there were.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

impl Queue {
    /// An empty one for at most `maxsize` messages, or any number if that is 0.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn new(maxsize: u32) -> Result<Queue, ArenaError> {
        let head = Handle::<Head>::new(Kind::Queue)?;
        let (block, _) = new_segment(head.arena(), FIRST_CAPACITY)?;
        let segment = block.reference().to_bits();
        head.maxsize.store(maxsize, Ordering::Relaxed);
        step();
        block.block.give(head.block());
        head.put_side.segment.store(segment, Ordering::Release);
        step();
        head.get_side.segment.store(segment, Ordering::Release);
        step();
        block.given();
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

    /// Notes, where there is a trace, that a message was put or taken, and how many there are now.
    #[inline]
    fn trace(&self, is_put: bool) {
        if manyhands_trace::is_on() {
            let address = std::ptr::from_ref::<Head>(&self.head).addr();
            let items = || self.len().map_or(manyhands_trace::UNKNOWN, |len| len as u64);
            traced::item_in_memory(address, is_put, items);
        }
    }

    /// How many messages it holds at most; 0 if any number.
    pub fn maxsize(&self) -> u32 {
        self.head.maxsize.load(Ordering::Relaxed)
    }

    /// How many messages it holds.
    ///
    /// # Errors
    /// This process has no address space for what another one has added to the queue.
    pub fn len(&self) -> Result<usize, ArenaError> {
        Ok(self.count()? as usize)
    }

    /// Whether it holds none.
    ///
    /// # Errors
    /// As of [`Queue::len`].
    pub fn is_empty(&self) -> Result<bool, ArenaError> {
        Ok(self.count()? == 0)
    }

    /// Whether it holds as many as it may.
    ///
    /// # Errors
    /// As of [`Queue::len`].
    pub fn is_full(&self) -> Result<bool, ArenaError> {
        Ok(self.has_most()?)
    }

    #[inline]
    fn count(&self) -> Result<u32, OutOfReach> {
        // In this order: what is put meanwhile makes it more, and never less than none.
        let got = self.got_count()?;
        Ok(self.put_count()?.wrapping_sub(got))
    }

    #[inline]
    fn has_most(&self) -> Result<bool, OutOfReach> {
        let maxsize = self.maxsize();
        Ok(maxsize != 0 && self.count()? >= maxsize)
    }

    /// Whether there is anything, where that can be told.
    fn has_any(&self) -> Option<bool> {
        self.count().ok().map(|count| count != 0)
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

    #[inline]
    fn segment(&self, word: &AtomicU64) -> Result<(Ref, &'static Segment), OutOfReach> {
        self.segment_of(word.load(Ordering::Acquire))
    }

    #[inline]
    fn segment_of(&self, bits: u64) -> Result<(Ref, &'static Segment), OutOfReach> {
        let reference = Ref::from_bits(bits).expect("set by `new`");
        // SAFETY: the words hold references of segments only.
        Ok((reference, unsafe { Segment::at(self.arena(), reference) }?))
    }

    /// A count of the segment that a word names: looked up again if it was dropped meanwhile.
    #[inline]
    fn count_of(
        &self,
        word: &AtomicU64,
        count: impl Fn(&Segment) -> u32,
    ) -> Result<u32, OutOfReach> {
        loop {
            let bits = word.load(Ordering::Acquire);
            let count = self.segment_of(bits).map(|(_, segment)| count(segment));
            if word.load(Ordering::Acquire) == bits {
                return count;
            }
        }
    }

    #[inline]
    fn put_count(&self) -> Result<u32, OutOfReach> {
        self.count_of(&self.head.put_side.segment, |segment| segment.tail().count)
    }

    #[inline]
    fn got_count(&self) -> Result<u32, OutOfReach> {
        self.count_of(&self.head.get_side.segment, |segment| segment.head().count)
    }

    /// How many messages have been put and how many got since it was made, both modulo 2^32.
    pub(crate) fn counts(&self) -> Result<(u32, u32), OutOfReach> {
        Ok((self.put_count()?, self.got_count()?))
    }

    /// Lets nothing more be put; whoever waits is told. What is there can be got still, unless
    /// `immediate`: then it is dropped, and counts as done.
    ///
    /// # Errors
    /// This process has no address space for what another one has added to the queue: it is not shut
    /// down, or not emptied.
    pub fn shut_down(&self, immediate: bool) -> Result<(), ArenaError> {
        participant::me();
        // Who puts has put before, or is told.
        let debris = match self.lock_put_side(&crate::Patient) {
            Ok(debris) => debris,
            Err(WaitError::Arena(error)) => return Err(error),
        };
        self.head.shut.store(1, Ordering::SeqCst);
        step();
        self.head.put_side.lock.unlock();
        drop(debris);
        let emptied = if immediate { self.empty() } else { Ok(()) };
        self.head.not_empty.ring_all();
        self.head.not_full.ring_all();
        emptied
    }

    /// Gets what is there, and reports it as done.
    fn empty(&self) -> Result<(), ArenaError> {
        let mut scratch = Vec::new();
        loop {
            match self.get(&crate::Patient, &mut scratch, Limit::Never) {
                Ok(_) => match self.task_done() {
                    Ok(()) | Err(DoneError::TooMany) => {}
                    Err(DoneError::Arena(error)) => return Err(error),
                },
                Err(GetError::Empty | GetError::ShutDown) => return Ok(()),
                Err(GetError::Arena(error)) => return Err(error),
            }
        }
    }
}

/// A block to be released once no lock is held.
struct Debris {
    arena: &'static Arena,
    block: Block,
}

impl Drop for Debris {
    fn drop(&mut self) {
        block::release(self.arena, self.block);
    }
}

fn new_segment(
    arena: &'static Arena,
    capacity: usize,
) -> Result<(Owned, &'static Segment), ArenaError> {
    let block = Owned::new(arena, ring::bytes(capacity))?;
    // SAFETY: the block is large enough, and nobody else's.
    let segment = unsafe { Segment::at(arena, block.reference()) }?;
    segment.open(capacity);
    Ok((block, segment))
}
