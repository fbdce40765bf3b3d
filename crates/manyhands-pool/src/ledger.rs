//! Which tasks were submitted and have no outcome yet.

use manyhands_shm::Turn;

/// As many places are kept when nothing is under way.
const KEPT: usize = 4096;

/// An entry.
struct Entry<T> {
    tag: T,
    /// Its place in the queue; `None` while it is being put.
    turn: Option<Turn>,
}

/// Where an entry is, or was.
struct Place<T> {
    /// How many entries have been here; never 0 for one that is, so that no task has the number 0.
    generation: u32,
    entry: Option<Entry<T>>,
}

/// The entries, by the numbers of their tasks: a generation, then a place.
pub(crate) struct Ledger<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// How many entries any place had that is there no more.
    base: u32,
}

impl<T> Ledger<T> {
    pub(crate) const fn new() -> Ledger<T> {
        Ledger { places: Vec::new(), free: Vec::new(), base: 0 }
    }

    /// A number for a task that will be put.
    pub(crate) fn add(&mut self, tag: T) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: self.base, entry: None });
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.generation = place.generation.checked_add(1).unwrap_or(1);
        place.entry = Some(Entry { tag, turn: None });
        u64::from(place.generation) << 32 | u64::from(index)
    }

    fn entry(&mut self, task: u64) -> Option<&mut Entry<T>> {
        let place = self.places.get_mut(task as u32 as usize)?;
        place.entry.as_mut().filter(|_| place.generation == (task >> 32) as u32)
    }

    /// It was put.
    pub(crate) fn set_turn(&mut self, task: u64, turn: Turn) {
        if let Some(entry) = self.entry(task) {
            entry.turn = Some(turn);
        }
    }

    /// The place of a task that has no outcome yet: in the queue, if it has been put.
    pub(crate) fn turn(&mut self, task: u64) -> Option<Option<Turn>> {
        self.entry(task).map(|entry| entry.turn)
    }

    pub(crate) fn tag(&mut self, task: u64) -> Option<&mut T> {
        self.entry(task).map(|entry| &mut entry.tag)
    }

    /// It has an outcome.
    pub(crate) fn remove(&mut self, task: u64) -> Option<T> {
        self.entry(task)?;
        let index = task as u32;
        self.free.push(index);
        let entry = self.places[index as usize].entry.take();
        if self.free.len() == self.places.len() && self.places.len() > KEPT {
            // A worker may still claim one of old, which must not be mistaken for a new one.
            let most = self.places.iter().map(|place| place.generation).max();
            *self = Ledger { base: most.unwrap_or(0), ..Ledger::new() };
        }
        entry.map(|entry| entry.tag)
    }

    /// All entries, which have no outcome.
    pub(crate) fn clear(&mut self) -> Vec<T> {
        let mut tags = Vec::new();
        for (index, place) in self.places.iter_mut().enumerate() {
            if let Some(entry) = place.entry.take() {
                self.free.push(index as u32);
                tags.push(entry.tag);
            }
        }
        tags
    }

    /// The numbers of all entries.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let numbered = self.places.iter().zip(0_u64..);
        let taken = numbered.filter(|(place, _)| place.entry.is_some());
        taken.map(|(place, index)| u64::from(place.generation) << 32 | index).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_given_again_while_somebody_may_remember_it() {
        let mut ledger = Ledger::new();
        let mut given = std::collections::HashSet::new();
        for round in 0..3 {
            let tasks: Vec<u64> = (0..10_000).map(|number| ledger.add(number)).collect();
            assert_eq!(ledger.len(), 10_000);
            assert!(tasks.iter().all(|&task| given.insert(task)), "in round {round}");
            for (number, &task) in tasks.iter().enumerate() {
                assert_eq!(ledger.remove(task), Some(number));
                assert_eq!(ledger.remove(task), None);
            }
            assert_eq!(ledger.len(), 0);
        }
        assert!(ledger.entry(0).is_none());
    }
}
