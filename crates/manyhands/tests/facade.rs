//! The names under which a Rust user finds things.

use manyhands::pool::{BuildError, Builder, Call, Handle, PoolError};
use manyhands::queue::{FifoQueue, LifoQueue, PriorityQueue};
use manyhands::sync::{Barrier, Condition, Event, Lock, RLock, Semaphore};
use manyhands::watch::{Kind, snapshot};

#[test]
fn each_class_of_python_has_its_type() {
    let (lock, rlock, semaphore) = (Lock::new(), RLock::new(), Semaphore::bounded(1));
    let (event, condition, barrier) = (Event::new(), Condition::new(), Barrier::new(1));
    let (fifo, lifo, least) = (FifoQueue::new(0), LifoQueue::new(0), PriorityQueue::new(0));
    fifo.put(1).and(lifo.put(1)).and(least.put(1)).expect("they are open");
    lock.acquire();
    rlock.acquire();
    semaphore.acquire();
    event.set();
    condition.notify_all();
    assert_eq!(barrier.wait(), Ok(0));
}

#[test]
fn what_never_made_anybody_wait_is_not_watched() {
    let queue: FifoQueue<u32> = FifoQueue::new(0);
    queue.put(1).expect("it is open");
    assert_eq!(queue.get(), Ok(1));
    assert!(snapshot().iter().all(|seen| seen.kind != Kind::Queue));
}

#[test]
fn a_pool_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}

    shared::<manyhands::Pool>();
    shared::<Builder>();
    shared::<Handle<std::cell::Cell<u8>>>();
    sent::<Call<u8>>();
    shared::<(BuildError, PoolError)>();
}
