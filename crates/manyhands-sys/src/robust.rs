//! Locks that the kernel releases when their holder dies.
//!
//! The word holds the kernel's number of the thread that holds it. Before a thread takes or releases
//! a lock it notes the lock's address where the kernel looks when the thread dies, however it
//! dies, and at which instruction ever: if the word then has the dead thread's number the kernel
//! replaces it by `OWNER_DIED` and wakes a waiter, who gets to know and can repair what the dead one
//! left behind.
//!
//! There is one such note a thread: it can hold one lock at a time.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::step::step;
use crate::time::Deadline;
use crate::{fork, futex, os};

const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const THREAD: u32 = 0x3fff_ffff;

/// How often to look before letting others run: what is done under such a lock takes some ten nanoseconds.
const LOOKS: u32 = 8;

/// How often to let others run before sleeping. Either the holder waits for a processor, or two on two
/// processors take turns, each moving the lock and what it protects to itself every time: together
/// they are no faster than one alone, and another one of those who wait for a processor gets more done.
/// Unlike one who sleeps, nobody has to be woken.
const YIELDS: u32 = 16;

/// For so long at the most: the caller may have what others of its process wait for, and lets go of that
/// only to sleep.
const YIELDING: Duration = Duration::from_millis(10);

/// The longest sleep after which a waiter looks again: it covers a thread that was woken and died.
const RECHECK: Duration = Duration::from_millis(200);

/// A lock in memory that processes share. All zero is unlocked.
///
/// ```
/// use manyhands_sys::robust::{Previous, RobustLock};
///
/// static LOCK: RobustLock = RobustLock::new();
///
/// assert_eq!(LOCK.lock(), Previous::Released);
/// LOCK.unlock();
/// ```
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct RobustLock(AtomicU32);

/// What became of who held the lock before.
///
/// ```
/// use manyhands_sys::robust::{Previous, RobustLock};
///
/// let lock = RobustLock::new();
/// if lock.lock() == Previous::Died {
///     // ... put right what it left half done
/// }
/// lock.unlock();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// It released the lock.
    Released,
    /// It died with the lock held: what the lock protects may be half done.
    Died,
}

/// What a thread knows of itself.
#[derive(Clone, Copy)]
struct Myself {
    /// Its kernel number; 0 if it does not know yet.
    number: u32,
    /// The epoch in which it learned it.
    epoch: u32,
    /// Where to note the lock, and what to add to its address.
    note: (*mut os::RobustListHead, isize),
}

thread_local! {
    static MYSELF: Cell<Myself> =
        const { Cell::new(Myself { number: 0, epoch: 0, note: (std::ptr::null_mut(), 0) }) };
}

#[inline]
fn myself() -> Myself {
    let known = MYSELF.get();
    if known.number != 0 && known.epoch == fork::epoch() { known } else { learn() }
}

#[cold]
fn learn() -> Myself {
    let myself =
        Myself { number: os::kernel_thread_id(), epoch: fork::epoch(), note: os::robust_list() };
    MYSELF.set(myself);
    myself
}

/// The kernel's number of the calling thread.
#[inline]
pub(crate) fn kernel_thread_id() -> u32 {
    myself().number
}

impl RobustLock {
    /// An unlocked one.
    pub const fn new() -> RobustLock {
        RobustLock(AtomicU32::new(0))
    }

    /// Takes the lock; waits for as long as a living thread has it. The calling thread must not hold
    /// another one.
    #[inline]
    pub fn lock(&self) -> Previous {
        let taken = self.lock_with(|word, expected, until| {
            futex::wait_shared(word, expected, Some(until));
            Ok::<(), Infallible>(())
        });
        match taken {
            Ok(previous) => previous,
            Err(never) => match never {},
        }
    }

    /// As [`lock`](RobustLock::lock), sleeping as the caller does: while a word has a value, until a
    /// moment at the most. In a sleep the thread may take other locks, and fork.
    ///
    /// # Errors
    /// That of the sleep; then the lock is not taken.
    #[inline]
    pub fn lock_with<E>(
        &self,
        sleep: impl FnMut(&AtomicU32, u32, Deadline) -> Result<(), E>,
    ) -> Result<Previous, E> {
        let myself = myself();
        self.note(myself);
        step();
        let taken = self.0.compare_exchange(0, myself.number, Ordering::Acquire, Ordering::Relaxed);
        step();
        match taken {
            Ok(_) => Ok(Previous::Released),
            Err(_) => self.lock_contended(myself, sleep),
        }
    }

    /// Releases it. The calling thread must hold it.
    #[inline]
    pub fn unlock(&self) {
        self.leave(0);
    }

    /// Releases it, and has whoever takes it next told that its holder died: for one who was told so,
    /// and cannot put right what the dead one left. The calling thread must hold it.
    ///
    /// ```
    /// use manyhands_sys::robust::{Previous, RobustLock};
    ///
    /// let lock = RobustLock::new();
    /// lock.lock();
    /// lock.unlock_unrepaired();
    /// assert_eq!(lock.lock(), Previous::Died);
    /// lock.unlock();
    /// ```
    #[cold]
    pub fn unlock_unrepaired(&self) {
        self.leave(OWNER_DIED);
    }

    #[inline]
    fn leave(&self, state: u32) {
        let myself = myself();
        debug_assert_eq!(self.0.load(Ordering::Relaxed) & THREAD, myself.number);
        let word = self.0.swap(state, Ordering::Release);
        step();
        if word & WAITERS != 0 {
            futex::wake_shared(&self.0, 1);
            step();
        }
        self.forget(myself);
        step();
    }

    #[inline]
    fn note(&self, myself: Myself) {
        let (head, offset) = myself.note;
        let entry = (&raw const self.0).cast::<u8>().wrapping_offset(-offset).cast_mut();
        // SAFETY: the head is this thread's own and lives as long as the thread; the kernel reads
        // it only when the thread has died.
        unsafe { (&raw mut (*head).list_op_pending).write_volatile(entry.cast()) };
        // The note is there before the word changes; for this thread alone, no fence of the
        // processor is needed.
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }

    #[inline]
    fn forget(&self, myself: Myself) {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        // SAFETY: as in `note`.
        unsafe { (&raw mut (*myself.note.0).list_op_pending).write_volatile(std::ptr::null_mut()) };
    }

    fn try_take(&self, number: u32, flag: u32) -> Option<Previous> {
        let word = self.0.load(Ordering::Relaxed);
        if word & THREAD != 0 {
            return None;
        }
        let taken = number | (word & WAITERS) | flag;
        self.0.compare_exchange(word, taken, Ordering::Acquire, Ordering::Relaxed).ok()?;
        step();
        Some(if word & OWNER_DIED == 0 { Previous::Released } else { Previous::Died })
    }

    #[cold]
    fn lock_contended<E>(
        &self,
        mut who: Myself,
        mut sleep: impl FnMut(&AtomicU32, u32, Deadline) -> Result<(), E>,
    ) -> Result<Previous, E> {
        for _ in 0..LOOKS {
            if let Some(previous) = self.try_take(who.number, 0) {
                return Ok(previous);
            }
            std::hint::spin_loop();
        }
        let until = Deadline::after(YIELDING);
        for _ in 0..YIELDS {
            std::thread::yield_now();
            if let Some(previous) = self.try_take(who.number, 0) {
                return Ok(previous);
            }
            if until.has_passed() {
                break;
            }
        }
        let mut flag = 0;
        loop {
            if let Some(previous) = self.try_take(who.number, flag) {
                return Ok(previous);
            }
            let word = self.0.load(Ordering::Relaxed);
            if word & THREAD == 0 {
                continue;
            }
            let waiting = word | WAITERS;
            if word != waiting
                && self
                    .0
                    .compare_exchange(word, waiting, Ordering::Relaxed, Ordering::Relaxed)
                    .is_err()
            {
                continue;
            }
            step();
            let slept = sleep(&self.0, waiting, Deadline::after(RECHECK));
            step();
            // What was done in the sleep may have changed the note, or who this is.
            who = myself();
            if let Err(error) = slept {
                self.forget(who);
                return Err(error);
            }
            self.note(who);
            // Others may sleep still: keep the flag for them.
            flag = WAITERS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ends_with_the_lock_leaves_word_of_it() {
        let lock = RobustLock::new();
        std::thread::scope(|scope| {
            scope.spawn(|| lock.lock());
        });
        assert_eq!(lock.lock(), Previous::Died);
        lock.unlock();
        assert_eq!(lock.lock(), Previous::Released);
        lock.unlock();
    }

    #[test]
    fn what_is_left_unrepaired_is_told_to_the_next() {
        let lock = RobustLock::new();
        std::thread::scope(|scope| {
            scope.spawn(|| lock.lock());
        });
        for _ in 0..3 {
            assert_eq!(lock.lock(), Previous::Died);
            lock.unlock_unrepaired();
        }
        std::thread::scope(|scope| {
            assert_eq!(lock.lock(), Previous::Died);
            let waiter = scope.spawn(|| {
                let previous = lock.lock();
                lock.unlock();
                previous
            });
            // Also if it is asleep.
            while lock.0.load(Ordering::Relaxed) & WAITERS == 0 {
                std::thread::yield_now();
            }
            lock.unlock_unrepaired();
            assert_eq!(waiter.join().expect("no panic"), Previous::Died);
        });
        assert_eq!(lock.lock(), Previous::Released);
        lock.unlock();
    }

    #[test]
    fn one_at_a_time() {
        let (lock, inside, count) = (RobustLock::new(), AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        assert_eq!(lock.lock(), Previous::Released);
                        assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        lock.unlock();
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 80_000);
    }
}
