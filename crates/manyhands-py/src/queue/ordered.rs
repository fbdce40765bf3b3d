//! The heap of `PriorityQueue`: its comparisons are made in Rust where they can, in Python where
//! they must.

use std::cmp::Ordering;

use manyhands_queue::{Store, heap};
use manyhands_sys::fork;
use manyhands_sys::thread::ThreadId;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyTuple};

/// An item and what is known of its order without asking Python.
pub(crate) struct Entry {
    pub(crate) item: Py<PyAny>,
    key: Key,
}

#[derive(Clone, Copy)]
enum Key {
    Int(i64),
    Float(f64),
    /// A tuple that begins with one or two integers.
    Tuple(i64, Option<i64>),
    /// Only Python can compare it.
    Opaque,
}

fn small_int(object: &Bound<'_, PyAny>) -> Option<i64> {
    object.cast_exact::<PyInt>().ok()?.extract().ok()
}

impl Entry {
    pub(crate) fn new(item: Bound<'_, PyAny>) -> Entry {
        let key = if let Some(number) = small_int(&item) {
            Key::Int(number)
        } else if let Ok(tuple) = item.cast_exact::<PyTuple>() {
            let at = |place| tuple.get_borrowed_item(place).ok().and_then(|item| small_int(&item));
            at(0).map_or(Key::Opaque, |first| Key::Tuple(first, at(1)))
        } else if let Ok(number) = item.cast_exact::<PyFloat>() {
            Key::Float(number.value())
        } else {
            Key::Opaque
        };
        Entry { item: item.unbind(), key }
    }

    /// Whether this is less than `other`, if that can be told without Python.
    fn is_less(&self, other: &Entry) -> Option<bool> {
        match (self.key, other.key) {
            (Key::Int(mine), Key::Int(its)) => Some(mine < its),
            (Key::Float(mine), Key::Float(its)) => Some(mine < its),
            (Key::Tuple(mine, my_second), Key::Tuple(its, its_second)) => match mine.cmp(&its) {
                Ordering::Equal => match (my_second, its_second) {
                    (Some(mine), Some(its)) if mine != its => Some(mine < its),
                    _ => None,
                },
                order => Some(order == Ordering::Less),
            },
            _ => None,
        }
    }
}

/// A heap of Python objects.
#[derive(Default)]
pub(crate) struct PyHeap {
    entries: Vec<Entry>,
    /// A thread is comparing items in Python, outside of the exclusion: nothing may move.
    claim: Option<Claimed>,
}

/// Who claimed a heap, and in which [`fork::epoch`].
#[derive(Clone, Copy)]
struct Claimed {
    thread: ThreadId,
    epoch: u32,
}

impl PyHeap {
    /// Claims the heap for the calling thread.
    pub(crate) fn claim(&mut self) {
        self.claim = Some(Claimed { thread: ThreadId::current(), epoch: fork::epoch() });
    }

    pub(crate) fn unclaim(&mut self) {
        self.claim = None;
    }

    /// Whether the claim is of a thread that a fork has left behind: it has moved nothing.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.claim.is_some_and(|claim| !fork::survived(claim.thread, claim.epoch))
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn push_at(&mut self, entry: Entry, place: usize) {
        heap::push(&mut self.entries, entry, place);
    }

    pub(crate) fn pop_at(&mut self, place: usize) -> Option<Entry> {
        heap::pop(&mut self.entries, place)
    }
}

impl Store for PyHeap {
    type Item = Entry;

    fn push(&mut self, entry: Entry) -> Result<(), Entry> {
        if self.claim.is_some() {
            return Err(entry);
        }
        let less = |place: usize| entry.is_less(&self.entries[place]).ok_or(());
        match heap::push_place(self.entries.len(), less) {
            Ok(place) => {
                self.push_at(entry, place);
                Ok(())
            }
            Err(()) => Err(entry),
        }
    }

    fn pop(&mut self) -> Option<Option<Entry>> {
        if self.entries.is_empty() {
            return None;
        }
        if self.claim.is_some() {
            return Some(None);
        }
        let less = |i: usize, j: usize| self.entries[i].is_less(&self.entries[j]).ok_or(());
        match heap::pop_place(self.entries.len(), less) {
            Ok(place) => Some(self.pop_at(place)),
            Err(()) => Some(None),
        }
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn drain(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }
}
