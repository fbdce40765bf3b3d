//! One waiting thread, and how it sleeps.

use std::fmt;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use manyhands_sys::futex::Sleep;
use manyhands_sys::thread;

use crate::habit::Habit;
use crate::shim::{Arc, Mutex, Word, current_thread};
use crate::{Deadline, ThreadId};

/// How [`Waiter::park`] ended.
///
/// ```
/// use manyhands_sync::{Deadline, Parked};
/// use manyhands_watch::Kind;
///
/// let mut waits = manyhands_sync::Waits::<1>::default();
/// let waiter = waits.enlist(Kind::Event, 0, false);
/// assert_eq!(waiter.park(Some(Deadline::now())), Parked::TimedOut);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// Somebody notified this waiter.
    Notified,
    /// The deadline passed first.
    TimedOut,
    /// A signal handler ran in this thread; park again to go on waiting.
    Interrupted,
}

/// The waiting thread is awake: it has not slept yet, or is spinning.
const AWAKE: u32 = 0;
/// It sleeps, or is about to, or has left a listener, and must be woken.
const ASLEEP: u32 = 1;
/// It was notified. Times one plus the number of the processor on which that was done.
const NOTIFIED: u32 = 2;

/// How long a notifier is given to leave its interpreter.
const LEAVE: Duration = Duration::from_micros(10);

thread_local! {
    /// Whether to look for the notification for a moment before sleeping.
    static LOOKING: Habit = const { Habit::new() };
    /// Whether to let the notifier leave its interpreter.
    static YIELDING: Habit = const { Habit::new() };
}

/// How often a thread of this process has gone to wait. A host with an interpreter lock lets go of
/// it before that, so from this a waiter learns that its notifier has.
static DEPARTURES: AtomicU32 = AtomicU32::new(0);

/// A thread that waits to be notified, once.
///
/// ```
/// use manyhands_sync::{Parked, Waits, Wakes};
/// use manyhands_watch::Kind;
///
/// let mut waits = Waits::<1>::default();
/// let waiter = waits.enlist(Kind::Event, 0, false);
/// let mut wakes = Wakes::default();
/// waits.wake_all(0, &mut wakes);
/// wakes.send();
/// assert_eq!(waiter.park(None), Parked::Notified);
/// ```
#[derive(Debug)]
pub struct Waiter {
    /// `AWAKE` and `ASLEEP` are written by the waiting thread, and only over each other; a value
    /// from `NOTIFIED` up by whoever took the waiter out of its line, once.
    word: Word,
    /// `DEPARTURES` when this was notified.
    stamp: AtomicU32,
    /// The waiting thread.
    thread: ThreadId,
    listener: Mutex<Option<Listener>>,
}

/// What is called in the place of a thread that is to be woken.
struct Listener(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Listener")
    }
}

impl Waiter {
    pub(crate) fn new() -> Waiter {
        Waiter {
            word: Word::new(AWAKE),
            stamp: AtomicU32::new(0),
            thread: current_thread(),
            listener: Mutex::new(None),
        }
    }

    pub(crate) fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Whether somebody has notified it.
    ///
    /// ```
    /// use manyhands_sync::{Waits, Wakes};
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiter = waits.enlist(Kind::Event, 0, false);
    /// let mut wakes = Wakes::default();
    /// waits.wake_all(0, &mut wakes);
    /// assert!(!waiter.is_notified());
    /// wakes.send();
    /// assert!(waiter.is_notified());
    /// ```
    pub fn is_notified(&self) -> bool {
        self.word.load() >= NOTIFIED
    }

    /// For a thread that has other things to do than to sleep: `listener` is called when this is notified, by who notifies
    /// it, wherever that is. The one of an earlier call, if that was not called yet, is forgotten. False if this is notified
    /// already: then it is not called, unless somebody is just about to.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    ///
    /// use manyhands_sync::{Waits, Wakes};
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiter = waits.enlist(Kind::Event, 0, false);
    /// let (told, news) = channel();
    /// assert!(waiter.listen(move || told.send("it is your turn").unwrap()));
    /// let mut wakes = Wakes::default();
    /// waits.wake_all(0, &mut wakes);
    /// wakes.send();
    /// assert_eq!(news.recv(), Ok("it is your turn"));
    /// ```
    pub fn listen(&self, listener: impl FnOnce() + Send + 'static) -> bool {
        // Held until it is known that it is wanted; who notifies takes this only after that.
        let mut place = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let before = place.replace(Listener(Box::new(listener)));
        let waits = self.word.replace(AWAKE, ASLEEP) || !self.is_notified();
        let unwanted = if waits { None } else { place.take() };
        drop(place);
        drop((before, unwanted));
        waits
    }

    /// Waits until notified, until `deadline`, or until a signal handler has run: sleeping, after
    /// looking for a moment if that has paid off before.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_sync::{Deadline, Parked};
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = manyhands_sync::Waits::<1>::default();
    /// let waiter = waits.enlist(Kind::Event, 0, false);
    /// let soon = Deadline::after(Duration::from_millis(1));
    /// assert_eq!(waiter.park(Some(soon)), Parked::TimedOut);
    /// ```
    pub fn park(&self, deadline: Option<Deadline>) -> Parked {
        DEPARTURES.fetch_add(1, Ordering::Relaxed);
        if self.is_notified() {
            return Parked::Notified;
        }
        let longest =
            deadline.map_or(Habit::WAKE, |deadline| Habit::WAKE.min(deadline.remaining()));
        let looked = LOOKING
            .with(|looking| looking.is_ready() && looking.spin(longest, || self.is_notified()));
        if looked {
            self.let_notifier_leave();
            return Parked::Notified;
        }
        self.sleep(deadline)
    }

    fn sleep(&self, deadline: Option<Deadline>) -> Parked {
        let begun = Instant::now();
        if !self.word.replace(AWAKE, ASLEEP) {
            // It has slept before, or listened.
            self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
            if self.is_notified() {
                return Parked::Notified;
            }
        }
        loop {
            let sleep = self.word.sleep(ASLEEP, deadline);
            let word = self.word.load();
            if word >= NOTIFIED {
                let from_afar = word != Waiter::notified_here();
                if from_afar {
                    LOOKING.with(|looking| looking.learn(begun.elapsed()));
                }
                return Parked::Notified;
            }
            match sleep {
                Sleep::Woken => {}
                Sleep::TimedOut => return Parked::TimedOut,
                Sleep::Interrupted => return Parked::Interrupted,
            }
        }
    }

    fn notified_here() -> u32 {
        NOTIFIED * (1 + thread::processor())
    }

    pub(crate) fn notify(&self, from_outside: bool) {
        // As if another had left since, if the notifier has left before.
        let stamp = DEPARTURES.load(Ordering::Relaxed).wrapping_sub(u32::from(from_outside));
        self.stamp.store(stamp, Ordering::Relaxed);
        if self.word.swap(Waiter::notified_here()) == ASLEEP {
            let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
            match listener {
                Some(Listener(listener)) => listener(),
                None => self.word.wake(),
            }
        }
    }

    /// Gives the processor back, once, to who has notified this if this thread has been given it for that: a
    /// notifier that is still inside of its host's interpreter would only have this thread go to sleep again.
    ///
    /// ```
    /// use manyhands_sync::{Parked, Waits, Wakes};
    /// use manyhands_watch::Kind;
    ///
    /// let mut waits = Waits::<1>::default();
    /// let waiter = waits.enlist(Kind::Event, 0, false);
    /// let mut wakes = Wakes::default();
    /// waits.wake_all(0, &mut wakes);
    /// wakes.send();
    /// assert_eq!(waiter.park(None), Parked::Notified);
    /// waiter.give_way();
    /// ```
    pub fn give_way(&self) {
        let is_inside = DEPARTURES.load(Ordering::Relaxed) == self.stamp.load(Ordering::Relaxed);
        if is_inside && self.word.load() == Waiter::notified_here() {
            std::thread::yield_now();
        }
    }

    /// Gives who notified this a moment to go to wait himself, if notifiers usually do: whoever
    /// enters the interpreter while he is inside goes to sleep until he leaves.
    fn let_notifier_leave(&self) {
        let stamp = self.stamp.load(Ordering::Relaxed);
        let has_left = || DEPARTURES.load(Ordering::Relaxed) != stamp;
        YIELDING.with(|yielding| {
            if yielding.is_ready() {
                yielding.spin(LEAVE, has_left);
            } else {
                yielding.chance();
            }
        });
    }
}

#[cfg(not(loom))]
impl manyhands_watch::Pending for Waiter {
    fn is_over(&self) -> bool {
        self.is_notified()
    }
}

/// By what observers know that a waiter has been notified.
#[cfg(not(loom))]
pub(crate) fn pending(waiter: &Arc<Waiter>) -> Option<Arc<dyn manyhands_watch::Pending>> {
    Some(Arc::clone(waiter) as Arc<dyn manyhands_watch::Pending>)
}

#[cfg(loom)]
pub(crate) fn pending(_: &Arc<Waiter>) -> Option<std::sync::Arc<dyn manyhands_watch::Pending>> {
    None
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_last_listener_is_called_once_and_nobody_sleeps() {
        let waiter = Waiter::new();
        let (told, news) = channel();
        for number in 0..2 {
            let told = told.clone();
            assert!(waiter.listen(move || told.send(number).unwrap()));
        }
        drop(told);
        waiter.notify(true);
        assert_eq!(news.iter().collect::<Vec<_>>(), [1]);
        assert!(!waiter.listen(|| panic!("it is notified already")));
        assert_eq!(waiter.park(None), Parked::Notified);
    }

    #[test]
    fn who_sleeps_after_all_is_woken() {
        let waiter = Arc::new(Waiter::new());
        assert!(waiter.listen(|| panic!("a thread sleeps")));
        let soon = Deadline::after(Duration::from_millis(1));
        assert_eq!(waiter.park(Some(soon)), Parked::TimedOut);
        let notifier = Arc::clone(&waiter);
        let thread = std::thread::spawn(move || notifier.notify(true));
        assert_eq!(waiter.park(None), Parked::Notified);
        thread.join().unwrap();
    }
}
