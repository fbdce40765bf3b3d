//! Pools of a Rust program. Worker processes are this program, started again, so it has a `main` of its
//! own; it takes a part of a test's name, as others do.

mod calls;
mod deaths;
mod support;
mod tasks;
mod tidiness;

use std::sync::atomic::Ordering;
use std::thread;

use manyhands::Pool;
use manyhands::pool::{BuildError, Kind};
use support::{PATIENCE, TURNS, is_doomed};

type Test = (&'static str, fn());

macro_rules! tests {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*]
    };
}

/// What holds for both kinds.
macro_rules! tests_of_both {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$(
            (concat!(stringify!($module), "::", stringify!($name), " (processes)"),
             || $module::$name(Kind::Processes)),
            (concat!(stringify!($module), "::", stringify!($name), " (threads)"),
             || $module::$name(Kind::Threads)),
        )*]
    };
}

const OF_BOTH: &[Test] = tests_of_both![
    calls::a_call_returns_what_the_function_does,
    calls::results_of_map_are_in_order,
    calls::imap_is_in_order_and_takes_no_more_than_its_window,
    calls::results_of_imap_unordered_come_once_each,
    calls::an_iterator_that_is_dropped_takes_its_calls_back,
    calls::a_panic_is_the_outcome_of_its_call,
    calls::a_call_that_nobody_has_taken_is_taken_back,
    calls::a_handle_comes_back_when_there_is_no_outcome_in_time,
    calls::a_closed_pool_does_what_it_has,
    calls::a_terminated_pool_fails_what_is_not_done,
    calls::a_call_is_done_though_nobody_wants_its_result,
    calls::threads_share_a_pool,
    tidiness::nothing_is_left_of_a_dropped_pool,
];

const OF_PROCESSES: &[Test] = tests![
    calls::what_serde_cannot_carry_fails_its_call,
    calls::large_arguments_and_results_go_through,
    calls::a_task_has_a_pool_of_its_own,
    deaths::a_killed_worker_takes_its_call_along_and_no_other,
    deaths::a_call_is_done_again_as_often_as_is_said,
    deaths::a_call_of_a_closed_pool_is_done_again,
    deaths::workers_are_killed_at_random,
    deaths::workers_are_killed_at_random_and_their_calls_done_again,
    deaths::workers_that_never_begin_break_the_pool,
    deaths::workers_die_with_a_killed_parent,
    deaths::a_stopped_worker_does_not_hold_up_the_end,
    tidiness::a_pool_without_workers_is_none,
    tidiness::a_forked_copy_has_no_pool,
];

fn main() {
    // Workers come by here, too.
    assert!(matches!(Pool::new(), Err(BuildError::NotInitialized)));
    if is_doomed() {
        std::process::exit(3);
    }
    manyhands::init();

    thread::spawn(|| {
        loop {
            let before = TURNS.load(Ordering::Relaxed);
            thread::sleep(PATIENCE);
            if TURNS.load(Ordering::Relaxed) == before {
                eprintln!("a test hangs");
                std::process::abort();
            }
        }
    });
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let tests = OF_BOTH.iter().chain(OF_PROCESSES);
    for (name, test) in tests.filter(|(name, _)| filter.as_ref().is_none_or(|f| name.contains(f))) {
        println!("test {name}");
        support::go_on();
        test();
        assert!(support::children().is_empty(), "{name} has left processes");
    }
    println!("test result: ok");
}
