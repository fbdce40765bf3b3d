//! What a `ThreadPool` is made of, but for the threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use manyhands_queue::{Fifo, FifoQueue, GetError, Queue, Store};
use manyhands_sync::{Limit, Wakes};
use manyhands_sys::fork;
use manyhands_watch::Kind;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyTuple};

use super::call::Shape;
use super::imap::Imap;
use super::limits::Options;
use super::outcomes::copy_of;
use super::result::{ApplyResult, Delivered, MapResult, Purpose};
use super::scheduler::{Phase, locked};
use super::source::Source;
use crate::contextvars::Submitted;
use crate::crew::{self, Crew, Employer};
use crate::exclusion::Interpreter;
use crate::gate::Outside;
use crate::tally::{Progress, Tally};
use crate::trace;

/// Where the outcome of a task goes.
pub(super) enum Target {
    Result(Py<ApplyResult>),
    Imap(Imap),
}

/// What a worker is to do.
pub(super) struct Work {
    pub(super) function: Py<PyAny>,
    pub(super) shape: Shape,
    pub(super) argument: Py<PyAny>,
    pub(super) context: Submitted,
    pub(super) target: Target,
    pub(super) index: usize,
}

type Outcome<'py> = Result<Bound<'py, PyAny>, Bound<'py, PyAny>>;

/// The tasks of a `ThreadPool`; for each worker an iterator that does one at a time, so that the
/// interpreter can give others a turn in between.
///
/// It does not keep the pool, whose end is the end of its workers.
#[pyclass(frozen, weakref, module = "manyhands._native.multiprocessing")]
pub(crate) struct Threads {
    /// Those under way count as unfinished.
    pub(super) tasks: FifoQueue<Work, Interpreter>,
    /// What is ready but for a callback, which one thread calls after the other.
    ready: FifoQueue<Py<ApplyResult>, Interpreter>,
    pub(crate) crew: Crew,
    /// A weak reference to the pool, which starts workers.
    pub(crate) pool: Py<PyAny>,
    /// Those that have not ended.
    workers: AtomicUsize,
    phase: AtomicU8,
    /// Why no call can be done.
    broken: Mutex<Option<Py<PyAny>>>,
    pub(super) feeding: Mutex<Vec<Imap>>,
    pub(super) tally: Py<Tally>,
    /// `ended()` makes the exception of what was not done.
    ended: Py<PyAny>,
    /// The fork before which they began: in a child of theirs there are none.
    pub(super) epoch: u32,
}

impl Threads {
    fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.phase() == Phase::Ended || locked(&self.broken).is_some()
    }

    /// Whether another worker would have something to do.
    pub(crate) fn wants_worker(&self) -> bool {
        self.crew.wants(self.tasks.unfinished()) && self.epoch == fork::epoch()
    }

    /// Has a task of a result done next, if no worker has taken it.
    pub(crate) fn prefer(&self, awaited: &Bound<'_, PyAny>) {
        self.tasks.with_store(|tasks| {
            tasks.bring_forward(|work| match &work.target {
                Target::Result(result) => result.as_ptr() == awaited.as_ptr(),
                Target::Imap(imap) => imap.object().as_ptr() == awaited.as_ptr(),
            })
        });
    }

    /// Why a task is not done.
    pub(super) fn why<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let broken = locked(&self.broken).as_ref().map(|why| why.clone_ref(py));
        broken.map_or_else(|| self.ended.bind(py).call0(), |why| Ok(copy_of(why.bind(py))))
    }

    /// Does a task.
    fn run(&self, py: Python<'_>, work: Work) {
        let Work { function, shape, argument, context, target, index } = work;
        let single = match (&target, shape) {
            (Target::Result(result), Shape::Positional | Shape::Keywords) => Some(result.get()),
            _ => None,
        };
        if let Some(result) = single {
            result.set_begun();
        }
        let function_of = function.bind(py);
        let call =
            || trace::task(function_of, || shape.call(function_of, argument.bind(py), || ()));
        let done = context.call(py, call);
        drop((function, argument, context));
        let _ = self.tasks.task_done();
        if let Some(result) = single {
            self.crew.let_go(&result.awaited);
        }
        let outcome = done.map_err(|why| why.into_value(py).into_bound(py).into_any());
        Self::deliver(py, self, target, index, outcome);
    }

    pub(super) fn deliver(
        py: Python<'_>,
        this: &Threads,
        target: Target,
        index: usize,
        outcome: Outcome<'_>,
    ) {
        match target {
            Target::Imap(imap) => imap.deliver(index, outcome),
            Target::Result(result) => match result.get().deliver(py, index, outcome) {
                Delivered::More | Delivered::Ready { .. } => {}
                Delivered::CallBack => {
                    if let Err(refused) = this.ready.try_put(result) {
                        Self::call_back(py, &refused.item);
                    }
                }
            },
        }
    }

    fn call_back(py: Python<'_>, result: &Py<ApplyResult>) {
        if let Some((callback, value)) = result.get().callback(py)
            && let Err(why) = callback.call1(py, (value,))
        {
            why.write_unraisable(py, Some(callback.bind(py)));
        }
        result.get().set_ready();
    }

    pub(super) fn close_if_fed(&self) {
        if self.phase() == Phase::Closed && locked(&self.feeding).is_empty() {
            self.tasks.shutdown();
        }
    }

    /// Has all tasks fail that no worker has begun, and takes no more.
    fn abandon(&self, py: Python<'_>, why: &Bound<'_, PyAny>) {
        self.tasks.shutdown();
        while let Ok(work) = self.tasks.try_get() {
            let _ = self.tasks.task_done();
            Self::deliver(py, self, work.target, work.index, Err(why.clone()));
        }
        let feeding = std::mem::take(&mut *locked(&self.feeding));
        for imap in feeding {
            imap.stop(why);
        }
    }
}

#[pymethods]
impl Threads {
    #[new]
    fn __new__(
        py: Python<'_>,
        workers: usize,
        pool: Py<PyAny>,
        ended: Py<PyAny>,
    ) -> PyResult<Threads> {
        Ok(Threads {
            tasks: Queue::for_workers(Fifo::default(), Kind::SimpleQueue),
            ready: Queue::over(Fifo::default(), Kind::SimpleQueue, 0),
            crew: Crew::new(workers, workers),
            pool,
            workers: AtomicUsize::new(0),
            phase: AtomicU8::new(Phase::Running as u8),
            broken: Mutex::new(None),
            feeding: Mutex::new(Vec::new()),
            tally: Py::new(py, Tally::default())?,
            ended,
            epoch: fork::epoch(),
        })
    }

    /// Has `function(*args, **kwds)` called; returns its result to be.
    // py: multiprocessing.pool.ThreadPool.apply_async
    #[expect(clippy::too_many_arguments, reason = "Python's method has as many")]
    fn apply<'py>(
        slf: &Bound<'py, Self>,
        pool: Bound<'py, PyAny>,
        function: Bound<'py, PyAny>,
        args: Bound<'py, PyAny>,
        kwds: Bound<'py, PyAny>,
        callback: Option<Bound<'py, PyAny>>,
        error_callback: Option<Bound<'py, PyAny>>,
        _options: Option<Bound<'py, Options>>,
    ) -> PyResult<Bound<'py, ApplyResult>> {
        let py = slf.py();
        let plain = args.is_exact_instance_of::<PyTuple>()
            && kwds.cast_exact::<PyDict>().is_ok_and(|kwds| kwds.is_empty());
        let (shape, argument) = if plain {
            (Shape::Positional, args)
        } else {
            (Shape::Keywords, PyTuple::new(py, [args, kwds])?.into_any())
        };
        let purpose = Purpose::new(pool, function.clone(), callback, error_callback)?;
        let source = Source::Threads(slf.clone().unbind());
        let result = Bound::new(py, ApplyResult::of_call(source, purpose))?;
        let (function, argument) = (function.unbind(), argument.unbind());
        let context = Submitted::here(py)?;
        let target = Target::Result(result.clone().unbind());
        Self::submit(slf, Work { function, shape, argument, context, target, index: 0 })?;
        Ok(result)
    }

    /// Has a call made for each `chunk` items of a sequence of `len`, or of an iterable that is as long;
    /// returns their result to be.
    // py: multiprocessing.pool.ThreadPool.map_async
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
        _options: Option<Bound<'py, Options>>,
        tally: Option<Py<Tally>>,
    ) -> PyResult<Bound<'py, MapResult>> {
        let py = slf.py();
        let tasks = if chunk == 0 { 0 } else { len.div_ceil(chunk) };
        let results = PyList::new(py, (0..len).map(|_| py.None()))?;
        let shape = if starred { Shape::EachStarred } else { Shape::Each };
        let purpose = Purpose::new(pool, function.clone(), callback, error_callback)?;
        let source = Source::Threads(slf.clone().unbind());
        let result = ApplyResult::of_map(source, purpose, &results, tasks, chunk, tally);
        let result = Bound::new(py, PyClassInitializer::from(result).add_subclass(MapResult))?;
        if tasks > 0 {
            let base = result.as_super();
            Self::submit_chunks(slf, &function, shape, &iterable, (len, chunk), base)?;
        }
        Ok(result)
    }

    /// Has a call made for each item, or each `chunk` items, of an iterator; without one they are sent by
    /// `_send` of the result.
    // py: multiprocessing.pool.ThreadPool.imap
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
        let source = Source::Threads(slf.clone().unbind());
        Imap::begin(source, pool, &function, iterator, chunk, ordered, options, tally)
    }

    /// Makes room for one more worker if one is wanted; returns whether it did.
    fn hire(&self) -> bool {
        self.crew.hire(|| self.tasks.unfinished()).is_some()
    }

    /// It could not be started.
    fn dismiss(&self) {
        self.crew.dismiss();
    }

    /// How many workers there are that have not been told to end.
    #[getter]
    fn workers(&self) -> usize {
        self.crew.workers()
    }

    /// One more worker begins.
    fn enter(&self) {
        self.workers.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker has ended; the last ends who calls back.
    fn leave(&self) {
        if self.workers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.ready.shutdown();
        }
    }

    /// Calls callbacks until the last worker has ended.
    fn call_backs(&self, py: Python<'_>) -> PyResult<()> {
        loop {
            match self.ready.get_with(&Outside(py), Limit::Forever) {
                Ok(result) => Self::call_back(py, &result),
                Err(GetError::GivenUp(why)) => return Err(why),
                Err(_) => return Ok(()),
            }
        }
    }

    /// No call can be done any more, for that reason, an exception.
    fn give_up(&self, py: Python<'_>, why: Bound<'_, PyAny>) {
        let dropped = locked(&self.broken).replace(copy_of(&why).unbind());
        drop(dropped);
        self.abandon(py, &why);
    }

    /// How many tasks no worker has taken.
    #[getter]
    fn backlog(&self) -> usize {
        self.tasks.len()
    }

    /// How many tasks have no outcome.
    #[getter]
    fn pending(&self) -> usize {
        self.tasks.unfinished()
    }

    /// What counts its calls.
    #[getter]
    fn tally(&self, py: Python<'_>) -> Py<Tally> {
        self.tally.clone_ref(py)
    }

    /// How far its calls have come.
    fn progress(&self) -> Progress {
        let (submitted, done, failed) = self.tally.get().read();
        let pending = self.tasks.unfinished();
        let has_more = pending > 0 || !locked(&self.feeding).is_empty();
        let is_over = self.has_ended() || self.phase() == Phase::Closed && !has_more;
        (submitted, done, failed, pending.saturating_sub(self.tasks.len()), is_over)
    }

    /// Takes no more calls.
    // py: multiprocessing.pool.ThreadPool.close
    fn close(&self) {
        let _ = self.phase.compare_exchange(
            Phase::Running as u8,
            Phase::Closed as u8,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        self.close_if_fed();
    }

    /// Takes no more calls, and has all fail that no worker has begun.
    // py: multiprocessing.pool.ThreadPool.terminate
    fn terminate(&self, py: Python<'_>) -> PyResult<()> {
        let why = self.ended.bind(py).call0()?;
        self.phase.store(Phase::Ended as u8, Ordering::Release);
        self.abandon(py, &why);
        Ok(())
    }

    /// This thread is a worker from now on.
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        crew::work_for(Some(Employer::Pool(slf.clone().unbind())));
        slf
    }

    /// Waits for a task, and does it; the end comes when there will be none for this worker.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        let Some(work) = self.crew.next(py, &self.tasks, Wakes::default())? else {
            crew::work_for(None);
            return Ok(None);
        };
        self.run(py, work);
        Ok(Some(true))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.ended)?;
        visit.call(&self.pool)?;
        if let Ok(broken) = self.broken.try_lock() {
            visit.call(&*broken)?;
        }
        if let Ok(feeding) = self.feeding.try_lock() {
            feeding.iter().try_for_each(|imap| visit.call(imap.object()))?;
        }
        self.ready.with_store(|store| store.iter().try_for_each(|result| visit.call(result)))?;
        self.tasks.with_store(|store| {
            store.iter().try_for_each(|work| {
                visit.call(&work.function)?;
                visit.call(&work.argument)?;
                work.context.traverse(&visit)?;
                match &work.target {
                    Target::Result(result) => visit.call(result),
                    Target::Imap(imap) => visit.call(imap.object()),
                }
            })
        })
    }

    fn __clear__(&self) {
        drop(self.tasks.with_store(Store::drain));
        drop(self.ready.with_store(Store::drain));
        let feeding = std::mem::take(&mut *locked(&self.feeding));
        let broken = locked(&self.broken).take();
        drop((feeding, broken));
    }
}
