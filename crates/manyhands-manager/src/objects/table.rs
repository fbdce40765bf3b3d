//! Keys in the order in which they came: what a dict and a set are made of.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::iterator::Size;
use crate::pickle::{Key, Payload};

/// What stands in a table.
#[derive(Clone, Debug)]
pub(super) struct Entry<V> {
    /// The key as it came first.
    pub(super) key: Payload,
    pub(super) value: V,
}

/// Plain keys, pickled, with values.
///
/// Invariant: `places` has each key once, with the place in `entries` where it is; all other places are empty, and
/// at most half of them and a few are. So what is deleted leaves a hole, and who closes the holes has been paid for by those who
/// made them.
#[derive(Debug)]
pub(super) struct Table<V> {
    places: HashMap<Key, usize>,
    entries: Vec<Option<(Key, Entry<V>)>>,
    size: Size,
}

impl<V> Default for Table<V> {
    fn default() -> Table<V> {
        Table { places: HashMap::new(), entries: Vec::new(), size: Size::default() }
    }
}

impl<V> Table<V> {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The number that iterators look at.
    pub(super) fn size(&self) -> &Size {
        &self.size
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Entry<V>> {
        let entry = self.entries.get(*self.places.get(key)?)?;
        entry.as_ref().map(|(_, entry)| entry)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Entry<V>> {
        let entry = self.entries.get_mut(*self.places.get(key)?)?;
        entry.as_mut().map(|(_, entry)| entry)
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.places.contains_key(key)
    }

    /// A key that is there keeps its place and its first form.
    pub(super) fn insert(&mut self, key: Key, pickled: impl FnOnce() -> Payload, value: V) {
        if let Some(entry) = self.get_mut(&key) {
            entry.value = value;
            return;
        }
        self.places.insert(key.clone(), self.entries.len());
        self.entries.push(Some((key, Entry { key: pickled(), value })));
        self.note();
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Entry<V>> {
        let at = self.places.remove(key)?;
        let (_, entry) = self.entries.get_mut(at)?.take()?;
        self.tidy();
        Some(entry)
    }

    /// The last one.
    pub(super) fn pop(&mut self) -> Option<Entry<V>> {
        loop {
            if let Some((key, entry)) = self.entries.pop()? {
                self.places.remove(&key);
                self.tidy();
                return Some(entry);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
        self.note();
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<V>> {
        self.keyed().map(|(_, entry)| entry)
    }

    /// In order, with the keys decoded.
    pub(super) fn keyed(&self) -> impl Iterator<Item = &(Key, Entry<V>)> {
        self.entries.iter().flatten()
    }

    /// Closes the holes if there are many.
    fn tidy(&mut self) {
        if self.entries.len() > 2 * self.places.len() + 8 {
            self.entries.retain(Option::is_some);
            for (at, (key, _)) in self.entries.iter().flatten().enumerate() {
                if let Some(place) = self.places.get_mut(key) {
                    *place = at;
                }
            }
        }
        self.note();
    }

    fn note(&self) {
        self.size.store(self.places.len(), Ordering::Relaxed);
    }
}
