//! Putting, getting and counting, without waiting.

use manyhands_queue::{
    FifoQueue, GetError, LifoQueue, PriorityQueue, PutError, PutFailure, TooManyDone,
};

type Queue<T> = FifoQueue<T>;

#[test]
fn items_leave_in_the_order_of_the_queue() {
    let (fifo, lifo, least) =
        (FifoQueue::<i32>::new(0), LifoQueue::<i32>::new(0), PriorityQueue::<i32>::new(0));
    for item in [2, 3, 1] {
        fifo.put(item).expect("it is open");
        lifo.put(item).expect("it is open");
        least.put(item).expect("it is open");
    }
    assert_eq!([(); 3].map(|()| fifo.get()), [Ok(2), Ok(3), Ok(1)]);
    assert_eq!([(); 3].map(|()| lifo.get()), [Ok(1), Ok(3), Ok(2)]);
    assert_eq!([(); 3].map(|()| least.get()), [Ok(1), Ok(2), Ok(3)]);
    assert_eq!(fifo.try_get(), Err(GetError::Empty));
    assert_eq!(lifo.try_get(), Err(GetError::Empty));
    assert_eq!(least.try_get(), Err(GetError::Empty));
}

#[test]
fn a_full_queue_gives_the_item_back() {
    let queue = Queue::new(1);
    assert_eq!(queue.try_put("first"), Ok(()));
    assert!(queue.is_full());
    let refused = queue.try_put("second").expect_err("there is no room");
    assert_eq!(refused, PutError { item: "second", why: PutFailure::Full });
    assert_eq!(refused.to_string(), "the queue is full");
    assert_eq!(queue.get(), Ok("first"));
    assert!(!queue.is_full());
}

#[test]
fn an_item_need_not_be_comparable_or_copyable() {
    struct Bun;
    let queue = Queue::new(1);
    assert!(queue.put(Bun).is_ok());
    assert!(queue.try_put(Bun).is_err());
    assert!(queue.get().is_ok());
}

#[test]
fn the_capacity_can_be_changed() {
    let queue = Queue::new(1);
    queue.put(1).expect("it is open");
    queue.set_maxsize(2);
    queue.put(2).expect("it is open");
    queue.set_maxsize(1);
    assert!(queue.is_full());
    assert_eq!(queue.get(), Ok(1));
    assert!(queue.is_full());
    queue.set_maxsize(0);
    assert!(!queue.is_full());
    assert_eq!(queue.len(), 1);
}

#[test]
fn work_is_counted_from_putting_to_being_done() {
    let queue = Queue::new(0);
    assert_eq!(queue.task_done(), Err(TooManyDone));
    queue.join();
    queue.put(1).expect("it is open");
    queue.put(2).expect("it is open");
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(queue.unfinished(), 2);
    assert_eq!(queue.task_done(), Ok(()));
    assert_eq!(queue.task_done(), Ok(()));
    assert_eq!(queue.task_done(), Err(TooManyDone));
    queue.join();
    assert_eq!(TooManyDone.to_string(), "task_done() called too many times");
    queue.set_unfinished(7);
    assert_eq!(queue.unfinished(), 7);
}

#[test]
fn others_may_put_and_take_through_the_store() {
    let queue = Queue::new(2);
    let insert = |item| {
        queue.insert(|store| {
            manyhands_queue::Store::push(store, item).expect("a fifo finds the place");
        })
    };
    assert!(insert(1) && insert(2) && !insert(3));
    assert_eq!((queue.len(), queue.unfinished()), (2, 2));
    assert_eq!(queue.with_store(|store| store.iter().copied().collect::<Vec<_>>()), [1, 2]);
    assert_eq!(queue.remove(manyhands_queue::Store::pop), Some(Some(Some(1))));
    assert_eq!(queue.remove(manyhands_queue::Store::pop), Some(Some(Some(2))));
    assert_eq!(queue.remove(|_| unreachable!("there is nothing to take")), None::<()>);
    queue.shutdown();
    assert!(!insert(4));
}

#[test]
fn debug_shows_the_length_and_asks_nothing_of_the_items() {
    struct Secret;
    let queue = Queue::new(0);
    queue.put(Secret).expect("it is open");
    assert_eq!(format!("{queue:?}"), "Queue { len: 1, .. }");
}

#[test]
fn items_left_in_a_queue_are_dropped_with_it() {
    let item = std::sync::Arc::new(());
    let queue = Queue::new(0);
    queue.put(item.clone()).expect("it is open");
    drop(queue);
    assert_eq!(std::sync::Arc::strong_count(&item), 1);
}
