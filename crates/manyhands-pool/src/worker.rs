//! The worker's side.

use std::sync::atomic::{AtomicU64, Ordering};

use manyhands_shm::{
    ArenaError, Board, GetError, Limit, Message, Parcel, Pause, Piece, PutError, Queue, Reference,
};
use manyhands_sys::time;

/// How many bytes of a message's head are the pool's: the number of the task, first in it.
pub const TASK: usize = 8;

/// From this on numbers are for results that are of no task, but the host's notices; those below are
/// the pool's own, or of tasks.
pub const FIRST_OF_HOST: u64 = u64::MAX - 0xff;

pub(crate) fn task_of(head: &[u8]) -> u64 {
    head.first_chunk::<TASK>().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// A worker of a pool: takes tasks and puts their results.
#[derive(Debug)]
pub struct Worker {
    board: Board,
    seat: usize,
    tasks: Queue,
    results: Queue,
    /// The task that is held, see [`Worker::hold`]; 0 for none.
    held: AtomicU64,
}

/// The present moment, as it is noted in seats.
pub(crate) fn now() -> u64 {
    time::now().as_nanos() as u64
}

impl Worker {
    /// That of a seat which the pool has given to this process.
    ///
    /// # Errors
    /// The pool is not there any more; the limit of address space.
    pub fn join(board: Reference, seat: usize) -> Result<Worker, ArenaError> {
        let board = Board::open(board)?;
        let (tasks, results) = board.queues()?;
        if seat >= board.len() {
            return Err(ArenaError::Gone);
        }
        Ok(Worker { board, seat, tasks, results, held: AtomicU64::new(0) })
    }

    /// Says that it takes tasks from now on.
    pub fn set_ready(&self) {
        self.board.seat(self.seat).set_ready(true);
    }

    /// Takes the next task: its message in `scratch`, or as a parcel if it is large. The head begins with
    /// [`TASK`] bytes that [`Worker::finish`] is to be given again.
    ///
    /// # Errors
    /// Shut down: there will be no more. The wait was given up; no address space.
    pub fn next<P: Pause>(
        &self,
        pause: &P,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<Parcel>, GetError<P::Error>> {
        let seat = self.board.seat(self.seat);
        let parcel = self
            .tasks
            .get_noting(pause, scratch, Limit::Forever, |head| seat.claim(task_of(head)))?;
        seat.note(parcel.as_ref().map_or(&scratch[..], Parcel::head));
        Ok(parcel)
    }

    /// The pool may break off that task from now on, until its result is put: it kills this process then.
    pub fn hold(&self, task: u64) {
        self.held.store(task, Ordering::Relaxed);
        self.board.seat(self.seat).hold(task, now());
    }

    /// The time of the task that is held, if one is, begins anew.
    pub fn renew(&self) {
        if self.held.load(Ordering::Relaxed) != 0 {
            self.board.seat(self.seat).renew(now());
        }
    }

    /// The task is not broken off any more; if it was, this does not return, as the process is killed.
    fn let_go(&self) {
        let held = self.held.swap(0, Ordering::Relaxed);
        if held != 0 && !self.board.seat(self.seat).let_go(held) {
            loop {
                std::thread::park();
            }
        }
    }

    /// How many messages of workers the pool has not taken.
    ///
    /// # Errors
    /// No address space.
    pub fn untaken(&self) -> Result<usize, ArenaError> {
        self.results.len()
    }

    /// Puts a result. The head begins with the [`TASK`] bytes of the task, or a number of the host's
    /// ([`FIRST_OF_HOST`]). Does not return if the pool has broken off the task, see [`Worker::hold`].
    ///
    /// # Errors
    /// No memory; given up.
    ///
    /// # Safety
    /// As of [`Message::with_pieces`].
    #[expect(unsafe_code, reason = "the caller's promise about pieces is passed on")]
    pub unsafe fn finish<P: Pause>(
        &self,
        pause: &P,
        head: &[u8],
        pieces: &[Piece],
    ) -> Result<(), PutError<P::Error>> {
        if task_of(head) < FIRST_OF_HOST {
            self.let_go();
        }
        // SAFETY: the caller's.
        let message = unsafe { Message::with_pieces(head, pieces) };
        self.results.put(pause, message, Limit::Forever)
    }
}
