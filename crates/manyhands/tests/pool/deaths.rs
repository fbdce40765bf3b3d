//! Workers die.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use manyhands::Pool;
use manyhands::pool::{ExitStatus, Handle, Kind, PoolError};
use manyhands::process::{Process, Queue};
use rustix::process::Signal;

use crate::support::{Scratch, children, doom, go_on, is_gone, pool, send, until};
use crate::tasks::{die_first, double, end, note, pid, wait_at};

pub fn a_killed_worker_takes_its_call_along_and_no_other() {
    let pool = pool(Kind::Processes, 2);
    let ends = [9, -3, 6, 0, 15, -200];
    let mut handles = Vec::new();
    for (number, how) in (0..).zip(ends) {
        handles.push((how, pool.submit(end::task(how)).unwrap()));
        let others = (0..50).map(|other| pool.submit(double::task(number * 50 + other)).unwrap());
        for (other, handle) in (0..).zip(others.collect::<Vec<_>>()) {
            assert_eq!(handle.join().unwrap(), double(number * 50 + other));
        }
    }
    for (how, handle) in handles {
        let expected = if how > 0 { ExitStatus::Killed(how) } else { ExitStatus::Exited(-how) };
        match handle.join() {
            Ok(result) => assert_eq!((result, how), (0, 0)),
            Err(error) => {
                let text = error.to_string();
                let PoolError::WorkerDied { task, pid, status } = error else { panic!("{text}") };
                assert_eq!((task, status), ("pool::tasks::end", expected));
                assert!(text.contains(&format!("worker process {pid}")), "{text}");
                assert!(is_gone(pid));
            }
        }
    }
    assert_eq!(children().len(), 2);
}

pub fn a_call_is_done_again_as_often_as_is_said() {
    let pool = Pool::builder().workers(2).retries(1).build().unwrap();
    for (retries, deaths, expected) in
        [(None, 1, Some(2)), (None, 2, None), (Some(3), 3, Some(4)), (Some(0), 1, None)]
    {
        let file = Scratch::new();
        let mut call = die_first::task(deaths, file.path());
        if let Some(retries) = retries {
            call = call.retries(retries);
        }
        match (pool.submit(call).unwrap().join(), expected) {
            (Ok(calls), Some(expected)) => assert_eq!(calls, expected),
            (Err(PoolError::WorkerDied { .. }), None) => {
                let calls = u64::from(retries.unwrap_or(1)) + 1;
                assert_eq!(fs::metadata(&file.0).unwrap().len() / 4, calls);
            }
            (outcome, _) => panic!("{outcome:?}"),
        }
    }
}

pub fn a_call_of_a_closed_pool_is_done_again() {
    let (pool, file) = (pool(Kind::Processes, 1), Scratch::new());
    let handle = pool.submit(die_first::task(5, file.path()).retries(5)).unwrap();
    pool.join();
    assert!(handle.is_done());
    assert_eq!(handle.join().unwrap(), 6);
}

/// Kills workers while they do calls; how many were killed. Each call notes that it was done.
fn kill_some(pool: &Pool, file: &Scratch) -> (Vec<Handle<u32>>, u32) {
    let random = RandomState::new();
    let (mut handles, mut killed) = (Vec::new(), 0);
    for round in 0..30 {
        for number in round * 50..(round + 1) * 50 {
            handles.push(pool.submit(note::task(number, file.path())).unwrap());
        }
        let dice = random.hash_one(round);
        std::thread::sleep(Duration::from_micros(dice % 2000));
        if let workers @ [_, ..] = &children()[..] {
            send(workers[dice as usize % workers.len()], Signal::KILL);
            killed += 1;
        }
        if round % 7 == 0 {
            assert!(handles.last().is_none_or(|handle| !handle.is_done() || !handle.cancel()));
        }
    }
    assert!(killed > 15);
    (handles, killed)
}

/// How often each call was done.
fn counts(file: &Scratch, calls: usize) -> Vec<u32> {
    let mut counts = vec![0; calls];
    for number in fs::read(&file.0).unwrap().chunks_exact(4) {
        counts[u32::from_ne_bytes(number.try_into().unwrap()) as usize] += 1;
    }
    counts
}

/// Once, or for as long as `make kill` says.
fn again_and_again(test: impl Fn()) {
    let seconds = std::env::var("MANYHANDS_KILL_SECONDS").map_or(0, |text| text.parse().unwrap());
    let begun = Instant::now();
    test();
    while begun.elapsed().as_secs() < seconds {
        go_on();
        test();
    }
}

pub fn workers_are_killed_at_random() {
    again_and_again(kill_at_random);
}

fn kill_at_random() {
    let (pool, file) = (pool(Kind::Processes, 3), Scratch::new());
    let (handles, killed) = kill_some(&pool, &file);
    let outcomes: Vec<_> = handles.into_iter().map(Handle::join).collect();
    pool.join();
    let mut lost = 0;
    for ((number, outcome), count) in (0..).zip(&outcomes).zip(counts(&file, outcomes.len())) {
        match outcome {
            Ok(result) => assert_eq!((*result, count), (number, 1)),
            // It may have been done, if its result was not sent.
            Err(PoolError::WorkerDied { status: ExitStatus::Killed(9), .. }) => {
                assert!(count <= 1);
                lost += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(lost <= killed, "{lost} calls lost with {killed} workers");
}

pub fn workers_are_killed_at_random_and_their_calls_done_again() {
    again_and_again(kill_at_random_and_do_again);
}

fn kill_at_random_and_do_again() {
    let pool = Pool::builder().workers(3).retries(1000).build().unwrap();
    let file = Scratch::new();
    let (handles, killed) = kill_some(&pool, &file);
    let calls = handles.len();
    for (number, handle) in (0..).zip(handles) {
        assert_eq!(handle.join().unwrap(), number);
    }
    pool.join();
    let counts = counts(&file, calls);
    assert!(counts.iter().all(|&count| count >= 1));
    assert!(counts.iter().sum::<u32>() <= calls as u32 + killed);
}

pub fn workers_that_never_begin_break_the_pool() {
    let doom = doom(std::process::id());
    fs::write(&doom.0, "").unwrap();
    let pool = pool(Kind::Processes, 2);
    // Before it is known, or after it.
    let outcome = pool.submit(double::task(1)).and_then(Handle::join);
    let Err(error) = outcome else { panic!("somebody has done it") };
    let text = error.to_string();
    assert!(matches!(error, PoolError::Broken(_)), "{text}");
    assert!(text.contains("exit code 3") && text.contains("manyhands::init()"), "{text}");
    assert!(matches!(pool.submit(double::task(1)), Err(PoolError::Broken(_))));
    pool.join();
}

pub fn workers_die_with_a_killed_parent() {
    for by_main in [true, false] {
        let (numbers, gate) = (Queue::<Vec<u32>>::new(0).unwrap(), Scratch::gate());
        let parent = Process::fork_daemon(|| {
            let start = || pool(Kind::Processes, 2);
            let pool = if by_main { start() } else { std::thread::spawn(start).join().unwrap() };
            // One of them has something to do.
            let _waits = pool.submit(wait_at::task(gate.path())).unwrap();
            pool.submit(pid::task()).unwrap().join().unwrap();
            numbers.put(&children()).unwrap();
            loop {
                std::thread::park();
            }
        });
        let parent = parent.unwrap();
        let workers = numbers.get().unwrap();
        assert_eq!(workers.len(), 2);
        parent.kill();
        assert_eq!(parent.join(None), Some(ExitStatus::Killed(9)));
        until(|| workers.iter().all(|&worker| is_gone(worker)));
    }
}

pub fn a_stopped_worker_does_not_hold_up_the_end() {
    let pool = pool(Kind::Processes, 2);
    let handle = pool.submit(end::task(Signal::STOP.as_raw())).unwrap();
    let state = |worker| fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
    until(|| children().iter().any(|&worker| state(worker).contains(") T")));
    assert_eq!(pool.map(double::task, 0..10).unwrap().len(), 10);
    drop(pool);
    assert!(matches!(handle.join(), Err(PoolError::Terminated { .. })));
}
