//! What the workers of a pool are doing, for the others to see.
//!
//! Each worker has a *seat*, a line of words that only it writes to while it lives; before and after
//! that it is the pool's. A store is one step, so whoever reads after a worker's death reads what it
//! wrote last.

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

/// A worker's line.
///
/// ```
/// use manyhands_shm::{Board, Queue};
///
/// let board = Board::new(&Queue::new(0)?, &Queue::new(0)?, 2)?;
/// board.seat(1).claim(7);
/// assert_eq!(board.seat(1).claimed(), 7);
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Seat {
    claim: AtomicU64,
    ready: AtomicU32,
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
