//! Semaphores, events, conditions between processes.

use std::ops::Deref;

use bytemuck::Pod;
use manyhands_shm as shm;
use manyhands_shm::{ArenaError, Guard, Handle, Kind, Limit, Patient};

/// A counter between processes: acquiring takes one of it, and waits while there is none.
///
/// ```
/// use manyhands::process::Semaphore;
///
/// let seats = Semaphore::new(2)?;
/// seats.acquire();
/// assert_eq!(seats.value(), 1);
/// seats.release()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "multiprocessing.Semaphore")]
#[doc(alias = "multiprocessing.BoundedSemaphore")]
#[derive(Clone, Debug)]
pub struct Semaphore(Handle<shm::Semaphore>);

impl Semaphore {
    /// One of that value, which can be released beyond it.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn new(value: u32) -> Result<Semaphore, ArenaError> {
        Semaphore::with_maximum(value, shm::Semaphore::MAX)
    }

    /// One of that value, which cannot be released beyond it.
    ///
    /// # Errors
    /// As of [`Semaphore::new`].
    pub fn bounded(value: u32) -> Result<Semaphore, ArenaError> {
        Semaphore::with_maximum(value, value)
    }

    fn with_maximum(value: u32, maximum: u32) -> Result<Semaphore, ArenaError> {
        let handle = Handle::<shm::Semaphore>::new(Kind::Semaphore)?;
        handle.set_up(value, maximum);
        Ok(Semaphore(handle))
    }

    /// Takes one, waiting at most until the limit; false if there was none until then.
    pub fn acquire_within(&self, limit: Limit) -> bool {
        let Ok(acquired) = self.0.acquire_with(&Patient, limit);
        acquired
    }
}

impl Deref for Semaphore {
    type Target = shm::Semaphore;

    fn deref(&self) -> &shm::Semaphore {
        &self.0
    }
}

/// A flag between processes that can be waited for.
///
/// ```
/// use manyhands::process::{Event, Process};
///
/// let open = Event::new()?;
/// let child = Process::fork(|| {
///     open.set();
///     0
/// })?;
/// open.wait();
/// child.join(None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "multiprocessing.Event")]
#[derive(Clone, Debug)]
pub struct Event(Handle<shm::Event>);

impl Event {
    /// One that is not set.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn new() -> Result<Event, ArenaError> {
        Ok(Event(Handle::new(Kind::Event)?))
    }

    /// Waits until it is set, at most until the limit; whether it is.
    pub fn wait_within(&self, limit: Limit) -> bool {
        let Ok(set) = self.0.wait_with(&Patient, limit);
        set
    }
}

impl Deref for Event {
    type Target = shm::Event;

    fn deref(&self) -> &shm::Event {
        &self.0
    }
}

/// Where threads of several processes wait for a change of data under a [`Lock`](crate::process::Lock).
///
/// ```
/// use manyhands::process::{Condition, Lock, Process};
///
/// let (buns, more) = (Lock::new(0_u32)?, Condition::new()?);
/// let cook = Process::fork(|| {
///     *buns.lock() += 3;
///     more.notify_all().unwrap();
///     0
/// })?;
/// let mut there = buns.lock();
/// while *there < 3 {
///     more.wait(&mut there)?;
/// }
/// drop(there);
/// cook.join(None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "multiprocessing.Condition")]
#[derive(Clone, Debug)]
pub struct Condition(Handle<shm::Condition>);

impl Condition {
    /// One that nobody waits for.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn new() -> Result<Condition, ArenaError> {
        Ok(Condition(Handle::new(Kind::Condition)?))
    }

    /// Lets go of the lock, waits for a notice, takes the lock again.
    ///
    /// # Errors
    /// No memory for one who waits more, no address space for the places of others; then the lock was
    /// held all the time.
    pub fn wait<T: Pod>(&self, guard: &mut Guard<'_, T>) -> Result<(), ArenaError> {
        self.wait_within(guard, Limit::Forever).map(|_| ())
    }

    /// As [`Condition::wait`], but waits at most until the limit; whether a notice came.
    ///
    /// # Errors
    /// As of [`Condition::wait`].
    pub fn wait_within<T: Pod>(
        &self,
        guard: &mut Guard<'_, T>,
        limit: Limit,
    ) -> Result<bool, ArenaError> {
        let mut waiting = self.0.enlist()?;
        let Ok(noticed) = guard.unlocked(|| waiting.wait_with(&Patient, limit));
        Ok(noticed)
    }

    /// Wakes up to so many of those who wait.
    ///
    /// # Errors
    /// This process has no address space for the places of all who wait; then none is woken.
    pub fn notify(&self, count: usize) -> Result<(), ArenaError> {
        self.0.reach()?;
        self.0.notify(count);
        Ok(())
    }

    /// Wakes all who wait.
    ///
    /// # Errors
    /// As of [`Condition::notify`].
    pub fn notify_all(&self) -> Result<(), ArenaError> {
        self.0.reach()?;
        self.0.notify_all();
        Ok(())
    }

    /// How many wait.
    pub fn waiters(&self) -> usize {
        self.0.waiters()
    }
}
