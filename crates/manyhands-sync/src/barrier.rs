//! A point that a number of threads pass together.

use std::convert::Infallible;
use std::fmt;

use manyhands_watch::Kind;
use thiserror::Error;

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
/// # References
/// `threading.Barrier` in the Python library reference.
#[doc(alias = "threading.Barrier")]
pub struct Barrier<X: Exclusion = Locked> {
    cell: X::Cell<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Threads come in and wait.
    Filling,
    /// All are there, and the last runs the action.
    Acting,
    /// Those who waited leave; who comes waits for the next round.
    Draining,
    /// As `Draining`, but they leave with an error.
    Resetting,
    /// Nobody passes until a reset.
    Broken,
}

struct State {
    phase: Phase,
    parties: usize,
    /// How many are in this round and have not left it.
    count: usize,
    waits: Waits<1>,
}

/// Why a wait for a barrier failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BarrierError<E, A = Infallible> {
    /// Somebody gave up, or reset or aborted the barrier.
    #[error("the barrier is broken: a thread gave up, or called abort or reset")]
    Broken,
    /// The gate gave up the wait, which breaks the barrier.
    #[error("the wait was given up: {0}")]
    GivenUp(E),
    /// The action failed, which breaks the barrier.
    #[error("the barrier's action failed: {0}")]
    Action(A),
}

impl<X: Exclusion> Barrier<X> {
    /// A barrier for that many threads.
    pub fn new(parties: usize) -> Self {
        let state = State { phase: Phase::Filling, parties, count: 0, waits: Waits::default() };
        Barrier { cell: X::Cell::new(state) }
    }

    /// Waits until all are there; returns the order of arrival, 0 for the first.
    ///
    /// # Errors
    /// [`BarrierError::Broken`].
    #[doc(alias = "threading.Barrier.wait")]
    pub fn wait(&self) -> Result<usize, BarrierError<Infallible>> {
        self.wait_with(&Patient, || Limit::Forever, || Ok(()))
    }

    /// Waits until all are there; the last to come runs `action` before any leaves.
    ///
    /// `limit` is asked once the thread is in the round (waiting for the former round to drain does
    /// not count).
    ///
    /// # Errors
    /// [`BarrierError`]; reaching the limit breaks the barrier.
    pub fn wait_with<G: Gate, A>(
        &self,
        gate: &G,
        limit: impl FnOnce() -> Limit,
        action: impl FnOnce() -> Result<(), A>,
    ) -> Result<usize, BarrierError<G::Error, A>> {
        let (index, last) = self.enter(gate)?;
        let result = if last { self.act(action) } else { self.stay(gate, limit()) };
        self.leave();
        result.map(|()| index)
    }

    fn enter<G: Gate, A>(&self, gate: &G) -> Result<(usize, bool), BarrierError<G::Error, A>> {
        let entered =
            block(&self.cell, 0, "wait", gate, Limit::Forever, |state: &mut State, _| match state
                .phase
            {
                Phase::Acting | Phase::Draining | Phase::Resetting => None,
                Phase::Broken => Some(Err(BarrierError::Broken)),
                Phase::Filling => {
                    state.count += 1;
                    let last = state.count == state.parties;
                    if last {
                        state.phase = Phase::Acting;
                    }
                    Some(Ok((state.count - 1, last)))
                }
            });
        match entered {
            Ok(Some(entered)) => entered,
            Ok(None) => Err(BarrierError::Broken),
            Err(error) => Err(BarrierError::GivenUp(error)),
        }
    }

    fn act<G, A>(&self, action: impl FnOnce() -> Result<(), A>) -> Result<(), BarrierError<G, A>> {
        let done = action();
        if done.is_err() {
            self.abort();
        }
        let mut wakes = Wakes::default();
        let broken = self.cell.with(|state| {
            if state.phase == Phase::Acting {
                state.phase = Phase::Draining;
                state.waits.wake_all(0, &mut wakes);
            }
            state.phase != Phase::Draining
        });
        wakes.send();
        match done {
            Err(error) => Err(BarrierError::Action(error)),
            Ok(()) if broken => Err(BarrierError::Broken),
            Ok(()) => Ok(()),
        }
    }

    fn stay<G: Gate, A>(&self, gate: &G, limit: Limit) -> Result<(), BarrierError<G::Error, A>> {
        let stayed =
            block(&self.cell, 0, "wait", gate, limit, |state: &mut State, _| match state.phase {
                Phase::Filling | Phase::Acting => None,
                Phase::Draining => Some(Ok(())),
                Phase::Resetting | Phase::Broken => Some(Err(BarrierError::Broken)),
            });
        match stayed {
            Ok(Some(result)) => result,
            Ok(None) => {
                self.abort();
                Err(BarrierError::Broken)
            }
            Err(error) => {
                self.abort();
                Err(BarrierError::GivenUp(error))
            }
        }
    }

    fn leave(&self) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| {
            state.count -= 1;
            if state.count == 0 && matches!(state.phase, Phase::Draining | Phase::Resetting) {
                state.phase = Phase::Filling;
                state.waits.wake_all(0, &mut wakes);
            }
        });
        wakes.send();
    }

    /// Brings the barrier back to its empty state; who waits fails with [`BarrierError::Broken`].
    /// A round that is complete already passes.
    #[doc(alias = "threading.Barrier.reset")]
    pub fn reset(&self) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| {
            if state.count == 0 {
                state.phase = Phase::Filling;
            } else if matches!(state.phase, Phase::Filling | Phase::Broken) {
                state.phase = Phase::Resetting;
            }
            state.waits.wake_all(0, &mut wakes);
        });
        wakes.send();
    }

    /// Breaks the barrier: who waits and who comes fails with [`BarrierError::Broken`].
    #[doc(alias = "threading.Barrier.abort")]
    pub fn abort(&self) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| {
            state.phase = Phase::Broken;
            state.waits.wake_all(0, &mut wakes);
        });
        wakes.send();
    }

    /// Starts anew, unbroken and empty, for that many threads; who waits is forgotten.
    pub fn restart(&self, parties: usize) {
        let fresh = State { phase: Phase::Filling, parties, count: 0, waits: Waits::default() };
        let old = self.cell.with(|state| std::mem::replace(state, fresh));
        drop(old);
    }

    /// How many threads pass together.
    #[doc(alias = "threading.Barrier.parties")]
    pub fn parties(&self) -> usize {
        self.cell.with(|state| state.parties)
    }

    /// How many wait at this moment.
    #[doc(alias = "threading.Barrier.n_waiting")]
    pub fn waiting(&self) -> usize {
        self.cell.with(|state| if state.phase == Phase::Filling { state.count } else { 0 })
    }

    /// Whether the barrier is broken.
    #[doc(alias = "threading.Barrier.broken")]
    pub fn is_broken(&self) -> bool {
        self.cell.with(|state| state.phase == Phase::Broken)
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
