//! How a thread sleeps on a word that another process may change.

#[cfg(not(loom))]
use std::cell::{Cell, OnceCell};
use std::convert::Infallible;
#[cfg(not(loom))]
use std::sync::OnceLock;
use std::time::Duration;
#[cfg(not(loom))]
use std::time::Instant;

#[cfg(not(loom))]
use manyhands_sync::Habit;
#[cfg(not(loom))]
use manyhands_sys::{futex, thread};
#[cfg(not(loom))]
use manyhands_watch::{WaitingGuard, traced};

use crate::shim::{self, AtomicU32, Word};
use crate::{Deadline, Limit};

/// The longest sleep after which a waiter looks again by itself: whoever had to wake it may have
/// been killed before it did.
pub const RECHECK: Duration = Duration::from_millis(if cfg!(feature = "steps") { 5 } else { 200 });

/// What a waiting thread does around one sleep; the binding of Python leaves the interpreter and
/// runs signal handlers.
///
/// ```
/// use std::sync::atomic::AtomicU32;
///
/// use manyhands_shm::{Deadline, Patient, Pause, RECHECK};
///
/// let word = AtomicU32::new(1);
/// Patient.pause(&word, 0, Deadline::after(RECHECK)).unwrap(); // it is another: no sleep
/// ```
pub trait Pause {
    /// Why a wait can be given up.
    type Error;

    /// Sleeps while `word` holds `expected`, but not beyond `until`. May come back for no reason:
    /// the caller looks at everything again, its own deadline included.
    ///
    /// # Errors
    /// The wait is given up, say because a signal handler raised.
    fn pause(&self, word: &Word, expected: u32, until: Deadline) -> Result<(), Self::Error>;

    /// Does something that takes a moment and needs nothing of the host.
    fn aside(&self, action: &mut (dyn FnMut() + Send)) {
        action();
    }
}

/// How to sleep while a word holds a value, until a moment at the most.
#[cfg(not(loom))]
type Sleep = fn(&Word, u32, Deadline);

#[cfg(not(loom))]
static ASIDE: OnceLock<Sleep> = OnceLock::new();

/// Says how this process is to sleep where it waits for a short lock and no [`Pause`] was given: when
/// what is there is released, or a barrier left. Who holds such a lock may be stopped by a debugger or a
/// signal; then only the thread that needs the lock is to stand still, not all that wait for the host
/// meanwhile. The first call counts.
///
/// It is not used while a process forks, as the host counts on it that nobody else runs then.
#[cfg(not(loom))]
pub fn set_sleep_aside(sleep: fn(&Word, u32, Deadline)) {
    let _ = ASIDE.set(sleep);
}

/// Sleeps, with the host let go of if there is one and it can be.
#[cfg(not(loom))]
#[cold]
pub(crate) fn sleep_aside(word: &Word, expected: u32, until: Deadline) {
    match ASIDE.get() {
        Some(sleep) if !crate::child::is_forking() => sleep(word, expected, until),
        _ => {
            futex::wait_shared(word, expected, Some(until));
        }
    }
}

#[cfg(not(loom))]
thread_local! {
    /// Whether to look for a moment before sleeping.
    static LOOKING: Habit = const { Habit::new() };
}

/// Looks for a moment whether `ready`, if that has paid off before; false if it is not, or was not
/// looked for.
#[cfg(not(loom))]
pub(crate) fn look(pause: &impl Pause, ready: impl Fn() -> bool + Sync) -> bool {
    if !LOOKING.with(Habit::is_ready) {
        return false;
    }
    let mut found = false;
    pause.aside(&mut || found = LOOKING.with(|looking| looking.spin(Habit::WAKE, &ready)));
    found
}

/// Learns from a sleep that began then and was ended by a notice from that processor.
#[cfg(not(loom))]
pub(crate) fn learn(begun: Instant, processor: u32) {
    if processor != thread::processor() {
        LOOKING.with(|looking| looking.learn(begun.elapsed()));
    }
}

/// A model does not spin.
#[cfg(loom)]
pub(crate) fn look(_: &impl Pause, _: impl Fn() -> bool + Sync) -> bool {
    false
}

/// A sleep that a notice may end.
pub(crate) struct Nap(#[cfg(not(loom))] Instant);

impl Nap {
    pub(crate) fn begin() -> Nap {
        Nap(
            #[cfg(not(loom))]
            Instant::now(),
        )
    }

    /// The notice came from the processor whose number is there.
    pub(crate) fn ended_from(self, processor: &AtomicU32) {
        #[cfg(not(loom))]
        learn(self.0, processor.load(std::sync::atomic::Ordering::Relaxed));
        #[cfg(loom)]
        let _ = processor;
    }
}

/// Notes the processor from which a notice comes.
pub(crate) fn sign(processor: &AtomicU32) {
    #[cfg(not(loom))]
    processor.store(thread::processor(), std::sync::atomic::Ordering::Relaxed);
    #[cfg(loom)]
    let _ = processor;
}

/// The end of the next sleep of one who waits until `limit`.
pub(crate) fn next_look(limit: Limit) -> Deadline {
    let look = Deadline::after(RECHECK);
    match limit {
        Limit::Until(deadline) => deadline.min(look),
        _ => look,
    }
}

/// Whether one who waits until `limit` has waited long enough.
pub(crate) fn is_over(limit: Limit) -> bool {
    match limit {
        Limit::Never => true,
        Limit::Until(deadline) => deadline.has_passed(),
        Limit::Forever => false,
    }
}

/// Just sleeps, and goes on after a signal.
#[derive(Clone, Copy, Debug)]
pub struct Patient;

impl Pause for Patient {
    type Error = Infallible;

    fn pause(&self, word: &Word, expected: u32, until: Deadline) -> Result<(), Infallible> {
        shim::sleep(word, expected, until);
        Ok(())
    }
}

/// A wait of the calling thread, of which observers learn once it has lasted for a look.
pub(crate) struct Vigil {
    #[cfg(not(loom))]
    note: Note,
    limit: Limit,
}

#[cfg(not(loom))]
struct Note {
    address: usize,
    operation: &'static str,
    begun: OnceCell<Instant>,
    guard: OnceCell<WaitingGuard>,
    is_told: Cell<bool>,
}

impl Vigil {
    /// One for something that lies in a block of the arena.
    pub(crate) fn new<T>(object: &T, operation: &'static str, limit: Limit) -> Vigil {
        #[cfg(loom)]
        let _ = (object, operation);
        Vigil {
            #[cfg(not(loom))]
            note: Note {
                address: std::ptr::from_ref(object).addr(),
                operation,
                begun: OnceCell::new(),
                guard: OnceCell::new(),
                is_told: Cell::new(false),
            },
            limit,
        }
    }

    /// Changes how long it lasts at most.
    pub(crate) fn limit_to(&mut self, limit: Limit) {
        self.limit = limit;
    }

    /// When to look again; called when there is a reason to sleep.
    pub(crate) fn next_look(&self) -> Deadline {
        #[cfg(not(loom))]
        self.note.look(self.limit);
        next_look(self.limit)
    }
}

#[cfg(not(loom))]
impl Drop for Note {
    fn drop(&mut self) {
        if let Some(begun) = self.begun.get()
            && manyhands_trace::is_on()
        {
            traced::wait_for_memory(self.address, self.operation, begun.elapsed());
        }
    }
}

#[cfg(not(loom))]
impl Note {
    fn look(&self, limit: Limit) {
        let Some(begun) = self.begun.get() else {
            if manyhands_trace::is_on() {
                manyhands_trace::pause();
            }
            let _ = self.begun.set(Instant::now());
            return;
        };
        let waited = begun.elapsed();
        if let Some(guard) = self.guard.get() {
            guard.looked(None);
        } else if waited >= RECHECK {
            let limited = limit != Limit::Forever;
            let guard = WaitingGuard::for_memory(self.address, self.operation, limited);
            let _ = self.guard.set(guard);
        }
        if waited >= manyhands_watch::LONG && !self.is_told.replace(true) {
            manyhands_watch::has_lasted();
        }
    }
}
