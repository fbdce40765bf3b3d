//! A flag that threads wait for.

use std::fmt;

use manyhands_watch::Kind;

use crate::block::await_notice;
use crate::gate::certain;
use crate::{Exclusion, Gate, Limit, Locked, Patient, Protected, Waitable, Waits, Wakes};

/// A flag that is set and cleared, and that threads wait for.
///
/// ```
/// use manyhands_sync::Event;
///
/// let ready: Event = Event::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| ready.set());
///     ready.wait();
/// });
/// assert!(ready.is_set());
/// ```
///
/// # Fork safety
/// In a forked child it is as it was; threads of the parent no longer wait for it.
///
/// # References
/// `threading.Event` in the Python library reference.
#[doc(alias = "threading.Event")]
pub struct Event<X: Exclusion = Locked> {
    cell: X::Cell<State>,
}

struct State {
    set: bool,
    waits: Waits<1>,
}

impl<X: Exclusion> Event<X> {
    /// An event that is not set.
    ///
    /// ```
    /// let event: manyhands_sync::Event = manyhands_sync::Event::new();
    /// assert!(!event.is_set());
    /// ```
    pub fn new() -> Self {
        Event { cell: X::Cell::new(State { set: false, waits: Waits::default() }) }
    }

    /// Whether the flag is set.
    ///
    /// ```
    /// # let event: manyhands_sync::Event = manyhands_sync::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    #[doc(alias = "threading.Event.is_set")]
    #[inline]
    pub fn is_set(&self) -> bool {
        self.cell.with(|state| state.set)
    }

    /// Sets the flag, and lets all who wait go on.
    ///
    /// ```
    /// # let event: manyhands_sync::Event = manyhands_sync::Event::new();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| event.wait());
    ///     scope.spawn(|| event.wait());
    ///     event.set();
    /// });
    /// ```
    #[doc(alias = "threading.Event.set")]
    #[inline]
    pub fn set(&self) {
        let mut wakes = Wakes::default();
        self.cell.with(|state| {
            state.set = true;
            state.waits.wake_all(0, &mut wakes);
        });
        wakes.send();
    }

    /// Clears the flag.
    ///
    /// ```
    /// # let event: manyhands_sync::Event = manyhands_sync::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    #[doc(alias = "threading.Event.clear")]
    #[inline]
    pub fn clear(&self) {
        self.cell.with(|state| state.set = false);
    }

    /// Waits as long as it takes until the flag is set.
    ///
    /// ```
    /// # let event: manyhands_sync::Event = manyhands_sync::Event::new();
    /// event.set();
    /// event.wait();
    /// ```
    #[doc(alias = "threading.Event.wait")]
    pub fn wait(&self) {
        certain(self.wait_with(&Patient, Limit::Forever));
    }

    /// Waits until the flag is set; false if the limit was reached. A flag that is set and cleared
    /// again still lets go who waited.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_sync::{Event, Limit, Patient};
    ///
    /// let event: Event = Event::new();
    /// let soon = Limit::after(Duration::from_millis(1));
    /// assert_eq!(event.wait_with(&Patient, soon), Ok(false));
    /// event.set();
    /// assert_eq!(event.wait_with(&Patient, soon), Ok(true));
    /// ```
    ///
    /// # Errors
    /// Those of the gate.
    #[inline]
    pub fn wait_with<G: Gate>(&self, gate: &G, limit: Limit) -> Result<bool, G::Error> {
        if self.is_set() {
            return Ok(true);
        }
        match limit {
            Limit::Never => Ok(false),
            Limit::Until(deadline) => self.wait_slow(gate, Some(deadline)),
            Limit::Forever => self.wait_slow(gate, None),
        }
    }

    #[cold]
    fn wait_slow<G: Gate>(
        &self,
        gate: &G,
        deadline: Option<crate::Deadline>,
    ) -> Result<bool, G::Error> {
        let enlisted = self.cell.with(|state| {
            (!state.set).then(|| {
                let waiter = state.waits.enlist(Kind::Event, 0, false);
                let noted = state.waits.begin_wait("wait", deadline.is_some(), &waiter);
                (waiter, noted)
            })
        });
        match enlisted {
            None => Ok(true),
            Some((waiter, _noted)) => await_notice(&self.cell, &waiter, 0, gate, deadline, false),
        }
    }

    /// Forgets who waits: for a forked child, about the threads of its parent. The flag stays.
    ///
    /// ```
    /// # let event: manyhands_sync::Event = manyhands_sync::Event::new();
    /// event.set();
    /// event.reset_waiters();
    /// assert!(event.is_set());
    /// ```
    pub fn reset_waiters(&self) {
        let old = self.cell.with(|state| std::mem::take(&mut state.waits));
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
        Kind::Event
    }

    fn waits(&mut self) -> &mut Waits<1> {
        &mut self.waits
    }
}

impl<X: Exclusion> Default for Event<X> {
    fn default() -> Self {
        Event::new()
    }
}

impl<X: Exclusion> fmt::Debug for Event<X> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Event").field("set", &self.is_set()).finish()
    }
}
