//! Models of [`Event`].

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::mpsc::channel;
use manyhands_sync::{Event, Limit, Locked};

use crate::{Announces, GivesUp, TimesOut, end, model, some_time, start};

#[test]
fn all_who_wait_go_on_and_see_what_was_done_before() {
    model(4, || {
        let shared = Arc::new((Event::<Locked>::new(), AtomicUsize::new(0)));
        let waiters = [(); 2].map(|()| {
            start(&shared, |(event, prepared)| {
                event.wait();
                assert_eq!(prepared.load(Ordering::Relaxed), 1);
            })
        });
        shared.1.store(1, Ordering::Relaxed);
        shared.0.set();
        waiters.into_iter().for_each(end);
    });
}

#[test]
fn who_waits_when_it_is_set_goes_on_though_it_is_cleared_at_once() {
    model(4, || {
        let event = Arc::new(Event::<Locked>::new());
        let (in_line, arrived) = channel();
        let waiter = start(&event, |event| event.wait_with(&Announces(in_line), Limit::Forever));
        arrived.recv().expect("the other thread gets in line");
        event.set();
        event.clear();
        assert_eq!(end(waiter), Ok(true));
    });
}

#[test]
fn setting_clearing_and_setting_leaves_nobody_behind() {
    model(3, || {
        let event = Arc::new(Event::<Locked>::new());
        let waiters = [(); 2].map(|()| start(&event, Event::wait));
        event.set();
        event.clear();
        event.set();
        waiters.into_iter().for_each(end);
    });
}

#[test]
fn who_times_out_or_gives_up_disturbs_nobody() {
    model(4, || {
        let event = Arc::new(Event::<Locked>::new());
        let hasty = start(&event, |event| {
            let Ok(seen) = event.wait_with(&TimesOut, some_time());
            assert!(!seen || event.is_set());
            let _ = event.wait_with(&GivesUp, Limit::Forever);
        });
        let patient = start(&event, Event::wait);
        event.set();
        end(hasty);
        end(patient);
        assert!(event.is_set());
    });
}
