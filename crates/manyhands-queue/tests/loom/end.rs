//! The end of a queue, and of its work.

use manyhands_queue::{GetError, PutError, PutFailure};
use manyhands_sync::{Limit, Patient};

use crate::{end, model, queue, start};

#[test]
fn shutting_down_lets_getters_have_what_there_is_and_go() {
    model(3, || {
        let queue = queue(0);
        let getters = [(); 2].map(|()| start(&queue, |queue| queue.get()));
        queue.put(1).expect("it is not shut down yet");
        queue.shutdown();
        let got = getters.map(end);
        assert!(
            got == [Ok(1), Err(GetError::ShutDown)] || got == [Err(GetError::ShutDown), Ok(1)],
            "{got:?}"
        );
    });
}

#[test]
fn shutting_down_gives_putters_their_items_back() {
    model(4, || {
        let queue = queue(1);
        queue.put(0).expect("there is room");
        let putters = [1, 2].map(|item| start(&queue, move |queue| queue.put(item)));
        queue.shutdown();
        for (putter, item) in putters.into_iter().zip([1, 2]) {
            assert_eq!(end(putter), Err(PutError { item, why: PutFailure::ShutDown }));
        }
        assert_eq!(queue.get(), Ok(0));
    });
}

#[test]
fn retiring_lets_all_go_and_loses_no_item() {
    model(3, || {
        let queue = queue(1);
        queue.put(0).expect("there is room");
        let getter = start(&queue, |queue| queue.get());
        let putter = start(&queue, |queue| queue.put(1).is_ok());
        let remains = queue.retire(|_| true).expect("it may");
        assert!(queue.retire(|_| true).is_none());
        let seen = usize::from(end(getter).is_ok()) + remains.items.len();
        assert_eq!(seen, 1 + usize::from(end(putter)));
        assert_eq!(queue.try_put(2), Err(PutError { item: 2, why: PutFailure::Retired }));
    });
}

#[test]
fn retiring_ends_the_wait_for_an_item() {
    model(4, || {
        let queue = queue(0);
        let getter = start(&queue, |queue| queue.get());
        assert!(queue.retire(|_| true).is_some());
        assert_eq!(end(getter), Err(GetError::Retired));
    });
}

#[test]
fn retiring_ends_a_join() {
    model(4, || {
        let queue = queue(0);
        queue.put(1).expect("it is not shut down");
        let joiner = start(&queue, |queue| queue.join_with(&Patient));
        let remains = queue.retire(|_| true).expect("it may");
        assert_eq!(end(joiner), Ok(false));
        assert_eq!((remains.items, remains.unfinished), (vec![1], 1));
    });
}

#[test]
fn joining_ends_when_the_last_item_is_done() {
    model(3, || {
        let queue = queue(0);
        queue.put(1).expect("it is not shut down");
        queue.put(2).expect("it is not shut down");
        let workers = [(); 2].map(|()| {
            start(&queue, |queue| {
                queue.get().expect("there is one for each");
                queue.task_done().expect("one was taken");
            })
        });
        queue.join();
        assert_eq!((queue.unfinished(), queue.len()), (0, 0));
        workers.into_iter().for_each(end);
    });
}

#[test]
fn shutting_down_at_once_ends_a_join() {
    model(4, || {
        let queue = queue(0);
        queue.put(1).expect("it is not shut down");
        let joiner = start(&queue, |queue| queue.join());
        assert_eq!(queue.shutdown_now(), [1]);
        end(joiner);
        assert_eq!(queue.get(), Err(GetError::ShutDown));
    });
}

#[test]
fn who_looked_and_did_not_take_wakes_the_next() {
    model(3, || {
        let queue = queue(0);
        let looker = start(&queue, |queue| {
            queue.wait_for_item(&Patient, Limit::Forever).expect("it is not shut down");
            // It finds that it does not want the item.
            queue.nudge();
        });
        let taker = start(&queue, |queue| queue.get());
        queue.put(1).expect("it is not shut down");
        queue.put(2).expect("it is not shut down");
        assert!(end(taker).is_ok());
        end(looker);
        assert_eq!(queue.len(), 1);
    });
}
