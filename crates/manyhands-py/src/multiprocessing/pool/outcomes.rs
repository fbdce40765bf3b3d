//! Who waits leads: takes what workers send, and brings it to whom it is for.

use std::sync::atomic::{AtomicU64, Ordering};

use manyhands_pool::{Lead, TASK, Taken, What};
use manyhands_shm::{GetError, Parcel};
use manyhands_sync::Limit;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;

use super::notices::{LOGGED, handle_record};
use super::result::Delivered;
use super::scheduler::{Ready, Scheduler, Tag, To, locked};
use super::worker::{DONE, UNFIT};
use crate::concurrent::future::{Future, Outcome, Settled};
use crate::green::guest;
use crate::multiprocessing::arena::{Outside, error};
use crate::multiprocessing::codec::is_plain;
use crate::multiprocessing::queue::{Scratch, decode_message};

/// So many results more are taken by who has what was waited for, if they are there and it takes no time:
/// who waits for one mostly waits for these next.
const AT_ONCE: usize = 32;

/// Whether it is a result for which nothing of the program runs, and which is small.
fn is_plain_result(taken: &Taken<Tag>, scratch: &[u8]) -> bool {
    let is_result = matches!(taken.what, What::Result(_)) && taken.parcel.is_none();
    is_result && scratch.get(TASK + 1..).is_some_and(is_plain)
}

/// The lead, and who has it.
pub(super) struct Leading<'a> {
    pub(super) lead: Lead<'a>,
    leader: &'a AtomicU64,
    before: u64,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.leader.store(self.before, Ordering::Relaxed);
    }
}

/// This thread; where it has several, this greenlet: while one waits others go on, and may not take it for themselves.
fn me(py: Python<'_>) -> u64 {
    thread_local!(static ME: u8 = const { 0 });
    guest::number(py).unwrap_or_else(|| ME.with(|me| std::ptr::from_ref(me) as u64))
}

/// An exception like that: each time that one is raised its traceback grows, by frames that may keep the
/// pool, and the pool must not keep itself. The same where it cannot be copied.
pub(super) fn copy_of<'py>(why: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    let py = why.py();
    let copied = || {
        let copy = py.import("copy")?.call_method1(intern!(py, "copy"), (why,))?;
        copy.setattr(intern!(py, "__cause__"), why.getattr(intern!(py, "__cause__"))?)?;
        Ok::<_, PyErr>(copy)
    };
    copied().unwrap_or_else(|_| why.clone())
}

impl Scheduler {
    /// The lead, if nobody has it, or this thread.
    pub(super) fn try_lead(&self, py: Python<'_>) -> Option<Leading<'_>> {
        let me = me(py);
        let before = self.leader.load(Ordering::Relaxed);
        let lead = if before == me { Some(self.pool.lead_again()) } else { self.pool.try_lead() };
        let lead = lead?;
        self.leader.store(me, Ordering::Relaxed);
        Some(Leading { lead, leader: &self.leader, before: if before == me { before } else { 0 } })
    }

    fn is_leader(&self, py: Python<'_>) -> bool {
        self.leader.load(Ordering::Relaxed) == me(py)
    }

    /// Waits until `is_over`, at most until the limit, and brings results where they belong meanwhile.
    /// Returns whether it is over.
    pub(super) fn advance(
        slf: &Bound<'_, Self>,
        limit: Limit,
        is_over: &dyn Fn() -> bool,
    ) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        loop {
            if is_over() {
                return Ok(true);
            }
            if !this.is_own() {
                return Err(Self::not_own());
            }
            if this.wanted.load(Ordering::Acquire) && !this.is_leader(py) {
                // The supervisor comes as soon as it can.
                this.pool.follow(&Outside(py), limit, is_over)?;
                py.detach(std::thread::yield_now);
                py.check_signals()?;
            } else if let Some(leading) = this.try_lead(py) {
                let led = this.lead(py, &leading.lead, limit, is_over);
                drop(leading);
                if this.awaited.load(Ordering::Acquire) > 0 {
                    this.call_supervisor();
                }
                led?;
                if is_over() {
                    return Ok(true);
                }
            } else if limit != Limit::Never {
                this.pool.follow(&Outside(py), limit, is_over)?;
                py.check_signals()?;
            }
            match limit {
                Limit::Never => return Ok(is_over()),
                Limit::Until(deadline) if deadline.has_passed() => return Ok(is_over()),
                _ => {}
            }
        }
    }

    /// Takes results until it is over, the limit has come, or the supervisor wants to.
    pub(super) fn lead(
        &self,
        py: Python<'_>,
        lead: &Lead<'_>,
        limit: Limit,
        is_over: &dyn Fn() -> bool,
    ) -> PyResult<()> {
        let mut buffer = Scratch::take();
        let scratch = &mut buffer.0;
        let is_wanted = || self.wanted.load(Ordering::Acquire) && !lead.is_again();
        let (mut limit, mut more) = (limit, AT_ONCE);
        while !is_wanted() {
            if is_over() {
                // Those who have nothing to wait for need not lead.
                if more == 0 || !matches!(self.pool.waiting(), Ok(1..)) {
                    break;
                }
                (limit, more) = (Limit::Never, more - 1);
            }
            match self.pool.take(lead, &Outside(py), scratch, limit) {
                Ok(taken) => {
                    if !is_plain_result(&taken, scratch) {
                        more = 0;
                    }
                    self.sort(py, taken, scratch)?;
                }
                Err(GetError::Empty | GetError::ShutDown) => return Ok(()),
                Err(GetError::GivenUp(why)) => return Err(why),
                Err(GetError::Arena(why)) => return Err(error(why)),
            }
        }
        Ok(())
    }

    /// Takes all results that are there now; what goes wrong with one is not this thread's affair.
    pub(super) fn drain(&self, py: Python<'_>, lead: &Lead<'_>) -> PyResult<()> {
        let mut buffer = Scratch::take();
        let scratch = &mut buffer.0;
        for _ in 0..self.pool.waiting().map_err(error)? {
            match self.pool.take(lead, &Outside(py), scratch, Limit::Never) {
                Ok(taken) => {
                    if let Err(why) = self.sort(py, taken, scratch) {
                        why.write_unraisable(py, None);
                    }
                }
                Err(GetError::Empty | GetError::ShutDown) => return Ok(()),
                Err(GetError::GivenUp(why)) => return Err(why),
                Err(GetError::Arena(why)) => return Err(error(why)),
            }
        }
        Ok(())
    }

    /// Brings what was taken where it belongs.
    fn sort(&self, py: Python<'_>, taken: Taken<Tag>, scratch: &[u8]) -> PyResult<()> {
        let Taken { what, parcel } = taken;
        if matches!(what, What::Nothing) {
            return Ok(());
        }
        let head = parcel.as_ref().map_or(scratch, Parcel::head);
        let is_done = head.get(TASK) == Some(&DONE);
        let object = decode_message(py, scratch, parcel, TASK + 1);
        let rebuild = |told: Bound<'_, PyAny>| -> PyResult<Py<PyAny>> {
            let (bytes, text): (Bound<'_, PyAny>, Bound<'_, PyAny>) = told.extract()?;
            Ok(self.rebuild.bind(py).call1((bytes, text))?.unbind())
        };
        let outcome = match object {
            Ok(object) if is_done => Ok(Ok(object)),
            Ok(told) => rebuild(told).map(|why| Err(why.into_bound(py))),
            Err(why) => Err(why),
        };
        // That of a signal handler is for this thread, too.
        let mut raised = None;
        let outcome = outcome.unwrap_or_else(|why| {
            if !why.is_instance_of::<PyException>(py) {
                raised = Some(why.clone_ref(py));
            }
            Err(why.into_value(py).into_bound(py).into_any())
        });
        match what {
            What::Result(tag) => self.deliver(py, tag, outcome),
            What::Notice(UNFIT) => {
                if let Err(why) = outcome {
                    self.give_up(py, why);
                }
            }
            What::Notice(LOGGED) => {
                if let Ok(record) = outcome {
                    raised = raised.or(handle_record(&record).err());
                }
            }
            What::Notice(_) | What::Nothing => {}
        }
        raised.map_or(Ok(()), Err)
    }

    pub(super) fn deliver(
        &self,
        py: Python<'_>,
        mut tag: Tag,
        outcome: Result<Bound<'_, PyAny>, Bound<'_, PyAny>>,
    ) {
        self.forget(&tag);
        // Before anybody knows that it is over.
        tag.originals.clear();
        match tag.to {
            To::Result(result) => match result.get().deliver(py, tag.index, outcome) {
                Delivered::More => {}
                Delivered::Ready { awaited } => {
                    self.awaited.fetch_sub(usize::from(awaited), Ordering::AcqRel);
                    self.pool.tell();
                }
                Delivered::CallBack => self.call_back_later(Ready::Result(result)),
            },
            To::Future(future) => {
                self.tally.get().settle(tag.index, outcome.is_ok());
                if Future::is_held_here(future.bind(py)).unwrap_or(false) {
                    let outcome = outcome.map(Bound::unbind).map_err(Bound::unbind);
                    self.call_back_later(Ready::Outcome(future, outcome));
                } else {
                    self.settle(future.bind(py), outcome);
                }
            }
            To::Imap(imap) => {
                imap.deliver(tag.index, outcome);
                self.pool.tell();
            }
        }
    }

    /// A future has its outcome.
    pub(super) fn settle(
        &self,
        future: &Bound<'_, Future>,
        outcome: Result<Bound<'_, PyAny>, Bound<'_, PyAny>>,
    ) {
        let outcome = match outcome {
            Ok(result) => Outcome::Result(result),
            Err(why) => Outcome::Exception(why),
        };
        match Future::settle(future, outcome) {
            Ok(Settled::WithCallbacks(task)) => {
                self.call_back_later(Ready::Future(future.clone().unbind(), task));
                self.pool.tell();
            }
            Ok(Settled::Now | Settled::Before) => {}
            // It is done; who was to be told has raised that.
            Err(why) => why.write_unraisable(future.py(), Some(future)),
        }
    }

    fn call_back_later(&self, ready: Ready) {
        locked(&self.called_back).push(ready);
        self.call_supervisor();
    }

    /// A task is under way no more.
    pub(super) fn forget(&self, tag: &Tag) {
        self.forget_terms(tag.bytes, tag.timeout().is_some());
    }

    /// A task with a message of so many bytes is under way no more.
    pub(super) fn forget_terms(&self, bytes: usize, timed: bool) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if timed {
            self.timed.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// As [`Scheduler::deliver`], by a thread that does not lead.
    pub(super) fn deliver_aside(
        &self,
        py: Python<'_>,
        tag: Tag,
        outcome: Result<Bound<'_, PyAny>, Bound<'_, PyAny>>,
    ) {
        self.deliver(py, tag, outcome);
        self.nudge(py);
    }

    /// Has all who wait look again, also who leads.
    pub(super) fn nudge(&self, py: Python<'_>) {
        // Without memory for it they look by themselves, if later.
        let _ = py.detach(|| self.pool.nudge());
        self.pool.tell();
    }

    /// No call can be done any more, for that reason.
    pub(super) fn give_up(&self, py: Python<'_>, why: Bound<'_, PyAny>) {
        let copy = copy_of(&why);
        {
            let mut broken = locked(&self.broken);
            if broken.is_some() {
                return;
            }
            *broken = Some(copy.unbind());
        }
        self.abandon(py, &why);
        self.call_supervisor();
    }

    pub(super) fn is_broken(&self) -> bool {
        locked(&self.broken).is_some()
    }

    /// Has all calls without an outcome fail.
    pub(super) fn abandon(&self, py: Python<'_>, why: &Bound<'_, PyAny>) {
        let (tags, _) = py.detach(|| self.pool.abandon());
        for tag in tags {
            self.deliver(py, tag, Err(why.clone()));
        }
        let feeding = std::mem::take(&mut *locked(&self.feeding));
        for imap in feeding {
            imap.stop(why);
        }
        self.nudge(py);
    }
}
