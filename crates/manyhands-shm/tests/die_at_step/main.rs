//! A process dies at the n-th step of what it does in the arena, for every n until it survives. Who
//! is left goes on with what is there, and everything has to be in order: no wait, no torn, doubled or
//! misplaced message, at most the dead one's lost, and the arena as it was before, its memory included.
//!
//! Then the same once more with two deaths: who comes to repair dies, too, at every step of that.
//!
//! `cargo test -p manyhands-shm --features steps --test die_at_step`
#![expect(unsafe_code, reason = "processes are forked and killed")]

mod blocks;
mod books;
mod locks;
mod originals;
mod processes;
mod queues;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use manyhands_shm::{Statistics, arena};
use manyhands_sys::step::die_at;
use support::{adopt_orphans, doing, fork, reap, reap_all};

const KILLED: i32 = -libc::SIGKILL;

/// How many have died.
type Deaths = u32;

/// What can be compared of the arena before and after.
fn size() -> (u64, u64, u64) {
    let Statistics { blocks, lingering, participants, .. } = arena().unwrap().statistics().unwrap();
    (blocks, lingering, participants)
}

/// So much more memory may be resident after thousands of deaths than after the first few: what was
/// freed is kept, and lies in other places each time.
const SLACK: u64 = 6 << 20;

/// Memory that was in use once is used again: none is lost to all lists.
fn is_reused(first: &mut Option<u64>, what: &str) {
    let resident = arena().unwrap().statistics().unwrap().resident;
    let first = *first.get_or_insert(resident);
    assert!(resident <= first + SLACK, "{what}: {first} bytes were resident, now {resident}");
}

/// The arena is as large as it was; or will be when a place is given up that was kept for a child
/// which was never born.
fn settles(before: (u64, u64, u64), what: &str) {
    let begun = Instant::now();
    while size() != before && begun.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(size(), before, "{what}: (blocks, lingering, participants)");
}

/// Runs `act` in a child that dies at its n-th step; says whether it did.
fn dies(n: u64, act: impl FnOnce()) -> bool {
    let child = fork(|| {
        die_at(n);
        act();
        die_at(0);
        0
    });
    match reap(child) {
        0 => false,
        KILLED => true,
        code => panic!("the child found something wrong, see above ({code})"),
    }
}

/// Lets a child die at every step of `act`; `check` is for the survivor.
fn at_every_step<S>(
    name: &str,
    prepare: impl Fn() -> S,
    act: impl Fn(&S),
    check: impl Fn(S, Deaths),
) {
    adopt_orphans();
    let mut resident = None;
    for n in 1.. {
        doing(|| format!("{name}, a death at step {n}"));
        let before = size();
        let scene = prepare();
        let died = dies(n, || act(&scene));
        check(scene, died.into());
        reap_all();
        settles(before, &format!("{name}, a death at step {n}"));
        is_reused(&mut resident, name);
        if !died {
            assert!(n > 3, "{name} has no steps");
            println!("{name}: {} steps", n - 1);
            return;
        }
    }
}

/// Lets a child die at every step of `act`, and for each of those another at every step of `repair`.
fn at_every_two_steps<S>(
    name: &str,
    prepare: impl Fn() -> S,
    act: impl Fn(&S),
    repair: impl Fn(&S),
    check: impl Fn(S, Deaths),
) {
    adopt_orphans();
    let (mut pairs, mut resident) = (0, None);
    for n in 1.. {
        let mut survived = false;
        for m in 1.. {
            doing(|| format!("{name}, deaths at steps {n} and {m}"));
            let before = size();
            let scene = prepare();
            survived = !dies(n, || act(&scene));
            let done = survived || !dies(m, || repair(&scene));
            check(scene, 2 - u32::from(survived) - u32::from(done));
            reap_all();
            settles(before, &format!("{name}, deaths at steps {n} and {m}"));
            is_reused(&mut resident, name);
            pairs += 1;
            if done {
                break;
            }
        }
        if survived {
            println!("{name}: {pairs} pairs of steps");
            return;
        }
    }
}
