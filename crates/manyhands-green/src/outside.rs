//! Waking by threads that may not touch the hub.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use mio::Waker;

use crate::slots::Key;

/// Wakes those who wait in a hub, from anywhere: also where the hub itself may not be touched, as whatever keeps other
/// threads from it is not at hand.
///
/// ```
/// use manyhands_green::{Hub, Turn};
///
/// let mut hub = Hub::new()?;
/// let key = hub.wait("it", true);
/// let outside = hub.outside();
/// std::thread::spawn(move || outside.wake(key));
/// let mut nap = hub.nap().expect("somebody waits");
/// nap.sleep(None)?;
/// hub.wake_up(nap);
/// assert!(matches!(hub.next(), Some(Turn::Slot(next)) if next == key));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Outside {
    /// Whether there is something in the list of some box.
    any: AtomicBool,
    first: Letters,
}

/// Those who are to be woken.
///
/// A fork may copy the lock while a thread has it that the child does not have: so each forked child has a box of its own, behind
/// that of its parent.
#[derive(Debug, Default)]
struct Letters {
    open: Mutex<Open>,
    next: OnceLock<Box<Letters>>,
}

#[derive(Debug, Default)]
struct Open {
    keys: Vec<Key>,
    /// What ends the nap of who sleeps.
    napping: Option<Arc<Waker>>,
}

impl Outside {
    /// Has its turn come soon, if it still waits.
    pub fn wake(&self, key: Key) {
        let waker = {
            let mut open = self.open();
            open.keys.push(key);
            self.any.store(true, Ordering::Release);
            open.napping.take()
        };
        if let Some(waker) = waker {
            // Its only failure is that the counter is full: then it is awake already.
            let _ = waker.wake();
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        let mut letters = &self.first;
        while let Some(next) = letters.next.get() {
            letters = next;
        }
        letters.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody is to be woken.
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Those who are to be woken. The nap is over.
    pub(crate) fn take(&self) -> Vec<Key> {
        let mut open = self.open();
        self.any.store(false, Ordering::Release);
        open.napping = None;
        std::mem::take(&mut open.keys)
    }

    /// The hub is about to nap: it is woken if somebody is to be, also since it looked last.
    pub(crate) fn nap(&self, waker: &Arc<Waker>) {
        let mut open = self.open();
        if open.keys.is_empty() {
            open.napping = Some(Arc::clone(waker));
        } else {
            let _ = waker.wake();
        }
    }

    /// In a forked child, by its only thread: what was to be done is done in the parent.
    pub(crate) fn forked(&self) {
        let mut letters = &self.first;
        while let Some(next) = letters.next.get() {
            letters = next;
        }
        let _ = letters.next.set(Box::default());
        self.any.store(false, Ordering::Release);
    }
}
