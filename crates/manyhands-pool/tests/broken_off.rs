//! Tasks that are broken off, and tasks that are done again.
#![expect(unsafe_code, reason = "processes are forked and killed")]

#[path = "../../manyhands-shm/tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use manyhands_pool::{Pool, TASK, What, Worker};
use manyhands_shm::{GetError, Limit, Patient, Reference};
use support::{alone, doing, fork, kill, wait};

const MOMENT: usize = 30;

/// Holds each task that it does, for a moment.
fn work(board: Reference, seat: usize) -> i32 {
    let worker = Worker::join(board, seat).unwrap();
    worker.set_ready();
    let mut scratch = Vec::new();
    loop {
        match worker.next(&Patient, &mut scratch) {
            Ok(_) => {}
            Err(GetError::ShutDown) => return 0,
            Err(why) => panic!("{why}"),
        }
        worker.hold(u64::from_ne_bytes(*scratch.first_chunk().unwrap()));
        for _ in 0..MOMENT {
            std::hint::spin_loop();
        }
        // SAFETY: there are no pieces.
        unsafe { worker.finish(&Patient, &scratch, &[]) }.unwrap();
    }
}

fn submit(pool: &Pool<u32>, number: u32) -> u64 {
    // SAFETY: there are no pieces.
    unsafe { pool.submit(&Patient, number, &mut [0; TASK], &[]) }.unwrap()
}

/// The tasks whose results are there.
fn results(pool: &Pool<u32>) -> Vec<u32> {
    let lead = pool.try_lead().expect("nobody else leads");
    let mut scratch = Vec::new();
    let mut done = Vec::new();
    while let Ok(taken) = pool.take(&lead, &Patient, &mut scratch, Limit::Never) {
        let What::Result(number) = taken.what else { panic!("{:?}", taken.what) };
        done.push(number);
    }
    done
}

#[test]
fn a_task_is_broken_off_or_has_its_result() {
    const TASKS: u32 = 200;
    let _alone = alone();
    let (mut broken, mut done) = (0, 0);
    for round in 0..100 {
        doing(|| format!("round {round}"));
        let pool = Pool::<u32>::new(1).unwrap();
        let tasks: Vec<u64> = (0..TASKS).map(|number| submit(&pool, number)).collect();
        pool.close().unwrap();
        let seat = pool.hire().unwrap();
        let board = pool.reference();
        let pid = fork(|| work(board, seat));
        // Whatever it holds, until one was got or all are done.
        let mut got = None;
        while got.is_none() && pool.pending() > 0 && pool.backlog().unwrap() > 0 {
            for (held, task, _) in pool.held() {
                assert_eq!(held, seat);
                if pool.break_off(held, task) {
                    got = Some(task);
                    break;
                }
            }
        }
        if let Some(task) = got {
            kill(pid);
            assert_eq!(wait(pid), -libc::SIGKILL);
            let number = tasks.iter().position(|&other| other == task).unwrap() as u32;
            // All before it have their results, and it has none.
            assert_eq!(results(&pool), (0..number).collect::<Vec<_>>());
            assert_eq!(pool.forget(task), Some(number));
            assert_eq!(pool.forget(task), None);
            broken += 1;
        } else {
            assert_eq!(wait(pid), 0);
            assert_eq!(results(&pool), (0..TASKS).collect::<Vec<_>>());
            done += 1;
        }
        manyhands_shm::child_died(pid.cast_unsigned());
    }
    println!("{broken} broken off, {done} not caught");
}

#[test]
fn a_held_task_says_for_how_long() {
    let _alone = alone();
    let pool = Pool::<u32>::new(2).unwrap();
    assert_eq!(pool.held(), []);
    let task = submit(&pool, 7);
    let seat = pool.hire().unwrap();
    let board = pool.reference();
    let pid = fork(|| {
        let worker = Worker::join(board, seat).unwrap();
        let mut scratch = Vec::new();
        worker.next(&Patient, &mut scratch).unwrap();
        worker.hold(u64::from_ne_bytes(*scratch.first_chunk().unwrap()));
        loop {
            std::thread::park();
        }
    });
    let begun = Instant::now();
    let took = loop {
        if let [(held, held_task, took)] = pool.held()[..] {
            assert_eq!((held, held_task), (seat, task));
            if took > Duration::from_millis(1) {
                break took;
            }
        }
    };
    assert!(took <= begun.elapsed() + Duration::from_secs(1));
    assert_eq!(pool.seat_of(task), Some(seat));
    assert_eq!(pool.noted(seat), (task.to_ne_bytes().to_vec(), TASK));
    assert!(!pool.break_off(seat, task + 1), "it does another");
    assert!(pool.break_off(seat, task) && !pool.break_off(seat, task));
    kill(pid);
    wait(pid);
    manyhands_shm::child_died(pid.cast_unsigned());
}

#[test]
fn a_task_is_done_again_also_after_the_pool_was_closed() {
    let _alone = alone();
    let pool = Pool::<u32>::new(1).unwrap();
    let task = submit(&pool, 7);
    pool.close().unwrap();
    let start = |work: fn(Reference, usize) -> i32| {
        let seat = pool.hire().unwrap();
        let board = pool.reference();
        (fork(|| work(board, seat)), seat)
    };
    let (first, seat) = start(|board, seat| {
        let worker = Worker::join(board, seat).unwrap();
        worker.next(&Patient, &mut Vec::new()).unwrap();
        3
    });
    assert_eq!(wait(first), 3);
    manyhands_shm::child_died(first.cast_unsigned());
    pool.release(seat);
    let again = |task| {
        let lead = pool.try_lead().unwrap();
        // SAFETY: there are no pieces.
        unsafe { pool.resubmit(&lead, &Patient, task, &mut [0; TASK], &[]) }.unwrap()
    };
    assert!(again(task));
    assert!(!pool.has_begun(task).unwrap());
    let (second, _) = start(work);
    assert_eq!(wait(second), 0);
    manyhands_shm::child_died(second.cast_unsigned());
    assert_eq!(results(&pool), [7]);
    assert!(!again(task), "it has its outcome");
}
