//! Which messages are done with.

use super::{DoneError, Queue, WaitError};
use crate::shim::{self, AtomicU32, Ordering, fence};
use crate::wait::{Vigil, is_over};
use crate::{ArenaError, Limit, Pause};

#[repr(C, align(64))]
pub(super) struct Tasks {
    /// How many messages were reported done; wraps around, as the counts of records do.
    done: AtomicU32,
    /// 1 if somebody sleeps until all are.
    all_done: AtomicU32,
}

impl Queue {
    /// How many messages were put and not reported done. One that was lost with a process that took it
    /// counts as done: nobody can report it any more.
    ///
    /// # Errors
    /// As of [`Queue::len`].
    pub fn unfinished(&self) -> Result<u32, ArenaError> {
        self.unfinished_if(self.head.tasks.done.load(Ordering::Acquire))
    }

    fn unfinished_if(&self, done: u32) -> Result<u32, ArenaError> {
        let lost = self.head.get_side.journal.lost() as u32;
        let unfinished = self.put_count()?.wrapping_sub(done).wrapping_sub(lost);
        Ok(if unfinished > u32::MAX / 2 { 0 } else { unfinished })
    }

    /// Reports a message that was got as done.
    ///
    /// # Errors
    /// As many were reported as were put; this process has no address space to look whether.
    pub fn task_done(&self) -> Result<(), DoneError> {
        let tasks = &self.head.tasks;
        let mut done = tasks.done.load(Ordering::Acquire);
        loop {
            if self.unfinished_if(done)? == 0 {
                return Err(DoneError::TooMany);
            }
            match tasks.done.compare_exchange(
                done,
                done.wrapping_add(1),
                Ordering::SeqCst,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(other) => done = other,
            }
        }
        // Who waits looks for himself, should we not be able to.
        if self.unfinished().unwrap_or(0) == 0 && tasks.all_done.swap(0, Ordering::SeqCst) != 0 {
            shim::wake(&tasks.all_done, u32::MAX);
        }
        Ok(())
    }

    /// Waits until all messages are reported done; false if `limit` was reached first.
    ///
    /// # Errors
    /// The wait was given up; this process has no address space to look whether they are.
    pub fn join<P: Pause>(&self, pause: &P, limit: Limit) -> Result<bool, WaitError<P::Error>> {
        let tasks = &self.head.tasks;
        let vigil = Vigil::new(tasks, "join", limit);
        loop {
            if self.unfinished()? == 0 {
                return Ok(true);
            }
            if is_over(limit) {
                return Ok(false);
            }
            tasks.all_done.store(1, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if self.unfinished()? != 0 {
                let slept = pause.pause(&tasks.all_done, 1, vigil.next_look());
                slept.map_err(WaitError::GivenUp)?;
            }
        }
    }
}
