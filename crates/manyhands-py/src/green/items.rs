//! What is in a queue: native while nobody looks at the container, and no subclass has its own ways.

use std::collections::VecDeque;

use manyhands_green::Line;
use manyhands_sync::Protected;
use pyo3::exceptions::PyDeprecationWarning;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};

use super::queues::{LifoQueue, PriorityQueue, Queue};
use super::simple_queue::SimpleQueue;
use super::store::{Order, Store};
use super::waiting::Waiter;
use crate::queue::Failure;

/// What a queue is made of.
pub(super) struct State {
    pub(super) store: Store,
    pub(super) maxsize: Option<usize>,
    /// A subclass has its own way to put, get or count items.
    pub(super) is_hooked: bool,
    pub(super) is_shut: bool,
    pub(super) unfinished: usize,
    pub(super) getters: Line<Waiter, ()>,
    pub(super) putters: Line<Waiter, ()>,
    /// What each of them has to put, also of those that were woken for room and have not had their turn: a native queue
    /// that is empty takes it from here. So who gets need not wait for those who put.
    pub(super) offers: VecDeque<(Waiter, Py<PyAny>)>,
    pub(super) joiners: Line<Waiter, ()>,
}

/// Those methods that a subclass may have its own of, so that it decides what is in the queue.
const HOOKS: [&str; 4] = ["_qsize", "_put", "_get", "_peek"];

/// Those that make the container.
const MAKERS: [&str; 2] = ["_init", "_create_queue"];

impl State {
    /// How many more fit in, if there are so many.
    #[inline]
    pub(super) fn free(&self, size: usize) -> usize {
        self.maxsize.map_or(usize::MAX, |maxsize| maxsize.saturating_sub(size))
    }

    /// Takes back what somebody offers; nothing if it was put already.
    pub(super) fn take_back(&mut self, waiter: &Waiter) -> Option<Py<PyAny>> {
        let at = self.offers.iter().position(|(other, _)| other == waiter)?;
        self.offers.remove(at).map(|(_, item)| item)
    }
}

/// Wakes as many in the line as there is something for.
#[inline(always)]
pub(super) fn advance(line: &mut Line<Waiter, ()>, most: usize) {
    // There are no links in it that anybody would have to call.
    let _ = line.advance(u64::MAX, most);
}

impl SimpleQueue {
    pub(super) fn make(order: Order, counts: bool) -> SimpleQueue {
        let cell = Protected::new(State {
            store: Store::Native(VecDeque::new()),
            maxsize: None,
            is_hooked: false,
            is_shut: false,
            unfinished: 0,
            getters: Line::new(),
            putters: Line::new(),
            offers: VecDeque::new(),
            joiners: Line::new(),
        });
        SimpleQueue { order, counts, cell }
    }

    /// What `__init__` does.
    pub(super) fn init(
        this: &Bound<'_, Self>,
        maxsize: Option<isize>,
        items: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (py, queue) = (this.py(), this.get());
        if maxsize == Some(0) {
            let message =
                c"Queue(0) now equivalent to Queue(None); if you want a channel, use Channel";
            PyErr::warn(py, &py.get_type::<PyDeprecationWarning>(), message, 1)?;
        }
        let maxsize = maxsize.filter(|maxsize| *maxsize > 0);
        let class = this.get_type();
        let is_ours = [
            py.get_type::<SimpleQueue>(),
            py.get_type::<Queue>(),
            py.get_type::<LifoQueue>(),
            py.get_type::<PriorityQueue>(),
        ];
        let is_ours = is_ours.iter().any(|other| other.is(&class));
        let is_hooked = !is_ours && overrides(&class, &HOOKS)?;
        queue.cell.with(|state| {
            state.is_hooked = is_hooked;
            state.maxsize = maxsize.and_then(|maxsize| usize::try_from(maxsize).ok());
        });
        if is_ours || !overrides(&class, &MAKERS)? {
            return SimpleQueue::fill(this, items);
        }
        // A subclass that was written for the standard library's takes no items.
        let init = this.as_any().getattr(intern!(py, "_init"))?;
        if items.is_truthy()? { init.call1((maxsize, items)) } else { init.call1((maxsize,)) }?;
        Ok(())
    }

    pub(super) fn fill(this: &Bound<'_, Self>, items: &Bound<'_, PyAny>) -> PyResult<()> {
        let store = this.get().order.store(items)?;
        this.get().replace(this.py(), store);
        Ok(())
    }

    pub(super) fn replace(&self, py: Python<'_>, store: Store) {
        match self.cell.with(|state| std::mem::replace(&mut state.store, store)) {
            Store::Native(items) => items.into_iter().for_each(|item| drop(item.into_bound(py))),
            Store::Open(container) => drop(container.into_bound(py)),
        }
    }

    /// The container, if it is open.
    pub(super) fn open_one<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let container = self.cell.with(|state| match &state.store {
            Store::Open(container) => Some(container.clone_ref(py)),
            Store::Native(_) => None,
        });
        container.map(|container| container.into_bound(py))
    }

    /// The items as they are, in a list or in the container.
    pub(super) fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(container) = self.open_one(py) {
            return Ok(container);
        }
        let items: Vec<Py<PyAny>> = self.cell.with(|state| match &state.store {
            Store::Native(items) => items.iter().map(|item| item.clone_ref(py)).collect(),
            Store::Open(_) => Vec::new(),
        });
        Ok(PyList::new(py, items.into_iter().map(|item| item.into_bound(py)))?.into_any())
    }

    /// How many items there are.
    #[inline]
    pub(super) fn size(this: &Bound<'_, Self>) -> PyResult<usize> {
        let native = this.get().cell.with(|state| match &state.store {
            Store::Native(items) if !state.is_hooked => Some(items.len()),
            _ => None,
        });
        native.map_or_else(|| SimpleQueue::size_by_hook(this), Ok)
    }

    fn size_by_hook(this: &Bound<'_, Self>) -> PyResult<usize> {
        if this.get().cell.with(|state| state.is_hooked) {
            return this.as_any().call_method0(intern!(this.py(), "_qsize"))?.extract();
        }
        this.get().plain_size(this.py())
    }

    pub(super) fn plain_size(&self, py: Python<'_>) -> PyResult<usize> {
        match self.open_one(py) {
            Some(container) => container.len(),
            None => Ok(self.cell.with(|state| match &state.store {
                Store::Native(items) => items.len(),
                Store::Open(_) => 0,
            })),
        }
    }

    pub(super) fn plain_put(&self, item: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.open_one(item.py()) {
            Some(container) => self.order.put(&container, item)?,
            None => {
                let item = item.clone().unbind();
                self.cell.with(|state| {
                    if let Store::Native(items) = &mut state.store {
                        items.push_back(item);
                    }
                });
            }
        }
        self.cell.with(|state| state.unfinished += usize::from(self.counts));
        Ok(())
    }

    pub(super) fn plain_get<'py>(
        &self,
        py: Python<'py>,
        takes: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(container) = self.open_one(py) {
            return if takes { self.order.take(&container) } else { self.order.peek(&container) };
        }
        let item = self.cell.with(|state| match &mut state.store {
            Store::Native(items) if takes => items.pop_front(),
            Store::Native(items) => items.front().map(|item| item.clone_ref(py)),
            Store::Open(_) => None,
        });
        item.map(|item| item.into_bound(py)).ok_or_else(|| Failure::Empty.raise(py))
    }

    /// Puts the item in if it fits, and wakes who waits for one. False if it does not.
    #[inline(always)]
    pub(super) fn try_put(this: &Bound<'_, Self>, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        let queue = this.get();
        let put = queue.cell.with(|state| {
            if state.is_shut || state.is_hooked {
                return None;
            }
            let Store::Native(items) = &mut state.store else { return None };
            if state.maxsize.is_some_and(|maxsize| items.len() >= maxsize) {
                return Some(false);
            }
            items.push_back(item.clone().unbind());
            state.unfinished += usize::from(queue.counts);
            if !state.getters.is_empty() {
                advance(&mut state.getters, items.len());
            }
            Some(true)
        });
        put.map_or_else(|| SimpleQueue::try_put_open(this, item), Ok)
    }

    fn try_put_open(this: &Bound<'_, Self>, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (py, queue) = (this.py(), this.get());
        if queue.cell.with(|state| state.is_shut) {
            return Err(Failure::ShutDown.raise(py));
        }
        if queue.cell.with(|state| state.maxsize.is_some()) {
            let size = SimpleQueue::size(this)?;
            if queue.cell.with(|state| state.free(size)) == 0 {
                return Ok(false);
            }
        }
        if queue.cell.with(|state| state.is_hooked) {
            this.as_any().call_method1(intern!(py, "_put"), (item,))?;
        } else {
            queue.plain_put(item)?;
        }
        SimpleQueue::advance_getters(this)?;
        Ok(true)
    }

    /// The next item, taken out if that is said; and wakes who waits for room. `None` if there is none.
    #[inline(always)]
    pub(super) fn try_get<'py>(
        this: &Bound<'py, Self>,
        takes: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, queue) = (this.py(), this.get());
        let got = queue.cell.with(|state| {
            if state.is_hooked {
                return None;
            }
            let Store::Native(items) = &mut state.store else { return None };
            if items.is_empty()
                && !state.is_shut
                && let Some((waiter, item)) = state.offers.pop_front()
            {
                state.putters.call_out(&waiter);
                items.push_back(item);
                state.unfinished += usize::from(queue.counts);
            }
            if !takes {
                return Some(items.front().map(|item| item.clone_ref(py)));
            }
            let item = items.pop_front();
            if !state.putters.is_empty() {
                let size = items.len();
                let free = state.free(size);
                advance(&mut state.putters, free);
            }
            Some(item)
        });
        match got {
            Some(item) => Ok(item.map(|item| item.into_bound(py))),
            None => SimpleQueue::try_get_open(this, takes),
        }
    }

    fn try_get_open<'py>(
        this: &Bound<'py, Self>,
        takes: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, queue) = (this.py(), this.get());
        if SimpleQueue::size(this)? == 0 {
            return Ok(None);
        }
        let is_hooked = queue.cell.with(|state| state.is_hooked);
        let item = match (is_hooked, takes) {
            (true, true) => this.as_any().call_method0(intern!(py, "_get"))?,
            (true, false) => this.as_any().call_method0(intern!(py, "_peek"))?,
            (false, _) => queue.plain_get(py, takes)?,
        };
        if takes {
            SimpleQueue::advance_putters(this)?;
        }
        Ok(Some(item))
    }

    /// Wakes who waits for items, if there are any.
    pub(super) fn advance_getters(this: &Bound<'_, Self>) -> PyResult<()> {
        if this.get().cell.with(|state| !state.getters.is_empty()) {
            let size = SimpleQueue::size(this)?;
            this.get().cell.with(|state| advance(&mut state.getters, size));
        }
        Ok(())
    }

    /// Wakes who waits for room, if there is any.
    pub(super) fn advance_putters(this: &Bound<'_, Self>) -> PyResult<()> {
        if this.get().cell.with(|state| !state.putters.is_empty()) {
            let size = SimpleQueue::size(this)?;
            this.get().cell.with(|state| {
                let free = state.free(size);
                advance(&mut state.putters, free);
            });
        }
        Ok(())
    }

    pub(super) fn describe(this: &Bound<'_, Self>) -> PyResult<String> {
        let (py, queue) = (this.py(), this.get());
        let mut text = String::new();
        let (maxsize, unfinished, getters, putters) = queue.cell.with(|state| {
            (state.maxsize, state.unfinished, state.getters.len(), state.putters.len())
        });
        if let Some(maxsize) = maxsize {
            text.push_str(&format!(" maxsize={maxsize}"));
        }
        let items = queue.items(py)?;
        if items.is_truthy()? {
            let is_open = queue.open_one(py).is_some();
            let items = if is_open { items } else { queue.order.container(&items)? };
            text.push_str(&format!(" queue={}", items.repr()?));
        }
        for (name, count) in [("getters", getters), ("putters", putters)] {
            if count > 0 {
                text.push_str(&format!(" {name}[{count}]"));
            }
        }
        if unfinished > 0 {
            text.push_str(&format!(" tasks={unfinished}"));
        }
        Ok(text)
    }
}

/// Whether a subclass has its own of one of these methods.
pub(super) fn overrides(class: &Bound<'_, PyType>, names: &[&str]) -> PyResult<bool> {
    let ours = class.py().get_type::<SimpleQueue>();
    for name in names {
        if !class.getattr(*name)?.is(&ours.getattr(*name)?) {
            return Ok(true);
        }
    }
    Ok(false)
}
