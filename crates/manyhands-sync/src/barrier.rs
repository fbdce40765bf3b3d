//! A point that a number of threads pass together.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use manyhands_watch::Kind;
use thiserror::Error;

use crate::shim::Arc;
use crate::{Exclusion, Gate, Limit, Locked, Patient, Protected, Waitable, Waits, Wakes, block};

/// A point at which threads wait for each other until a given number of them is there.
///
/// ```
/// use manyhands_sync::Barrier;
///
/// let together: Barrier = Barrier::new(2);
/// std::thread::scope(|scope| {
///     let there = scope.spawn(|| together.wait().unwrap());
///     let here = together.wait().unwrap();
///     assert_eq!(here + there.join().unwrap(), 0 + 1);
/// });
/// ```
///
/// # Fork safety
/// A forked child finds it as it was; those of the parent's threads that came to the round still
/// count, but will not go on: [`Barrier::restart`] it.
///
/// # References
/// `threading.Barrier` in the Python library reference.
#[doc(alias = "threading.Barrier")]
pub struct Barrier<X: Exclusion = Locked> {
    cell: X::Cell<State>,
}

struct State {
    parties: usize,
    /// How many have come to the present round.
    count: usize,
    /// All of the present round are there, and the last runs the action; who comes now waits for
    /// the next round.
    acting: bool,
    /// Nobody passes until a reset.
    broken: bool,
    /// What becomes of the present round. Those who wait in it hold it too, so that the next can
    /// begin before they all have left.
    round: Arc<Round>,
    waits: Waits<1>,
}

/// The outcome of a round: `PENDING`, then for good `PASSED` or `FAILED`. Written under the state's
/// exclusion.
#[derive(Default)]
struct Round(AtomicU8);

impl Round {
    /// Whether the round has passed, once that is known.
    fn outcome(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            PENDING => None,
            outcome => Some(outcome == PASSED),
        }
    }
}

const PENDING: u8 = 0;
const PASSED: u8 = 1;
const FAILED: u8 = 2;

/// What a thread that came to the barrier is to do.
enum Arrival {
    /// It was the last: the round has passed, or is to pass after the action.
    Last,
    /// It waits for the outcome.
    Waits(Arc<Round>),
}

/// Why a wait for a barrier failed.
///
/// ```
/// use manyhands_sync::{Barrier, BarrierError};
///
/// let barrier: Barrier = Barrier::new(2);
/// barrier.abort();
/// assert_eq!(barrier.wait(), Err(BarrierError::Broken));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BarrierError<E, A = Infallible> {
    /// Somebody gave up, or reset or aborted the barrier.
    #[error("the barrier is broken: a thread gave up, or called abort or reset")]
    Broken,
    /// The gate gave up the wait; the others go on waiting for another to come.
    #[error("the wait was given up: {0}")]
    GivenUp(E),
    /// The action failed, which breaks the barrier.
    #[error("the barrier's action failed: {0}")]
    Action(A),
}

impl<X: Exclusion> Barrier<X> {
    /// A barrier for that many threads; for none at all it is one that never lets anybody pass.
    ///
    /// ```
    /// let barrier: manyhands_sync::Barrier = manyhands_sync::Barrier::new(2);
    /// assert_eq!(barrier.parties(), 2);
    /// ```
    pub fn new(parties: usize) -> Self {
        Barrier { cell: X::Cell::new(State::new(parties)) }
    }

    /// Waits until all are there; returns the order of arrival, 0 for the first.
    ///
    /// ```
    /// # let barrier: manyhands_sync::Barrier = manyhands_sync::Barrier::new(2);
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| barrier.wait().unwrap());
    ///     let mine = barrier.wait().unwrap();
    ///     assert_ne!(mine, other.join().unwrap());
    /// });
    /// ```
    ///
    /// # Errors
    /// [`BarrierError::Broken`].
    #[doc(alias = "threading.Barrier.wait")]
    pub fn wait(&self) -> Result<usize, BarrierError<Infallible>> {
        self.wait_with(&Patient, || Limit::Forever, None::<fn() -> Result<(), Infallible>>)
    }

    /// Waits until all are there; the last to come runs `action`, if there is one, before any goes on.
    ///
    /// `limit` is asked once the thread is in the round (waiting for the action of the former does
    /// not count).
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::time::Duration;
    ///
    /// use manyhands_sync::{Barrier, BarrierError, Limit, Patient};
    ///
    /// let barrier: Barrier = Barrier::new(1);
    /// let ring = || {
    ///     println!("all are there");
    ///     Ok::<(), Infallible>(())
    /// };
    /// let soon = || Limit::after(Duration::from_millis(1));
    /// assert_eq!(barrier.wait_with(&Patient, soon, Some(ring)), Ok(0));
    ///
    /// let barrier: Barrier = Barrier::new(2);
    /// let waited = barrier.wait_with(&Patient, soon, Some(ring));
    /// assert_eq!(waited, Err(BarrierError::Broken));
    /// ```
    ///
    /// # Errors
    /// [`BarrierError`]; reaching the limit before all are there breaks the barrier.
    ///
    /// # Panics
    /// If `action` does, which breaks the barrier.
    pub fn wait_with<G: Gate, A>(
        &self,
        gate: &G,
        limit: impl FnOnce() -> Limit,
        action: Option<impl FnOnce() -> Result<(), A>>,
    ) -> Result<usize, BarrierError<G::Error, A>> {
        let (index, arrival) = self.arrive(gate, action.is_some())?;
        match (arrival, action) {
            (Arrival::Waits(round), _) => self.stay(&round, gate, limit())?,
            (Arrival::Last, Some(action)) => self.act(action)?,
            (Arrival::Last, None) => {}
        }
        Ok(index)
    }

    fn arrive<G: Gate, A>(
        &self,
        gate: &G,
        has_action: bool,
    ) -> Result<(usize, Arrival), BarrierError<G::Error, A>> {
        let arrived =
            block(&self.cell, 0, "wait", gate, Limit::Forever, |state: &mut State, wakes| {
                if state.broken {
                    return Some(None);
                }
                if state.acting {
                    return None;
                }
                let index = state.count;
                state.count += 1;
                if state.count != state.parties {
                    return Some(Some((index, Arrival::Waits(Arc::clone(&state.round)))));
                }
                if has_action {
                    state.acting = true;
                } else {
                    state.end_round(PASSED, wakes);
                }
                Some(Some((index, Arrival::Last)))
            });
        match arrived {
            Ok(Some(Some(arrived))) => Ok(arrived),
            Ok(_) => Err(BarrierError::Broken),
            Err(error) => Err(BarrierError::GivenUp(error)),
        }
    }

    fn act<G, A>(&self, action: impl FnOnce() -> Result<(), A>) -> Result<(), BarrierError<G, A>> {
        let fails = FailsUnlessDone(self);
        let done = action();
        std::mem::forget(fails);
        let broken = self.end_action(done.is_err());
        match done {
            Err(error) => Err(BarrierError::Action(error)),
            Ok(()) if broken => Err(BarrierError::Broken),
            Ok(()) => Ok(()),
        }
    }

    /// Ends the round whose action has run; returns whether the barrier is broken.
    fn end_action(&self, failed: bool) -> bool {
        let mut wakes = Wakes::default();
        let broken = self.cell.with(|state| {
            state.acting = false;
            state.broken |= failed;
            state.end_round(if state.broken { FAILED } else { PASSED }, &mut wakes);
            state.broken
        });
        wakes.send();
        broken
    }

    fn stay<G: Gate, A>(
        &self,
        round: &Round,
        gate: &G,
        mut limit: Limit,
    ) -> Result<(), BarrierError<G::Error, A>> {
        loop {
            let stayed =
                block(&self.cell, 0, "wait", gate, limit, |_: &mut State, _| round.outcome());
            let passed = match stayed {
                Ok(Some(passed)) => passed,
                Ok(None) => match self.run_out(round) {
                    Some(passed) => passed,
                    None => {
                        limit = Limit::Forever;
                        continue;
                    }
                },
                Err(error) => {
                    self.step_out(round);
                    return Err(BarrierError::GivenUp(error));
                }
            };
            return if passed { Ok(()) } else { Err(BarrierError::Broken) };
        }
    }

    /// Breaks the barrier for a thread that has reached its limit, unless its round is complete:
    /// then its outcome counts, which is yet to come if the action runs.
    fn run_out(&self, round: &Round) -> Option<bool> {
        let mut wakes = Wakes::default();
        let outcome = self.cell.with(|state| {
            if round.outcome().is_none() && !state.acting {
                state.broken = true;
                state.end_round(FAILED, &mut wakes);
            }
            round.outcome()
        });
        wakes.send();
        outcome
    }

    /// Takes a thread whose gate gave up out of its round, if that is not complete.
    fn step_out(&self, round: &Round) {
        self.cell.with(|state| {
            if round.outcome().is_none() && !state.acting {
                state.count -= 1;
            }
        });
    }

    /// Brings the barrier back to its empty state; who waits fails with [`BarrierError::Broken`].
    /// A round whose action runs already passes.
    ///
    /// ```
    /// # let barrier: manyhands_sync::Barrier = manyhands_sync::Barrier::new(2);
    /// barrier.abort();
    /// barrier.reset();
    /// assert!(!barrier.is_broken());
    /// ```
    #[doc(alias = "threading.Barrier.reset")]
    pub fn reset(&self) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| {
            state.broken = false;
            if !state.acting {
                state.end_round(FAILED, &mut wakes);
            }
        });
        wakes.send();
    }

    /// Breaks the barrier: who waits and who comes fails with [`BarrierError::Broken`].
    ///
    /// ```
    /// # let barrier: manyhands_sync::Barrier = manyhands_sync::Barrier::new(2);
    /// barrier.abort();
    /// assert!(barrier.wait().is_err());
    /// ```
    #[doc(alias = "threading.Barrier.abort")]
    pub fn abort(&self) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| {
            state.broken = true;
            state.end_round(FAILED, &mut wakes);
        });
        wakes.send();
    }

    /// Starts anew, unbroken and empty, for that many threads; who waits fails with
    /// [`BarrierError::Broken`].
    ///
    /// ```
    /// # let barrier: manyhands_sync::Barrier = manyhands_sync::Barrier::new(2);
    /// barrier.abort();
    /// barrier.restart(1);
    /// assert_eq!(barrier.wait(), Ok(0));
    /// ```
    pub fn restart(&self, parties: usize) {
        let mut wakes = Wakes::default();
        let old = self.cell.with(|state| {
            state.end_round(FAILED, &mut wakes);
            std::mem::replace(state, State::new(parties))
        });
        wakes.send();
        drop(old);
    }

    /// How many threads pass together.
    ///
    /// ```
    /// # let barrier: manyhands_sync::Barrier = manyhands_sync::Barrier::new(2);
    /// assert_eq!(barrier.parties(), 2);
    /// ```
    #[doc(alias = "threading.Barrier.parties")]
    pub fn parties(&self) -> usize {
        self.cell.with(|state| state.parties)
    }

    /// How many wait at this moment.
    ///
    /// ```
    /// # let barrier: manyhands_sync::Barrier = manyhands_sync::Barrier::new(2);
    /// assert_eq!(barrier.waiting(), 0);
    /// ```
    #[doc(alias = "threading.Barrier.n_waiting")]
    pub fn waiting(&self) -> usize {
        self.cell.with(|state| if state.acting { 0 } else { state.count })
    }

    /// Whether the barrier is broken.
    ///
    /// ```
    /// # let barrier: manyhands_sync::Barrier = manyhands_sync::Barrier::new(2);
    /// barrier.abort();
    /// assert!(barrier.is_broken());
    /// ```
    #[doc(alias = "threading.Barrier.broken")]
    pub fn is_broken(&self) -> bool {
        self.cell.with(|state| state.broken)
    }

    /// The number under which observers know it, see [`manyhands_watch::Subject::id`]; `None` if
    /// nobody has ever waited for it.
    pub fn subject(&self) -> Option<u64> {
        self.cell.with(|state| state.waits.subject())
    }
}

/// Breaks the barrier when an action panics.
struct FailsUnlessDone<'a, X: Exclusion>(&'a Barrier<X>);

impl<X: Exclusion> Drop for FailsUnlessDone<'_, X> {
    fn drop(&mut self) {
        self.0.end_action(true);
    }
}

impl State {
    fn new(parties: usize) -> State {
        let (round, waits) = (Arc::new(Round::default()), Waits::default());
        State { parties, count: 0, acting: false, broken: false, round, waits }
    }

    /// Tells those of the present round what became of it, and begins the next. Also lets those
    /// look again who wait for that.
    fn end_round(&mut self, outcome: u8, wakes: &mut Wakes) {
        if self.count > 0 {
            self.round.0.store(outcome, Ordering::Relaxed);
            self.round = Arc::new(Round::default());
            self.count = 0;
        }
        self.waits.wake_all(0, wakes);
    }
}

impl Waitable<1> for State {
    fn kind(&self) -> Kind {
        Kind::Barrier
    }

    fn waits(&mut self) -> &mut Waits<1> {
        &mut self.waits
    }
}

impl<X: Exclusion> fmt::Debug for Barrier<X> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Barrier")
            .field("parties", &self.parties())
            .field("waiting", &self.waiting())
            .finish()
    }
}
