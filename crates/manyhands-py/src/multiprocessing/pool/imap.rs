//! `multiprocessing.pool.IMapIterator` and `IMapUnorderedIterator`

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use manyhands_shm::{Deadline, Pause, RECHECK};
use manyhands_sync::Limit;
use manyhands_sys::futex;
use pyo3::exceptions::{PyException, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use super::call::{Callee, Shape, take};
use super::limits::Options;
use super::repeats::Repeats;
use super::result::timed_out;
use super::scheduler::locked;
use super::source::Source;
use crate::contextvars::Submitted;
use crate::multiprocessing::arena::Outside;
use crate::news::News;
use crate::tally::Tally;
use crate::timeout;

/// How many tasks are sent whose results nobody has taken yet; for input that may have no end.
const WINDOW: usize = 512;

/// The results of calls, one by one, in the order of the items.
// py: multiprocessing.pool.IMapIterator
#[pyclass(frozen, subclass, weakref, module = "manyhands.multiprocessing.pool")]
pub(crate) struct IMapIterator {
    source: Source,
    callee: Callee,
    /// What is to be there for the calls, if it is not in what is sent.
    context: Submitted,
    shape: Shape,
    /// How many items a task has.
    chunk: usize,
    ordered: bool,
    /// Whether items are sent by a thread of its own, as taking one may take its time.
    has_thread: bool,
    /// All is to be sent, whether results are taken or not.
    lifted: AtomicBool,
    /// Changes when there is more room to send; its thread sleeps on it.
    room: AtomicU32,
    /// That there is more to take, where threads bring it about.
    news: News,
    /// Who shows how far it is counts by that, too.
    tally: Option<Py<Tally>>,
    /// What the last messages had.
    repeats: Repeats,
    state: Mutex<State>,
}

/// The same in the order in which they come.
// py: multiprocessing.pool.IMapUnorderedIterator
#[pyclass(frozen, extends = IMapIterator, module = "manyhands.multiprocessing.pool")]
pub(crate) struct IMapUnorderedIterator;

type Outcome = Result<Py<PyAny>, Py<PyAny>>;

#[derive(Default)]
struct State {
    items: VecDeque<Outcome>,
    /// What came before those that precede it.
    early: HashMap<usize, Outcome>,
    /// How many have been put into `items`, and how many of them were taken.
    come: usize,
    taken: usize,
    /// How many tasks were sent, and how many there are, when that is known.
    sent: usize,
    length: Option<usize>,
    /// The task that has fewer items than the others, and how many.
    short: Option<(usize, usize)>,
    pool: Option<Py<PyAny>>,
}

impl State {
    /// Whether all outcomes have come.
    fn is_complete(&self) -> bool {
        self.length.is_some_and(|length| self.come >= length)
    }
}

/// An iterator of this kind.
pub(super) struct Imap(Py<IMapIterator>);

impl Imap {
    pub(super) fn again(&self, py: Python<'_>) -> Imap {
        Imap(self.0.clone_ref(py))
    }

    /// Begins one: of an iterator that is asked here, or else by a thread.
    #[expect(clippy::too_many_arguments, reason = "as many as Python's method has")]
    pub(super) fn begin<'py>(
        source: Source,
        pool: Bound<'py, PyAny>,
        function: &Bound<'py, PyAny>,
        iterator: Option<Bound<'py, PyIterator>>,
        chunk: usize,
        ordered: bool,
        options: Option<Bound<'py, Options>>,
        tally: Option<Py<Tally>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = pool.py();
        let shape = if chunk > 1 { Shape::Each } else { Shape::One };
        let callee = source.callee(function, shape, options)?;
        let context = source.context(py)?;
        let has_thread = iterator.is_none();
        let base = IMapIterator {
            source,
            callee,
            context,
            shape,
            chunk,
            ordered,
            has_thread,
            lifted: AtomicBool::new(false),
            room: AtomicU32::new(0),
            news: News::new(),
            tally,
            repeats: Repeats::default(),
            state: Mutex::new(State { pool: Some(pool.unbind()), ..State::default() }),
        };
        let made = PyClassInitializer::from(base);
        let (object, base) = if ordered {
            let object = Bound::new(py, made)?;
            (object.clone().into_any(), object)
        } else {
            let object = Bound::new(py, made.add_subclass(IMapUnorderedIterator))?;
            let base = object.as_super().clone();
            (object.into_any(), base)
        };
        let imap = Imap(base.unbind());
        let feeding = imap.again(py);
        locked(imap.0.get().source.feeding()).push(feeding);
        if let Some(mut iterator) = iterator {
            imap.send_all(py, &mut iterator)?;
        }
        Ok(object)
    }

    pub(super) fn function(&self, py: Python<'_>) -> Py<PyAny> {
        self.0.get().callee.function.clone_ref(py)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        locked(&self.0.get().state)
    }

    /// Sends all that there is.
    fn send_all(&self, py: Python<'_>, iterator: &mut Bound<'_, PyIterator>) -> PyResult<()> {
        let sent = loop {
            match self.take(iterator) {
                Ok(Some(object)) => match self.send_one(object) {
                    Ok(()) => {}
                    Err(why) => break Err(why),
                },
                Ok(None) => break Ok(()),
                Err(why) => {
                    self.stop(why.value(py).as_any());
                    let is_fatal = !why.is_instance_of::<PyException>(py);
                    break if is_fatal { Err(why) } else { Ok(()) };
                }
            }
        };
        self.finish(py);
        sent
    }

    /// Whether there may be more to send, and room for it.
    fn has_room(&self) -> bool {
        let state = self.state();
        let this = self.0.get();
        state.length.is_none()
            && (state.sent - state.taken < WINDOW
                || !this.source.has_window()
                || this.lifted.load(Ordering::Acquire))
    }

    /// Sends one task; what goes wrong with it is its outcome.
    fn send_one(&self, object: Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (object.py(), self.0.get());
        let items = if this.chunk == 1 { 1 } else { object.len()? };
        let index = {
            let mut state = self.state();
            if state.length.is_some() {
                // The pool has ended, and so has this.
                return Ok(());
            }
            if items < this.chunk {
                state.short = Some((state.sent, items));
            }
            state.sent += 1;
            state.sent - 1
        };
        this.each_tally(|tally| tally.submit(items));
        let callee = (&this.callee, &this.context);
        let sent =
            this.source.send(callee, this.shape, object, self.again(py), index, &this.repeats);
        let Err(why) = sent else { return Ok(()) };
        self.deliver(index, Err(why.value(py).clone().into_any()));
        this.source.nudge(py, &this.news);
        if this.source.has_ended() {
            self.finish(py);
        }
        // That of a signal handler is for the main thread, too.
        if why.is_instance_of::<PyException>(py) || this.has_thread { Ok(()) } else { Err(why) }
    }

    /// What the next task is of.
    fn take<'py>(
        &self,
        iterator: &mut Bound<'py, PyIterator>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let chunk = self.0.get().chunk;
        if chunk == 1 {
            return iterator.next().transpose();
        }
        let items = take(iterator, chunk)?;
        Ok(if items.len()? > 0 { Some(items) } else { None })
    }

    /// The last outcome is that, after those of all that was sent.
    pub(super) fn stop(&self, why: &Bound<'_, PyAny>) {
        let index = {
            let mut state = self.state();
            if state.length.is_some() {
                return;
            }
            state.sent += 1;
            state.length = Some(state.sent);
            state.sent - 1
        };
        self.put(index, Err(why.clone()));
        self.wake();
    }

    /// All was sent.
    fn finish(&self, py: Python<'_>) {
        let this = self.0.get();
        let dropped = {
            let mut state = self.state();
            let length = state.length.unwrap_or(state.sent);
            state.length = Some(length);
            if state.come >= length { state.pool.take() } else { None }
        };
        drop(dropped);
        this.repeats.clear();
        let done = {
            let mut feeding = locked(this.source.feeding());
            let index = feeding.iter().position(|each| each.0.is(&self.0));
            index.map(|index| feeding.swap_remove(index))
        };
        drop(done);
        // Somebody may wait for results of which there will be no more.
        this.source.nudge(py, &this.news);
        if let Err(why) = this.source.close_if_fed(py) {
            why.write_unraisable(py, None);
        }
    }

    /// Has its thread send all that there is.
    pub(super) fn lift(&self) {
        self.0.get().lifted.store(true, Ordering::Release);
        self.wake();
    }

    /// Has its thread look again.
    fn wake(&self) {
        let this = self.0.get();
        this.room.fetch_add(1, Ordering::AcqRel);
        futex::wake_shared(&this.room, 1);
    }

    /// The outcome of a task.
    pub(super) fn deliver(
        &self,
        index: usize,
        outcome: Result<Bound<'_, PyAny>, Bound<'_, PyAny>>,
    ) {
        let this = self.0.get();
        let is_short = |(short, _): &(usize, usize)| *short == index;
        let short = if this.chunk == 1 { None } else { self.state().short.filter(is_short) };
        let items = short.map_or(this.chunk, |(_, items)| items);
        let well = outcome.is_ok();
        this.each_tally(|tally| tally.settle(items, well));
        self.put(index, outcome);
    }

    fn put(&self, index: usize, outcome: Result<Bound<'_, PyAny>, Bound<'_, PyAny>>) {
        let outcome = outcome.map(Bound::unbind).map_err(Bound::unbind);
        let mut state = self.state();
        let mut pool = None;
        if !self.0.get().ordered || index == state.come {
            state.items.push_back(outcome);
            state.come += 1;
            loop {
                let come = state.come;
                let Some(outcome) = state.early.remove(&come) else { break };
                state.items.push_back(outcome);
                state.come += 1;
            }
        } else {
            state.early.insert(index, outcome);
        }
        if state.is_complete() {
            pool = state.pool.take();
        }
        drop(state);
        self.0.get().news.tell();
        drop(pool);
    }

    /// The iterator, for the collector.
    pub(super) fn object(&self) -> &Py<IMapIterator> {
        &self.0
    }
}

impl IMapIterator {
    fn imap(slf: &Bound<'_, Self>) -> Imap {
        Imap(slf.clone().unbind())
    }

    fn each_tally(&self, count: impl Fn(&Tally)) {
        count(self.source.tally());
        if let Some(tally) = &self.tally {
            count(tally.get());
        }
    }
}

#[pymethods]
impl IMapIterator {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::next(slf, None)
    }

    /// Return the next result, or raise its exception; `multiprocessing.TimeoutError` if there is none
    /// after `timeout` seconds.
    // py: multiprocessing.pool.IMapIterator.next
    #[pyo3(signature = (timeout=None))]
    fn next(slf: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let mut waited = false;
        loop {
            let (item, taken, ended) = {
                let mut state = locked(&this.state);
                let item = state.items.pop_front();
                state.taken += usize::from(item.is_some());
                (item, state.taken, state.is_complete())
            };
            // Often enough for its thread never to want for room.
            if item.is_some() && this.has_thread && taken % (WINDOW / 4) == 0 {
                Self::imap(slf).wake();
            }
            match item {
                Some(Ok(value)) => return Ok(value),
                Some(Err(why)) => return Err(PyErr::from_value(why.into_bound(py))),
                None if ended => return Err(PyStopIteration::new_err(())),
                None if waited => return Err(timed_out(py)),
                None => {}
            }
            let is_over = || {
                let state = locked(&this.state);
                !state.items.is_empty() || state.is_complete()
            };
            let limit = timeout::optional(timeout)?;
            let awaited = (slf.as_any(), None, true);
            waited = !this.source.advance(py, &this.news, limit, &is_over, awaited)?;
        }
    }

    /// How many results have come, in their order if that counts; programs show progress by it.
    // py: multiprocessing.pool.IMapIterator._index
    #[getter]
    fn _index(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let this = slf.get();
        let awaited = (slf.as_any(), None, true);
        this.source.advance(slf.py(), &this.news, Limit::Never, &|| false, awaited)?;
        Ok(locked(&this.state).come)
    }

    /// How many there will be, once that is known.
    // py: multiprocessing.pool.IMapIterator._length
    #[getter]
    fn _length(&self) -> Option<usize> {
        locked(&self.state).length
    }

    /// Waits until there is room for one more task; False if no more are wanted.
    fn _has_room(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, this, imap) = (slf.py(), slf.get(), Self::imap(slf));
        loop {
            let seen = this.room.load(Ordering::Acquire);
            if imap.has_room() {
                return Ok(true);
            }
            if locked(&this.state).length.is_some() {
                return Ok(false);
            }
            Outside(py).pause(&this.room, seen, Deadline::after(RECHECK))?;
        }
    }

    /// Sends a task: what its thread does.
    fn _send(slf: &Bound<'_, Self>, object: Bound<'_, PyAny>) -> PyResult<()> {
        Self::imap(slf).send_one(object)
    }

    /// All was sent; the last outcome is that exception, if there is one.
    #[pyo3(signature = (why=None))]
    fn _finish(slf: &Bound<'_, Self>, why: Option<Bound<'_, PyAny>>) {
        let (py, imap) = (slf.py(), Self::imap(slf));
        if let Some(why) = why {
            imap.stop(&why);
        }
        imap.finish(py);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.source.held())?;
        visit.call(&self.callee.function)?;
        self.context.traverse(&visit)?;
        let Ok(state) = self.state.try_lock() else { return Ok(()) };
        for outcome in state.items.iter().chain(state.early.values()) {
            match outcome {
                Ok(object) | Err(object) => visit.call(object)?,
            }
        }
        visit.call(&state.pool)
    }

    fn __clear__(&self) {
        let state = std::mem::take(&mut *locked(&self.state));
        drop(state);
    }
}
