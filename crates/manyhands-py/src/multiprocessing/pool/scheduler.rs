//! The pool's side: its state, and what Python sees of it.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use manyhands_pool::{Fitness, Pool};
use manyhands_shm::Original;
use manyhands_sync::Limit;
use manyhands_sys::fork;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyTuple};
use rustix::event::{EventfdFlags, eventfd};

use super::call::{Callee, Callees, Shape};
use super::imap::Imap;
use super::limits::{Condemned, Options, Terms};
use super::repeats::Repeats;
use super::result::{ApplyResult, MapResult, Purpose};
use super::source::Source;
use super::supervise::Watched;
use super::task::Task;
use crate::concurrent::future::Future;
use crate::multiprocessing::arena::error;
use crate::multiprocessing::errors::os_error;
use crate::tally::{Progress, Tally};

/// Where the outcome of a task goes.
pub(super) struct Tag {
    pub(super) to: To,
    /// Which of the tasks of a map it is; of a future: how many items it has.
    pub(super) index: usize,
    /// How many bytes its message has.
    pub(super) bytes: usize,
    /// What was agreed on for it.
    pub(super) terms: Option<Box<Terms>>,
    /// What its message names instead of having it.
    pub(super) originals: Vec<Arc<Original>>,
}

impl Tag {
    pub(super) fn new(to: To, index: usize) -> Tag {
        Tag { to, index, bytes: 0, terms: None, originals: Vec::new() }
    }
}

/// More than so many bytes of messages of tasks without an outcome make who sends wait.
pub(super) const MOST_BYTES: usize = 256 << 20;

pub(super) enum To {
    Result(Py<ApplyResult>),
    Imap(Imap),
    Future(Py<Future>),
}

/// What is ready but for its callbacks.
pub(super) enum Ready {
    /// For those who wait, too.
    Result(Py<ApplyResult>),
    Future(Py<Future>, Option<Task>),
    /// Not even that: the thread that led held its condition.
    Outcome(Py<Future>, Result<Py<PyAny>, Py<PyAny>>),
}

/// How far a pool has come.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// It takes calls.
    Running,
    /// It takes none, and does those that it has.
    Closed,
    /// It does nothing any more.
    Ended,
}

impl Phase {
    pub(super) fn of(number: u8) -> Phase {
        match number {
            0 => Phase::Running,
            1 => Phase::Closed,
            _ => Phase::Ended,
        }
    }
}

/// What a `Pool` of processes is made of, but for the processes.
#[pyclass(frozen, weakref, module = "manyhands._native.multiprocessing")]
pub(crate) struct Scheduler {
    pub(super) pool: Pool<Tag>,
    /// The [`fork::epoch`] of the process whose pool it is: a forked child has the numbers of its parent's
    /// tasks, and must not take its results.
    epoch: u32,
    callees: Callees,
    phase: AtomicU8,
    /// Why no call can be done.
    pub(super) broken: Mutex<Option<Py<PyAny>>>,
    pub(super) called_back: Mutex<Vec<Ready>>,
    /// How many are not ready of those that somebody wants to know of who does not wait.
    pub(super) awaited: AtomicUsize,
    /// Of the messages of tasks without an outcome.
    pub(super) bytes: AtomicUsize,
    /// The supervisor wants the lead.
    pub(super) wanted: AtomicBool,
    /// The thread that leads; 0 if none. What it calls meanwhile, say to unpickle, may wait for a result.
    pub(super) leader: AtomicU64,
    /// Wakes the supervisor; until it has ended.
    pub(super) alarm: Mutex<Option<Arc<OwnedFd>>>,
    pub(super) watched: Mutex<Vec<Watched>>,
    /// How many tasks have no outcome that have a time limit, and the shortest of those that there were;
    /// in nanoseconds.
    pub(super) timed: AtomicUsize,
    pub(super) shortest: AtomicU64,
    /// The workers that were killed, or will be, for what they do.
    pub(super) condemned: Mutex<Vec<Condemned>>,
    /// The signal by which a worker says where it is.
    pub(super) says_where: i32,
    /// Whether workers come so far that they take tasks.
    pub(super) fitness: Fitness,
    /// Those of `imap` that have not sent all that there is.
    pub(super) feeding: Mutex<Vec<Imap>>,
    pub(super) tally: Py<Tally>,
    /// `rebuild(bytes, text)`, `died(**facts)` and `ended()`, which make exceptions.
    pub(super) rebuild: Py<PyAny>,
    pub(super) died: Py<PyAny>,
    ended: Py<PyAny>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scheduler {
    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    pub(super) fn is_own(&self) -> bool {
        self.epoch == fork::epoch()
    }

    #[cold]
    pub(super) fn not_own() -> PyErr {
        PyRuntimeError::new_err(
            "this pool is of the parent process, and only that can use it; make one in this process",
        )
    }

    /// Wakes the supervisor.
    pub(super) fn call_supervisor(&self) {
        if let Some(alarm) = &*locked(&self.alarm) {
            let _ = rustix::io::write(alarm, &1_u64.to_ne_bytes());
        }
    }

    /// All that there was to be sent has been.
    pub(super) fn close_if_fed(&self, py: Python<'_>) -> PyResult<()> {
        if self.phase() == Phase::Closed && locked(&self.feeding).is_empty() {
            py.detach(|| self.pool.close()).map_err(error)?;
        }
        Ok(())
    }

    /// Whether it takes calls.
    pub(crate) fn is_running(&self) -> bool {
        self.phase() == Phase::Running
    }

    pub(super) fn callee(
        &self,
        function: &Bound<'_, PyAny>,
        shape: Shape,
        options: Option<Bound<'_, Options>>,
    ) -> PyResult<Callee> {
        self.callees.get(function, shape, options)
    }
}

#[pymethods]
impl Scheduler {
    #[new]
    fn __new__(
        py: Python<'_>,
        seats: u32,
        rebuild: Py<PyAny>,
        died: Py<PyAny>,
        ended: Py<PyAny>,
        says_where: i32,
    ) -> PyResult<Scheduler> {
        let alarm = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|why| os_error(py, &why.into()))?;
        Ok(Scheduler {
            pool: Pool::new(seats).map_err(error)?,
            epoch: fork::epoch(),
            callees: Callees::default(),
            phase: AtomicU8::new(0),
            broken: Mutex::new(None),
            called_back: Mutex::new(Vec::new()),
            awaited: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            wanted: AtomicBool::new(false),
            leader: AtomicU64::new(0),
            alarm: Mutex::new(Some(Arc::new(alarm))),
            watched: Mutex::new(Vec::new()),
            timed: AtomicUsize::new(0),
            shortest: AtomicU64::new(u64::MAX),
            condemned: Mutex::new(Vec::new()),
            says_where,
            fitness: Fitness::default(),
            feeding: Mutex::new(Vec::new()),
            tally: Py::new(py, Tally::default())?,
            rebuild,
            died,
            ended,
        })
    }

    /// What workers join it by.
    fn reference(&self) -> (u64, u64) {
        let reference = self.pool.reference();
        (reference.arena, reference.block)
    }

    /// Submits `function(*args, **kwds)`; returns its result to be.
    // py: multiprocessing.pool.Pool.apply_async
    #[expect(clippy::too_many_arguments, reason = "Python's method has as many")]
    fn apply<'py>(
        slf: &Bound<'py, Self>,
        pool: Bound<'py, PyAny>,
        function: Bound<'py, PyAny>,
        args: Bound<'py, PyAny>,
        kwds: Bound<'py, PyAny>,
        callback: Option<Bound<'py, PyAny>>,
        error_callback: Option<Bound<'py, PyAny>>,
        options: Option<Bound<'py, Options>>,
    ) -> PyResult<Bound<'py, ApplyResult>> {
        let (py, this) = (slf.py(), slf.get());
        let plain = args.is_exact_instance_of::<PyTuple>()
            && kwds.cast_exact::<PyDict>().is_ok_and(|kwds| kwds.is_empty());
        let shape = if plain { Shape::Positional } else { Shape::Keywords };
        let callee = this.callee(&function, shape, options)?;
        let purpose = Purpose::new(pool, function, callback, error_callback)?;
        let source = Source::Processes(slf.clone().unbind());
        let result = Bound::new(py, ApplyResult::of_call(source, purpose))?;
        let argument = if plain { args } else { PyTuple::new(py, [args, kwds])?.into_any() };
        let tag = Tag::new(To::Result(result.clone().unbind()), 0);
        this.expect(result.get(), || Self::submit(slf, &callee, argument, tag, &result, 0, None))?;
        Ok(result)
    }

    /// Submits a call for each `chunk` items of a sequence of `len`, or of an iterable that is as long;
    /// returns their result to be.
    // py: multiprocessing.pool.Pool.map_async
    #[expect(clippy::too_many_arguments, reason = "Python's method has as many")]
    fn map<'py>(
        slf: &Bound<'py, Self>,
        pool: Bound<'py, PyAny>,
        function: Bound<'py, PyAny>,
        starred: bool,
        iterable: Bound<'py, PyAny>,
        len: usize,
        chunk: usize,
        callback: Option<Bound<'py, PyAny>>,
        error_callback: Option<Bound<'py, PyAny>>,
        options: Option<Bound<'py, Options>>,
        tally: Option<Py<Tally>>,
    ) -> PyResult<Bound<'py, MapResult>> {
        let (py, this) = (slf.py(), slf.get());
        let tasks = if chunk == 0 { 0 } else { len.div_ceil(chunk) };
        let results = PyList::new(py, (0..len).map(|_| py.None()))?;
        let shape = if starred { Shape::EachStarred } else { Shape::Each };
        let callee = this.callee(&function, shape, options)?;
        let purpose = Purpose::new(pool, function, callback, error_callback)?;
        let source = Source::Processes(slf.clone().unbind());
        let result = ApplyResult::of_map(source, purpose, &results, tasks, chunk, tally);
        let result = Bound::new(py, PyClassInitializer::from(result).add_subclass(MapResult))?;
        let base = result.as_super();
        if tasks == 0 {
            return Ok(result);
        }
        this.expect(base.get(), || Self::submit_chunks(slf, &callee, &iterable, len, chunk, base))?;
        Ok(result)
    }

    /// Submits a call for each item, or each `chunk` items, of an iterator; without one they are sent by
    /// `_send` of the result.
    // py: multiprocessing.pool.Pool.imap
    #[expect(clippy::too_many_arguments, reason = "Python's method has as many")]
    fn imap<'py>(
        slf: &Bound<'py, Self>,
        pool: Bound<'py, PyAny>,
        function: Bound<'py, PyAny>,
        iterator: Option<Bound<'py, PyIterator>>,
        chunk: usize,
        ordered: bool,
        options: Option<Bound<'py, Options>>,
        tally: Option<Py<Tally>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let source = Source::Processes(slf.clone().unbind());
        Imap::begin(source, pool, &function, iterator, chunk, ordered, options, tally)
    }

    /// Gives a new worker a seat; None if there is none.
    fn hire(&self) -> Option<usize> {
        self.pool.hire()
    }

    /// The worker of that seat was not started.
    fn release(&self, seat: usize) {
        self.pool.release(seat);
    }

    /// Why no call can be done, if so.
    #[getter]
    fn broken(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        locked(&self.broken).as_ref().map(|why| why.clone_ref(py))
    }

    /// Whether there is, or will be, something for more workers to do.
    #[getter]
    fn wants_workers(&self) -> bool {
        match self.phase() {
            Phase::Running => !self.is_broken(),
            // Workers end only when nothing is left to be sent or taken.
            Phase::Closed => {
                // What was taken back is in the queue, too.
                !locked(&self.feeding).is_empty()
                    || self.pool.has_tasks() && self.pool.pending() > 0
            }
            Phase::Ended => false,
        }
    }

    /// No call can be done any more, for that reason, an exception.
    #[pyo3(name = "give_up")]
    fn py_give_up(&self, py: Python<'_>, why: Bound<'_, PyAny>) {
        self.give_up(py, why);
    }

    /// Nothing is left to be done.
    fn end(&self) {
        self.phase.store(Phase::Ended as u8, Ordering::Release);
        self.call_supervisor();
    }

    /// How many tasks no worker has taken.
    #[getter]
    fn backlog(&self) -> PyResult<usize> {
        self.pool.backlog().map_err(error)
    }

    /// How many tasks have no outcome.
    #[getter]
    fn pending(slf: &Bound<'_, Self>) -> PyResult<usize> {
        Self::advance(slf, Limit::Never, &|| false)?;
        Ok(slf.get().pool.pending())
    }

    /// What counts its calls.
    #[getter]
    fn tally(&self, py: Python<'_>) -> Py<Tally> {
        self.tally.clone_ref(py)
    }

    /// How far its calls have come, as far as results were taken.
    fn progress(&self) -> PyResult<Progress> {
        let (submitted, done, failed) = self.tally.get().read();
        let pending = self.pool.pending();
        let waiting = self.pool.backlog().map_err(error)? + self.pool.waiting().map_err(error)?;
        let has_more = pending > 0 || !locked(&self.feeding).is_empty();
        let is_over = match self.phase() {
            Phase::Running => self.is_broken(),
            Phase::Closed => !has_more,
            Phase::Ended => true,
        };
        Ok((submitted, done, failed, pending.saturating_sub(waiting), is_over))
    }

    /// Takes no more calls.
    // py: multiprocessing.pool.Pool.close
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if !this.is_own() {
            return Ok(());
        }
        let _ = this.phase.compare_exchange(
            Phase::Running as u8,
            Phase::Closed as u8,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        locked(&this.feeding).iter().for_each(Imap::lift);
        this.close_if_fed(py)
    }

    /// Takes no more calls, and has all that have no outcome fail.
    // py: multiprocessing.pool.Pool.terminate
    fn terminate(&self, py: Python<'_>) -> PyResult<()> {
        if !self.is_own() {
            return Ok(());
        }
        let why = self.ended.bind(py).call0()?;
        self.phase.store(Phase::Ended as u8, Ordering::Release);
        self.abandon(py, &why);
        self.call_supervisor();
        Ok(())
    }

    /// Waits until all calls have an outcome and nothing is left to be sent.
    // py: multiprocessing.pool.Pool.join
    fn join(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let is_over = || {
            this.phase() == Phase::Ended
                || this.pool.pending() == 0
                    && this.awaited.load(Ordering::Acquire) == 0
                    && locked(&this.feeding).is_empty()
        };
        Self::advance(slf, Limit::Forever, &is_over).map(drop)
    }

    /// Submits `function(*args, **kwds)`, or a call with each item of `args` if that is a list; returns its
    /// future. Of a map, with what the calls before had.
    #[pyo3(
        name = "submit_future",
        signature = (pool, function, args, kwds, options, repeats=None)
    )]
    fn py_submit_future<'py>(
        slf: &Bound<'py, Self>,
        pool: Bound<'py, PyAny>,
        function: Bound<'py, PyAny>,
        args: Bound<'py, PyAny>,
        kwds: Option<Bound<'py, PyDict>>,
        options: Option<Bound<'py, Options>>,
        repeats: Option<&Bound<'py, Repeats>>,
    ) -> PyResult<Bound<'py, Future>> {
        Self::submit_future(slf, pool, function, args, kwds, options, repeats.map(Bound::get))
    }

    /// The futures of the calls that have no outcome yet.
    fn futures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let futures = py.detach(|| self.pool.under_way());
        let futures = futures.into_iter().filter_map(|task| {
            self.pool.with_tag(task, |tag| match &tag.to {
                To::Future(future) => Some(future.clone_ref(py)),
                To::Result(_) | To::Imap(_) => None,
            })?
        });
        PyList::new(py, futures.collect::<Vec<_>>())
    }

    /// A worker was started, for that seat.
    fn watch(&self, py: Python<'_>, pid: u32, seat: usize) -> PyResult<()> {
        self.watch_worker(py, pid, seat)
    }

    /// Does what is to be done beside the program, until the pool has ended. `pool()` gives the pool, or
    /// None when it is gone.
    fn supervise(slf: &Bound<'_, Self>, pool: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::supervise_workers(slf, pool)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for function in [&self.rebuild, &self.died, &self.ended] {
            visit.call(function)?;
        }
        self.callees.traverse(&visit)?;
        // What is under way keeps the pool, as its helper does.
        self.broken.try_lock().map_or(Ok(()), |broken| visit.call(&*broken))
    }

    fn __clear__(&self) {
        let broken = locked(&self.broken).take();
        drop((broken, self.callees.clear()));
    }
}
