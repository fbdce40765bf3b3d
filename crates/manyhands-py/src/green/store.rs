//! Where a queue keeps its items, and in which order they leave.

use std::collections::VecDeque;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;

/// In which order items leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The oldest first.
    Fifo,
    /// The newest first.
    Lifo,
    /// The least first.
    Least,
}

/// The items of a queue.
pub(super) enum Store {
    /// The oldest first, and nobody has asked for the container.
    Native(VecDeque<Py<PyAny>>),
    /// A container that programs see as `queue`: a deque, a list, a heap in a list, or what a subclass has put there.
    Open(Py<PyAny>),
}

impl Order {
    /// What a new queue keeps those items in.
    pub(super) fn store(self, items: &Bound<'_, PyAny>) -> PyResult<Store> {
        match self {
            Order::Fifo => items
                .try_iter()?
                .map(|it| it.map(Bound::unbind))
                .collect::<PyResult<_>>()
                .map(Store::Native),
            Order::Lifo | Order::Least => Ok(Store::Open(self.container(items)?.unbind())),
        }
    }

    /// A container as programs see it, with those items.
    pub(super) fn container<'py>(self, items: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        static DEQUE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static HEAPIFY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = items.py();
        if self == Order::Fifo {
            return DEQUE.import(py, "collections", "deque")?.call1((items,));
        }
        let list = py.get_type::<PyList>().call1((items,))?;
        if self == Order::Least {
            HEAPIFY.import(py, "heapq", "heapify")?.call1((&list,))?;
        }
        Ok(list)
    }

    /// Puts an item into a container.
    pub(super) fn put(self, container: &Bound<'_, PyAny>, item: &Bound<'_, PyAny>) -> PyResult<()> {
        static PUSH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = container.py();
        match (self, container.cast_exact::<PyList>()) {
            (Order::Least, _) => {
                PUSH.import(py, "heapq", "heappush")?.call1((container, item)).map(drop)
            }
            (_, Ok(list)) => list.append(item),
            (_, Err(_)) => container.call_method1(intern!(py, "append"), (item,)).map(drop),
        }
    }

    /// Takes the next item out of a container.
    pub(super) fn take<'py>(self, container: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        static POP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = container.py();
        match self {
            Order::Fifo => container.call_method0(intern!(py, "popleft")),
            Order::Lifo => container.call_method0(intern!(py, "pop")),
            Order::Least => POP.import(py, "heapq", "heappop")?.call1((container,)),
        }
    }

    /// The next item of a container.
    pub(super) fn peek<'py>(self, container: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        container.get_item(if self == Order::Lifo { -1 } else { 0 })
    }
}
