//! The meeting of a number of threads.
//!
//! `word` says which round it is, counted from 0, and its phase:
//! ```text
//!            last one comes (no action)                      reset
//!        ┌───────────────────────────┐              ┌───────────────────┐
//!        ▼                           │              ▼                   │
//! Filling(r) ──last one comes──▶ Acting(r) ──▶ Filling(r+1)         Broken(r) ◀── abort, time-out,
//!                                    └── the action failed, or its runner died ──▶      from both
//! ```
//! * Everything is changed under `lock`, which the kernel releases if its holder dies. Under it no other
//!   robust lock may be taken, the ledger's neither.
//! * Who comes takes a seat of his round; those of odd and even rounds are apart, so that nobody has
//!   to wait for slow ones of the round before. A seat is used from the store of its state on, and free
//!   again when its owner has read what came of the round, or was found dead.
//! * A round ends in three steps: `intent` is written, then the seats get their outcome, then `word`
//!   changes. Who gets the lock from a dead one does the intent again: all of it can be done twice.
//! * Killed between the change of `word` and the wake: the sleeps end with RECHECK.
//! * Killed in a seat: whoever comes last looks whether all are alive, and clears the seats of those
//!   who are not. Killed while running the action: the others look after RECHECK, and break it.

use std::convert::Infallible;

use crate::shim::{AtomicU32, AtomicU64, Ordering};

use manyhands_sys::robust::{Previous, RobustLock};

use crate::wait::{Vigil, is_over, next_look, sleep_aside};
use crate::{
    ArenaError, Deadline, Handle, Kind, Limit, Owner, Patient, Pause, Reference, Shared, shim,
};

/// The phases, in the lowest bits of `word`.
const PHASE: u32 = 3;
const FILLING: u32 = 0;
const ACTING: u32 = 1;
const BROKEN: u32 = 2;
const ROUND: u32 = 4;

/// The intents, in the lowest bits of `intent`; above them is the round.
const NOTHING: u32 = 0;
const PASS: u32 = 1;
const BREAK: u32 = 2;
const RESET: u32 = 3;

/// States of a seat.
const FREE: u32 = 0;
const WAITING: u32 = 1;
const PASSED: u32 = 2;
const REFUSED: u32 = 3;

#[derive(Debug)]
#[repr(C)]
struct Shape {
    lock: RobustLock,
    /// How many have to come. Written before anybody else knows of it.
    parties: AtomicU32,
    /// The round and its phase. Sleepers sleep on it.
    word: AtomicU32,
    /// What is being done to the round, to be done again should the doer die.
    intent: AtomicU32,
    /// How often a seat was left. Who finds none free sleeps on it, having set `is_crowded` to 1.
    left: AtomicU32,
    is_crowded: AtomicU32,
    /// Who runs the action of this round.
    actor: AtomicU64,
}

// SAFETY: atomics only, and zero is one for nobody.
unsafe impl Shared for Shape {}

#[derive(Debug)]
#[repr(C)]
struct Seat {
    /// Who sits there; means something while the state is not FREE.
    owner: AtomicU64,
    state: AtomicU32,
    /// When he came.
    since: AtomicU32,
}

/// The barrier is broken, or was while the caller waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the barrier is broken")]
pub struct Broken;

/// How a thread passes a barrier.
#[derive(Debug)]
pub enum Passage<'a> {
    /// It does, with that number, another one for each of the round.
    Passed(u32),
    /// It came last: all others wait until it has done what is to be done, and says so.
    Last(Last<'a>),
}

/// The last of a round, while it does what is to be done before all pass; if it is dropped, the
/// barrier breaks.
#[derive(Debug)]
pub struct Last<'a> {
    barrier: &'a Barrier,
    me: Owner,
    word: u32,
    index: u32,
    is_done: bool,
}

/// A barrier between processes: the threads that come wait until so many are there.
///
/// Who is killed while he waits is taken for not having come.
///
/// ```
/// use manyhands_shm::{Barrier, Limit, Passage, Patient};
///
/// let barrier = Barrier::new(1)?;
/// assert!(matches!(barrier.wait_with(&Patient, Limit::Forever, false), Ok(Ok(Passage::Passed(0)))));
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
///
/// # References
/// `multiprocessing.Barrier` in the Python library reference.
#[doc(alias = "multiprocessing.synchronize.Barrier")]
#[derive(Clone, Debug)]
pub struct Barrier(Handle<Shape>);

impl Barrier {
    /// One for that many; nobody passes one for 0.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(parties: u32) -> Result<Barrier, ArenaError> {
        let seats = 2 * parties as usize * size_of::<Seat>();
        let handle = Handle::<Shape>::with_tail(Kind::Barrier, seats)?;
        handle.parties.store(parties, Ordering::Release);
        Ok(Barrier(handle))
    }

    /// That of the reference.
    ///
    /// # Errors
    /// As of [`Handle::open`].
    pub fn open(reference: Reference) -> Result<Barrier, ArenaError> {
        Handle::open(reference, Kind::Barrier).map(Barrier)
    }

    /// What to pass to another process, for [`Barrier::open`].
    pub fn reference(&self) -> Reference {
        self.0.reference()
    }

    /// How many have to come.
    pub fn parties(&self) -> u32 {
        self.0.parties.load(Ordering::Relaxed)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        let Ok(waiting) = self.waiting_with(&Patient);
        waiting
    }

    /// How many wait; pauses in the caller's way if somebody stands still with the lock inside.
    ///
    /// # Errors
    /// Those of the pause.
    pub fn waiting_with<P: Pause>(&self, pause: &P) -> Result<usize, P::Error> {
        self.locked_with(pause, |word| {
            if word & PHASE == BROKEN {
                return 0;
            }
            self.clear_seats(word, true);
            self.waiting_in(word).count()
        })
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> bool {
        self.0.word.load(Ordering::Acquire) & PHASE == BROKEN
    }

    /// Breaks it: who waits fails, and so does who comes, until it is reset.
    pub fn abort(&self) {
        let Ok(()) = self.abort_with(&Patient);
    }

    /// As [`Barrier::abort`]; pauses in the caller's way if somebody stands still with the lock inside.
    ///
    /// # Errors
    /// Those of the pause; then it is as it was.
    pub fn abort_with<P: Pause>(&self, pause: &P) -> Result<(), P::Error> {
        self.locked_with(pause, |word| self.end_round(word, BREAK))?;
        shim::wake(&self.0.word, u32::MAX);
        Ok(())
    }

    /// Makes it as new; who waits fails.
    pub fn reset(&self) {
        let Ok(()) = self.reset_with(&Patient);
    }

    /// As [`Barrier::reset`]; pauses in the caller's way if somebody stands still with the lock inside.
    ///
    /// # Errors
    /// Those of the pause; then it is as it was.
    pub fn reset_with<P: Pause>(&self, pause: &P) -> Result<(), P::Error> {
        self.locked_with(pause, |word| {
            // Nobody waits for an untouched one, unless there are no seats to tell by.
            let is_seated = self.parties() == 0 || self.waiting_in(word).next().is_some();
            if word & PHASE != FILLING || is_seated {
                self.end_round(word, RESET);
            }
        })?;
        shim::wake(&self.0.word, u32::MAX);
        Ok(())
    }

    /// Waits until all have come.
    ///
    /// # Errors
    /// The barrier is broken, or is meanwhile.
    pub fn wait(&self) -> Result<u32, Broken> {
        let Ok(passage) = self.wait_with(&Patient, Limit::Forever, false);
        match passage? {
            Passage::Passed(index) => Ok(index),
            Passage::Last(last) => last.finish(),
        }
    }

    /// Waits within the limit until all have come, pausing in the caller's way; `with_action` says that
    /// there is something to be done by the last one, before all pass. A time-out breaks the barrier.
    ///
    /// # Errors
    /// Those of the pause: then the caller has not come.
    pub fn wait_with<P: Pause>(
        &self,
        pause: &P,
        limit: Limit,
        with_action: bool,
    ) -> Result<Result<Passage<'_>, Broken>, P::Error> {
        if self.parties() == 0 {
            return self.wait_in_vain(pause, limit).map(|()| Err(Broken));
        }
        let (word, index) = loop {
            match self.arrive(pause, with_action)? {
                Arrival::Broken => return Ok(Err(Broken)),
                Arrival::Passed(index) => {
                    shim::wake(&self.0.word, u32::MAX);
                    return Ok(Ok(Passage::Passed(index)));
                }
                Arrival::Last { word, index } => {
                    let last =
                        Last { barrier: self, me: Owner::current(), word, index, is_done: false };
                    return Ok(Ok(Passage::Last(last)));
                }
                Arrival::Seated { word, index } => break (word, index),
                Arrival::Early { on, expected } => {
                    pause.pause(on, expected, next_look(Limit::Forever))?;
                    self.look_after_actor();
                }
            }
        };
        self.sit(pause, limit, word, index)
    }

    /// Waits at a barrier for nobody, which has no seats: until it is broken or reset.
    fn wait_in_vain<P: Pause>(&self, pause: &P, limit: Limit) -> Result<(), P::Error> {
        let word = self.0.word.load(Ordering::Acquire);
        let vigil = Vigil::new(&self.0.word, "wait", limit);
        while word & PHASE != BROKEN && self.0.word.load(Ordering::Acquire) == word {
            if is_over(limit) {
                self.abort_with(pause)?;
                break;
            }
            pause.pause(&self.0.word, word, vigil.next_look())?;
        }
        Ok(())
    }

    fn sit<P: Pause>(
        &self,
        pause: &P,
        limit: Limit,
        round: u32,
        index: u32,
    ) -> Result<Result<Passage<'_>, Broken>, P::Error> {
        let seat = &self.seats(round)[index as usize];
        let me = Owner::current();
        let mut vigil = Vigil::new(&self.0.word, "wait", limit);
        loop {
            let word = self.0.word.load(Ordering::Acquire);
            if let Some(outcome) = self.leave_if_over(seat, index) {
                return Ok(outcome);
            }
            if is_over(limit) && word & PHASE != ACTING {
                let outcome = self.locked_with(pause, |word| {
                    if seat.state.load(Ordering::Relaxed) == WAITING && word & PHASE == FILLING {
                        self.end_round(word, BREAK);
                    }
                    seat.state.load(Ordering::Relaxed) != WAITING
                });
                if me != Owner::current() {
                    return outcome.map(|_| Err(Broken));
                }
                match outcome {
                    Ok(is_over) => {
                        shim::wake(&self.0.word, u32::MAX);
                        if is_over {
                            continue;
                        }
                    }
                    Err(error) => {
                        self.leave(seat);
                        return Err(error);
                    }
                }
            }
            // Once the action is being run, a time-out comes too late.
            let limit = if word & PHASE == ACTING { Limit::Forever } else { limit };
            vigil.limit_to(limit);
            let paused = pause.pause(&self.0.word, word, vigil.next_look());
            if me != Owner::current() {
                // Forked meanwhile: the seat is the parent's.
                return paused.map(|()| Err(Broken));
            }
            if let Err(error) = paused {
                self.leave(seat);
                return Err(error);
            }
            self.look_after_actor();
        }
    }

    /// What came of the round, if that is decided; then the seat is left.
    fn leave_if_over(&self, seat: &Seat, index: u32) -> Option<Result<Passage<'_>, Broken>> {
        let outcome = match seat.state.load(Ordering::Acquire) {
            WAITING => return None,
            PASSED => Ok(Passage::Passed(index)),
            _ => Err(Broken),
        };
        // A seat has its outcome before the word changes: under the lock it has, or whoever comes again
        // at once would find the old round.
        self.leave(seat);
        Some(outcome)
    }

    fn leave(&self, seat: &Seat) {
        self.locked(|_| self.free(seat));
    }

    /// Frees a seat; under the lock.
    fn free(&self, seat: &Seat) {
        seat.state.store(FREE, Ordering::Release);
        self.0.left.fetch_add(1, Ordering::Release);
        if self.0.is_crowded.load(Ordering::Relaxed) != 0 {
            self.0.is_crowded.store(0, Ordering::Relaxed);
            shim::wake(&self.0.left, u32::MAX);
        }
    }

    /// As [`Barrier::locked_with`], for what has to be done, as somebody has a seat: not to be given up.
    fn locked<R>(&self, body: impl FnOnce(u32) -> R) -> R {
        let Ok(result) = self.locked_in(body, |word, expected, until| {
            sleep_aside(word, expected, until);
            Ok::<(), Infallible>(())
        });
        result
    }

    /// Runs `body` with the word, under the lock, with whatever a dead one left behind put right.
    fn locked_with<P: Pause, R>(
        &self,
        pause: &P,
        body: impl FnOnce(u32) -> R,
    ) -> Result<R, P::Error> {
        self.locked_in(body, |word, expected, until| pause.pause(word, expected, until))
    }

    fn locked_in<R, E>(
        &self,
        body: impl FnOnce(u32) -> R,
        mut sleep: impl FnMut(&shim::Word, u32, Deadline) -> Result<(), E>,
    ) -> Result<R, E> {
        // Whatever this does for the first time, in a process forked in the sleep, too, it does not do
        // under the lock.
        Owner::current();
        let previous = self.0.lock.lock_with(|word, expected, until| {
            let slept = sleep(word, expected, until);
            Owner::current();
            slept
        })?;
        let died = previous == Previous::Died;
        if died {
            self.repair();
        }
        let result = body(self.0.word.load(Ordering::Relaxed));
        self.0.lock.unlock();
        if died {
            shim::wake(&self.0.word, u32::MAX);
        }
        Ok(result)
    }

    #[cold]
    fn repair(&self) {
        let intent = self.0.intent.load(Ordering::Relaxed);
        let word = self.0.word.load(Ordering::Relaxed);
        if intent & PHASE != NOTHING && intent & !PHASE == word & !PHASE {
            self.carry_out(word, intent & PHASE);
        }
        self.0.intent.store(NOTHING, Ordering::Release);
    }

    /// Ends the round of the word in that way; under the lock.
    fn end_round(&self, word: u32, how: u32) {
        self.0.intent.store(word & !PHASE | how, Ordering::Release);
        self.carry_out(word, how);
        self.0.intent.store(NOTHING, Ordering::Release);
    }

    fn carry_out(&self, word: u32, how: u32) {
        let outcome = if how == PASS { PASSED } else { REFUSED };
        for seat in self.waiting_in(word) {
            seat.state.store(outcome, Ordering::Release);
        }
        let next = (word & !PHASE).wrapping_add(ROUND) | FILLING;
        let next = if how == BREAK { word & !PHASE | BROKEN } else { next };
        self.0.word.store(next, Ordering::Release);
    }

    /// The seats of the word's round.
    fn seats(&self, word: u32) -> &[Seat] {
        let (tail, len) = self.0.tail();
        let parties = (self.parties() as usize).min(len / size_of::<Seat>() / 2);
        let first = if word & ROUND == 0 { 0 } else { parties };
        // SAFETY: the tail was made for twice as many seats, is aligned as the shape is, lives as long
        // as the handle, and seats are atomics.
        unsafe { std::slice::from_raw_parts(tail.cast::<Seat>().add(first), parties) }
    }

    fn waiting_in(&self, word: u32) -> impl Iterator<Item = &Seat> {
        self.seats(word).iter().filter(|seat| seat.state.load(Ordering::Relaxed) == WAITING)
    }

    /// Clears the seats of the dead; `all` also of those who can have died only just now and are not
    /// waited for by their parents yet. Under the lock.
    fn clear_seats(&self, word: u32, all: bool) -> bool {
        let mut found = false;
        for seat in self.seats(word) {
            if seat.state.load(Ordering::Relaxed) == FREE {
                continue;
            }
            let owner = Owner::from_bits(seat.owner.load(Ordering::Relaxed));
            let fresh = !all && !shim::is_long_ago(seat.since.load(Ordering::Relaxed));
            let is_there =
                owner.is_some_and(|owner| if fresh { owner.exists() } else { owner.is_there() });
            if !is_there {
                seat.state.store(FREE, Ordering::Release);
                found = true;
            }
        }
        found
    }

    fn arrive<P: Pause>(&self, pause: &P, with_action: bool) -> Result<Arrival<'_>, P::Error> {
        self.locked_with(pause, |word| {
            // Who paused for the lock may have forked meanwhile.
            let me = Owner::current();
            match word & PHASE {
                BROKEN => return Arrival::Broken,
                ACTING => return Arrival::Early { on: &self.0.word, expected: word },
                _ => {}
            }
            let seats = self.seats(word);
            let free = || seats.iter().position(|seat| seat.state.load(Ordering::Relaxed) == FREE);
            let index = match free() {
                Some(index) => index,
                None => {
                    self.clear_seats(word, true);
                    match free() {
                        Some(index) => index,
                        None => {
                            self.0.is_crowded.store(1, Ordering::Relaxed);
                            let expected = self.0.left.load(Ordering::Relaxed);
                            return Arrival::Early { on: &self.0.left, expected };
                        }
                    }
                }
            };
            let seat = &seats[index];
            seat.owner.store(me.to_bits(), Ordering::Relaxed);
            seat.since.store(shim::moment(), Ordering::Relaxed);
            seat.state.store(WAITING, Ordering::Release);
            let index = index as u32;
            let is_full = || self.waiting_in(word).count() == seats.len();
            if !is_full() || self.clear_seats(word, false) && !is_full() {
                return Arrival::Seated { word, index };
            }
            if with_action {
                self.0.actor.store(me.to_bits(), Ordering::Relaxed);
                let acting = word & !PHASE | ACTING;
                self.0.word.store(acting, Ordering::Release);
                return Arrival::Last { word: acting, index };
            }
            self.end_round(word, PASS);
            self.free(seat);
            Arrival::Passed(index)
        })
    }

    /// Breaks the barrier if who runs its action has died.
    fn look_after_actor(&self) {
        let word = self.0.word.load(Ordering::Acquire);
        if word & PHASE != ACTING {
            return;
        }
        let actor = Owner::from_bits(self.0.actor.load(Ordering::Relaxed));
        if actor.is_some_and(Owner::is_alive) {
            return;
        }
        self.locked(|now| {
            if now == word {
                self.end_round(word, BREAK);
            }
        });
        shim::wake(&self.0.word, u32::MAX);
    }
}

enum Arrival<'a> {
    Broken,
    Passed(u32),
    Last {
        word: u32,
        index: u32,
    },
    Seated {
        word: u32,
        index: u32,
    },
    /// Not yet: the action is being run, or slow ones of the last but one round are in the seats.
    Early {
        on: &'a AtomicU32,
        expected: u32,
    },
}

impl Last<'_> {
    /// All pass.
    ///
    /// # Errors
    /// The barrier was broken or reset meanwhile.
    pub fn finish(mut self) -> Result<u32, Broken> {
        if self.end(PASS) { Ok(self.index) } else { Err(Broken) }
    }

    fn end(&mut self, how: u32) -> bool {
        self.is_done = true;
        if self.me != Owner::current() {
            // The action has forked, and this is the child: the parent goes on with it.
            return false;
        }
        let barrier = self.barrier;
        let seat = &barrier.seats(self.word)[self.index as usize];
        let ended = barrier.locked(|word| {
            let is_ours = word == self.word
                && barrier.0.actor.load(Ordering::Relaxed) == Owner::current().to_bits();
            if is_ours {
                barrier.end_round(word, how);
            }
            barrier.free(seat);
            is_ours
        });
        shim::wake(&barrier.0.word, u32::MAX);
        ended
    }
}

impl Drop for Last<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.end(BREAK);
        }
    }
}
