//! Items from hand to hand.

use manyhands_queue::{GetError, PutError, PutFailure};
use manyhands_sync::Limit;

use crate::{GivesUp, Interrupted, Queue, TimesOut, end, model, queue, some_time, start};

fn get(queue: &Queue) -> u32 {
    queue.get().expect("it is not shut down")
}

fn put(queue: &Queue, item: u32) {
    queue.put(item).expect("it is not shut down");
}

#[test]
fn one_producer_feeds_two_consumers() {
    model(3, || {
        let queue = queue(0);
        let consumers = [(); 2].map(|()| start(&queue, get));
        put(&queue, 1);
        put(&queue, 2);
        let [one, other] = consumers.map(end);
        assert_eq!(one + other, 3);
        assert!(queue.is_empty());
    });
}

#[test]
fn two_producers_share_one_place() {
    model(3, || {
        let queue = queue(1);
        let producers = [1, 2].map(|item| start(&queue, move |queue| put(queue, item)));
        assert_eq!(get(&queue) + get(&queue), 3);
        producers.into_iter().for_each(end);
        assert!(queue.is_empty());
    });
}

#[test]
fn one_place_is_enough_for_items_to_pass_in_order() {
    model(3, || {
        let queue = queue(1);
        let producer = start(&queue, |queue| (1..=3).for_each(|item| put(queue, item)));
        assert_eq!([(); 3].map(|()| get(&queue)), [1, 2, 3]);
        end(producer);
    });
}

#[test]
fn a_getter_that_times_out_takes_no_wake_up_along() {
    model(4, || {
        let queue = queue(0);
        let hasty = start(&queue, |queue| queue.get_with(&TimesOut, some_time()));
        let patient = start(&queue, get);
        put(&queue, 1);
        match end(hasty) {
            Ok(item) => put(&queue, item),
            Err(why) => assert_eq!(why, GetError::Empty),
        }
        assert_eq!(end(patient), 1);
    });
}

#[test]
fn a_getter_that_gives_up_takes_no_wake_up_along() {
    model(4, || {
        let queue = queue(0);
        let interrupted = start(&queue, |queue| queue.get_with(&GivesUp, Limit::Forever));
        let patient = start(&queue, get);
        put(&queue, 1);
        match end(interrupted) {
            Ok(item) => put(&queue, item),
            Err(why) => assert_eq!(why, GetError::GivenUp(Interrupted)),
        }
        assert_eq!(end(patient), 1);
    });
}

#[test]
fn a_putter_that_times_out_keeps_its_item_and_takes_no_wake_up_along() {
    model(4, || {
        let queue = queue(1);
        put(&queue, 1);
        let hasty = start(&queue, |queue| queue.put_with(2, &TimesOut, some_time()));
        let patient = start(&queue, |queue| put(queue, 3));
        assert_eq!(get(&queue), 1);
        let sum = match end(hasty) {
            Ok(()) => get(&queue) + get(&queue),
            Err(refused) => {
                assert_eq!(refused, PutError { item: 2, why: PutFailure::Full });
                2 + get(&queue)
            }
        };
        assert_eq!(sum, 2 + 3);
        end(patient);
    });
}

#[test]
fn a_putter_that_gives_up_keeps_its_item_and_takes_no_wake_up_along() {
    model(4, || {
        let queue = queue(1);
        put(&queue, 1);
        let interrupted = start(&queue, |queue| queue.put_with(2, &GivesUp, Limit::Forever));
        let patient = start(&queue, |queue| put(queue, 3));
        assert_eq!(get(&queue), 1);
        let sum = match end(interrupted) {
            Ok(()) => get(&queue) + get(&queue),
            Err(PutError { item, why }) => {
                assert_eq!(why, PutFailure::GivenUp(Interrupted));
                item + get(&queue)
            }
        };
        assert_eq!(sum, 2 + 3);
        end(patient);
    });
}

#[test]
fn more_room_lets_all_go_on_for_whom_there_is_some() {
    model(3, || {
        let queue = queue(1);
        put(&queue, 1);
        let producers = [2, 3].map(|item| start(&queue, move |queue| put(queue, item)));
        queue.set_maxsize(3);
        producers.into_iter().for_each(end);
        assert_eq!(queue.len(), 3);
    });
}
