//! Processes that use a primitive are killed at random moments, again and again, and replaced.
#![expect(unsafe_code, reason = "numbers of the test lie in the arena")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use manyhands_shm::{
    Acquired, Barrier, Condition, Kind, Limit, Lock, Patient, RLock, Semaphore, Shared,
};

use crate::processes::{Child, fork, go_on, shared};

/// How many tests there are, which share the time.
const TESTS: f64 = 5.0;

/// How long each test kills; `MANYHANDS_KILL_SECONDS` or `MANYHANDS_STRESS_SECONDS`, of all of them
/// together, say otherwise.
fn how_long() -> Duration {
    let seconds = |name| std::env::var(name).ok()?.parse::<f64>().ok();
    let all = seconds("MANYHANDS_KILL_SECONDS").or_else(|| seconds("MANYHANDS_STRESS_SECONDS"));
    Duration::from_secs_f64(all.map_or(1.5, |all| all / TESTS))
}

/// How many each test kills at least, however slow the machine is.
const KILLS: usize = 60;

/// Numbers that the workers write.
#[repr(C)]
struct Tally {
    /// Written under a lock, one after the other.
    first: AtomicU64,
    second: AtomicU64,
    /// How often anybody got anywhere.
    progress: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Shared for Tally {}

/// Keeps that many workers busy, killing one of them every moment; after each the others must get on.
fn kill_at_random(workers: usize, tally: &Tally, work: impl Fn(usize)) {
    let start = |number: usize| {
        fork(|| {
            loop {
                work(number);
                tally.progress.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let mut children: Vec<Child> = (0..workers).map(start).collect();
    let begun = Instant::now();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut killed = 0;
    while begun.elapsed() < how_long() || killed < KILLS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_micros(random % 700));
        let victim = (random >> 20) as usize % workers;
        children[victim].kill();
        // Half of them stay zombies until they are replaced.
        let before = tally.progress.load(Ordering::Relaxed);
        if random & 1 << 40 != 0 {
            let patience = Instant::now();
            while tally.progress.load(Ordering::Relaxed) == before {
                assert!(patience.elapsed() < Duration::from_secs(30), "nobody gets on");
                std::thread::yield_now();
            }
        }
        children[victim] = start(victim);
        killed += 1;
    }
    let before = tally.progress.load(Ordering::Relaxed);
    let patience = Instant::now();
    while tally.progress.load(Ordering::Relaxed) < before + 10 {
        assert!(patience.elapsed() < Duration::from_secs(30), "nobody gets on");
        std::thread::yield_now();
    }
}

#[test]
fn holders_of_a_lock() {
    let (lock, tally) = (shared::<Lock>(Kind::Lock), shared::<Tally>(Kind::Plain));
    kill_at_random(4, &tally, |_| {
        let acquired = lock.acquire();
        if let Acquired::Inherited(_) = acquired {
            // Repair what the dead one left half done.
            tally.second.store(tally.first.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let first = tally.first.load(Ordering::Relaxed);
        assert_eq!(first, tally.second.load(Ordering::Relaxed), "two at a time, or no warning");
        tally.first.store(first + 1, Ordering::Relaxed);
        tally.second.store(first + 1, Ordering::Relaxed);
        lock.release().expect("it is ours");
    });
}

#[test]
fn owners_of_an_rlock() {
    let (lock, tally) = (shared::<RLock>(Kind::RLock), shared::<Tally>(Kind::Plain));
    kill_at_random(3, &tally, |_| {
        if let Acquired::Inherited(_) = lock.acquire() {
            tally.second.store(tally.first.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        lock.acquire();
        assert_eq!(lock.count(), 2);
        let first = tally.first.fetch_add(1, Ordering::Relaxed);
        assert_eq!(first, tally.second.fetch_add(1, Ordering::Relaxed));
        lock.release().expect("it is ours");
        lock.release().expect("it is ours");
    });
}

#[test]
fn waiters_for_a_semaphore() {
    let semaphore = shared::<Semaphore>(Kind::Semaphore);
    let tally = shared::<Tally>(Kind::Plain);
    semaphore.set_up(0, Semaphore::MAX);
    // What the dead ones have taken nobody gives back: there is always more.
    let source = fork(|| {
        loop {
            go_on();
            if semaphore.value() < 100 {
                semaphore.release().expect("it has no bound");
            } else {
                std::thread::yield_now();
            }
        }
    });
    kill_at_random(3, &tally, |_| semaphore.acquire());
    source.bury();
}

#[test]
fn waiters_and_notifiers_of_a_condition() {
    let (lock, condition) = (shared::<Lock>(Kind::Lock), shared::<Condition>(Kind::Condition));
    let tally = shared::<Tally>(Kind::Plain);
    // `first` items were put, `second` of them taken; who takes one waits while there is none.
    kill_at_random(5, &tally, |number| {
        lock.acquire();
        if number < 2 {
            tally.first.fetch_add(1, Ordering::Relaxed);
            condition.notify(1);
        } else {
            while tally.first.load(Ordering::Relaxed) == tally.second.load(Ordering::Relaxed) {
                let mut waiting = condition.enlist().expect("a place");
                lock.release().expect("it is ours");
                let Ok(_) = waiting.wait_with(&Patient, Limit::Forever);
                lock.acquire();
            }
            tally.second.fetch_add(1, Ordering::Relaxed);
        }
        lock.release().expect("it is ours");
    });
}

#[test]
fn who_comes_to_a_barrier() {
    let (barrier, tally) = (Barrier::new(3).expect("memory"), shared::<Tally>(Kind::Plain));
    kill_at_random(4, &tally, |_| {
        barrier.wait().expect("nobody breaks it");
    });
    assert!(!barrier.is_broken());
}
