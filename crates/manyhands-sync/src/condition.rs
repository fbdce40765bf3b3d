//! Waiting for notices while giving up a lock.

use std::fmt;

use manyhands_watch::{Kind, WaitingGuard};

use crate::block::await_notice;
use crate::gate::certain;
use crate::shim::Arc;
use crate::{
    Deadline, Exclusion, Gate, Limit, Lock, Locked, Patient, Protected, ThreadId, Waitable, Waiter,
    Waits, Wakes,
};

/// A line of threads that wait for notices.
///
/// The lock that goes with it is the caller's: any kind, given up between [`Condition::enroll`] and
/// [`Condition::wait_with`]. [`Condition::wait`] does all that for a [`Lock`].
///
/// ```
/// use manyhands_sync::{Condition, Lock};
///
/// let (lock, filled): (Lock, Condition) = Default::default();
/// std::thread::scope(|scope| {
///     let held = lock.hold();
///     scope.spawn(|| {
///         let _held = lock.hold();
///         filled.notify(1);
///     });
///     filled.wait(&lock);
///     drop(held);
/// });
/// ```
///
/// # Fork safety
/// In a forked child no thread of the parent waits for it.
///
/// # References
/// `threading.Condition` in the Python library reference.
#[doc(alias = "threading.Condition")]
pub struct Condition<X: Exclusion = Locked> {
    cell: X::Cell<State>,
}

#[derive(Default)]
struct State {
    waits: Waits<1>,
}

/// A place in the line of a condition, from before its lock is given up until the wait's end.
///
/// ```
/// use manyhands_sync::{Condition, Patient, Ticket};
///
/// let condition: Condition = Condition::new();
/// let ticket: Ticket = condition.enroll(None, false);
/// condition.notify(1);
/// assert_eq!(condition.wait_with(ticket, &Patient, None), Ok(true));
/// ```
#[derive(Debug)]
pub struct Ticket {
    waiter: Arc<Waiter>,
    _noted: Option<WaitingGuard>,
}

impl<X: Exclusion> Condition<X> {
    /// A condition for which nobody waits.
    ///
    /// ```
    /// let condition: manyhands_sync::Condition = manyhands_sync::Condition::new();
    /// assert_eq!(condition.waiters(), 0);
    /// ```
    pub fn new() -> Self {
        Condition { cell: X::Cell::new(State::default()) }
    }

    /// Gets in line; a notice counts from here on. `owner` is who holds the lock at this moment,
    /// and `limited` whether the wait has a deadline, for observers.
    ///
    /// ```
    /// # let condition: manyhands_sync::Condition = manyhands_sync::Condition::new();
    /// let ticket = condition.enroll(None, false);
    /// assert_eq!(condition.waiters(), 1);
    /// condition.withdraw(ticket);
    /// ```
    pub fn enroll(&self, owner: Option<ThreadId>, limited: bool) -> Ticket {
        self.cell.with(|state| {
            let waiter = state.waits.enlist(Kind::Condition, 0, false);
            state.waits.set_owner(owner);
            let noted = state.waits.begin_wait("wait", limited, &waiter);
            Ticket { waiter, _noted: noted }
        })
    }

    /// Leaves the line without having waited.
    ///
    /// ```
    /// # let condition: manyhands_sync::Condition = manyhands_sync::Condition::new();
    /// let ticket = condition.enroll(None, false);
    /// condition.withdraw(ticket);
    /// assert_eq!(condition.waiters(), 0);
    /// ```
    pub fn withdraw(&self, ticket: Ticket) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| {
            if !state.waits.withdraw(0, &ticket.waiter) {
                state.waits.wake(0, 1, &mut wakes);
            }
        });
        wakes.send();
    }

    /// Waits for a notice; false if the deadline passed first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_sync::{Condition, Deadline, Lock, Patient};
    ///
    /// let (lock, changed): (Lock, Condition) = Default::default();
    /// lock.acquire();
    /// let ticket = changed.enroll(lock.owner(), true);
    /// lock.release().unwrap();
    /// let soon = Deadline::after(Duration::from_millis(1));
    /// assert_eq!(changed.wait_with(ticket, &Patient, Some(soon)), Ok(false));
    /// lock.acquire();
    /// ```
    ///
    /// # Errors
    /// Those of the gate; a notice that crossed with one goes to the next in line.
    pub fn wait_with<G: Gate>(
        &self,
        ticket: Ticket,
        gate: &G,
        deadline: Option<Deadline>,
    ) -> Result<bool, G::Error> {
        await_notice(&self.cell, &ticket.waiter, 0, gate, deadline, true)
    }

    /// Gives up `lock`, waits for a notice as long as it takes, and acquires `lock` again.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// use manyhands_sync::{Condition, Lock};
    ///
    /// let (lock, changed): (Lock, Condition) = Default::default();
    /// let ready = AtomicBool::new(false);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let _held = lock.hold();
    ///         ready.store(true, Ordering::Relaxed);
    ///         changed.notify(1);
    ///     });
    ///     let _held = lock.hold();
    ///     while !ready.load(Ordering::Relaxed) {
    ///         changed.wait(&lock);
    ///     }
    /// });
    /// ```
    ///
    /// # Panics
    /// If `lock` is free.
    #[doc(alias = "threading.Condition.wait")]
    pub fn wait(&self, lock: &Lock<X>) {
        let ticket = self.enroll(lock.owner(), false);
        if lock.release().is_err() {
            self.withdraw(ticket);
            panic!("cannot wait on un-acquired lock");
        }
        certain(self.wait_with(ticket, &Patient, None));
        certain(lock.acquire_with(&Patient, Limit::Forever));
    }

    /// Lets up to `count` of those who wait go on, longest first.
    ///
    /// ```
    /// # let condition: manyhands_sync::Condition = manyhands_sync::Condition::new();
    /// let tickets = [condition.enroll(None, false), condition.enroll(None, false)];
    /// condition.notify(1);
    /// assert_eq!(condition.waiters(), 1);
    /// # drop(tickets);
    /// ```
    #[doc(alias = "threading.Condition.notify")]
    #[inline]
    pub fn notify(&self, count: usize) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| state.waits.wake(0, count, &mut wakes));
        wakes.send();
    }

    /// Lets all who wait go on.
    ///
    /// ```
    /// # let condition: manyhands_sync::Condition = manyhands_sync::Condition::new();
    /// let tickets = [condition.enroll(None, false), condition.enroll(None, false)];
    /// condition.notify_all();
    /// assert_eq!(condition.waiters(), 0);
    /// # drop(tickets);
    /// ```
    #[doc(alias = "threading.Condition.notify_all")]
    pub fn notify_all(&self) {
        self.notify(usize::MAX);
    }

    /// How many wait.
    ///
    /// ```
    /// # let condition: manyhands_sync::Condition = manyhands_sync::Condition::new();
    /// let ticket = condition.enroll(None, false);
    /// assert_eq!(condition.waiters(), 1);
    /// # drop(ticket);
    /// ```
    pub fn waiters(&self) -> usize {
        self.cell.with(|state| state.waits.len(0))
    }

    /// Forgets who waits: for a forked child, about the threads of its parent.
    ///
    /// ```
    /// # let condition: manyhands_sync::Condition = manyhands_sync::Condition::new();
    /// let ticket = condition.enroll(None, false);
    /// condition.reset();
    /// assert_eq!(condition.waiters(), 0);
    /// # drop(ticket);
    /// ```
    pub fn reset(&self) {
        let old = self.cell.with(std::mem::take);
        drop(old);
    }

    /// The number under which observers know it, see [`manyhands_watch::Subject::id`]; `None` if
    /// nobody has ever waited for it.
    pub fn subject(&self) -> Option<u64> {
        self.cell.with(|state| state.waits.subject())
    }
}

impl Waitable<1> for State {
    fn kind(&self) -> Kind {
        Kind::Condition
    }

    fn waits(&mut self) -> &mut Waits<1> {
        &mut self.waits
    }
}

impl<X: Exclusion> Default for Condition<X> {
    fn default() -> Self {
        Condition::new()
    }
}

impl<X: Exclusion> fmt::Debug for Condition<X> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Condition").field("waiters", &self.waiters()).finish()
    }
}
