//! Models of the ring of a queue, and of the bells by which its two sides wait for each other.

use loom::sync::Arc;
use manyhands_shm::ModelQueue;

use crate::{end, model, start};

#[test]
fn what_is_put_comes_out_whole_and_in_order() {
    model(3, || {
        let queue = Arc::new(ModelQueue::new(1));
        let producer = start(&queue, |queue| (1..4).for_each(|number| queue.put(number)));
        for number in 1..4 {
            assert_eq!(queue.get(), number);
        }
        end(producer);
    });
}

#[test]
fn two_who_get_and_one_who_puts_all_come_to_their_end() {
    model(2, || {
        let queue = Arc::new(ModelQueue::new(1));
        let consumers = [(); 2].map(|()| start(&queue, ModelQueue::get));
        queue.put(1);
        queue.put(3);
        let mut got = consumers.map(end);
        got.sort_unstable();
        assert_eq!(got, [1, 3]);
    });
}

#[test]
fn two_who_put_and_one_who_gets_all_come_to_their_end() {
    model(2, || {
        let queue = Arc::new(ModelQueue::new(1));
        let producers = [1, 3].map(|number| start(&queue, move |queue| queue.put(number)));
        let mut got = [queue.get(), queue.get()];
        got.sort_unstable();
        assert_eq!(got, [1, 3]);
        producers.into_iter().for_each(end);
    });
}

/// Each side then uses what another one of it has noted of the other side.
#[test]
fn what_one_has_seen_of_the_other_side_is_so_for_the_next() {
    model(2, || {
        let queue = Arc::new(ModelQueue::new(2));
        let producer = start(&queue, |queue| {
            queue.put(1);
            queue.put(3);
        });
        let consumers = [(); 2].map(|()| start(&queue, ModelQueue::get));
        end(producer);
        let mut got = consumers.map(end);
        got.sort_unstable();
        assert_eq!(got, [1, 3]);
    });
    model(2, || {
        let queue = Arc::new(ModelQueue::new(2));
        let producers = [2, 1].map(|number| start(&queue, move |queue| queue.put(number)));
        let mut got = [queue.get(), queue.get()];
        queue.put(3);
        assert_eq!(queue.get(), 3);
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        producers.into_iter().for_each(end);
    });
}
