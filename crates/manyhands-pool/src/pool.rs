//! The pool's side: tasks go out, results come in, workers come and go.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use manyhands_shm::{
    ArenaError, Board, GetError, Limit, Message, Parcel, Patient, Pause, Piece, PutError, Queue,
    Reference, Turn,
};

use crate::lead::{Lead, Leadership};
use crate::ledger::Ledger;
use crate::worker::{FIRST_OF_HOST, TASK, now, task_of};

/// The number in a message that says nothing but that there is something to look at.
const NUDGE: u64 = 0;

/// A pool of workers. `T` is what the host remembers of a task: where its result goes.
pub struct Pool<T> {
    board: Board,
    tasks: Queue,
    results: Queue,
    ledger: Mutex<Ledger<T>>,
    leadership: Leadership,
    seats: Mutex<Vec<bool>>,
}

/// What was taken out of the queue of results.
#[derive(Debug)]
pub struct Taken<T> {
    /// What it is.
    pub what: What<T>,
    /// The message, if it is a large one; it is in the buffer otherwise.
    pub parcel: Option<Parcel>,
}

/// What a message from a worker is.
#[derive(Debug)]
pub enum What<T> {
    /// The result of a task, which has its outcome by that.
    Result(T),
    /// A notice of a worker's host, of that number.
    Notice(u64),
    /// Nothing: there is something to look at, or it is of a task that has an outcome already.
    Nothing,
}

/// What became of the task that a dead worker had claimed.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// It had none, or another worker has it, or will.
    Spared,
    /// It is lost, if its result does not come by taking all results once more; see [`Pool::condemn`].
    Claimed(u64),
    /// It cannot be told yet, as a thread of this process is about to put it.
    Unsure,
}

/// Why a task was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError<E> {
    /// The pool takes no more.
    #[error("the pool was closed")]
    Closed,
    /// No memory for it.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// The wait was given up.
    #[error("given up")]
    GivenUp(E),
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("board", &self.board).finish_non_exhaustive()
    }
}

impl<T> Pool<T> {
    /// A pool for at most so many workers at a time.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn new(seats: u32) -> Result<Pool<T>, ArenaError> {
        let (tasks, results) = (Queue::new(0)?, Queue::new(0)?);
        let board = Board::new(&tasks, &results, seats)?;
        Ok(Pool {
            board,
            tasks,
            results,
            ledger: Mutex::new(Ledger::new()),
            leadership: Leadership::default(),
            seats: Mutex::new(vec![false; seats as usize]),
        })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger<T>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seats(&self) -> MutexGuard<'_, Vec<bool>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What workers join it by.
    pub fn reference(&self) -> Reference {
        self.board.reference()
    }

    /// A seat for a new worker; `None` if all are taken.
    pub fn hire(&self) -> Option<usize> {
        let mut seats = self.seats();
        let free = seats.iter().position(|&taken| !taken)?;
        seats[free] = true;
        self.board.seat(free).clear();
        Some(free)
    }

    /// Nobody has that seat any more, and what its worker had claimed is settled.
    pub fn release(&self, seat: usize) {
        let mut seats = self.seats();
        self.board.seat(seat).claim(0);
        seats[seat] = false;
    }

    /// Whether the worker of that seat takes, or took, tasks.
    pub fn is_ready(&self, seat: usize) -> bool {
        self.board.seat(seat).is_ready()
    }

    /// Submits a task, and returns its number. The head begins with [`TASK`] bytes of room for that.
    ///
    /// # Errors
    /// Closed, no memory, given up: there is no such task then.
    ///
    /// # Panics
    /// The head is too short.
    ///
    /// # Safety
    /// As of [`Message::with_pieces`].
    #[expect(unsafe_code, reason = "the caller's promise about pieces is passed on")]
    pub unsafe fn submit<P: Pause>(
        &self,
        pause: &P,
        tag: T,
        head: &mut [u8],
        pieces: &[Piece],
    ) -> Result<u64, SubmitError<P::Error>> {
        let task = self.ledger().add(tag);
        head[..TASK].copy_from_slice(&task.to_ne_bytes());
        // SAFETY: the caller's.
        let message = unsafe { Message::with_pieces(head, pieces) };
        let put = self.tasks.put_in_turn(pause, message, Limit::Forever);
        let mut ledger = self.ledger();
        let why = match put {
            Ok(turn) => {
                ledger.set_turn(task, turn);
                return Ok(task);
            }
            // Abandoned meanwhile: that is its outcome.
            Err(_) if ledger.turn(task).is_none() => return Ok(task),
            Err(why) => why,
        };
        let tag = ledger.remove(task);
        drop(ledger);
        drop(tag);
        match why {
            PutError::ShutDown | PutError::Full => Err(SubmitError::Closed),
            PutError::Arena(error) => Err(SubmitError::Arena(error)),
            PutError::GivenUp(error) => Err(SubmitError::GivenUp(error)),
        }
    }

    /// Submits a task once more whose worker has died; false if it has an outcome. It may not be in the
    /// queue. Also if the pool was closed, but not if it was abandoned.
    ///
    /// # Errors
    /// No memory for it; given up. The task is there as before.
    ///
    /// # Panics
    /// The head is too short.
    ///
    /// # Safety
    /// As of [`Message::with_pieces`].
    #[expect(unsafe_code, reason = "the caller's promise about pieces is passed on")]
    pub unsafe fn resubmit<P: Pause>(
        &self,
        _lead: &Lead<'_>,
        pause: &P,
        task: u64,
        head: &mut [u8],
        pieces: &[Piece],
    ) -> Result<bool, SubmitError<P::Error>> {
        head[..TASK].copy_from_slice(&task.to_ne_bytes());
        if self.ledger().turn(task).is_none() {
            return Ok(false);
        }
        // SAFETY: the caller's.
        let message = unsafe { Message::with_pieces(head, pieces) };
        match self.tasks.put_again(pause, message, Limit::Forever) {
            Ok(turn) => self.ledger().set_turn(task, turn),
            Err(PutError::ShutDown | PutError::Full) => return Err(SubmitError::Closed),
            Err(PutError::Arena(error)) => return Err(SubmitError::Arena(error)),
            Err(PutError::GivenUp(error)) => return Err(SubmitError::GivenUp(error)),
        }
        Ok(true)
    }

    /// The seats whose workers hold a task that may be broken off, with the task, and for how long they
    /// have been doing that.
    pub fn held(&self) -> Vec<(usize, u64, Duration)> {
        let now = now();
        let taken = self.seats().clone();
        let seats = (0..taken.len()).filter(|&seat| taken[seat]);
        seats
            .filter_map(|seat| {
                let (task, since) = self.board.seat(seat).held()?;
                Some((seat, task, Duration::from_nanos(now.saturating_sub(since))))
            })
            .collect()
    }

    /// The seat whose worker has claimed that task.
    pub fn seat_of(&self, task: u64) -> Option<usize> {
        let taken = self.seats().clone();
        (0..taken.len()).find(|&seat| taken[seat] && self.board.seat(seat).claimed() == task)
    }

    /// Breaks off a task that the worker of that seat holds; false if it does not (any more). If so the
    /// worker puts no result of it and takes no other, and is to be killed.
    pub fn break_off(&self, seat: usize, task: u64) -> bool {
        self.board.seat(seat).condemn(task)
    }

    /// A task that was broken off has its outcome by that; `None` if it had one.
    pub fn forget(&self, task: u64) -> Option<T> {
        self.ledger().remove(task)
    }

    /// The beginning of the message of the task that the worker of that seat took last, and how long that
    /// message was.
    pub fn noted(&self, seat: usize) -> (Vec<u8>, usize) {
        self.board.seat(seat).noted()
    }

    /// Whether a worker has taken that task; also if it has an outcome.
    ///
    /// # Errors
    /// No address space.
    pub fn has_begun(&self, task: u64) -> Result<bool, ArenaError> {
        match self.turn(task) {
            None => Ok(true),
            Some(None) => Ok(false),
            Some(Some(turn)) => self.tasks.has_gone(turn),
        }
    }

    /// Takes back a task that no worker has taken; `None` if one has, or had.
    ///
    /// # Errors
    /// No address space.
    pub fn retract(&self, task: u64) -> Result<Option<T>, ArenaError> {
        let Some(Some(turn)) = self.turn(task) else { return Ok(None) };
        if self.tasks.retract(turn)? { Ok(self.ledger().remove(task)) } else { Ok(None) }
    }

    /// The place of a task that has no outcome yet: in the queue, if it has been put.
    fn turn(&self, task: u64) -> Option<Option<Turn>> {
        self.ledger().turn(task)
    }

    /// The numbers of the tasks that have no outcome yet.
    pub fn under_way(&self) -> Vec<u64> {
        self.ledger().numbers()
    }

    /// What the host remembers of a task that has no outcome yet. `look` must not call back.
    pub fn with_tag<R>(&self, task: u64, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.ledger().tag(task).map(look)
    }

    /// How many tasks have no outcome yet.
    pub fn pending(&self) -> usize {
        self.ledger().len()
    }

    /// How many tasks no worker has taken.
    ///
    /// # Errors
    /// No address space.
    pub fn backlog(&self) -> Result<usize, ArenaError> {
        self.tasks.len()
    }

    /// Whether tasks are there that no worker has taken; true if that cannot be told.
    pub fn has_tasks(&self) -> bool {
        !matches!(self.tasks.is_empty(), Ok(true))
    }

    /// The lead, if nobody has it.
    pub fn try_lead(&self) -> Option<Lead<'_>> {
        self.leadership.try_take()
    }

    /// The lead for a thread that has it, and is to lead in something that it does meanwhile.
    pub fn lead_again(&self) -> Lead<'_> {
        self.leadership.take_again()
    }

    /// How many messages of workers nobody has taken.
    ///
    /// # Errors
    /// No address space.
    pub fn waiting(&self) -> Result<usize, ArenaError> {
        self.results.len()
    }

    /// Whether somebody leads.
    pub fn is_led(&self) -> bool {
        self.leadership.is_taken()
    }

    /// Sleeps until there is news: [`Pool::tell`] was called, or the lead is free. May come back for
    /// no reason.
    ///
    /// # Errors
    /// Given up.
    pub fn follow<P: Pause>(
        &self,
        pause: &P,
        limit: Limit,
        is_over: impl Fn() -> bool,
    ) -> Result<(), P::Error> {
        self.leadership.follow(pause, limit, is_over)
    }

    /// Has those who follow look whether what they wait for is there.
    pub fn tell(&self) {
        self.leadership.tell();
    }

    /// Has the thread that leads, if one does, come back from its wait for results, to see what has
    /// changed before this.
    ///
    /// # Errors
    /// No memory.
    pub fn nudge(&self) -> Result<(), ArenaError> {
        if !self.leadership.is_taken() {
            return Ok(());
        }
        match self.results.put(&Patient, Message::of(&NUDGE.to_ne_bytes()), Limit::Forever) {
            Ok(()) | Err(PutError::Full | PutError::ShutDown) => Ok(()),
            Err(PutError::Arena(error)) => Err(error),
        }
    }

    /// Takes a result, for which it waits until the limit.
    ///
    /// # Errors
    /// There is none; given up; no address space.
    pub fn take<P: Pause>(
        &self,
        _lead: &Lead<'_>,
        pause: &P,
        scratch: &mut Vec<u8>,
        limit: Limit,
    ) -> Result<Taken<T>, GetError<P::Error>> {
        let parcel = self.results.get(pause, scratch, limit)?;
        let head = parcel.as_ref().map_or(&scratch[..], Parcel::head);
        let what = match task_of(head) {
            NUDGE => What::Nothing,
            notice @ FIRST_OF_HOST.. => What::Notice(notice),
            task => self.ledger().remove(task).map_or(What::Nothing, What::Result),
        };
        Ok(Taken { what, parcel })
    }

    /// What became of the task that the worker of that seat had claimed, which is dead. All results have
    /// to have been taken since it died.
    ///
    /// # Errors
    /// No address space.
    pub fn fate(&self, _lead: &Lead<'_>, seat: usize) -> Result<Fate, ArenaError> {
        let task = self.board.seat(seat).claimed();
        let Some(turn) = self.turn(task) else { return Ok(Fate::Spared) };
        let Some(turn) = turn else { return Ok(Fate::Unsure) };
        if !self.tasks.has_gone(turn)? {
            return Ok(Fate::Spared);
        }
        // In this order: who took it has claimed it before it was gone.
        let taken = self.seats().clone();
        let others = (0..taken.len()).filter(|&other| other != seat && taken[other]);
        let claimed = others.into_iter().any(|other| self.board.seat(other).claimed() == task);
        Ok(if claimed { Fate::Spared } else { Fate::Claimed(task) })
    }

    /// Removes a task whose worker is dead; `None` if its result was taken meanwhile.
    pub fn condemn(&self, _lead: &Lead<'_>, task: u64) -> Option<T> {
        self.ledger().remove(task)
    }

    /// Takes no more tasks; workers do those that are there, and end.
    ///
    /// # Errors
    /// No address space.
    pub fn close(&self) -> Result<(), ArenaError> {
        self.tasks.shut_down(false)
    }

    /// Drops all tasks that no worker has taken, and forgets the others; what they were for comes back.
    ///
    /// # Errors
    /// No address space: they are forgotten all the same.
    pub fn abandon(&self) -> (Vec<T>, Result<(), ArenaError>) {
        let closed = self.tasks.shut_down(true);
        (self.ledger().clear(), closed)
    }
}
