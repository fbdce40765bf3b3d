//! Models of [`Event`].

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use manyhands_shm::Event;

use crate::{end, model, start};

#[test]
fn all_who_wait_go_on_and_see_what_was_done_before() {
    model(3, || {
        let shared = Arc::new((Event::default(), AtomicBool::new(false)));
        let waiters = [(); 2].map(|()| {
            start(&shared, |(event, ready)| {
                event.wait();
                assert!(ready.load(Ordering::Relaxed));
            })
        });
        shared.1.store(true, Ordering::Relaxed);
        shared.0.set();
        waiters.into_iter().for_each(end);
    });
}

#[test]
fn who_waits_goes_on_even_if_it_is_cleared_at_once() {
    model(4, || {
        let shared = Arc::new((Event::default(), Event::default()));
        let waiter = start(&shared, |(event, _)| event.wait());
        shared.0.set();
        shared.0.clear();
        // Whoever came after that waits for this one.
        shared.0.set();
        end(waiter);
    });
}
