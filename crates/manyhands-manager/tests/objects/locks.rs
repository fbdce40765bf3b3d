use crate::world::{World, refused};

#[test]
fn a_lock_passes_from_one_to_the_next() {
    World::new("Lock", "").together(&[
        (1, "release()", "RuntimeError('release unlocked lock')"),
        (1, "acquire()", "True"),
        (1, "locked()", "True"),
        (2, "acquire(False)", "False"),
        (2, "acquire(True, 0)", "False"),
        (2, "acquire(blocking=False, timeout=-1)", "False"),
        (2, "acquire(True, -5)", "ask"),
        (2, "acquire(False, 1)", "ask"),
        (2, "acquire(True, None)", "ask"),
        (2, "acquire(True, 1e300)", "ask"),
        (2, "acquire(True, nan)", "ask"),
        (2, "acquire(?)", "TypeError('the argument of a shared lock must be plain')"),
        (2, "acquire(True, 1)", "waits 1s"),
        (3, "acquire(timeout=-1)", "waits"),
        (4, "acquire()", "waits"),
        (2, "!expire", "False"),
        (3, "!forget", ""),
        (9, "release()", "None; 4: True"),
        (4, "!state", "True"),
        (4, "release()", "None"),
        (4, "locked()", "False"),
    ]);
    assert_eq!(refused("Lock", "1"), "give");
}

#[test]
fn the_lock_of_a_dead_client_is_abandoned() {
    for kind in ["Lock", "RLock", "Condition"] {
        World::new(kind, "").together(&[
            (11, "acquire()", "True"),
            (2, "acquire()", "waits"),
            (12, "acquire()", "waits"),
            (3, "acquire()", "waits"),
            (11, "!died", "2: abandoned True"),
            (2, "release()", "None; 3: True"),
            (3, "!died", ""),
            (4, "acquire()", "abandoned True"),
            (4, "!lost acquire(True)", ""),
            (2, "acquire()", "abandoned True"),
            (2, "release()", "None"),
            (2, "acquire()", "True"),
        ]);
    }
}

#[test]
fn who_never_heard_of_the_lock_does_not_have_it() {
    for kind in ["Lock", "RLock", "Condition"] {
        World::new(kind, "").together(&[
            (1, "acquire()", "True"),
            (2, "acquire()", "waits"),
            (1, "!lost acquire(True)", "2: True"),
            (3, "acquire(False)", "False"),
            (3, "!lost acquire(False)", ""),
            (3, "acquire(False)", "False"),
            (2, "!lost acquire(True)", ""),
            (3, "acquire(False)", "True"),
        ]);
    }
}

#[test]
fn an_rlock_belongs_to_a_connection() {
    World::new("RLock", "").together(&[
        (11, "release()", "RuntimeError('cannot release un-acquired lock')"),
        (11, "acquire()", "True"),
        (11, "acquire(True, 5)", "True"),
        (11, "!state", "2"),
        (12, "acquire(False)", "False"),
        (12, "release()", "RuntimeError('cannot release un-acquired lock')"),
        (12, "acquire()", "waits"),
        (11, "release()", "None"),
        (11, "release()", "None; 12: True"),
        (12, "release()", "None"),
        (12, "locked()", "False"),
    ]);
}

#[test]
fn a_semaphore_counts() {
    World::new("Semaphore", "2").together(&[
        (1, "acquire()", "True"),
        (2, "acquire()", "True"),
        (2, "!died", ""),
        (3, "acquire(False)", "False"),
        (3, "acquire(True, -1)", "False"),
        (
            3,
            "acquire(False, 1)",
            "ValueError('can\u{27}t specify timeout for non-blocking acquire')",
        ),
        (
            3,
            "acquire(True, ?)",
            "TypeError('the timeout of a shared lock must be None, an int or a float')",
        ),
        (3, "acquire()", "waits"),
        (4, "acquire(timeout=2)", "waits 2s"),
        (5, "acquire(timeout=1e300)", "waits"),
        (6, "acquire()", "waits"),
        (4, "!expire", "False"),
        (5, "!died", ""),
        (1, "release()", "None; 3: True"),
        (1, "release(3)", "None; 6: True"),
        (1, "!state", "2"),
        (6, "!lost acquire(True)", ""),
        (1, "!state", "3"),
        (1, "release(0)", "ValueError('n must be one or more')"),
    ]);
    assert_eq!(refused("Semaphore", "-1"), "ValueError('semaphore initial value must be >= 0')");
}

#[test]
fn a_bounded_semaphore_has_an_end() {
    World::new("BoundedSemaphore", "").together(&[
        (1, "release()", "ValueError('Semaphore released too many times')"),
        (1, "acquire()", "True"),
        (2, "acquire()", "waits"),
        (1, "release(2)", "ValueError('Semaphore released too many times')"),
        (1, "release()", "None; 2: True"),
        (2, "release()", "None"),
        (2, "!state", "(1, 1)"),
    ]);
}
