//! What dead workers leave, and whether it is of use to start others.

use std::sync::atomic::{AtomicUsize, Ordering};

use manyhands_shm::ArenaError;

use crate::{Fate, Lead, Pool};

/// How much a worker counts that ended by itself, or was killed, before it took a task; and how much in a
/// row is enough.
const ENDED: usize = 8;
const KILLED: usize = 1;
const MOST: usize = 64;

/// What has become of a dead worker's seat.
#[derive(Debug)]
pub enum Buried<T> {
    /// It is free.
    Settled {
        /// The task that was lost with the worker.
        lost: Option<T>,
        /// Whether the worker had come so far that it took tasks.
        was_ready: bool,
    },
    /// It cannot be told yet what the worker has left; see [`Fate::Unsure`].
    Unsure,
}

impl<T> Pool<T> {
    /// Settles what the worker of that seat has left, which is dead. `drain` takes all results that are
    /// there, with the same lead.
    ///
    /// # Errors
    /// No address space; what `drain` says. The seat is not free then.
    pub fn bury<E: From<ArenaError>>(
        &self,
        lead: &Lead<'_>,
        seat: usize,
        mut drain: impl FnMut() -> Result<(), E>,
    ) -> Result<Buried<T>, E> {
        drain()?;
        let lost = match self.fate(lead, seat)? {
            Fate::Unsure => return Ok(Buried::Unsure),
            Fate::Spared => None,
            Fate::Claimed(task) => {
                drain()?;
                self.condemn(lead, task)
            }
        };
        let was_ready = self.is_ready(seat);
        // Before the next is looked at, who may have the same claim.
        self.release(seat);
        Ok(Buried::Settled { lost, was_ready })
    }
}

/// Whether workers come so far that they take tasks, or end before that, one after the other.
///
/// ```
/// use manyhands_pool::Fitness;
///
/// let fitness = Fitness::default();
/// assert!((0..7).all(|_| fitness.note(false, false)));
/// assert!(!fitness.note(false, false));
/// ```
#[derive(Debug, Default)]
pub struct Fitness(AtomicUsize);

impl Fitness {
    /// A worker has ended: whether it is of use to start another one. One that was killed says less
    /// about the next than one that ended by itself.
    pub fn note(&self, was_ready: bool, was_killed: bool) -> bool {
        if was_ready {
            self.0.store(0, Ordering::Relaxed);
            return true;
        }
        let weight = if was_killed { KILLED } else { ENDED };
        self.0.fetch_add(weight, Ordering::Relaxed) + weight < MOST
    }
}
