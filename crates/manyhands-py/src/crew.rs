//! The workers of a pool of threads, and those of them that wait for a call of their own pool: for these
//! the pool may have others.
//!
//! A worker that waits for a call which has not begun *presses*. While one does, all workers that wait for
//! calls of their pool count as none. So a pool with tasks that nobody does has either a worker that waits
//! for nothing of it, or fewer workers than it may have: if all wait, and not in a circle, one of them waits
//! for a call that has not begun. Where nobody presses, say as calls wait only for calls that were
//! submitted before them, the pool stays as large as the program wants it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use manyhands_queue::{FifoQueue, GetError};
use manyhands_sync::{Limit, Wakes};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::concurrent::Jobs;
use crate::exclusion::Interpreter;
use crate::gate::Leaving;
use crate::multiprocessing::Threads;

/// By how many workers a pool may grow.
const MOST: usize = 1000;

/// How many workers a pool has, and may have.
pub(crate) struct Crew {
    /// Tells pools apart; 0 is none's.
    number: u64,
    /// How many there may be where none of them waits for another call.
    limit: usize,
    workers: AtomicUsize,
    /// How many were ever hired.
    hired: AtomicUsize,
    /// Those that wait for a call of their pool, and those of them that press.
    blocked: AtomicUsize,
    pressing: AtomicUsize,
    /// Those that counted as free, and call callbacks.
    engaged: AtomicUsize,
    /// Whether the program knows that it has grown.
    has_told: AtomicBool,
}

impl Crew {
    pub(crate) fn new(limit: usize, workers: usize) -> Crew {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Crew {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed) + 1,
            limit,
            workers: AtomicUsize::new(workers),
            hired: AtomicUsize::new(workers),
            blocked: AtomicUsize::new(0),
            pressing: AtomicUsize::new(0),
            engaged: AtomicUsize::new(0),
            has_told: AtomicBool::new(false),
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers.load(Ordering::SeqCst)
    }

    fn may_have(&self) -> usize {
        if self.pressing.load(Ordering::SeqCst) == 0 {
            return self.limit;
        }
        self.limit.saturating_add(self.blocked.load(Ordering::SeqCst).min(MOST))
    }

    /// Whether another worker may be hired, and would have something to do.
    pub(crate) fn wants(&self, unfinished: usize) -> bool {
        let workers = self.workers();
        workers < self.may_have() && unfinished + self.engaged.load(Ordering::SeqCst) > workers
    }

    /// Whether somebody presses.
    #[inline]
    pub(crate) fn is_pressed(&self) -> bool {
        self.pressing.load(Ordering::SeqCst) > 0
    }

    /// Makes room for one more worker if one is wanted.
    fn reserve(&self, unfinished: impl Fn() -> usize) -> bool {
        loop {
            let workers = self.workers();
            if !self.wants(unfinished()) {
                return false;
            }
            if self.change(workers, workers + 1) {
                return true;
            }
        }
    }

    fn change(&self, from: usize, to: usize) -> bool {
        self.workers.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Makes room for one more worker if one is wanted; returns how many were hired before.
    pub(crate) fn hire(&self, unfinished: impl Fn() -> usize) -> Option<usize> {
        self.reserve(unfinished).then(|| self.hired.fetch_add(1, Ordering::Relaxed))
    }

    /// The last one that was hired could not be started.
    pub(crate) fn dismiss(&self) {
        self.workers.fetch_sub(1, Ordering::SeqCst);
        self.hired.fetch_sub(1, Ordering::Relaxed);
    }

    /// Waits for something to do; None if this worker is to end. Notifies others as it begins to wait, or
    /// else before it comes back.
    #[inline]
    pub(crate) fn next<T: Send>(
        &self,
        py: Python<'_>,
        tasks: &FifoQueue<T, Interpreter>,
        wakes: Wakes,
    ) -> PyResult<Option<T>> {
        if self.workers.load(Ordering::Relaxed) > self.limit && self.resign(tasks) {
            wakes.send();
            return Ok(None);
        }
        if let Ok(task) = tasks.try_get() {
            wakes.send();
            return Ok(Some(task));
        }
        let leaving = Leaving::new(py, wakes);
        let next = tasks.get_with(&leaving, Limit::Forever);
        leaving.wakes.take().send();
        match next {
            Ok(task) => Ok(Some(task)),
            Err(GetError::GivenUp(why)) => Err(why),
            Err(_) => Ok(None),
        }
    }

    /// Has a worker end that is one too many: as those have gone on that waited, or for want of tasks.
    #[cold]
    fn resign<T: Send>(&self, tasks: &FifoQueue<T, Interpreter>) -> bool {
        loop {
            let workers = self.workers();
            if workers <= self.limit || workers <= self.may_have() && !tasks.is_empty() {
                return false;
            }
            if self.change(workers, workers - 1) {
                break;
            }
        }
        // Who has submitted something meanwhile may have counted on this one.
        !self.reserve(|| tasks.unfinished())
    }

    /// One that counted as free calls callbacks.
    pub(crate) fn engage(&self) {
        self.engaged.fetch_add(1, Ordering::SeqCst);
    }

    /// Those who wait for that go on, once it is told.
    #[inline]
    pub(crate) fn let_go(&self, awaited: &Awaited) {
        if awaited.0.load(Ordering::Relaxed) != 0 {
            let (blocked, pressing) = parts(awaited.0.swap(0, Ordering::SeqCst));
            self.pressing.fetch_sub(pressing, Ordering::SeqCst);
            self.blocked.fetch_sub(blocked, Ordering::SeqCst);
        }
    }

    /// It has called them.
    pub(crate) fn disengage(&self) {
        self.engaged.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How many workers of its own pool wait for a call, and how many of them press: so that they count as going
/// on when it is done, not when they have come to it. Who did it is then one too many, and ends instead of
/// beginning something else.
#[derive(Default)]
pub(crate) struct Awaited(AtomicU64);

/// One that presses, in an [`Awaited`].
const PRESSING: u64 = 1 << 32;

/// How many wait, and how many press.
fn parts(awaited: u64) -> (usize, usize) {
    ((awaited % PRESSING) as usize, (awaited / PRESSING) as usize)
}

impl Awaited {
    fn add(&self, presses: bool) {
        self.0.fetch_add(1 + PRESSING * u64::from(presses), Ordering::SeqCst);
    }

    /// One does not wait any more; returns how many are still counted for it, and how many that press.
    fn remove(&self, presses: bool) -> (usize, usize) {
        let mut removed = 0;
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |awaited| {
            let (blocked, pressing) = parts(awaited);
            removed = u64::from(blocked > 0) + PRESSING * u64::from(presses && pressing > 0);
            Some(awaited - removed)
        });
        parts(removed)
    }
}

/// A pool that has a crew.
pub(crate) enum Employer {
    Executor(Py<Jobs>),
    Pool(Py<Threads>),
}

impl Employer {
    fn again(&self, py: Python<'_>) -> Employer {
        match self {
            Employer::Executor(jobs) => Employer::Executor(jobs.clone_ref(py)),
            Employer::Pool(threads) => Employer::Pool(threads.clone_ref(py)),
        }
    }

    fn crew(&self) -> &Crew {
        match self {
            Employer::Executor(jobs) => &jobs.get().crew,
            Employer::Pool(threads) => &threads.get().crew,
        }
    }

    fn wants_worker(&self) -> bool {
        match self {
            Employer::Executor(jobs) => jobs.get().wants_worker(),
            Employer::Pool(threads) => threads.get().wants_worker(),
        }
    }

    /// Has a call done before the others, if it is to be done.
    fn prefer(&self, awaited: &Bound<'_, PyAny>) {
        match self {
            Employer::Executor(jobs) => jobs.get().prefer(awaited),
            Employer::Pool(threads) => threads.get().prefer(awaited),
        }
    }

    /// Starts workers as long as some are wanted, and can be started.
    pub(crate) fn grow(&self, py: Python<'_>) -> PyResult<()> {
        let pool = match self {
            Employer::Executor(jobs) => &jobs.get().pool,
            Employer::Pool(threads) => &threads.get().pool,
        };
        while self.wants_worker() {
            let pool = pool.bind(py).call0()?;
            if pool.is_none() || !pool.call_method0(intern!(py, "_grow"))?.is_truthy()? {
                break;
            }
        }
        Ok(())
    }
}

thread_local! {
    /// The pool whose worker this thread is.
    static EMPLOYER: RefCell<Option<Employer>> = const { RefCell::new(None) };
}

/// This thread becomes a worker of that pool, or of none.
pub(crate) fn work_for(employer: Option<Employer>) {
    if employer.is_none() && manyhands_trace::is_on() {
        manyhands_trace::finish();
    }
    drop(EMPLOYER.replace(employer));
}

fn employer(py: Python<'_>) -> Option<Employer> {
    EMPLOYER.with_borrow(|employer| employer.as_ref().map(|employer| employer.again(py)))
}

/// The number of the pool whose worker this thread is.
pub(crate) fn own_number() -> Option<u64> {
    EMPLOYER.with_borrow(|employer| employer.as_ref().map(|employer| employer.crew().number))
}

/// While there is one, a worker waits for a call of its own pool.
pub(crate) struct Blocked<'a> {
    employer: Employer,
    presses: bool,
    awaited: Option<&'a Awaited>,
}

impl<'a> Blocked<'a> {
    /// This thread is about to wait for calls of that pool: nothing, if it is no worker of it. `presses`
    /// says whether one of them has not begun; what is awaited should be done before other calls.
    pub(crate) fn begin(
        py: Python<'_>,
        number: u64,
        limit: Limit,
        presses: impl FnOnce() -> bool,
        awaited: Option<(&Bound<'_, PyAny>, Option<&'a Awaited>)>,
    ) -> PyResult<Option<Blocked<'a>>> {
        if matches!(limit, Limit::Never) || own_number() != Some(number) {
            return Ok(None);
        }
        let Some(employer) = employer(py) else { return Ok(None) };
        let blocked =
            Blocked { employer, presses: presses(), awaited: awaited.and_then(|(_, it)| it) };
        let crew = blocked.employer.crew();
        if let Some(awaited) = blocked.awaited {
            awaited.add(blocked.presses);
        }
        crew.blocked.fetch_add(1, Ordering::SeqCst);
        if blocked.presses {
            crew.pressing.fetch_add(1, Ordering::SeqCst);
        }
        if blocked.employer.wants_worker() {
            let workers = crew.workers();
            let is_news = workers >= crew.limit && !crew.has_told.swap(true, Ordering::Relaxed);
            // Of calls within calls there are then about as many under way as are within each other.
            if let Some((awaited, _)) = awaited {
                blocked.employer.prefer(awaited);
            }
            blocked.employer.grow(py)?;
            if is_news {
                tell(py, crew.limit, workers + 1)?;
            }
        }
        Ok(Some(blocked))
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        let crew = self.employer.crew();
        let (blocked, pressing) = match self.awaited {
            Some(awaited) => awaited.remove(self.presses),
            None => (1, usize::from(self.presses)),
        };
        crew.pressing.fetch_sub(pressing, Ordering::SeqCst);
        crew.blocked.fetch_sub(blocked, Ordering::SeqCst);
    }
}

/// Warns the program.
fn tell(py: Python<'_>, limit: usize, workers: usize) -> PyResult<()> {
    static TELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let tell = TELL.get_or_try_init(py, || {
        py.import("manyhands.concurrent.futures._growth")?.getattr("tell").map(Bound::unbind)
    })?;
    tell.bind(py).call1((limit, workers)).map(drop)
}
