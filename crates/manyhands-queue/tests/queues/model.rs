//! Random operations, compared with a model that is too simple to be wrong.

use manyhands_queue::{
    Fifo, FifoQueue, GetError, Heap, Lifo, Named, PutFailure, Queue, TooManyDone,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Operation {
    Put(u8),
    Get,
    Done,
    SetMaxsize(usize),
    ShutDown,
    ShutDownNow,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        30 => any::<u8>().prop_map(Operation::Put),
        20 => Just(Operation::Get),
        10 => Just(Operation::Done),
        3 => (0usize..6).prop_map(Operation::SetMaxsize),
        1 => Just(Operation::ShutDown),
        1 => Just(Operation::ShutDownNow),
    ]
}

/// The items in the order in which they came, and which of them is next.
struct Model {
    items: Vec<u8>,
    next: fn(&[u8]) -> usize,
    maxsize: usize,
    unfinished: usize,
    shut_down: bool,
}

impl Model {
    fn put(&mut self, item: u8) -> Result<(), PutFailure> {
        if self.shut_down {
            return Err(PutFailure::ShutDown);
        }
        if self.maxsize != 0 && self.items.len() >= self.maxsize {
            return Err(PutFailure::Full);
        }
        self.items.push(item);
        self.unfinished += 1;
        Ok(())
    }

    fn get(&mut self) -> Result<u8, GetError> {
        if self.items.is_empty() {
            return Err(if self.shut_down { GetError::ShutDown } else { GetError::Empty });
        }
        Ok(self.items.remove((self.next)(&self.items)))
    }

    fn done(&mut self) -> Result<(), TooManyDone> {
        self.unfinished = self.unfinished.checked_sub(1).ok_or(TooManyDone)?;
        Ok(())
    }

    fn shut_down_now(&mut self) -> Vec<u8> {
        self.shut_down = true;
        self.unfinished = self.unfinished.saturating_sub(self.items.len());
        std::mem::take(&mut self.items)
    }
}

fn sorted(mut items: Vec<u8>) -> Vec<u8> {
    items.sort_unstable();
    items
}

fn behaves_as_the_model<S: Named<Item = u8> + Default + 'static>(
    operations: Vec<Operation>,
    maxsize: usize,
    next: fn(&[u8]) -> usize,
) -> Result<(), TestCaseError> {
    let queue: Queue<S> = Queue::new(maxsize);
    let mut model = Model { items: Vec::new(), next, maxsize, unfinished: 0, shut_down: false };
    for operation in operations {
        match operation {
            Operation::Put(item) => {
                let put = queue.try_put(item).map_err(|refused| {
                    assert_eq!(refused.item, item);
                    refused.why
                });
                prop_assert_eq!(put, model.put(item));
            }
            Operation::Get => prop_assert_eq!(queue.try_get(), model.get()),
            Operation::Done => prop_assert_eq!(queue.task_done(), model.done()),
            Operation::SetMaxsize(maxsize) => {
                queue.set_maxsize(maxsize);
                model.maxsize = maxsize;
            }
            Operation::ShutDown => {
                queue.shutdown();
                model.shut_down = true;
            }
            Operation::ShutDownNow => {
                prop_assert_eq!(sorted(queue.shutdown_now()), sorted(model.shut_down_now()));
            }
        }
        prop_assert_eq!(queue.len(), model.items.len());
        prop_assert_eq!(queue.is_empty(), model.items.is_empty());
        let full = model.maxsize != 0 && model.items.len() >= model.maxsize;
        prop_assert_eq!(queue.is_full(), full);
        prop_assert_eq!(queue.unfinished(), model.unfinished);
        prop_assert_eq!(queue.is_shut_down(), model.shut_down);
    }
    Ok(())
}

/// Nothing is written beside the sources; miri is slow.
fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 4 } else { 256 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 0..100)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn first_in_first_out(operations in operations(), maxsize in 0usize..5) {
        behaves_as_the_model::<Fifo<u8>>(operations, maxsize, |_| 0)?;
    }

    #[test]
    fn last_in_first_out(operations in operations(), maxsize in 0usize..5) {
        behaves_as_the_model::<Lifo<u8>>(operations, maxsize, |items| items.len() - 1)?;
    }

    #[test]
    fn the_least_first(operations in operations(), maxsize in 0usize..5) {
        let least = |items: &[u8]| {
            let places = items.iter().enumerate();
            places.min_by_key(|(_, item)| **item).map_or(0, |(place, _)| place)
        };
        behaves_as_the_model::<Heap<u8>>(operations, maxsize, least)?;
    }

    #[test]
    fn what_one_thread_puts_another_gets_in_order(
        items in prop::collection::vec(any::<u8>(), 0..50), maxsize in 0usize..4,
    ) {
        let queue = FifoQueue::<u8>::new(maxsize);
        let got = std::thread::scope(|scope| {
            let consumer = scope.spawn(|| std::iter::from_fn(|| queue.get().ok()).collect::<Vec<_>>());
            for &item in &items {
                queue.put(item).expect("it is open");
            }
            queue.shutdown();
            consumer.join().expect("it ends well")
        });
        prop_assert_eq!(got, items);
    }
}
