//! What calls may take, and how often they are tried: `with_options`.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use manyhands_shm::Piece;
use manyhands_sys::process;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::scheduler::{Scheduler, Tag, locked};
use crate::multiprocessing::arena::{Outside, error};
use crate::multiprocessing::codec::Payload;
use crate::timeout;

/// How often it is looked at least whether a call has taken too long.
const OFTEN: Duration = Duration::from_millis(5);

/// How long a worker has at least to say where it is before it is killed, and after how long it is looked again
/// whether it has done so; and how long it has for that at most, where it gets no processor.
const TIME_TO_SAY: Duration = Duration::from_millis(10);
const MOST_TIME_TO_SAY: Duration = Duration::from_millis(500);

/// How long `cancel()` waits for a worker to say that it is in the call that it has taken.
const SOON: Duration = Duration::from_secs(1);

/// The options of a call.
#[pyclass(frozen, module = "manyhands._native.multiprocessing")]
pub(crate) struct Options {
    /// How long it may take.
    timeout: Option<Duration>,
    /// How many bytes more it may have than there are when it begins; 0 for any number.
    memory: u64,
    /// How often it is tried again when its worker dies.
    retries: u32,
    /// Whether `cancel()` kills its worker.
    kills: bool,
}

#[pymethods]
impl Options {
    #[new]
    fn __new__(
        timeout: Option<&Bound<'_, PyAny>>,
        memory: u64,
        retries: u32,
        kills: bool,
    ) -> PyResult<Options> {
        let timeout = timeout.map(timeout::positive).transpose()?;
        Ok(Options { timeout, memory, retries, kills })
    }
}

impl Options {
    /// Whether the worker has to know of them.
    pub(super) fn concern_worker(&self) -> bool {
        self.timeout.is_some() || self.memory > 0 || self.kills
    }

    pub(super) fn memory(&self) -> u64 {
        self.memory
    }
}

/// The options of a task that is under way.
pub(super) struct Terms {
    options: Py<Options>,
    /// How many workers have died while they did it.
    died: u32,
    /// What was sent, if it may have to be sent again.
    kept: Option<Kept>,
}

impl Terms {
    pub(super) fn new(options: Py<Options>, head: &[u8], payloads: &[&Payload]) -> Box<Terms> {
        let kept = (options.get().retries > 0).then(|| Kept::new(head, payloads));
        Box::new(Terms { options, died: 0, kept })
    }
}

/// A copy of a message, but for its originals, which the tag keeps.
#[derive(Clone)]
struct Kept {
    head: Vec<u8>,
    /// And whether each is writable.
    pieces: Vec<(Vec<u8>, bool)>,
}

impl Kept {
    fn new(head: &[u8], payloads: &[&Payload]) -> Kept {
        let pieces = payloads.iter().map(|payload| (payload.to_vec(), payload.is_writable()));
        Kept { head: head.to_vec(), pieces: pieces.collect() }
    }
}

/// A worker that is to be killed for what it does.
pub(super) struct Condemned {
    seat: usize,
    verdict: Verdict,
    /// When that is to be. `None` when it was done.
    at: Option<Instant>,
    /// Until when it is not, as long as the worker has not said where it is.
    may_say: Option<Instant>,
}

/// Why a worker was killed.
#[derive(Clone, Copy)]
pub(super) enum Verdict {
    /// What it did took longer than that.
    TimedOut(Duration),
    /// What it did was cancelled.
    Cancelled,
}

impl Tag {
    fn options(&self) -> Option<&Options> {
        self.terms.as_ref().map(|terms| terms.options.get())
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.options()?.timeout
    }

    /// How many workers have died that did it, of those before the last.
    pub(super) fn died_before(&self) -> u32 {
        self.terms.as_ref().map_or(0, |terms| terms.died.saturating_sub(1))
    }
}

impl Scheduler {
    /// A task with that time limit is about to be sent.
    pub(super) fn expect_end(&self, timeout: Duration) {
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let shortest = self.shortest.fetch_min(nanos, Ordering::AcqRel);
        if self.timed.fetch_add(1, Ordering::AcqRel) == 0 || nanos < shortest {
            self.call_supervisor();
        }
    }

    /// Kills the workers whose calls have taken too long; returns when to look again, if ever.
    pub(super) fn end_overdue(&self) -> Option<Duration> {
        if self.timed.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut next = Duration::from_nanos(self.shortest.load(Ordering::Acquire));
        for (_, task, took) in self.pool.held() {
            let timeout = self.pool.with_tag(task, |tag| tag.timeout()).flatten();
            let Some(timeout) = timeout else { continue };
            if took < timeout {
                next = next.min(timeout.saturating_sub(took));
            } else {
                self.condemn(task, Verdict::TimedOut(timeout));
            }
        }
        if self.kill_condemned() {
            next = OFTEN;
        }
        Some(next.max(OFTEN))
    }

    /// Breaks off a task, and kills its worker; if that took too long it may say first where it is. False if
    /// no worker holds the task (any more).
    ///
    /// The lock is kept from when the seat is looked for until it is listed, and by who gives a seat back, so
    /// that nobody is killed who has the seat of another.
    fn condemn(&self, task: u64, verdict: Verdict) -> bool {
        let mut condemned = locked(&self.condemned);
        let seat = self.pool.seat_of(task).filter(|&seat| self.pool.break_off(seat, task));
        let Some(seat) = seat else { return false };
        let mut at = Instant::now();
        let mut may_say = None;
        if matches!(verdict, Verdict::TimedOut(_)) {
            self.signal(seat, self.says_where);
            may_say = Some(at + MOST_TIME_TO_SAY);
            at += TIME_TO_SAY;
        }
        condemned.push(Condemned { seat, verdict, at: Some(at), may_say });
        drop(condemned);
        self.kill_condemned();
        true
    }

    /// Sends a signal to the worker of that seat; false if it is not watched yet. If it has ended meanwhile
    /// that is as good.
    fn signal(&self, seat: usize, signal: i32) -> bool {
        let watched = locked(&self.watched);
        let found = watched.iter().find(|each| each.seat == seat);
        if let Some(end) = found.and_then(|each| each.end.as_ref()) {
            let _ = process::send_signal(end.as_fd(), signal);
        }
        found.is_some()
    }

    /// Whether the worker of that seat was asked where it is, and has not come to answer or does so now.
    fn is_to_say(&self, seat: usize) -> bool {
        let watched = locked(&self.watched);
        let worker = watched.iter().find(|each| each.seat == seat);
        worker.is_some_and(|worker| {
            // In that order: who has begun meanwhile blocks it.
            process::is_pending(worker.pid, self.says_where)
                || process::is_blocked(worker.pid, self.says_where)
        })
    }

    /// Kills those whose time has come; returns whether there are others.
    pub(super) fn kill_condemned(&self) -> bool {
        let now = Instant::now();
        let mut condemned = locked(&self.condemned);
        for each in condemned.iter_mut().filter(|each| each.at.is_some_and(|at| at <= now)) {
            if each.may_say.is_some_and(|until| now < until && self.is_to_say(each.seat)) {
                each.at = Some(now + TIME_TO_SAY);
            } else if self.signal(each.seat, process::KILL) {
                each.at = None;
            }
        }
        condemned.iter().any(|each| each.at.is_some())
    }

    /// Nobody has that seat any more; returns why its worker was killed, if it was by this pool.
    pub(super) fn release_seat(&self, seat: usize) -> Option<Verdict> {
        let mut condemned = locked(&self.condemned);
        self.pool.release(seat);
        let index = condemned.iter().position(|each| each.seat == seat)?;
        Some(condemned.swap_remove(index).verdict)
    }

    /// Breaks off a task that a worker has, if it may be; returns whether that was done.
    pub(super) fn break_off(slf: &Bound<'_, Self>, task: u64) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let kills =
            || this.pool.with_tag(task, |tag| tag.options().is_some_and(|options| options.kills));
        let until = Instant::now() + SOON;
        // A worker has taken it, but may not hold it yet; or it was lost and is to be tried again.
        while kills() == Some(true) {
            if this.condemn(task, Verdict::Cancelled)
                && let Some(tag) = this.pool.forget(task)
            {
                this.forget(&tag);
                this.tally.get().withdraw(tag.index);
                return Ok(true);
            }
            if Instant::now() > until {
                break;
            }
            Self::advance(slf, manyhands_sync::Limit::Never, &|| false)?;
            py.detach(|| std::thread::sleep(Duration::from_micros(50)));
        }
        Ok(false)
    }

    /// Has a task done again whose worker has died, if it may be; returns whether it is.
    pub(super) fn try_again(
        &self,
        py: Python<'_>,
        lead: &manyhands_pool::Lead<'_>,
        task: u64,
    ) -> PyResult<bool> {
        let kept = self.pool.with_tag(task, |tag| {
            let terms = tag.terms.as_mut()?;
            terms.died += 1;
            let may = terms.died <= terms.options.get().retries;
            terms.kept.as_ref().filter(|_| may).cloned()
        });
        let Some(Some(mut kept)) = kept else { return Ok(false) };
        let pieces: Vec<Piece> = kept
            .pieces
            .iter()
            .map(|(bytes, writable)| Piece {
                start: bytes.as_ptr(),
                len: bytes.len(),
                writable: *writable,
            })
            .collect();
        #[expect(unsafe_code, reason = "the copy is here until it is sent")]
        // SAFETY: see there.
        let sent = unsafe { self.pool.resubmit(lead, &Outside(py), task, &mut kept.head, &pieces) };
        sent.map_err(|why| match why {
            manyhands_pool::SubmitError::Arena(why) => error(why),
            manyhands_pool::SubmitError::GivenUp(why) => why,
            manyhands_pool::SubmitError::Closed => PyValueError::new_err("Pool not running"),
        })
    }
}
