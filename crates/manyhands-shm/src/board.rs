//! What the workers of a pool are doing, for the others to see.
//!
//! Each worker has a *seat*, some lines of words that only it writes to while it lives; before and
//! after that it is the pool's. A store is one step, so whoever reads after a worker's death reads what
//! it wrote last.
//!
//! The one word that both write to is the *hold*, on a task that may be broken off. The worker sets it,
//! and takes it back before it puts the result; the pool, to break the task off, puts [`CONDEMNED`]
//! there instead. Both by a compare-and-swap of the same word, so one of them is first: a worker that is
//! killed for its task has not put that task's result, and does no other.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use manyhands_sys::step::step;

use crate::{ArenaError, Handle, Kind, Queue, Reference, Shared};

#[repr(C, align(64))]
struct Head {
    /// The block of the queue of tasks, and of that of results.
    tasks: AtomicU64,
    results: AtomicU64,
    seats: AtomicU32,
}

// SAFETY: atomics only.
unsafe impl Shared for Head {}

/// What a hold is when the pool has broken off the task: its worker will be killed.
const CONDEMNED: u64 = u64::MAX;

/// How many bytes of a task's message are noted at most.
pub const NOTE: usize = 8 * NOTE_WORDS;
const NOTE_WORDS: usize = 60;

/// A worker's lines.
///
/// ```
/// use manyhands_shm::{Board, Queue};
///
/// let board = Board::new(&Queue::new(0)?, &Queue::new(0)?, 2)?;
/// board.seat(1).claim(7);
/// assert_eq!(board.seat(1).claimed(), 7);
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Seat {
    claim: AtomicU64,
    hold: AtomicU64,
    /// When what is held began, by the monotonic clock.
    since: AtomicU64,
    ready: AtomicU32,
    /// How many bytes the message has whose beginning is in the note; 0 while that is written.
    noted: AtomicU32,
    note: [AtomicU64; NOTE_WORDS],
}

impl Seat {
    /// Notes which task is taken; 0 for none.
    #[inline]
    pub fn claim(&self, task: u64) {
        self.claim.store(task, Ordering::Release);
        step();
    }

    /// The task that was taken last.
    pub fn claimed(&self) -> u64 {
        self.claim.load(Ordering::Acquire)
    }

    /// Notes the beginning of a task's message, so that it can be told what a dead worker was doing.
    #[inline]
    pub fn note(&self, message: &[u8]) {
        self.noted.store(0, Ordering::Release);
        for (word, bytes) in self.note.iter().zip(message.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(whole), Ordering::Relaxed);
        }
        self.noted.store(u32::try_from(message.len()).unwrap_or(u32::MAX), Ordering::Release);
    }

    /// The beginning of the message that was noted last, at most [`NOTE`] bytes, and how long that was.
    pub fn noted(&self) -> (Vec<u8>, usize) {
        let len = self.noted.load(Ordering::Acquire) as usize;
        let words = self.note.iter().take(len.div_ceil(8));
        let mut bytes: Vec<u8> =
            words.flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        bytes.truncate(len);
        (bytes, len)
    }

    /// From now on that task, which may be broken off, is being done.
    pub fn hold(&self, task: u64, now: u64) {
        self.since.store(now, Ordering::Relaxed);
        self.hold.store(task, Ordering::Release);
        step();
    }

    /// What is held begins anew, as to its time.
    pub fn renew(&self, now: u64) {
        self.since.store(now, Ordering::Relaxed);
    }

    /// The task that is held, if one is and it was not broken off, and since when.
    pub fn held(&self) -> Option<(u64, u64)> {
        match self.hold.load(Ordering::Acquire) {
            0 | CONDEMNED => None,
            task => Some((task, self.since.load(Ordering::Relaxed))),
        }
    }

    /// That task is held no more; false if it was broken off.
    pub fn let_go(&self, task: u64) -> bool {
        let held = self.hold.compare_exchange(task, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        step();
        held
    }

    /// Breaks off that task; false if it is not held (any more). The worker is to be killed.
    pub fn condemn(&self, task: u64) -> bool {
        self.hold.compare_exchange(task, CONDEMNED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// For a new worker.
    pub fn clear(&self) {
        self.claim(0);
        self.set_ready(false);
        self.hold.store(0, Ordering::Release);
        self.noted.store(0, Ordering::Release);
    }

    /// Notes whether the worker has come so far that it takes tasks.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(u32::from(ready), Ordering::Release);
    }

    /// Whether it has.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) != 0
    }
}

/// The seats of all workers, and the queues that tasks and results go through.
#[derive(Clone, Debug)]
pub struct Board {
    head: Handle<Head>,
}

impl Board {
    /// A new one with so many seats.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn new(tasks: &Queue, results: &Queue, seats: u32) -> Result<Board, ArenaError> {
        let bytes = (seats as usize).saturating_mul(size_of::<Seat>());
        let head = Handle::<Head>::with_tail(Kind::Board, bytes)?;
        head.tasks.store(tasks.reference().block, Ordering::Relaxed);
        head.results.store(results.reference().block, Ordering::Relaxed);
        head.seats.store(seats, Ordering::Release);
        Ok(Board { head })
    }

    /// That of a reference.
    ///
    /// # Errors
    /// As of [`Handle::open`].
    pub fn open(reference: Reference) -> Result<Board, ArenaError> {
        Ok(Board { head: Handle::open(reference, Kind::Board)? })
    }

    /// What to pass to another process, for [`Board::open`].
    pub fn reference(&self) -> Reference {
        self.head.reference()
    }

    /// The queues of tasks and of results.
    ///
    /// # Errors
    /// As of [`Queue::open`].
    pub fn queues(&self) -> Result<(Queue, Queue), ArenaError> {
        let queue = |block: &AtomicU64| {
            let block = block.load(Ordering::Acquire);
            Queue::open(Reference { block, ..self.reference() })
        };
        Ok((queue(&self.head.tasks)?, queue(&self.head.results)?))
    }

    /// How many seats there are.
    pub fn len(&self) -> usize {
        let fit = self.head.tail().1 / size_of::<Seat>();
        (self.head.seats.load(Ordering::Acquire) as usize).min(fit)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seat of that number.
    ///
    /// # Panics
    /// There are not so many.
    #[inline]
    pub fn seat(&self, number: usize) -> &Seat {
        assert!(number < self.len(), "there is no seat {number}");
        // SAFETY: the tail follows a head that is aligned as seats are, and holds that many; all bytes
        // are a valid one, and it is atomics.
        unsafe { &*self.head.tail().0.cast::<Seat>().add(number) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat() -> Board {
        Board::new(&Queue::new(0).unwrap(), &Queue::new(0).unwrap(), 1).unwrap()
    }

    #[test]
    fn a_task_is_let_go_or_broken_off() {
        let board = seat();
        let seat = board.seat(0);
        assert!(!seat.condemn(7), "it is not held");
        seat.hold(7, 100);
        assert_eq!(seat.held(), Some((7, 100)));
        assert!(seat.let_go(7) && !seat.condemn(7));
        seat.hold(8, 200);
        assert!(!seat.condemn(7), "that was before");
        assert!(seat.condemn(8) && !seat.let_go(8));
        assert_eq!(seat.held(), None);
        seat.clear();
        seat.hold(9, 300);
        assert!(seat.let_go(9));
    }

    #[test]
    fn the_beginning_of_a_message_is_noted() {
        let board = seat();
        let seat = board.seat(0);
        assert_eq!(seat.noted(), (Vec::new(), 0));
        for len in [0, 1, 7, 8, 9, NOTE - 1, NOTE, NOTE + 1, 10 * NOTE] {
            let message: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
            seat.note(&message);
            assert_eq!(seat.noted(), (message[..len.min(NOTE)].to_vec(), len));
        }
        seat.clear();
        assert_eq!(seat.noted().1, 0);
    }
}
