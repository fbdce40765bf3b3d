//! The pool's side: calls go out, results are brought to whom they are for.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use manyhands_pool::{Lead, Pool, SubmitError, TASK, Taken, What};
use manyhands_shm::{GetError, Parcel};
use manyhands_sync::Limit;
use manyhands_sys::fork;
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyTuple};
use rustix::event::{EventfdFlags, eventfd};

use super::call::{Callee, Callees, Shape, slice, take};
use super::imap::Imap;
use super::result::{ApplyResult, Delivered, MapResult, Purpose};
use super::source::Source;
use super::supervise::Watched;
use super::task::Task;
use super::worker::{DONE, UNFIT};
use crate::concurrent::future::{Future, Outcome, Settled};
use crate::multiprocessing::arena::{Outside, error};
use crate::multiprocessing::codec::{encode_after, with_encoder};
use crate::multiprocessing::errors::os_error;
use crate::multiprocessing::queue::{decode_message, pieces};

/// Where the outcome of a task goes.
pub(super) struct Tag {
    pub(super) to: To,
    pub(super) index: usize,
    /// How many bytes its message has.
    pub(super) bytes: usize,
}

/// More than so many bytes of messages of tasks without an outcome make who sends wait.
const MOST_BYTES: usize = 256 << 20;

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
    broken: Mutex<Option<Py<PyAny>>>,
    pub(super) called_back: Mutex<Vec<Ready>>,
    /// How many are not ready of those that somebody wants to know of who does not wait.
    pub(super) awaited: AtomicUsize,
    /// Of the messages of tasks without an outcome.
    bytes: AtomicUsize,
    /// The supervisor wants the lead.
    pub(super) wanted: AtomicBool,
    /// The thread that leads; 0 if none. What it calls meanwhile, say to unpickle, may wait for a result.
    leader: AtomicU64,
    /// Wakes the supervisor; until it has ended.
    pub(super) alarm: Mutex<Option<Arc<OwnedFd>>>,
    pub(super) watched: Mutex<Vec<Watched>>,
    /// What workers in a row count that ended before they took tasks.
    pub(super) unfit: AtomicUsize,
    /// Those of `imap` that have not sent all that there is.
    pub(super) feeding: Mutex<Vec<Imap>>,
    /// `rebuild(bytes, text)`, `died(pid, exitcode, function)` and `ended()`, which make exceptions.
    pub(super) rebuild: Py<PyAny>,
    pub(super) died: Py<PyAny>,
    ended: Py<PyAny>,
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

/// This thread.
fn me() -> u64 {
    thread_local!(static ME: u8 = const { 0 });
    ME.with(|me| std::ptr::from_ref(me) as u64)
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An exception like that: each time that one is raised its traceback grows, by frames that may keep the
/// pool, and the pool must not keep itself. The same where it cannot be copied.
fn copy_of<'py>(why: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    let py = why.py();
    let copied = || {
        let copy = py.import("copy")?.call_method1(intern!(py, "copy"), (why,))?;
        copy.setattr(intern!(py, "__cause__"), why.getattr(intern!(py, "__cause__"))?)?;
        Ok::<_, PyErr>(copy)
    };
    copied().unwrap_or_else(|_| why.clone())
}

impl Scheduler {
    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    fn is_own(&self) -> bool {
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

    /// Sends a call, and returns its task's number; waits while too much is under way.
    pub(super) fn send(
        slf: &Bound<'_, Self>,
        callee: &Callee,
        argument: Bound<'_, PyAny>,
        mut tag: Tag,
    ) -> PyResult<u64> {
        let (py, this) = (slf.py(), slf.get());
        if !this.is_own() {
            return Err(Self::not_own());
        }
        if this.bytes.load(Ordering::Relaxed) > MOST_BYTES {
            let is_over = || {
                this.bytes.load(Ordering::Relaxed) <= MOST_BYTES
                    || this.phase() == Phase::Ended
                    || this.is_broken()
            };
            Self::advance(slf, Limit::Forever, &is_over)?;
        }
        let broken = locked(&this.broken).as_ref().map(|why| why.clone_ref(py));
        if let Some(why) = broken {
            return Err(PyErr::from_value(copy_of(why.bind(py))));
        }
        let object = callee.wrap(argument)?;
        with_encoder(|encoder| {
            encode_after(&callee.prefix, &object, encoder)?;
            let pieces = pieces(encoder);
            let bytes = encoder.head().len() + pieces.iter().map(|piece| piece.len).sum::<usize>();
            tag.bytes = bytes;
            this.bytes.fetch_add(bytes, Ordering::Relaxed);
            #[expect(unsafe_code, reason = "the encoder keeps the payloads while it has them")]
            // SAFETY: see there.
            let sent = unsafe { this.pool.submit(&Outside(py), tag, encoder.head_mut(), &pieces) };
            sent.map_err(|why| {
                this.bytes.fetch_sub(bytes, Ordering::Relaxed);
                match why {
                    SubmitError::Closed => PyValueError::new_err("Pool not running"),
                    SubmitError::Arena(why) => error(why),
                    SubmitError::GivenUp(why) => why,
                }
            })
        })
    }

    /// The lead, if nobody has it, or this thread.
    pub(super) fn try_lead(&self) -> Option<Leading<'_>> {
        let before = self.leader.load(Ordering::Relaxed);
        let lead = if before == me() { Some(self.pool.lead_again()) } else { self.pool.try_lead() };
        let lead = lead?;
        self.leader.store(me(), Ordering::Relaxed);
        Some(Leading {
            lead,
            leader: &self.leader,
            before: if before == me() { before } else { 0 },
        })
    }

    fn is_leader(&self) -> bool {
        self.leader.load(Ordering::Relaxed) == me()
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
            if this.wanted.load(Ordering::Acquire) && !this.is_leader() {
                // The supervisor comes as soon as it can.
                this.pool.follow(&Outside(py), limit, is_over)?;
                py.detach(std::thread::yield_now);
                py.check_signals()?;
            } else if let Some(leading) = this.try_lead() {
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
        let mut scratch = Vec::new();
        let is_wanted = || self.wanted.load(Ordering::Acquire) && !lead.is_again();
        while !is_over() && !is_wanted() {
            match self.pool.take(lead, &Outside(py), &mut scratch, limit) {
                Ok(taken) => self.sort(py, taken, &scratch)?,
                Err(GetError::Empty | GetError::ShutDown) => return Ok(()),
                Err(GetError::GivenUp(why)) => return Err(why),
                Err(GetError::Arena(why)) => return Err(error(why)),
            }
        }
        Ok(())
    }

    /// Takes all results that are there now; what goes wrong with one is not this thread's affair.
    pub(super) fn drain(&self, py: Python<'_>, lead: &Lead<'_>) -> PyResult<()> {
        let mut scratch = Vec::new();
        for _ in 0..self.pool.waiting().map_err(error)? {
            match self.pool.take(lead, &Outside(py), &mut scratch, Limit::Never) {
                Ok(taken) => {
                    if let Err(why) = self.sort(py, taken, &scratch) {
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
            What::Notice(_) | What::Nothing => {}
        }
        raised.map_or(Ok(()), Err)
    }

    pub(super) fn deliver(
        &self,
        py: Python<'_>,
        tag: Tag,
        outcome: Result<Bound<'_, PyAny>, Bound<'_, PyAny>>,
    ) {
        self.forget_bytes(tag.bytes);
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

    /// A message is under way no more.
    pub(super) fn forget_bytes(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
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
    fn abandon(&self, py: Python<'_>, why: &Bound<'_, PyAny>) {
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

    /// All that there was to be sent has been.
    pub(super) fn close_if_fed(&self, py: Python<'_>) -> PyResult<()> {
        if self.phase() == Phase::Closed && locked(&self.feeding).is_empty() {
            py.detach(|| self.pool.close()).map_err(error)?;
        }
        Ok(())
    }

    /// Does `submit`, with the result counted among those for which somebody is called, if so.
    fn expect(&self, result: &ApplyResult, submit: impl FnOnce() -> PyResult<()>) -> PyResult<()> {
        if !result.has_callbacks() {
            return submit();
        }
        self.awaited.fetch_add(1, Ordering::AcqRel);
        self.call_supervisor();
        submit().inspect_err(|_| _ = self.awaited.fetch_sub(1, Ordering::AcqRel))
    }

    pub(super) fn callee(&self, function: &Bound<'_, PyAny>, shape: Shape) -> Callee {
        self.callees.get(function, shape)
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
            unfit: AtomicUsize::new(0),
            feeding: Mutex::new(Vec::new()),
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
    fn apply<'py>(
        slf: &Bound<'py, Self>,
        pool: Bound<'py, PyAny>,
        function: Bound<'py, PyAny>,
        args: Bound<'py, PyAny>,
        kwds: Bound<'py, PyAny>,
        callback: Option<Bound<'py, PyAny>>,
        error_callback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, ApplyResult>> {
        let (py, this) = (slf.py(), slf.get());
        let plain = args.is_exact_instance_of::<PyTuple>()
            && kwds.cast_exact::<PyDict>().is_ok_and(|kwds| kwds.is_empty());
        let shape = if plain { Shape::Positional } else { Shape::Keywords };
        let callee = this.callee(&function, shape);
        let purpose = Purpose::new(pool, function, callback, error_callback)?;
        let source = Source::Processes(slf.clone().unbind());
        let result = Bound::new(py, ApplyResult::of_call(source, purpose))?;
        let argument = if plain { args } else { PyTuple::new(py, [args, kwds])?.into_any() };
        let tag = Tag { to: To::Result(result.clone().unbind()), index: 0, bytes: 0 };
        this.expect(result.get(), || Self::submit(slf, &callee, argument, tag, &result, 0))?;
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
    ) -> PyResult<Bound<'py, MapResult>> {
        let (py, this) = (slf.py(), slf.get());
        let tasks = if chunk == 0 { 0 } else { len.div_ceil(chunk) };
        let results = PyList::new(py, (0..len).map(|_| py.None()))?;
        let shape = if starred { Shape::EachStarred } else { Shape::Each };
        let callee = this.callee(&function, shape);
        let purpose = Purpose::new(pool, function, callback, error_callback)?;
        let source = Source::Processes(slf.clone().unbind());
        let result = ApplyResult::of_map(source, purpose, &results, tasks, chunk);
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
    fn imap<'py>(
        slf: &Bound<'py, Self>,
        pool: Bound<'py, PyAny>,
        function: Bound<'py, PyAny>,
        iterator: Option<Bound<'py, PyIterator>>,
        chunk: usize,
        ordered: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let source = Source::Processes(slf.clone().unbind());
        Imap::begin(source, pool, &function, iterator, chunk, ordered)
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
    /// future, a `class()`.
    // py: concurrent.futures.ProcessPoolExecutor.submit
    fn submit_future<'py>(
        slf: &Bound<'py, Self>,
        pool: Bound<'py, PyAny>,
        class: Bound<'py, PyAny>,
        function: Bound<'py, PyAny>,
        args: Bound<'py, PyAny>,
        kwds: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let kwds = kwds.filter(|kwds| !kwds.is_empty());
        let shape = if args.is_exact_instance_of::<PyList>() {
            Shape::EachStarred
        } else if kwds.is_some() {
            Shape::Keywords
        } else {
            Shape::Positional
        };
        let callee = this.callee(&function, shape);
        let made = class.call0()?;
        let future = made.cast::<Future>()?;
        let argument = match kwds {
            Some(kwds) => PyTuple::new(py, [args, kwds.into_any()])?.into_any(),
            None => args,
        };
        let tag = Tag { to: To::Future(future.clone().unbind()), index: 0, bytes: 0 };
        match Self::send(slf, &callee, argument, tag) {
            Ok(number) => {
                let scheduler = slf.clone().unbind();
                let task = Task::new(scheduler, number, pool.unbind(), function.unbind());
                future.get().expect(task);
            }
            Err(why) if this.phase() != Phase::Running || this.is_broken() => return Err(why),
            Err(why) if why.is_instance_of::<PyException>(py) => {
                Future::settle(
                    future,
                    Outcome::Exception(why.into_value(py).into_bound(py).into_any()),
                )?;
            }
            Err(why) => return Err(why),
        }
        Ok(made)
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

impl Scheduler {
    /// Sends a call; what goes wrong with pickling it is its outcome.
    fn submit(
        slf: &Bound<'_, Self>,
        callee: &Callee,
        argument: Bound<'_, PyAny>,
        tag: Tag,
        result: &Bound<'_, ApplyResult>,
        index: usize,
    ) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        match Self::send(slf, callee, argument, tag) {
            Ok(_) => Ok(()),
            Err(why) if why.is_instance_of::<PyException>(py) => {
                let tag = Tag { to: To::Result(result.clone().unbind()), index, bytes: 0 };
                let why = why.into_value(py).into_bound(py).into_any();
                this.deliver_aside(py, tag, Err(why));
                Ok(())
            }
            Err(why) => Err(why),
        }
    }

    /// Sends the items of a sequence, or of an iterable that is as long, so many at a time.
    fn submit_chunks(
        slf: &Bound<'_, Self>,
        callee: &Callee,
        iterable: &Bound<'_, PyAny>,
        len: usize,
        chunk: usize,
        result: &Bound<'_, ApplyResult>,
    ) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let tasks = len.div_ceil(chunk);
        let tag = |index| Tag { to: To::Result(result.clone().unbind()), index, bytes: 0 };
        let mut iterator = None;
        for index in 0..tasks {
            let (from, to) = (index * chunk, len.min((index + 1) * chunk));
            let items = match slice(iterable, from, to) {
                Some(items) => Ok(items),
                None => {
                    let iterator = match &mut iterator {
                        Some(iterator) => Ok(iterator),
                        none => iterable.try_iter().map(|iterator| none.insert(iterator)),
                    };
                    iterator.and_then(|iterator| take(iterator, to - from))
                }
            };
            match items {
                Ok(items) => Self::submit(slf, callee, items, tag(index), result, index)?,
                Err(why) if why.is_instance_of::<PyException>(py) => {
                    // The iterable has nothing more to give: neither this task nor those after it.
                    let why = why.into_value(py).into_bound(py).into_any();
                    for index in index..tasks {
                        this.deliver_aside(py, tag(index), Err(why.clone()));
                    }
                    break;
                }
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }
}
