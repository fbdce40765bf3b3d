//! Condition, Event, Barrier.

use crate::world::{World, refused};

#[test]
fn a_condition_is_for_who_has_its_lock() {
    World::new("Condition", "").together(&[
        (1, "wait()", "RuntimeError('cannot wait on un-acquired lock')"),
        (1, "notify()", "RuntimeError('cannot notify on un-acquired lock')"),
        (1, "notify_all()", "RuntimeError('cannot notify on un-acquired lock')"),
        (1, "release()", "RuntimeError('cannot release un-acquired lock')"),
        (1, "acquire()", "True"),
        (2, "wait(0)", "RuntimeError('cannot wait on un-acquired lock')"),
    ]);
    assert_eq!(refused("Condition", "?"), "give");
    assert_eq!(refused("Condition", "lock=None"), "made");
}

#[test]
fn who_is_notified_gets_the_lock_back_in_turn() {
    World::new("Condition", "").together(&[
        (1, "acquire()", "True"),
        (1, "acquire()", "True"),
        (2, "acquire()", "waits"),
        (1, "wait()", "waits; 2: True"),
        (2, "wait(3)", "waits 3s"),
        (3, "acquire()", "True"),
        (4, "acquire()", "waits"),
        (3, "notify()", "None"),
        (3, "release()", "None; 4: True"),
        (4, "notify_all()", "None"),
        (4, "release()", "None; 1: True"),
        (1, "!state", "2"),
        (2, "!expire", "waits"),
        (1, "release()", "None"),
        (1, "release()", "None; 2: True"),
        (2, "notify(5)", "None"),
    ]);
}

#[test]
fn who_is_not_notified_in_time_still_gets_the_lock_back() {
    World::new("Condition", "").together(&[
        (1, "acquire()", "True"),
        (1, "wait(1)", "waits 1s"),
        (1, "!expire", "False"),
        (1, "wait(1)", "waits 1s"),
        (2, "acquire()", "True"),
        (3, "acquire(True, 1)", "waits 1s"),
        (1, "!expire", "waits"),
        (3, "!expire", "False"),
        (2, "wait(0)", "waits; 1: False"),
        (1, "release()", "None; 2: False"),
        (2, "wait(-1)", "False"),
        (2, "!state", "1"),
    ]);
}

#[test]
fn the_dead_are_not_notified() {
    World::new("Condition", "").together(&[
        (1, "acquire()", "True"),
        (1, "wait()", "waits"),
        (2, "acquire()", "True"),
        (2, "wait()", "waits"),
        (3, "acquire()", "True"),
        (3, "wait()", "waits"),
        (4, "acquire()", "True"),
        (1, "!died", ""),
        (2, "!forget", ""),
        (4, "notify()", "None"),
        (4, "!died", "3: abandoned True"),
        (5, "acquire()", "waits"),
        (3, "!lost wait(True)", "5: abandoned True"),
    ]);
}

#[test]
fn an_event_is_for_all() {
    World::new("Event", "").together(&[
        (1, "is_set()", "False"),
        (1, "wait(0)", "False"),
        (1, "wait()", "waits"),
        (2, "wait(timeout=0.5)", "waits 0.5s"),
        (3, "wait(1e300)", "waits"),
        (
            4,
            "wait('a')",
            "TypeError('the timeout of a shared lock must be None, an int or a float')",
        ),
        (2, "!expire", "False"),
        (4, "set()", "None; 1: True; 3: True"),
        (4, "set()", "None"),
        (4, "wait('a')", "True"),
        (4, "!state", "True"),
        (4, "clear()", "None"),
        (4, "wait()", "waits"),
        (4, "!died", ""),
        (1, "set()", "None"),
    ]);
}

#[test]
fn a_barrier_opens_for_all_parties_at_once() {
    World::new("Barrier", "3").together(&[
        (1, "__getattribute__('parties')", "3"),
        (1, "wait()", "waits"),
        (2, "wait(7)", "waits 7s"),
        (3, "__getattribute__('n_waiting')", "2"),
        (2, "!forget", ""),
        (4, "wait()", "waits"),
        (3, "wait()", "2; 1: 0; 4: 1"),
        (3, "__getattribute__('n_waiting')", "0"),
        (3, "__getattribute__('broken')", "False"),
        (3, "__getattribute__('_cond')", "ask"),
        (1, "wait(0)", "threading.BrokenBarrierError()"),
        (1, "!state", "(3, None, True)"),
    ]);
    World::new("Barrier", "parties=1").alone(&[("wait()", "0"), ("wait(0)", "0")]);
    for source in ["0", "2, ?", "'a'", "2, None, ?", ""] {
        assert_eq!(refused("Barrier", source), "give", "{source}");
    }
}

#[test]
fn a_barrier_breaks() {
    let broken = "threading.BrokenBarrierError()";
    let both = "None; 1: threading.BrokenBarrierError(); 2: threading.BrokenBarrierError()";
    World::new("Barrier", "3, None, 5").together(&[
        (1, "wait()", "waits 5s"),
        (2, "wait(1)", "waits 1s"),
        (2, "!expire", "threading.BrokenBarrierError(); 1: threading.BrokenBarrierError()"),
        (1, "wait()", broken),
        (1, "__getattribute__('broken')", "True"),
        (1, "reset()", "None"),
        (1, "wait()", "waits 5s"),
        (2, "wait()", "waits 5s"),
        (3, "abort()", both),
        (3, "wait()", broken),
        (3, "reset()", "None"),
        (1, "wait()", "waits 5s"),
        (2, "wait()", "waits 5s"),
        (3, "reset()", both),
        (3, "__getattribute__('broken')", "False"),
    ]);
}
