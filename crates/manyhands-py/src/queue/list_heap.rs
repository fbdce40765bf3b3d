//! The heap of an open `PriorityQueue`: a list, with the steps of [`manyhands_queue::heap`].

use manyhands_queue::heap;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Puts an item in; if a comparison raises, nothing has moved.
pub(super) fn push(list: &Bound<'_, PyList>, item: Bound<'_, PyAny>) -> PyResult<()> {
    let place = heap::push_place(list.len(), |at| item.lt(list.get_item(at)?))?;
    insert(list, item, place)
}

/// Takes the least item out of a list that is not empty; if a comparison raises, nothing has moved.
pub(super) fn pop<'py>(list: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
    let less = |i, j| list.get_item(i)?.lt(list.get_item(j)?);
    let place = heap::pop_place(list.len(), less)?;
    remove(list, place)
}

/// As [`heap::push`], on a list.
fn insert(list: &Bound<'_, PyList>, item: Bound<'_, PyAny>, place: usize) -> PyResult<()> {
    let mut hole = list.len();
    list.append(&item)?;
    while hole > place {
        let parent = (hole - 1) / 2;
        list.set_item(hole, list.get_item(parent)?)?;
        hole = parent;
    }
    list.set_item(hole, item)
}

/// As [`heap::pop`], on a list that is not empty.
fn remove<'py>(list: &Bound<'py, PyList>, place: usize) -> PyResult<Bound<'py, PyAny>> {
    let mut moving = list.call_method0(intern!(list.py(), "pop"))?;
    if list.is_empty() {
        return Ok(moving);
    }
    let mut hole = place;
    loop {
        let next = list.get_item(hole)?;
        list.set_item(hole, moving)?;
        moving = next;
        if hole == 0 {
            return Ok(moving);
        }
        hole = (hole - 1) / 2;
    }
}
