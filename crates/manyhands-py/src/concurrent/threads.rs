//! What is native of `concurrent.futures.ThreadPoolExecutor`: its queue of jobs, and the loop of its
//! workers.

use manyhands_queue::{Fifo, FifoQueue, PutError, Queue, Store};
use manyhands_sync::Wakes;
use manyhands_sys::fork;
use manyhands_watch::Kind;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::future::{Future, Outcome};
use crate::contextvars::Submitted;
use crate::crew::{self, Crew, Employer};
use crate::exclusion::Interpreter;
use crate::queue::Failure;
use crate::tally::{Progress, Tally};
use crate::trace;

/// What a worker is to do.
enum Job {
    Call(WorkItem),
    /// Something of another class, whose `run()` is to be called.
    Other(Py<PyAny>),
}

impl Job {
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Job::Call(item) => item.__traverse__(*visit),
            Job::Other(item) => visit.call(item),
        }
    }
}

/// A call that was submitted, and the future that gets what it comes to.
#[pyclass(frozen, module = "manyhands._native.concurrent")]
struct WorkItem {
    #[pyo3(get)]
    future: Py<Future>,
    #[pyo3(get, name = "fn")]
    function: Py<PyAny>,
    #[pyo3(get)]
    args: Py<PyTuple>,
    keywords: Option<Py<PyDict>>,
    context: Submitted,
}

#[pymethods]
impl WorkItem {
    #[getter]
    fn kwargs<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.keywords.as_ref().map_or_else(|| PyDict::new(py), |keywords| keywords.bind(py).clone())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.future)?;
        visit.call(&self.function)?;
        visit.call(&self.args)?;
        visit.call(&self.keywords)?;
        self.context.traverse(&visit)
    }
}

impl WorkItem {
    /// Calls the function, if nobody has cancelled that, and settles the future; `wakes` get those who wait
    /// for it.
    fn run(self, jobs: &Bound<'_, Jobs>, wakes: &mut Wakes) -> PyResult<()> {
        let (py, tally) = (jobs.py(), jobs.get().tally.get());
        let when_free = || jobs.get().one_done();
        let WorkItem { future, function, args, keywords, context } = self;
        let future = future.into_bound(py);
        let has_begun = Future::begin(&future);
        if !matches!(has_begun, Ok(true)) {
            tally.withdraw(1);
            when_free();
            return has_begun.map(drop);
        }
        let keywords = keywords.map(|keywords| keywords.into_bound(py));
        let function_of = function.bind(py);
        let call =
            || trace::task(function_of, || function_of.call(args.bind(py), keywords.as_ref()));
        let done = context.call(py, call);
        // Who has the result may count on it that nothing of the call is kept here.
        drop((function, args, keywords, context));
        tally.settle(1, done.is_ok());
        let outcome = match done {
            Ok(result) => Outcome::Result(result),
            Err(why) => Outcome::Exception(why.into_value(py).into_bound(py).into_any()),
        };
        // Who submits the next call as soon as this one is done finds a worker that is free. Not so if
        // there are callbacks, as they may wait for other calls.
        let is_free = !future.get().has_callbacks();
        if is_free {
            when_free();
        }
        jobs.get().crew.let_go(&future.get().awaited);
        let mut engaged = None;
        let settled = Future::settle_and(&future, outcome, wakes, || {
            // One was added since.
            engaged = is_free.then(|| Engaged::new(jobs));
        });
        drop(engaged);
        if !is_free {
            when_free();
        }
        settled
    }
}

/// While there is one, a worker that counted as free calls callbacks.
struct Engaged<'a>(&'a Crew);

impl<'a> Engaged<'a> {
    fn new(jobs: &'a Bound<'_, Jobs>) -> Engaged<'a> {
        let crew = &jobs.get().crew;
        crew.engage();
        if let Err(why) = Employer::Executor(jobs.clone().unbind()).grow(jobs.py()) {
            why.write_unraisable(jobs.py(), None);
        }
        Engaged(crew)
    }
}

impl Drop for Engaged<'_> {
    fn drop(&mut self) {
        self.0.disengage();
    }
}

/// The calls that an executor's workers are to make; for each of them an iterator that makes one at a
/// time, so that the interpreter can give others a turn in between.
///
/// It does not keep the executor, whose end is the end of its workers.
// py: concurrent.futures.ThreadPoolExecutor._work_queue
#[pyclass(frozen, weakref, module = "manyhands._native.concurrent")]
pub(crate) struct Jobs {
    /// Those under way count as unfinished.
    queue: FifoQueue<Job, Interpreter>,
    pub(crate) crew: Crew,
    /// A weak reference to the executor, which starts workers.
    pub(crate) pool: Py<PyAny>,
    tally: Py<Tally>,
    /// The fork before which they began: in a child of theirs there are none.
    epoch: u32,
}

impl Jobs {
    fn put_job(&self, job: Job) -> Result<(), PutError<Job>> {
        self.tally.get().submit(1);
        self.queue.try_put(job).inspect_err(|_| self.tally.get().withdraw(1))
    }

    /// Whether another worker would have something to do.
    pub(crate) fn wants_worker(&self) -> bool {
        self.crew.wants(self.queue.unfinished()) && !self.is_foreign()
    }

    /// Has the call of a future made next, if no worker has begun it.
    pub(crate) fn prefer(&self, future: &Bound<'_, PyAny>) {
        self.queue.with_store(|jobs| {
            jobs.bring_forward(|job| match job {
                Job::Call(item) => item.future.as_ptr() == future.as_ptr(),
                Job::Other(_) => false,
            })
        });
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.epoch != fork::epoch()
    }

    /// One more is not to be done any more, or almost.
    fn one_done(&self) {
        // There are as many as were put in.
        let _ = self.queue.task_done();
    }
}

fn work_item<'py>(
    function: Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    keywords: Option<Bound<'py, PyDict>>,
    crew: &Crew,
) -> PyResult<(Bound<'py, Future>, WorkItem)> {
    let py = function.py();
    let future = Future::create(py)?;
    future.get().belong_to(crew.number());
    let item = WorkItem {
        future: future.clone().unbind(),
        function: function.unbind(),
        args: args.unbind(),
        keywords: keywords.map(Bound::unbind),
        context: Submitted::here(py)?,
    };
    Ok((future, item))
}

#[pymethods]
impl Jobs {
    #[new]
    fn __new__(py: Python<'_>, limit: usize, pool: Py<PyAny>) -> PyResult<Jobs> {
        Ok(Jobs {
            queue: Queue::for_workers(Fifo::default(), Kind::SimpleQueue),
            crew: Crew::new(limit, 0),
            pool,
            tally: Py::new(py, Tally::default())?,
            epoch: fork::epoch(),
        })
    }

    /// Has a call made; returns its future, or None if no more are taken.
    pub(super) fn call<'py>(
        &self,
        function: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        keywords: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, Future>>> {
        let (future, item) = work_item(function, args, keywords, &self.crew)?;
        Ok(self.put_job(Job::Call(item)).is_ok().then_some(future))
    }

    /// Makes room for one more worker if one is wanted; returns its number.
    fn hire(&self) -> Option<usize> {
        self.crew.hire(|| self.queue.unfinished())
    }

    /// A worker could not be started.
    fn dismiss(&self) {
        self.crew.dismiss();
    }

    /// How many calls have no outcome, but for those that almost have.
    #[getter]
    fn pending(&self) -> usize {
        self.queue.unfinished()
    }

    /// How many workers there are.
    #[getter]
    fn workers(&self) -> usize {
        self.crew.workers()
    }

    /// Takes no more calls; workers end when those that there are have been made.
    #[pyo3(signature = (*_reference))]
    fn close(&self, _reference: &Bound<'_, PyTuple>) {
        self.queue.shutdown();
    }

    /// Whether it takes calls.
    #[getter]
    fn is_open(&self) -> bool {
        !self.queue.is_shut_down() && !self.is_foreign()
    }

    /// Takes out the calls that no worker has begun; returns their futures.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let futures = PyList::empty(py);
        while let Ok(job) = self.queue.try_get() {
            self.tally.get().withdraw(1);
            self.one_done();
            if let Job::Call(item) = job {
                futures.append(&item.future)?;
            }
        }
        Ok(futures)
    }

    /// Has `run()` of an item called by a worker; None tells that there will be no more.
    #[pyo3(signature = (item, block=true, timeout=None))]
    #[expect(unused_variables, reason = "they have the names that callers may use")]
    fn put(
        &self,
        item: Bound<'_, PyAny>,
        block: bool,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if item.is_none() {
            self.queue.shutdown();
            return Ok(());
        }
        let job = match item.cast_exact::<WorkItem>() {
            Ok(known) => {
                let (py, known) = (item.py(), known.get());
                Job::Call(WorkItem {
                    future: known.future.clone_ref(py),
                    function: known.function.clone_ref(py),
                    args: known.args.clone_ref(py),
                    keywords: known.keywords.as_ref().map(|keywords| keywords.clone_ref(py)),
                    context: known.context.again(py),
                })
            }
            Err(_) => Job::Other(item.unbind()),
        };
        let refused = "cannot schedule new futures after shutdown";
        self.put_job(job).map_err(|_| PyRuntimeError::new_err(refused))
    }

    /// Takes out the next item, which no worker will see; `queue.Empty` if there is none.
    #[pyo3(signature = (*_args, **_kwargs))]
    fn get_nowait(
        &self,
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let job = self.queue.try_get().map_err(|_| Failure::Empty.raise(py))?;
        self.tally.get().withdraw(1);
        self.one_done();
        match job {
            Job::Call(item) => Ok(Py::new(py, item)?.into_any()),
            Job::Other(item) => Ok(item),
        }
    }

    /// As `get_nowait`: who waits here are the workers.
    #[pyo3(signature = (*args, **kwargs))]
    fn get(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        self.get_nowait(py, args, kwargs)
    }

    /// How many calls no worker has begun.
    fn qsize(&self) -> usize {
        self.queue.len()
    }

    /// Whether there is no call that no worker has begun.
    fn empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What counts its calls.
    #[getter]
    fn tally(&self, py: Python<'_>) -> Py<Tally> {
        self.tally.clone_ref(py)
    }

    /// How far its calls have come.
    fn progress(&self) -> Progress {
        let (submitted, done, failed) = self.tally.get().read();
        let pending = self.queue.unfinished();
        let is_over = !self.is_open() && pending == 0;
        (submitted, done, failed, pending.saturating_sub(self.queue.len()), is_over)
    }

    /// This thread is a worker from now on.
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        crew::work_for(Some(Employer::Executor(slf.clone().unbind())));
        slf
    }

    /// Waits for a call, and makes it; the end comes when there will be none for this worker.
    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Option<bool>> {
        let (py, this) = (slf.py(), slf.get());
        let mut wakes = Wakes::default();
        loop {
            let Some(job) = this.crew.next(py, &this.queue, std::mem::take(&mut wakes))? else {
                crew::work_for(None);
                return Ok(None);
            };
            let done = match job {
                Job::Call(item) => item.run(slf, &mut wakes),
                Job::Other(item) => {
                    let done = item.call_method0(py, intern!(py, "run"));
                    this.tally.get().settle(1, done.is_ok());
                    this.one_done();
                    done.map(drop)
                }
            };
            // Who waits for it can go on only when this thread has left the interpreter; if there is nothing
            // else to do it does that next, and gives others a turn so.
            if wakes.is_empty() || done.is_err() || !this.queue.is_empty() {
                wakes.send();
                return done.map(|()| Some(true));
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        self.queue.with_store(|store| store.iter().try_for_each(|job| job.traverse(&visit)))
    }

    fn __clear__(&self) {
        drop(self.queue.with_store(Store::drain));
    }
}
