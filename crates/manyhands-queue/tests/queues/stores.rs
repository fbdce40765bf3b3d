//! Stores of one's own, and what a queue does with one that cannot decide.

use manyhands_queue::{Fifo, GetError, Heap, Lifo, Named, PutError, PutFailure, Queue, Store};
use manyhands_sync::{Limit, Locked, Patient};
use manyhands_watch::Kind;

/// A stack that leaves odd numbers to others.
#[derive(Default)]
struct Even(Vec<u32>);

impl Store for Even {
    type Item = u32;

    fn push(&mut self, item: u32) -> Result<(), u32> {
        if item % 2 == 1 {
            return Err(item);
        }
        self.0.push(item);
        Ok(())
    }

    fn pop(&mut self) -> Option<Option<u32>> {
        let last = *self.0.last()?;
        Some(if last % 2 == 1 { None } else { self.0.pop() })
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn drain(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.0)
    }
}

#[test]
fn what_a_store_cannot_decide_is_left_to_the_caller() {
    let queue = Queue::<Even, Locked>::over(Even::default(), Kind::LifoQueue, 0);
    let undecided = Err(PutError { item: 1, why: PutFailure::Undecided });
    assert_eq!(queue.put(2), Ok(()));
    assert_eq!(queue.try_put(1), undecided);
    assert_eq!(queue.put_with(1, &Patient, Limit::Forever), undecided);
    assert!(queue.insert(|store| store.0.push(1)));
    assert_eq!(queue.try_get(), Err(GetError::Undecided));
    assert_eq!(queue.get(), Err(GetError::Undecided));
    assert_eq!(queue.remove(|store| store.0.pop()), Some(Some(1)));
    assert_eq!(queue.get(), Ok(2));
    queue.nudge();
    assert!(queue.is_empty());
}

#[test]
fn each_store_drains_all_it_has() {
    fn drained<S: Store<Item = u32> + Default>() -> Vec<u32> {
        let mut store = S::default();
        assert!(store.is_empty());
        for item in [2, 3, 1] {
            store.push(item).expect("it can decide");
        }
        assert_eq!(store.len(), 3);
        let mut items = store.drain();
        assert!(store.is_empty());
        assert_eq!(store.pop(), None);
        items.sort_unstable();
        items
    }
    assert_eq!(drained::<Fifo<u32>>(), [1, 2, 3]);
    assert_eq!(drained::<Lifo<u32>>(), [1, 2, 3]);
    assert_eq!(drained::<Heap<u32>>(), [1, 2, 3]);
}

#[test]
fn stores_can_be_looked_through() {
    let mut lifo = Lifo::default();
    lifo.push(1).expect("it can decide");
    lifo.push(2).expect("it can decide");
    assert_eq!(lifo.iter().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(format!("{lifo:?}"), "Lifo([1, 2])");
}

#[test]
fn observers_see_each_as_its_class() {
    assert_eq!(Fifo::<u32>::KIND, Kind::Queue);
    assert_eq!(Lifo::<u32>::KIND, Kind::LifoQueue);
    assert_eq!(Heap::<u32>::KIND, Kind::PriorityQueue);
}
