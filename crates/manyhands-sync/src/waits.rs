//! The lines of waiting threads that a primitive's state has.
//!
//! Invariants, under the state's exclusion:
//! * a waiter is in a line if and only if nobody has taken it out to notify it, and its thread
//!   neither returned nor withdrew it;
//! * `waking` is true from the moment that [`Waits::wake_one`] took a waiter out until that thread
//!   reports with [`Waits::landed`]; meanwhile `wake_one` takes nobody else, since the thread on
//!   its way will look at the state itself and wake the next if there is more for it;
//! * all threads in the lines are of this process: the first look in a forked child takes out those
//!   that it does not have, which are all but a thread that forked while it waited.

use std::collections::VecDeque;

use manyhands_sys::fork;
use manyhands_watch::{Kind, Subject, WaitingGuard};

use crate::shim::Arc;
use crate::{ThreadId, Waiter};

/// The lines of waiting threads of one primitive; empty and unallocated until somebody waits.
///
/// They are numbered from 0; a number from `LINES` up makes any method panic.
///
/// ```
/// use manyhands_sync::{Waits, Wakes};
/// use manyhands_watch::Kind;
///
/// let mut waits = Waits::<2>::default();
/// let waiter = waits.enlist(Kind::Event, 1, false);
/// assert_eq!((waits.len(0), waits.len(1)), (0, 1));
/// assert!(waits.withdraw(1, &waiter));
/// # drop(Wakes::default());
/// ```
#[derive(Debug)]
pub struct Waits<const LINES: usize>(Option<Box<Used<LINES>>>);

#[derive(Debug)]
struct Used<const LINES: usize> {
    epoch: u32,
    subject: Subject,
    lines: [Line; LINES],
}

#[derive(Debug, Default)]
struct Line {
    waiters: VecDeque<Arc<Waiter>>,
    waking: bool,
}

impl<const LINES: usize> Default for Waits<LINES> {
    fn default() -> Self {
        Waits(None)
    }
}

impl<const LINES: usize> Waits<LINES> {
    /// Whether nobody is in that line.
    ///
    /// ```
    /// let waits = manyhands_sync::Waits::<1>::default();
    /// assert!(waits.is_empty(0));
    /// ```
    #[inline]
    pub fn is_empty(&self, line: usize) -> bool {
        self.0.as_ref().is_none_or(|used| used.lines[line].waiters.is_empty())
    }

    /// How many are in that line.
    ///
    /// ```
    /// let mut waits = manyhands_sync::Waits::<1>::default();
    /// assert_eq!(waits.len(0), 0);
    /// ```
    pub fn len(&mut self, line: usize) -> usize {
        self.current().map_or(0, |used| used.lines[line].waiters.len())
    }

    /// Tells observers who owns the primitive; does nothing before anybody has waited for it.
    ///
    /// ```
    /// use manyhands_sync::{ThreadId, Waits};
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiter = waits.enlist(Kind::Lock, 0, false);
    /// waits.set_owner(Some(ThreadId::current()));
    /// # drop(waiter);
    /// ```
    #[inline]
    pub fn set_owner(&self, owner: Option<ThreadId>) {
        if let Some(used) = &self.0 {
            used.subject.set_owner(owner);
        }
    }

    /// Notes, where there is a trace, that an item was put in or taken out, and how many there are now.
    #[inline]
    pub fn trace_item(&mut self, kind: Kind, is_put: bool, items: usize) {
        self.used(kind).subject.trace_item(is_put, items);
    }

    fn used(&mut self, kind: Kind) -> &mut Used<LINES> {
        self.0.get_or_insert_with(|| {
            Box::new(Used {
                epoch: fork::epoch(),
                subject: Subject::register(kind),
                lines: std::array::from_fn(|_| Line::default()),
            })
        })
    }

    fn current(&mut self) -> Option<&mut Used<LINES>> {
        let used = self.0.as_deref_mut()?;
        let epoch = fork::epoch();
        let noted = std::mem::replace(&mut used.epoch, epoch);
        if noted != epoch {
            for line in &mut used.lines {
                line.waiters.retain(|waiter| fork::survived(waiter.thread(), noted));
                line.waking = false;
            }
        }
        Some(used)
    }

    /// Puts the calling thread into a line, at the front if it comes back after a wake-up that did
    /// not get it what it wants.
    ///
    /// ```
    /// use manyhands_sync::Waits;
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiter = waits.enlist(Kind::Lock, 0, false);
    /// assert_eq!(waits.len(0), 1);
    /// # drop(waiter);
    /// ```
    pub fn enlist(&mut self, kind: Kind, line: usize, front: bool) -> Arc<Waiter> {
        self.used(kind);
        let waiter = Arc::new(Waiter::new());
        if let Some(used) = self.current() {
            let waiters = &mut used.lines[line].waiters;
            if front {
                waiters.push_front(Arc::clone(&waiter));
            } else {
                waiters.push_back(Arc::clone(&waiter));
            }
        }
        waiter
    }

    /// The number under which observers know what is waited for; `None` before anybody enlisted.
    pub fn subject(&self) -> Option<u64> {
        self.0.as_ref().map(|used| used.subject.id())
    }

    /// Tells observers that the calling thread waits as `waiter`, until the guard is dropped, for ever
    /// or not; `None` before anybody enlisted.
    ///
    /// ```
    /// use manyhands_sync::Waits;
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiter = waits.enlist(Kind::Lock, 0, false);
    /// assert!(waits.begin_wait("acquire", false, &waiter).is_some());
    /// ```
    pub fn begin_wait(
        &self,
        operation: &'static str,
        limited: bool,
        waiter: &Arc<Waiter>,
    ) -> Option<WaitingGuard> {
        let pending = crate::waiter::pending(waiter);
        self.0.as_ref().map(|used| used.subject.begin_wait(operation, limited, pending))
    }

    /// Takes `waiter` out of its line; false if somebody else has, in order to notify it.
    ///
    /// ```
    /// use manyhands_sync::Waits;
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiter = waits.enlist(Kind::Lock, 0, false);
    /// assert!(waits.withdraw(0, &waiter));
    /// assert!(!waits.withdraw(0, &waiter));
    /// ```
    pub fn withdraw(&mut self, line: usize, waiter: &Arc<Waiter>) -> bool {
        let Some(used) = self.current() else { return false };
        let waiters = &mut used.lines[line].waiters;
        let place = waiters.iter().position(|other| Arc::ptr_eq(other, waiter));
        place.and_then(|place| waiters.remove(place)).is_some()
    }

    /// Reports that the thread taken out by [`Waits::wake_one`] is up and looks at the state.
    ///
    /// ```
    /// use manyhands_sync::{Waits, Wakes};
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiters = [(); 2].map(|()| waits.enlist(Kind::Semaphore, 0, false));
    /// let mut wakes = Wakes::default();
    /// waits.wake_one(0, &mut wakes);
    /// waits.landed(0);
    /// waits.wake_one(0, &mut wakes);
    /// assert!(waits.is_empty(0));
    /// wakes.send();
    /// # drop(waiters);
    /// ```
    pub fn landed(&mut self, line: usize) {
        if let Some(used) = self.current() {
            used.lines[line].waking = false;
        }
    }

    /// Takes out the first of a line, unless another is on its way; it must, once it has taken what
    /// it came for and there is more, call this in turn.
    ///
    /// ```
    /// use manyhands_sync::{Waits, Wakes};
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiters = [(); 2].map(|()| waits.enlist(Kind::Semaphore, 0, false));
    /// let mut wakes = Wakes::default();
    /// waits.wake_one(0, &mut wakes);
    /// waits.wake_one(0, &mut wakes);
    /// assert_eq!(waits.len(0), 1, "the first is still on its way");
    /// wakes.send();
    /// # drop(waiters);
    /// ```
    #[inline]
    pub fn wake_one(&mut self, line: usize, wakes: &mut Wakes) {
        if !self.is_empty(line) {
            self.wake_one_of(line, wakes);
        }
    }

    #[cold]
    fn wake_one_of(&mut self, line: usize, wakes: &mut Wakes) {
        let Some(used) = self.current() else { return };
        let line = &mut used.lines[line];
        if !line.waking
            && let Some(waiter) = line.waiters.pop_front()
        {
            line.waking = true;
            wakes.push(waiter);
        }
    }

    /// Takes out the first `count` of a line, whoever is on its way.
    ///
    /// ```
    /// use manyhands_sync::{Waits, Wakes};
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiters = [(); 3].map(|()| waits.enlist(Kind::Condition, 0, false));
    /// let mut wakes = Wakes::default();
    /// waits.wake(0, 2, &mut wakes);
    /// assert_eq!(waits.len(0), 1);
    /// wakes.send();
    /// # drop(waiters);
    /// ```
    #[inline]
    pub fn wake(&mut self, line: usize, count: usize, wakes: &mut Wakes) {
        if !self.is_empty(line) {
            self.wake_some(line, count, wakes);
        }
    }

    #[cold]
    fn wake_some(&mut self, line: usize, count: usize, wakes: &mut Wakes) {
        if let Some(used) = self.current() {
            let waiters = &mut used.lines[line].waiters;
            let count = count.min(waiters.len());
            waiters.drain(..count).for_each(|waiter| wakes.push(waiter));
        }
    }

    /// Takes out everybody of a line.
    ///
    /// ```
    /// use manyhands_sync::{Waits, Wakes};
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiters = [(); 3].map(|()| waits.enlist(Kind::Event, 0, false));
    /// let mut wakes = Wakes::default();
    /// waits.wake_all(0, &mut wakes);
    /// assert!(waits.is_empty(0));
    /// wakes.send();
    /// # drop(waiters);
    /// ```
    #[inline]
    pub fn wake_all(&mut self, line: usize, wakes: &mut Wakes) {
        self.wake(line, usize::MAX, wakes);
    }
}

/// Waiters taken out of their lines under the exclusion, to be notified after it.
///
/// ```
/// use manyhands_sync::{Waits, Wakes};
/// use manyhands_watch::Kind;
///
/// let mut waits = Waits::<1>::default();
/// let waiter = waits.enlist(Kind::Event, 0, false);
/// // Under the exclusion...
/// let mut wakes = Wakes::default();
/// waits.wake_all(0, &mut wakes);
/// // ... and after it.
/// wakes.send();
/// assert_eq!(waiter.park(None), manyhands_sync::Parked::Notified);
/// ```
#[derive(Debug, Default)]
#[must_use = "who is taken out of a line and not notified waits for ever"]
pub struct Wakes(Vec<Arc<Waiter>>);

impl Wakes {
    fn push(&mut self, waiter: Arc<Waiter>) {
        self.0.push(waiter);
    }

    /// Notifies them all.
    ///
    /// ```
    /// let wakes = manyhands_sync::Wakes::default();
    /// wakes.send();
    /// ```
    #[inline(always)]
    pub fn send(self) {
        if !self.0.is_empty() {
            self.notify(false);
        }
    }

    /// The same, by a thread that has left its host's interpreter: nobody need give it time for that.
    ///
    /// ```
    /// let wakes = manyhands_sync::Wakes::default();
    /// wakes.send_from_outside();
    /// ```
    #[inline]
    pub fn send_from_outside(self) {
        if !self.0.is_empty() {
            self.notify(true);
        }
    }

    /// Whether nobody is to be notified.
    ///
    /// ```
    /// assert!(manyhands_sync::Wakes::default().is_empty());
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cold]
    fn notify(self, from_outside: bool) {
        for waiter in self.0 {
            waiter.notify(from_outside);
        }
    }
}
