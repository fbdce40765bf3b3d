//! Data that processes share under a lock.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;

use crate::{Acquired, ArenaError, Handle, Kind, Limit, Lock, NotHeld, Patient, Shared};

/// What stands before the data, in a line of its own.
#[repr(C, align(64))]
struct Head {
    lock: Lock,
}

// SAFETY: a lock, which may be shared.
unsafe impl Shared for Head {}

/// Data that processes share, and the lock that one needs to get at it.
///
/// The data are plain: numbers, arrays and structs of such, without pointers, which mean nothing in
/// another process. If a process dies that holds the lock, who comes next gets it, and is told: the data
/// may be half changed.
///
/// ```
/// use manyhands_shm::Guarded;
///
/// let seats = Guarded::new([0_u32; 100])?;
/// seats.lock()[17] = 4711;
/// assert_eq!(seats.lock()[17], 4711);
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
///
/// # Fork safety
/// A forked child shares it. What it has of a guard of its parent's is of no use: it panics.
#[derive(Clone)]
pub struct Guarded<T: Pod> {
    head: Handle<Head>,
    data: PhantomData<T>,
}

impl<T: Pod> Guarded<T> {
    /// With that to begin with.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn new(data: T) -> Result<Guarded<T>, ArenaError> {
        const { assert!(align_of::<T>() <= align_of::<Head>()) };
        let head = Handle::with_tail(Kind::Lock, size_of::<T>())?;
        let guarded = Guarded::<T> { head, data: PhantomData };
        // SAFETY: nobody else knows of it yet.
        unsafe { guarded.start().write(data) };
        Ok(guarded)
    }

    fn start(&self) -> *mut T {
        self.head.tail().0.cast()
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        loop {
            if let Some(guard) = self.lock_within(Limit::Forever) {
                return guard;
            }
        }
    }

    /// Takes the lock if nobody has it.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.lock_within(Limit::Never)
    }

    /// Waits for the lock, at most until the limit; `None` if somebody had it until then.
    pub fn lock_within(&self, limit: Limit) -> Option<Guard<'_, T>> {
        let Ok(acquired) = self.head.lock.acquire_with(&Patient, limit);
        (acquired != Acquired::No).then(|| Guard { guarded: self, here_only: PhantomData })
    }

    /// Whether anybody has the lock.
    pub fn is_locked(&self) -> bool {
        self.head.lock.is_locked()
    }
}

impl<T: Pod> fmt::Debug for Guarded<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guarded").field("lock", &self.head.lock).finish_non_exhaustive()
    }
}

/// The lock of a [`Guarded`], until it is dropped, and with it the way to the data.
pub struct Guard<'a, T: Pod> {
    guarded: &'a Guarded<T>,
    /// It is this thread's, and stays with it.
    here_only: PhantomData<*mut T>,
}

impl<T: Pod> Guard<'_, T> {
    /// Whether somebody died with the lock, and nobody has put right since what may be half changed.
    ///
    /// ```
    /// let tickets = manyhands_shm::Guarded::new(5_u64)?;
    /// let mut left = tickets.lock();
    /// if left.is_abandoned() {
    ///     // ... look into *left, and put it right
    ///     left.repaired();
    /// }
    /// *left -= 1;
    /// # Ok::<(), manyhands_shm::ArenaError>(())
    /// ```
    pub fn is_abandoned(&self) -> bool {
        self.guarded.head.lock.is_abandoned()
    }

    /// Says that the data are in order again.
    pub fn repaired(&mut self) {
        self.guarded.head.lock.set_abandoned(false);
    }

    /// Lets go of the lock, does something, and takes the lock again.
    ///
    /// ```
    /// let tickets = manyhands_shm::Guarded::new(5_u64)?;
    /// let mut left = tickets.lock();
    /// left.unlocked(|| *tickets.lock() = 4);
    /// assert_eq!(*left, 4);
    /// # Ok::<(), manyhands_shm::ArenaError>(())
    /// ```
    pub fn unlocked<R>(&mut self, action: impl FnOnce() -> R) -> R {
        struct TakeAgain<'a>(&'a Lock);

        impl Drop for TakeAgain<'_> {
            fn drop(&mut self) {
                while self.0.acquire() == Acquired::No {}
            }
        }

        self.expect_mine();
        let lock = &self.guarded.head.lock;
        // If somebody has taken it from us it was not ours to release.
        let (Ok(()) | Err(NotHeld)) = lock.release();
        let _take_again = TakeAgain(lock);
        action()
    }

    #[inline]
    fn expect_mine(&self) {
        assert!(
            self.guarded.head.lock.is_mine(),
            "this guard is one of the process that this one was forked from"
        );
    }
}

impl<T: Pod> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.expect_mine();
        // SAFETY: it holds a T, as any bytes are one; nobody else looks while we have the lock.
        unsafe { &*self.guarded.start() }
    }
}

impl<T: Pod> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.expect_mine();
        // SAFETY: as above, and this is the only guard.
        unsafe { &mut *self.guarded.start() }
    }
}

impl<T: Pod> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if self.guarded.head.lock.is_mine() {
            let (Ok(()) | Err(NotHeld)) = self.guarded.head.lock.release();
        }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.guarded.head.lock.is_mine() {
            T::fmt(self, formatter)
        } else {
            formatter.write_str("Guard of the process that this one was forked from")
        }
    }
}
