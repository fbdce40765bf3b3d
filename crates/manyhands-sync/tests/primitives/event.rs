//! [`Event`]

use std::thread;

use manyhands_sync::{Event, Limit, Locked};

use crate::gates::{Counts, GivesUp, Interrupted, Notified, TimesOut, in_an_hour, soon};
use crate::watched::watched;

#[test]
fn it_is_set_and_cleared() {
    let event = Event::<Locked>::default();
    assert!(!event.is_set());
    event.set();
    event.set();
    assert!(event.is_set());
    event.wait();
    event.clear();
    assert!(!event.is_set());
}

#[test]
fn a_limit_is_kept() {
    let event = Event::<Locked>::new();
    let gate = Counts::default();
    assert_eq!(event.wait_with(&gate, Limit::Never), Ok(false));
    assert_eq!(gate.0.get(), 0);
    assert_eq!(event.wait_with(&gate, soon()), Ok(false));
    assert_eq!(gate.0.get(), 1);
    event.set();
    for limit in [Limit::Never, soon(), Limit::Forever] {
        assert_eq!(event.wait_with(&gate, limit), Ok(true));
    }
    assert_eq!(gate.0.get(), 1);
}

#[test]
fn setting_and_clearing_at_once_lets_go_who_waited() {
    let event = Event::<Locked>::new();
    let blink = || {
        event.set();
        event.clear();
    };
    assert_eq!(event.wait_with(&Notified(blink), Limit::Forever), Ok(true));
    assert_eq!(event.wait_with(&TimesOut(blink), in_an_hour()), Ok(true));
    assert_eq!(event.wait_with(&GivesUp(blink), Limit::Forever), Err(Interrupted));
    assert!(!event.is_set());
}

#[test]
fn all_who_wait_go_on() {
    watched(|| {
        let event = Event::<Locked>::new();
        thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(|| event.wait())));
            event.set();
        });
    });
}

#[test]
fn two_threads_take_turns() {
    watched(|| {
        let rounds = if cfg!(miri) { 3 } else { 1000 };
        let (there, back) = (Event::<Locked>::new(), Event::<Locked>::new());
        let answer = |mine: &Event, other: &Event| {
            for _ in 0..rounds {
                mine.wait();
                mine.clear();
                other.set();
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| answer(&there, &back));
            there.set();
            answer(&back, &there);
        });
        assert!(there.is_set());
    });
}

#[test]
fn a_reset_of_the_waiters_leaves_the_flag() {
    let event = Event::<Locked>::new();
    event.set();
    event.reset_waiters();
    assert!(event.is_set());
}

#[test]
fn debug_shows_the_flag() {
    let event = Event::<Locked>::new();
    assert_eq!(format!("{event:?}"), "Event { set: false }");
}
