use crate::world::{World, refused};

#[test]
fn each_kind_has_its_order() {
    let puts = [("put(2)", "None"), ("put(item=3)", "None"), ("put_nowait(1)", "None")];
    for (kind, gets) in [
        ("Queue", ["2", "3", "1"]),
        ("JoinableQueue", ["2", "3", "1"]),
        ("LifoQueue", ["1", "3", "2"]),
        ("PriorityQueue", ["1", "2", "3"]),
    ] {
        let mut queue = World::new(kind, "");
        queue.alone(&puts);
        queue.alone(&[("qsize()", "3"), ("empty()", "False"), ("full()", "False")]);
        queue.alone(&[("get()", gets[0]), ("get(False)", gets[1]), ("get_nowait()", gets[2])]);
        queue.alone(&[("empty()", "True"), ("get_nowait()", "queue.Empty()")]);
    }
}

#[test]
fn arguments_mean_what_they_mean_in_python() {
    World::new("Queue", "maxsize=1").alone(&[
        ("get(False)", "queue.Empty()"),
        ("get(0, 5)", "queue.Empty()"),
        ("get(False, -5)", "queue.Empty()"),
        ("get(True, 0)", "queue.Empty()"),
        ("get(timeout=nan)", "queue.Empty()"),
        ("get(True, -1)", "ValueError(''timeout' must be a non-negative number')"),
        ("get(True, 'a')", "ask"),
        ("get(True, ?)", "give"),
        ("get(?)", "give"),
        ("get(1, 2, 3)", "ask"),
        ("get(nothing=1)", "ask"),
        ("put()", "ask"),
        ("put('a', timeout=-1)", "ValueError(''timeout' must be a non-negative number')"),
        ("put('a', timeout=?)", "give"),
        ("put('a')", "None"),
        ("get(True, -1)", "ValueError(''timeout' must be a non-negative number')"),
        ("full()", "True"),
        ("put('b', False)", "queue.Full()"),
        ("put('b', True, 0.0)", "queue.Full()"),
        ("put_nowait('b')", "queue.Full()"),
        ("get(True, 1e300)", "'a'"),
        ("get(True, 1e300)", "waits"),
    ]);
    World::new("Queue", "").alone(&[("put('a', True, -1)", "None"), ("put(1, ?)", "None")]);
    assert_eq!(refused("Queue", "'a'"), "give");
    assert_eq!(refused("Queue", "1, True"), "give");
}

#[test]
fn getters_and_putters_come_in_the_order_in_which_they_came() {
    World::new("Queue", "2").together(&[
        (1, "get()", "waits"),
        (2, "get(timeout=1.5)", "waits 1.5s"),
        (3, "get()", "waits"),
        (4, "put('a')", "None; 1: 'a'"),
        (2, "!expire", "queue.Empty()"),
        (4, "put('b')", "None; 3: 'b'"),
        (4, "put('c')", "None"),
        (4, "put('d')", "None"),
        (1, "put('e')", "waits"),
        (2, "put('f', True, 2)", "waits 2s"),
        (3, "put('g')", "waits"),
        (5, "qsize()", "2"),
        (5, "get()", "'c'; 1: None"),
        (2, "!expire", "queue.Full()"),
        (5, "get()", "'d'; 3: None"),
        (5, "get()", "'e'"),
        (5, "get()", "'g'"),
        (5, "get(False)", "queue.Empty()"),
    ]);
}

#[test]
fn the_dead_wait_for_nothing() {
    World::new("Queue", "1").together(&[
        (1, "get()", "waits"),
        (21, "get()", "waits"),
        (22, "get()", "waits"),
        (3, "get()", "waits"),
        (1, "!forget", ""),
        (21, "!died", ""),
        (4, "put('a')", "None; 3: 'a'"),
        (4, "put('b')", "None"),
        (21, "put('c')", "waits"),
        (1, "put('d')", "waits"),
        (22, "!died", ""),
        (4, "get()", "'b'; 1: None"),
        (3, "!lost get('a')", ""),
        (4, "qsize()", "2"),
        (4, "get()", "'a'"),
        (4, "get()", "'d'"),
        (4, "get()", "waits"),
        (3, "!lost get('x')", "4: 'x'"),
    ]);
}

#[test]
fn joiners_wait_until_all_is_done() {
    World::new("JoinableQueue", "").together(&[
        (1, "join()", "None"),
        (1, "task_done()", "ValueError('task_done() called too many times')"),
        (1, "put(1)", "None"),
        (1, "put(2)", "None"),
        (2, "join()", "waits"),
        (3, "join()", "waits"),
        (4, "join()", "waits"),
        (4, "!forget", ""),
        (1, "get()", "1"),
        (1, "task_done()", "None"),
        (1, "task_done()", "None; 2: None; 3: None"),
        (1, "task_done()", "ValueError('task_done() called too many times')"),
    ]);
}

#[test]
fn a_queue_is_shut_down() {
    let shut = "queue.ShutDown()";
    World::new("Queue", "1").together(&[
        (1, "put(1)", "None"),
        (2, "put(2)", "waits"),
        (3, "join()", "waits"),
        (1, "shutdown()", "None; 2: queue.ShutDown()"),
        (1, "put(3)", shut),
        (1, "get()", "1"),
        (1, "get()", shut),
        (1, "!lost get(1)", ""),
        (1, "get(False)", "1"),
        (1, "task_done()", "None; 3: None"),
    ]);
    World::new("Queue", "").together(&[
        (1, "get()", "waits"),
        (1, "shutdown(immediate=False)", "None; 1: queue.ShutDown()"),
    ]);
    World::new("Queue", "").together(&[
        (1, "put(1)", "None"),
        (1, "put(2)", "None"),
        (1, "put(3)", "None"),
        (1, "get()", "1"),
        (2, "get()", "2"),
        (3, "join()", "waits"),
        (1, "shutdown(True)", "None"),
        (1, "get()", shut),
        (1, "task_done()", "None"),
        (2, "!lost get(2)", "3: None"),
        (1, "qsize()", "0"),
    ]);
}

#[test]
fn tasks_of_the_dead_are_taken_again() {
    let mut queue = World::new("Queue", "ack=True");
    for task in 1..=6 {
        queue.call(9, &format!("put({task})"));
    }
    queue.together(&[
        (11, "get()", "1"),
        (2, "get()", "2"),
        (12, "get()", "3"),
        (11, "get()", "4"),
        (11, "task_done()", "None"),
        (3, "join()", "waits"),
        (11, "!died", ""),
        (2, "get()", "3"),
        (2, "!lost get(3)", ""),
        (2, "get()", "3"),
        (2, "task_done()", "None"),
        (2, "task_done()", "None"),
        (2, "!died", ""),
        (4, "get()", "4"),
        (4, "get()", "5"),
        (4, "get()", "6"),
        (5, "get()", "waits"),
        (6, "get()", "waits"),
        (4, "task_done()", "None"),
        (4, "!died", "5: 5; 6: 6"),
        (5, "task_done()", "None"),
        (5, "!died", ""),
        (6, "task_done()", "None; 3: None"),
    ]);
}

#[test]
fn each_connection_of_a_client_settles_its_own() {
    let mut queue = World::new("Queue", "ack=True");
    for task in 1..=5 {
        queue.call(9, &format!("put({task})"));
    }
    queue.together(&[
        (21, "get()", "1"),
        (22, "get()", "2"),
        (22, "task_done()", "None"),
        (22, "get()", "3"),
        (23, "get()", "4"),
        (23, "!lost get(4)", ""),
        // Done by another thread than that which took it.
        (24, "get()", "4"),
        (25, "get()", "5"),
        (24, "task_done()", "None"),
        (24, "task_done()", "None"),
        (21, "!died", ""),
        (1, "get()", "3"),
        (1, "get()", "5"),
        (1, "join()", "waits"),
        (1, "task_done()", "None"),
        (1, "task_done()", "None; 1: None"),
    ]);
}

#[test]
fn a_task_that_is_done_before_it_got_anywhere_is_one_more_when_it_comes_back() {
    World::new("Queue", "ack=True").together(&[
        (1, "put('a')", "None"),
        (21, "get()", "'a'"),
        (22, "task_done()", "None"),
        (21, "!lost get('a')", ""),
        (3, "get()", "'a'"),
        (3, "task_done()", "None"),
        (3, "task_done()", "ValueError('task_done() called too many times')"),
    ]);
}

#[test]
fn without_acknowledgement_what_was_taken_is_gone() {
    World::new("Queue", "").together(&[
        (1, "put(1)", "None"),
        (2, "get()", "1"),
        (2, "!died", ""),
        (1, "qsize()", "0"),
    ]);
}

#[test]
fn equal_priorities_come_out_as_from_heapq() {
    // The order in which CPython gives them: 1, 1.0 and True are equal, nan has no place.
    let mut queue = World::new("PriorityQueue", "");
    for item in ["5", "1", "1.0", "3", "True", "nan", "0"] {
        assert_eq!(queue.call(1, &format!("put({item})")), "None");
    }
    let state = queue.call(1, "!state");
    assert!(state.starts_with("{'items': [0, True, 1, 5, 3, NaN, 1.0], "), "{state}");
    for item in ["0", "1", "NaN", "1.0", "True", "3", "5"] {
        assert_eq!(queue.call(1, "get(False)"), item);
    }
}

#[test]
fn what_has_no_order_goes_to_the_interpreter() {
    World::new("PriorityQueue", "1").together(&[
        (1, "get()", "waits"),
        (2, "put(?)", "None; 1: ?"),
        (1, "put((1, 'a'))", "None"),
        (2, "put((1, 2))", "waits"),
        (1, "get()", "(1, 'a'); 2: None"),
        (1, "get()", "(1, 2)"),
    ]);
    World::new("PriorityQueue", "").together(&[
        (1, "put((1, 'a'))", "None"),
        (1, "put((1, 2))", "give"),
        (1, "put(?)", "give"),
        (1, "!lost get(?)", ""),
        (1, "get()", "(1, 'a')"),
        (1, "get()", "?"),
    ]);
}

#[test]
fn a_queue_that_is_given_away_names_those_who_wait() {
    World::new("LifoQueue", "2").together(&[
        (1, "put(1)", "None"),
        (1, "put(2)", "None"),
        (2, "put(3)", "waits"),
        (3, "join()", "waits"),
        (
            1,
            "!surrender",
            "{'items': [1, 2], 'maxsize': 2, 'unfinished_tasks': 2, 'is_shutdown': False} [2, 3]",
        ),
    ]);
}
