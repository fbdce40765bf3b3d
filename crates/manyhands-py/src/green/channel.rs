//! `manyhands.gevent.queue.Channel`

use std::collections::VecDeque;

use manyhands_green::{Line, Wakeable};
use manyhands_sync::{Exclusion, Protected};
use pyo3::exceptions::{PyStopIteration, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::items::advance;
use super::method::{self, function, this};
use super::park::{self, Woken};
use super::passing::Wait;
use super::waiting::{Patience, Waiter};
use super::{api, home};
use crate::exclusion::Interpreter;
use crate::queue::Failure;

/// Passes items from hand to hand: who puts one waits until somebody has got it.
// py: gevent.queue.Channel
#[pyclass(frozen, weakref, subclass, module = "manyhands.gevent.queue")]
pub(crate) struct Channel(<Interpreter as Exclusion>::Cell<State>);

struct State {
    getters: Line<Waiter, ()>,
    /// What is offered, and by whom; by nobody who waits if the hub's greenlet did.
    offers: VecDeque<(Option<Waiter>, Py<PyAny>)>,
}

impl State {
    /// Takes back what somebody offers; nothing if somebody has got it.
    fn take_back(&mut self, waiter: &Waiter) -> Option<Py<PyAny>> {
        let at = self.offers.iter().position(|(other, _)| other.as_ref() == Some(waiter))?;
        self.offers.remove(at).map(|(_, item)| item)
    }
}

impl Channel {
    /// Takes the oldest offer, and lets go on who made it.
    fn take<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let item = self.0.with(|state| {
            let (waiter, item) = state.offers.pop_front()?;
            if let Some(waiter) = waiter {
                waiter.wake();
            }
            Some(item)
        });
        item.map(|item| item.into_bound(py))
    }

    fn put<'py>(&self, item: Borrowed<'_, 'py, PyAny>, wait: Wait<'_, 'py>) -> PyResult<()> {
        let py = item.py();
        let offer = item.to_owned().unbind();
        if home::is_hub(&api::current(py)?) {
            let refused = self.0.with(|state| {
                // To as many as wait, as these are sure to come.
                if state.getters.len() + state.getters.on_their_way() <= state.offers.len() {
                    return Some(offer);
                }
                state.offers.push_back((None, offer));
                advance(&mut state.getters, state.offers.len());
                None
            });
            let Some(offer) = refused else { return Ok(()) };
            drop(offer.into_bound(py));
            return Err(Failure::Full.raise(py));
        }
        let patience = patience(wait)?;
        let waiter = match Waiter::greenlet(py) {
            Ok(waiter) => waiter,
            Err(error) => {
                drop(offer.into_bound(py));
                return Err(error);
            }
        };
        self.0.with(|state| {
            state.offers.push_back((Some(waiter.clone()), offer));
            advance(&mut state.getters, state.offers.len());
        });
        let waited = waiter.wait(py, &patience);
        let left = self.0.with(|state| state.take_back(&waiter));
        drop(left.map(|item| item.into_bound(py)));
        patience.stop(py)?;
        match waited {
            Ok(Woken::Notified) => Ok(()),
            Ok(Woken::TimedOut) => Err(Failure::Full.raise(py)),
            Err(thrown) => Err(thrown.error),
        }
    }

    fn get<'py>(&self, py: Python<'py>, wait: Wait<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(item) = self.take(py) {
            return Ok(item);
        }
        if home::is_hub(&api::current(py)?) {
            return Err(Failure::Empty.raise(py));
        }
        let patience = patience(wait)?;
        let got = self.get_in_line(py, &patience);
        patience.stop(py)?;
        got
    }

    fn get_in_line<'py>(
        &self,
        py: Python<'py>,
        patience: &Patience<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut came_before = false;
        loop {
            let waiter = Waiter::greenlet(py)?;
            self.0.with(|state| {
                if came_before {
                    state.getters.come_back(waiter.clone());
                } else {
                    state.getters.enter(waiter.clone());
                }
                advance(&mut state.getters, state.offers.len());
            });
            let waited = waiter.wait(py, patience);
            self.0.with(|state| match &waited {
                Ok(Woken::Notified) => state.getters.arrive(),
                Err(thrown) => {
                    if thrown.notified {
                        state.getters.arrive();
                    } else {
                        state.getters.leave(&waiter);
                    }
                    advance(&mut state.getters, state.offers.len());
                }
                Ok(Woken::TimedOut) => drop(state.getters.leave(&waiter)),
            });
            match waited {
                Ok(Woken::Notified) => match self.take(py) {
                    Some(item) => return Ok(item),
                    None => came_before = true,
                },
                Ok(Woken::TimedOut) => return Err(Failure::Empty.raise(py)),
                Err(thrown) => return Err(thrown.error),
            }
        }
    }
}

/// Who does not block gives others one turn.
fn patience<'py>(wait: Wait<'_, 'py>) -> PyResult<Patience<'py>> {
    if wait.block {
        return Patience::new(wait.timeout);
    }
    Ok(Patience::Until(std::time::Instant::now()))
}

#[pymethods]
impl Channel {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=1)")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Channel {
        Channel(Protected::new(State { getters: Line::new(), offers: VecDeque::new() }))
    }

    #[pyo3(signature = (maxsize=1))]
    fn __init__(&self, maxsize: isize) -> PyResult<()> {
        if maxsize == 1 {
            return Ok(());
        }
        Err(PyValueError::new_err("Channels have a maxsize of 1"))
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        class.py().import("types")?.getattr("GenericAlias")?.call1((class, item))
    }

    /// How many more wait to put than to get.
    // py: gevent.queue.Channel.balance
    #[getter]
    fn balance(&self) -> isize {
        self.0.with(|state| state.offers.len() as isize - state.getters.len() as isize)
    }

    /// This thread's hub.
    #[getter]
    fn hub(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        park::hub(py).map(|here| here.greenlet)
    }

    /// 0: it keeps nothing.
    // py: gevent.queue.Channel.qsize
    fn qsize(&self) -> usize {
        0
    }

    /// True.
    // py: gevent.queue.Channel.empty
    fn empty(&self) -> bool {
        true
    }

    /// True.
    // py: gevent.queue.Channel.full
    fn full(&self) -> bool {
        true
    }

    fn _format(&self) -> String {
        let (getters, putters) = self.0.with(|state| (state.getters.len(), state.offers.len()));
        let named = [("getters", getters), ("putters", putters)];
        let named = named.iter().filter(|(_, count)| *count > 0);
        named.map(|(name, count)| format!(" {name}[{count}]")).collect()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (name, address) = (slf.get_type().name()?, slf.as_ptr() as usize);
        Ok(format!("<{name} at {address:#x} {}>", slf.get()._format()))
    }

    fn __str__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<{} {}>", slf.get_type().name()?, slf.get()._format()))
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.with(|state| state.offers.iter().try_for_each(|(_, item)| visit.call(item)))
    }

    fn __clear__(&self) {
        let offers = self.0.with(|state| std::mem::take(&mut state.offers));
        drop(offers);
    }
}

// py: gevent.queue.Channel.put
function!(
    Put,
    c"put",
    c"put($self, item, block=True, timeout=None)\n--\n\nOffer an item, and wait until somebody has got it, as long as it takes (timeout None) or so many seconds, then\nraise Full. If `block` is false, only those are waited for who get one now.",
    ["item", "block", "timeout"],
    1,
    |object, arguments| {
        let py = object.py();
        let wait = Wait { block: arguments.flag(1, true)?, timeout: arguments.some(2) };
        if let Some(item) = arguments.get(0) {
            this::<Channel>(object).get().put(item, wait)?;
        }
        Ok(py.None().into_bound(py))
    }
);

// py: gevent.queue.Channel.put_nowait
function!(
    PutNowait,
    c"put_nowait",
    c"put_nowait($self, item)\n--\n\nThe same as put(item, False).",
    ["item"],
    1,
    |object, arguments| {
        let py = object.py();
        if let Some(item) = arguments.get(0) {
            this::<Channel>(object).get().put(item, Wait { block: false, timeout: None })?;
        }
        Ok(py.None().into_bound(py))
    }
);

// py: gevent.queue.Channel.get
function!(
    Get,
    c"get",
    c"get($self, block=True, timeout=None)\n--\n\nWait for an item that somebody offers, as long as it takes (timeout None) or so many seconds, then raise Empty. If\n`block` is false, only those are waited for who offer one now.",
    ["block", "timeout"],
    0,
    |object, arguments| {
        let wait = Wait { block: arguments.flag(0, true)?, timeout: arguments.some(1) };
        this::<Channel>(object).get().get(object.py(), wait)
    }
);

// py: gevent.queue.Channel.get_nowait
function!(
    GetNowait,
    c"get_nowait",
    c"get_nowait($self, /)\n--\n\nThe same as get(False).",
    [],
    0,
    |object, _arguments| {
        this::<Channel>(object).get().get(object.py(), Wait { block: false, timeout: None })
    }
);

// py: gevent.queue.Channel.__next__
function!(
    Next,
    c"__next__",
    c"__next__($self, /)\n--\n\nThe same as get(), until that returns the class StopIteration.",
    [],
    0,
    |object, _arguments| {
        let py = object.py();
        let item = this::<Channel>(object).get().get(py, Wait { block: true, timeout: None })?;
        if item.is(py.get_type::<PyStopIteration>()) {
            return Err(PyStopIteration::new_err(()));
        }
        Ok(item)
    }
);

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Channel>()?;
    let class = module.py().get_type::<Channel>();
    method::add_method::<Put>(&class)?;
    method::add_method::<PutNowait>(&class)?;
    method::add_method::<Get>(&class)?;
    method::add_method::<GetNowait>(&class)?;
    method::add_method::<Next>(&class)?;
    class.setattr("next", class.getattr("__next__")?)
}
