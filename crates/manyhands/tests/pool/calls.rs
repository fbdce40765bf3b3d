//! What becomes of calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use manyhands::pool::{Kind, Limit, PoolError};

use crate::support::{Scratch, pool, until};
use crate::tasks::{
    Fragile, Shape, accept, describe, double, fail, give, names, note, nothing, pid, reversed,
    wait_at, wait_at_two, with_a_pool_of_its_own,
};

pub fn a_call_returns_what_the_function_does(kind: Kind) {
    let pool = pool(kind, 2);
    assert_eq!(pool.submit(double::task(21)).unwrap().join().unwrap(), double(21));
    let here = pool.submit(pid::task()).unwrap().join().unwrap() == std::process::id();
    assert_eq!(here, kind == Kind::Threads);
    let () = pool.submit(nothing::task(1, 2)).unwrap().join().unwrap();
    let results = [names::task::task(1), names::buffer::task(1, 2, 3), names::r#match::task(4)]
        .map(|call| pool.submit(call).unwrap().join().unwrap());
    assert_eq!(results, [2, 6, 4]);
    let shapes = [Shape::Circle { radius: 0.5 }, Shape::Polygon(vec![(0.0, 1.5); 3])];
    for name in [None, Some("two shapes".to_owned())] {
        let call = describe::task((1, -3), shapes.to_vec(), name.clone(), ());
        let result = pool.submit(call).unwrap().join().unwrap();
        assert_eq!(result, describe((1, -3), shapes.to_vec(), name, ()));
    }
}

pub fn results_of_map_are_in_order(kind: Kind) {
    let pool = pool(kind, 3);
    let expected: Vec<u64> = (0..5000).map(double).collect();
    assert_eq!(pool.map(double::task, 0..5000).unwrap(), expected);
    assert_eq!(pool.map(double::task, []).unwrap(), Vec::<u64>::new());
    let pairs = [(1, 2), (3, 4)];
    assert_eq!(pool.map(|(x, y)| double::task(x * y), pairs).unwrap(), [4, 24]);
    // The first failure is what is told.
    let some_fail = |number: u64| match number % 10 {
        7 => fail::task(number.to_string()),
        _ => double::task(number),
    };
    let Err(PoolError::Panicked { message, .. }) = pool.map(some_fail, 0..1000) else {
        panic!("it has not failed");
    };
    assert_eq!(message, "7");
}

pub fn imap_is_in_order_and_takes_no_more_than_its_window(kind: Kind) {
    let pool = pool(kind, 2);
    let taken = AtomicU64::new(0);
    let endless = (0..).inspect(|_| _ = taken.fetch_add(1, Ordering::Relaxed));
    let mut results = pool.imap(double::task, endless).window(5);
    for number in 0..500 {
        assert_eq!(results.next().unwrap().unwrap(), double(number));
        assert_eq!(taken.load(Ordering::Relaxed), number + 5);
    }
    drop(results);
    let some_fail =
        |number| if number == 2 { fail::task(String::new()) } else { double::task(number) };
    let outcomes: Vec<_> = pool.imap(some_fail, 0..4).map(|result| result.ok()).collect();
    assert_eq!(outcomes, [Some(0), Some(2), None, Some(6)]);
    assert_eq!(pool.imap(double::task, []).count(), 0);
}

pub fn results_of_imap_unordered_come_once_each(kind: Kind) {
    let pool = pool(kind, 2);
    let gate = Scratch::gate();
    let first_waits = |number: u32| match number {
        0 => wait_at::task(gate.path()),
        _ => wait_at::task("/dev/null".to_owned()),
    };
    // The first comes last, as it waits for that.
    let mut results = pool.imap_unordered(first_waits, 0..300).window(7);
    for _ in 1..300 {
        assert_eq!(results.next().unwrap().unwrap(), "/dev/null");
    }
    gate.open();
    assert_eq!(results.next().unwrap().unwrap(), gate.path());
    assert!(results.next().is_none());
    let mut results: Vec<u64> =
        pool.imap_unordered(double::task, 0..1000).map(Result::unwrap).collect();
    results.sort_unstable();
    assert_eq!(results, (0..1000).map(double).collect::<Vec<_>>());
}

pub fn an_iterator_that_is_dropped_takes_its_calls_back(kind: Kind) {
    let pool = pool(kind, 1);
    let (gate, file) = (Scratch::gate(), Scratch::new());
    let waits = pool.submit(wait_at::task(gate.path())).unwrap();
    let mut notes = pool.imap(|number| note::task(number, file.path()), 0..100).window(50);
    thread::scope(|scope| {
        let first = scope.spawn(move || notes.next().map(|first| (first, notes)));
        gate.open();
        let (first, notes) = first.join().unwrap().unwrap();
        assert_eq!(first.unwrap(), 0);
        drop(notes);
    });
    waits.join().unwrap();
    pool.join();
    // Some were done before.
    assert!(std::fs::metadata(&file.0).unwrap().len() / 4 <= 50);
    let mut unordered = pool.imap_unordered(double::task, [1]);
    assert!(matches!(unordered.next(), Some(Err(PoolError::Closed))));
}

pub fn a_panic_is_the_outcome_of_its_call(kind: Kind) {
    let pool = pool(kind, 1);
    let before = pool.submit(pid::task()).unwrap().join().unwrap();
    let Err(error) = pool.submit(fail::task("no flour".to_owned())).unwrap().join() else {
        panic!("it has not failed");
    };
    let text = error.to_string();
    assert!(text.contains("tasks::fail panicked: no flour"), "{text}");
    assert!(matches!(error, PoolError::Panicked { message, .. } if message == "no flour"));
    assert_eq!(pool.submit(pid::task()).unwrap().join().unwrap(), before);
}

pub fn a_call_that_nobody_has_taken_is_taken_back(kind: Kind) {
    let pool = pool(kind, 1);
    let (gate, file) = (Scratch::gate(), Scratch::new());
    let waits = pool.submit(wait_at::task(gate.path())).unwrap();
    let [first, second] =
        [1, 2].map(|number| pool.submit(note::task(number, file.path())).unwrap());
    assert!(second.cancel());
    assert!(second.is_done() && !first.is_done());
    assert!(!second.cancel());
    gate.open();
    waits.join().unwrap();
    let third = pool.submit(note::task(3, file.path())).unwrap();
    until(|| first.is_done());
    assert!(!first.cancel());
    assert_eq!((first.join().unwrap(), third.join().unwrap()), (1, 3));
    let error = second.join().unwrap_err();
    assert!(matches!(error, PoolError::Cancelled { .. }), "{error}");
    assert_eq!(std::fs::read(&file.0).unwrap(), [1_u32, 3].map(u32::to_ne_bytes).concat());
}

pub fn a_handle_comes_back_when_there_is_no_outcome_in_time(kind: Kind) {
    let pool = pool(kind, 1);
    let gate = Scratch::gate();
    let handle = pool.submit(wait_at::task(gate.path())).unwrap();
    let handle = handle.join_within(Limit::after(Duration::from_millis(20))).unwrap_err();
    let handle = handle.join_within(Limit::Never).unwrap_err();
    gate.open();
    assert_eq!(handle.join_within(Limit::Forever).unwrap().unwrap(), gate.path());
}

pub fn a_closed_pool_does_what_it_has(kind: Kind) {
    let pool = pool(kind, 2);
    let handles: Vec<_> =
        (0..100).map(|number| pool.submit(double::task(number)).unwrap()).collect();
    pool.close();
    assert!(matches!(pool.submit(double::task(1)), Err(PoolError::Closed)));
    assert!(matches!(pool.map(double::task, [1]), Err(PoolError::Closed)));
    pool.join();
    pool.join();
    for (number, handle) in (0..).zip(handles) {
        assert!(handle.is_done());
        assert_eq!(handle.join().unwrap(), double(number));
    }
}

pub fn a_terminated_pool_fails_what_is_not_done(kind: Kind) {
    let pool = pool(kind, 1);
    let (begun, gate) = (Scratch::gate(), Scratch::gate());
    let running = pool.submit(wait_at_two::task(begun.path(), gate.path())).unwrap();
    begun.open();
    let waiting = pool.submit(double::task(1)).unwrap();
    let abandoned = pool.submit(double::task(2)).unwrap();
    thread::scope(|scope| {
        let joined = scope.spawn(|| waiting.join());
        if kind == Kind::Threads {
            // A thread ends what it does.
            scope.spawn(|| gate.open());
        }
        pool.terminate();
        // It may have been done before, if the gate was opened soon.
        let joined = joined.join().unwrap();
        assert!(matches!(joined, Err(PoolError::Terminated { .. }) | Ok(2)), "{joined:?}");
    });
    assert!(abandoned.is_done() && !abandoned.cancel());
    match (kind, running.join()) {
        (Kind::Processes, Err(PoolError::Terminated { .. })) | (Kind::Threads, Ok(_)) => {}
        (_, outcome) => panic!("{outcome:?}"),
    }
    assert!(matches!(pool.submit(double::task(1)), Err(PoolError::Closed)));
    pool.join();
}

pub fn a_call_is_done_though_nobody_wants_its_result(kind: Kind) {
    let pool = pool(kind, 2);
    let file = Scratch::new();
    for number in 0..50 {
        drop(pool.submit(note::task(number, file.path())).unwrap());
    }
    pool.join();
    assert_eq!(std::fs::metadata(&file.0).unwrap().len(), 50 * 4);
}

pub fn threads_share_a_pool(kind: Kind) {
    let pool = pool(kind, 2);
    thread::scope(|scope| {
        for begin in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                for number in (begin * 1000..).take(500) {
                    let handle = pool.submit(double::task(number)).unwrap();
                    assert_eq!(handle.join().unwrap(), double(number));
                }
                let results = pool.imap_unordered(double::task, 0..500).map(Result::unwrap);
                assert_eq!(results.sum::<u64>(), 499 * 500);
            });
        }
    });
}

pub fn what_serde_cannot_carry_fails_its_call() {
    let pool = pool(Kind::Processes, 1);
    let worker = pool.submit(pid::task()).unwrap().join().unwrap();
    let unwritable = || Fragile { writable: false, readable: true };
    let error = pool.submit(accept::task(unwritable())).unwrap_err();
    assert!(matches!(error, PoolError::Arguments { .. }), "{error}");
    let unreadable = Fragile { writable: true, readable: false };
    let error = pool.submit(accept::task(unreadable)).unwrap().join().unwrap_err();
    assert!(matches!(error, PoolError::Arguments { .. }), "{error}");
    for (writable, readable) in [(false, true), (true, false)] {
        let error = pool.submit(give::task(writable, readable)).unwrap().join().unwrap_err();
        assert!(matches!(error, PoolError::Result { .. }), "{error}");
        assert!(error.to_string().contains("tasks::give"), "{error}");
    }
    let result = pool.submit(give::task(true, true)).unwrap().join();
    assert_eq!(result.unwrap(), Fragile { writable: true, readable: true });
    assert_eq!(pool.submit(pid::task()).unwrap().join().unwrap(), worker);
    // Threads write nothing down.
    let threads = crate::support::pool(Kind::Threads, 1);
    threads.submit(accept::task(unwritable())).unwrap().join().unwrap();
}

pub fn large_arguments_and_results_go_through() {
    let pool = pool(Kind::Processes, 2);
    for size in [0, 1, 4000, 5000, 1 << 20] {
        let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        let result = pool.submit(reversed::task(bytes.clone())).unwrap().join().unwrap();
        assert!(result.iter().rev().eq(&bytes), "{size} bytes");
    }
}

pub fn a_task_has_a_pool_of_its_own() {
    let pool = pool(Kind::Processes, 1);
    let call = with_a_pool_of_its_own::task(vec![1, 2, 3]);
    assert_eq!(pool.submit(call).unwrap().join().unwrap(), [2, 4, 6]);
}
