//! Shutting down and retiring.

use manyhands_queue::{FifoQueue, GetError, PutError, PutFailure};
use manyhands_sync::{Limit, Patient};

use crate::gates::{Notified, soon};

fn with_two_items() -> FifoQueue<u32> {
    let queue = FifoQueue::new(2);
    queue.put(1).expect("there is room");
    queue.put(2).expect("there is room");
    queue
}

#[test]
fn a_queue_that_is_shut_down_gives_out_what_it_has() {
    let queue = with_two_items();
    assert!(!queue.is_shut_down());
    queue.shutdown();
    queue.shutdown();
    assert!(queue.is_shut_down());
    assert_eq!(queue.put(3), Err(PutError { item: 3, why: PutFailure::ShutDown }));
    assert_eq!(queue.try_put(3), Err(PutError { item: 3, why: PutFailure::ShutDown }));
    assert_eq!((queue.get(), queue.try_get()), (Ok(1), Ok(2)));
    assert_eq!((queue.get(), queue.try_get()), (Err(GetError::ShutDown), Err(GetError::ShutDown)));
    assert_eq!(queue.wait_for_item(&Patient, Limit::Forever), Err(GetError::ShutDown));
    assert_eq!(queue.wait_for_room(&Patient, Limit::Forever), Err(PutFailure::ShutDown));
    assert_eq!(queue.unfinished(), 2);
}

#[test]
fn shutting_down_ends_the_waits() {
    let queue = with_two_items();
    let shutdown = Notified(|| queue.shutdown());
    let refused = queue.put_with(3, &shutdown, Limit::Forever);
    assert_eq!(refused, Err(PutError { item: 3, why: PutFailure::ShutDown }));
    let queue = FifoQueue::<u32>::new(0);
    let shutdown = Notified(|| queue.shutdown());
    assert_eq!(queue.get_with(&shutdown, Limit::Forever), Err(GetError::ShutDown));
}

#[test]
fn shutting_down_at_once_takes_the_items_and_their_work() {
    let queue = with_two_items();
    queue.put_with(0, &Patient, soon()).expect_err("it is full");
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(queue.shutdown_now(), [2]);
    assert_eq!((queue.len(), queue.unfinished()), (0, 1));
    assert!(queue.shutdown_now().is_empty());
    queue.task_done().expect("one was taken");
    queue.join();
}

#[test]
fn shutting_down_at_once_ends_a_join() {
    let queue = with_two_items();
    assert_eq!(queue.join_with(&Notified(|| drop(queue.shutdown_now()))), Ok(true));
}

#[test]
fn a_retired_queue_hands_everything_over() {
    let queue = with_two_items();
    assert!(queue.retire(|store| store.iter().count() == 1).is_none());
    assert_eq!(queue.get(), Ok(1));
    let remains = queue.retire(|store| store.iter().count() == 1).expect("it is ready");
    assert_eq!((remains.items, remains.unfinished, remains.shut_down), (vec![2], 2, false));
    assert_eq!(queue.put(3), Err(PutError { item: 3, why: PutFailure::Retired }));
    assert_eq!((queue.get(), queue.try_get()), (Err(GetError::Retired), Err(GetError::Retired)));
    assert_eq!(queue.wait_for_item(&Patient, Limit::Forever), Err(GetError::Retired));
    assert_eq!(queue.wait_for_room(&Patient, Limit::Forever), Err(PutFailure::Retired));
    assert_eq!(queue.join_with(&Patient), Ok(false));
    assert!(!queue.insert(|_| unreachable!("it takes no items")));
    assert_eq!(queue.remove(|_| unreachable!("it has no items")), None::<()>);
    assert!(queue.retire(|_| true).is_none());
}

#[test]
fn a_queue_that_was_shut_down_says_so_when_it_retires() {
    let queue = with_two_items();
    queue.shutdown();
    assert!(queue.retire(|_| true).is_some_and(|remains| remains.shut_down));
    queue.shutdown();
    assert!(!queue.is_shut_down());
}

#[test]
fn retiring_ends_the_waits() {
    let queue = with_two_items();
    let retire = Notified(|| assert!(queue.retire(|_| true).is_some()));
    let refused = queue.put_with(3, &retire, Limit::Forever);
    assert_eq!(refused, Err(PutError { item: 3, why: PutFailure::Retired }));
    let queue = FifoQueue::<u32>::new(0);
    let retire = Notified(|| assert!(queue.retire(|_| true).is_some()));
    assert_eq!(queue.get_with(&retire, Limit::Forever), Err(GetError::Retired));
    let queue = with_two_items();
    let retire = Notified(|| assert!(queue.retire(|_| true).is_some()));
    assert_eq!(queue.join_with(&retire), Ok(false));
}

#[test]
fn errors_say_what_happened() {
    let message = |why: PutFailure<&str>| PutError { item: (), why }.to_string();
    assert_eq!(message(PutFailure::ShutDown), "the queue is shut down");
    assert_eq!(message(PutFailure::GivenUp("Ctrl-C")), "the wait was given up: Ctrl-C");
    assert_eq!(message(PutFailure::Undecided), "the item's place must be found outside");
    assert_eq!(GetError::<&str>::Empty.to_string(), "the queue is empty");
    assert_eq!(GetError::<&str>::ShutDown.to_string(), "the queue is empty and shut down");
    assert_eq!(GetError::Empty.widen::<&str>(), GetError::Empty);
    assert_eq!(PutFailure::Retired.widen::<&str>(), PutFailure::Retired);
}
