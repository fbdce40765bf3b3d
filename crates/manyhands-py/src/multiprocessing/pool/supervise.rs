//! The pool's helper thread: waits for workers to end, and calls callbacks.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use manyhands_pool::Fate;
use manyhands_shm::Deadline;
use manyhands_sync::Limit;
use pyo3::intern;
use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::certificate::Dead;
use super::outcomes::Leading;
use super::scheduler::{Phase, Ready, Scheduler, locked};
use super::signals::{Deaf, Hearing};
use crate::concurrent::future::Future;
use crate::multiprocessing::arena::{Outside, error};
use crate::multiprocessing::errors::os_error;

/// How long it leads at a time, before it looks after workers.
const TURN: Duration = Duration::from_millis(50);

/// After how long results are taken that nobody waits for.
const UNATTENDED: Duration = Duration::from_millis(300);

/// How long a worker's task may stay undecided.
const UNDECIDED: Duration = Duration::from_millis(5);

/// A worker that is waited for.
pub(super) struct Watched {
    pub(super) pid: u32,
    pub(super) seat: usize,
    /// `None` if it had gone already.
    pub(super) end: Option<Arc<OwnedFd>>,
}

impl Scheduler {
    /// Has the supervisor wait for a worker.
    pub(super) fn watch_worker(&self, py: Python<'_>, pid: u32, seat: usize) -> PyResult<()> {
        let end = match Pid::from_raw(pid.cast_signed()) {
            None => None,
            Some(number) => match pidfd_open(number, PidfdFlags::empty()) {
                Ok(end) => Some(Arc::new(end)),
                Err(Errno::SRCH) => None,
                Err(why) => return Err(os_error(py, &why.into())),
            },
        };
        locked(&self.watched).push(Watched { pid, seat, end });
        self.kill_condemned();
        self.call_supervisor();
        Ok(())
    }

    /// What the supervisor does.
    pub(super) fn supervise_workers(
        slf: &Bound<'_, Self>,
        pool: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let _deaf = Deaf::begin();
        let mut dead = Vec::new();
        loop {
            this.call_back(py);
            let phase = this.phase();
            let busy = this.awaited.load(Ordering::Acquire) > 0;
            if phase == Phase::Ended && !busy {
                // What workers have logged last, also if nobody waits for them any more.
                if let Err(why) = this.drain_unattended(py) {
                    why.write_unraisable(py, None);
                }
                let ended =
                    (locked(&this.alarm).take(), std::mem::take(&mut *locked(&this.watched)));
                drop(ended);
                return Ok(());
            }
            let look_again = this.end_overdue();
            let found = if busy && dead.is_empty() && this.lead_for_a_while(slf)? {
                py.detach(|| this.dead_workers(Duration::ZERO).0)
            } else {
                let wait = match (dead.is_empty(), busy) {
                    (false, _) => UNDECIDED,
                    (true, true) => TURN,
                    (true, false) => UNATTENDED,
                };
                let wait = look_again.map_or(wait, |soon| soon.min(wait));
                py.detach(|| {
                    loop {
                        let (found, rung) = this.dead_workers(wait);
                        let idle = wait == UNATTENDED && !this.is_unattended();
                        if rung || !found.is_empty() || !idle {
                            return found;
                        }
                    }
                })
            };
            if !busy && this.is_unattended() && !this.pool.is_led() {
                this.drain_unattended(py)?;
            }
            dead.extend(found);
            if !dead.is_empty() {
                dead = this.bury(slf, pool, dead)?;
            }
        }
    }

    /// Whether something may be there to be taken, or come.
    fn is_unattended(&self) -> bool {
        self.pool.pending() > 0 || self.pool.waiting().is_ok_and(|count| count > 0)
    }

    /// Takes the results that are there and nobody waits for: they may be large, and what they are for
    /// may keep the pool.
    fn drain_unattended(&self, py: Python<'_>) -> PyResult<()> {
        self.try_lead(py).map_or(Ok(()), |leading| self.drain(py, &leading.lead))
    }

    /// Takes results for a moment, if nobody else does; false if somebody does.
    fn lead_for_a_while(&self, slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let Some(leading) = self.try_lead(py) else { return Ok(false) };
        let until = Limit::Until(Deadline::after(TURN));
        let is_over = || !locked(&self.called_back).is_empty() || self.phase() == Phase::Ended;
        if let Err(why) = self.lead(py, &leading.lead, until, &is_over) {
            // What a result raised when it was unpickled is its outcome, too.
            why.write_unraisable(py, None);
        }
        Ok(true)
    }

    /// Calls the callbacks of what is ready but for that.
    fn call_back(&self, py: Python<'_>) {
        let ready = std::mem::take(&mut *locked(&self.called_back));
        // What the program starts there inherits it.
        let _hearing = (!ready.is_empty()).then(Hearing::begin);
        for each in ready {
            let result = match each {
                Ready::Result(result) => result,
                Ready::Outcome(future, outcome) => {
                    let bound = |object: Py<PyAny>| object.into_bound(py);
                    self.settle(future.bind(py), outcome.map(bound).map_err(bound));
                    self.nudge(py);
                    continue;
                }
                Ready::Future(future, task) => {
                    let future = future.bind(py);
                    if let Err(why) = Future::call_back(future, task) {
                        why.write_unraisable(py, Some(future));
                    }
                    self.nudge(py);
                    continue;
                }
            };
            if let Some((callback, value)) = result.get().callback(py)
                && let Err(why) = callback.call1(py, (value,))
            {
                why.write_unraisable(py, Some(callback.bind(py)));
            }
            result.get().set_ready();
            self.awaited.fetch_sub(1, Ordering::AcqRel);
            // Somebody may lead who waits for just this.
            self.nudge(py);
        }
    }

    /// Waits for workers that have ended, or for the alarm, and tells whether that has rung.
    fn dead_workers(&self, wait: Duration) -> (Vec<Watched>, bool) {
        let watched = locked(&self.watched);
        let ends: Vec<_> =
            watched.iter().filter_map(|each| Some((each.pid, each.end.clone()?))).collect();
        let gone = watched.iter().any(|each| each.end.is_none());
        drop(watched);
        let wait = if gone { Duration::ZERO } else { wait };
        let Some(alarm) = locked(&self.alarm).clone() else { return (Vec::new(), true) };
        let mut polled = vec![PollFd::new(&alarm, PollFlags::IN)];
        polled.extend(
            ends.iter().map(|(_, end)| PollFd::from_borrowed_fd(end.as_fd(), PollFlags::IN)),
        );
        let wait =
            Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() };
        let _ = poll(&mut polled, Some(&wait));
        let rung = !polled[0].revents().is_empty();
        if rung {
            let _ = rustix::io::read(&alarm, &mut [0_u8; 8]);
        }
        let dead: Vec<u32> = polled[1..]
            .iter()
            .zip(&ends)
            .filter(|(polled, _)| !polled.revents().is_empty())
            .map(|(_, (pid, _))| *pid)
            .collect();
        let mut watched = locked(&self.watched);
        let dead = watched.extract_if(.., |each| each.end.is_none() || dead.contains(&each.pid));
        (dead.collect(), rung)
    }

    /// The lead, which whoever has it gives up; `None` when the pool has ended.
    fn take_lead(&self, py: Python<'_>) -> PyResult<Option<Leading<'_>>> {
        self.wanted.store(true, Ordering::Release);
        let leading = loop {
            if self.phase() == Phase::Ended {
                break Ok(None);
            }
            if let Some(leading) = self.try_lead(py) {
                break Ok(Some(leading));
            }
            let nudged = py.detach(|| self.pool.nudge()).map_err(error);
            let until = Limit::Until(Deadline::after(TURN));
            let is_over = || self.phase() == Phase::Ended;
            if let Err(why) = nudged.and_then(|()| self.pool.follow(&Outside(py), until, is_over)) {
                break Err(why);
            }
        };
        self.wanted.store(false, Ordering::Release);
        self.pool.tell();
        leading
    }

    /// Settles what dead workers have left, and has the pool replace them. Those come back of whom it
    /// cannot be told yet what they have left.
    fn bury(
        &self,
        slf: &Bound<'_, Self>,
        pool: &Bound<'_, PyAny>,
        dead: Vec<Watched>,
    ) -> PyResult<Vec<Watched>> {
        let py = slf.py();
        let mut undecided = Vec::new();
        let Some(leading) = self.take_lead(py)? else { return Ok(undecided) };
        let lead = &leading.lead;
        self.drain(py, lead)?;
        let pool = pool.call0()?;
        for each in dead {
            let fate = py.detach(|| self.pool.fate(lead, each.seat)).map_err(error)?;
            let claimed = match fate {
                Fate::Unsure => {
                    undecided.push(each);
                    continue;
                }
                Fate::Spared => None,
                Fate::Claimed(task) => {
                    self.drain(py, lead)?;
                    Some(task)
                }
            };
            let is_ready = self.pool.is_ready(each.seat);
            let noted = self.pool.noted(each.seat);
            // Before the next is looked at, who may have the same claim.
            let verdict = self.release_seat(each.seat);
            let mut lost = None;
            if let Some(task) = claimed {
                let again = verdict.is_none() && self.try_again(py, lead, task)?;
                let tag = if again { None } else { self.pool.condemn(lead, task) };
                lost = tag.map(|tag| (task, tag));
            }
            let (exitcode, peak) = Self::ended(&pool, each.pid).unwrap_or_else(|why| {
                why.write_unraisable(py, None);
                (None, None)
            });
            let dead = Dead { pid: each.pid, seat: each.seat, exitcode, peak, noted };
            if let Some((task, tag)) = lost {
                let why = self.death(py, &dead, Some((task, &tag)), verdict);
                self.deliver(py, tag, Err(why));
            }
            let was_killed = exitcode.is_some_and(|code| code < 0);
            if !self.fitness.note(is_ready, was_killed) && !self.is_broken() {
                self.give_up(py, self.death(py, &dead, None, None));
            }
        }
        drop(leading);
        if !pool.is_none() && self.phase() != Phase::Ended {
            let _hearing = Hearing::begin();
            pool.call_method0(intern!(py, "_replace_workers"))?;
        }
        Ok(undecided)
    }

    /// The exit code of a worker, and the most memory that it had, as far as they are known.
    fn ended(pool: &Bound<'_, PyAny>, pid: u32) -> PyResult<(Option<i32>, Option<u64>)> {
        if pool.is_none() {
            return Ok((None, None));
        }
        pool.call_method1(intern!(pool.py(), "_worker_ended"), (pid,))?.extract()
    }
}
