//! Where the outcome of a call goes.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use manyhands_shm::{Limit, Parcel};

use super::error::PoolError;

/// A result, as it has come.
pub(super) enum Value {
    /// Written down, after so many bytes of other things.
    Bytes(Vec<u8>, usize),
    /// As above, and a large one, in the memory of the arena.
    Parcel(Parcel, usize),
    /// From a thread of this process.
    Object(Box<dyn Any + Send>),
}

pub(super) type Outcome = Result<Value, PoolError>;

enum State {
    /// No worker of this process has it.
    Waiting,
    /// A thread does it.
    Begun,
    There(Outcome),
    /// Somebody has taken the outcome.
    Taken,
}

/// The place for one outcome.
pub(super) struct Slot {
    guarded: Mutex<(State, Waiters)>,
    changed: Condvar,
    /// The number of the call in a pool of processes; another one once it is done again.
    task: AtomicU64,
    /// Who is told, and by which name.
    told: Option<(Arc<Arrivals>, u64)>,
}

/// How many threads sleep: if none does nobody has to be woken.
type Waiters = u32;

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    pub(super) fn new(told: Option<(Arc<Arrivals>, u64)>) -> Arc<Slot> {
        Arc::new(Slot {
            guarded: Mutex::new((State::Waiting, 0)),
            changed: Condvar::new(),
            task: AtomicU64::new(0),
            told,
        })
    }

    pub(super) fn set_task(&self, task: u64) {
        self.task.store(task, Ordering::Release);
    }

    pub(super) fn task(&self) -> u64 {
        self.task.load(Ordering::Acquire)
    }

    /// A thread wants to do it: false if it was cancelled, or its pool has ended.
    pub(super) fn begin(&self) -> bool {
        let (state, _) = &mut *locked(&self.guarded);
        let waiting = matches!(state, State::Waiting);
        if waiting {
            *state = State::Begun;
        }
        waiting
    }

    /// Brings the outcome; the first one counts.
    pub(super) fn settle(&self, outcome: Outcome) {
        let waiters = {
            let (state, waiters) = &mut *locked(&self.guarded);
            if matches!(state, State::There(_) | State::Taken) {
                return;
            }
            *state = State::There(outcome);
            *waiters
        };
        if waiters > 0 {
            self.changed.notify_all();
        }
        if let Some((arrivals, name)) = &self.told {
            arrivals.add(*name);
        }
    }

    /// Brings an outcome to what nobody has begun; whether it was that.
    pub(super) fn settle_unbegun(&self, error: PoolError) -> bool {
        let mine = self.begin();
        if mine {
            self.settle(Err(error));
        }
        mine
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(locked(&self.guarded).0, State::There(_))
    }

    /// Waits for the outcome, which a thread of this process brings; whether it is there.
    pub(super) fn wait(&self, limit: Limit) -> bool {
        let is_settled = |(state, _): &(State, Waiters)| matches!(state, State::There(_));
        wait(&self.guarded, &self.changed, limit, is_settled, |(_, waiters)| waiters)
    }

    /// The outcome, which is there.
    pub(super) fn take(&self) -> Option<Outcome> {
        let (state, _) = &mut *locked(&self.guarded);
        if !matches!(state, State::There(_)) {
            return None;
        }
        match std::mem::replace(state, State::Taken) {
            State::There(outcome) => Some(outcome),
            _ => None,
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// Which of some calls have an outcome, in the order in which they got it.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    guarded: Mutex<(VecDeque<u64>, Waiters)>,
    changed: Condvar,
}

impl Arrivals {
    fn add(&self, name: u64) {
        let waiters = {
            let (names, waiters) = &mut *locked(&self.guarded);
            names.push_back(name);
            *waiters
        };
        if waiters > 0 {
            self.changed.notify_one();
        }
    }

    pub(super) fn next(&self) -> Option<u64> {
        locked(&self.guarded).0.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        locked(&self.guarded).0.is_empty()
    }

    /// Waits for one, which a thread of this process brings.
    pub(super) fn wait(&self, limit: Limit) -> bool {
        let is_there = |(names, _): &(VecDeque<u64>, Waiters)| !names.is_empty();
        wait(&self.guarded, &self.changed, limit, is_there, |(_, waiters)| waiters)
    }
}

fn wait<T>(
    mutex: &Mutex<T>,
    changed: &Condvar,
    limit: Limit,
    is_there: impl Fn(&T) -> bool,
    waiters: impl Fn(&mut T) -> &mut Waiters,
) -> bool {
    let mut guarded = locked(mutex);
    loop {
        if is_there(&guarded) {
            return true;
        }
        let left = match limit {
            Limit::Never => return false,
            Limit::Until(deadline) if deadline.has_passed() => return false,
            Limit::Until(deadline) => Some(deadline.remaining()),
            Limit::Forever => None,
        };
        *waiters(&mut guarded) += 1;
        guarded = match left {
            None => changed.wait(guarded).unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                changed.wait_timeout(guarded, left).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        *waiters(&mut guarded) -= 1;
    }
}
