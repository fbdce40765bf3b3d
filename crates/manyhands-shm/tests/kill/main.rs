//! Processes that put, get, hold locks, wait in all ways that there are, fork, make and drop things are
//! killed at random moments and replaced, thousands of times. Rounds: at the end of each nobody is killed any more, the rest
//! come to their end, the books have to balance and the arena to be what it was.
//!
//! `MANYHANDS_KILL_SECONDS` says for how long (else two seconds), `MANYHANDS_KILL_SEED` begins with the
//! same random numbers as another run.
#![expect(unsafe_code, reason = "processes are forked and killed, and share numbers")]

mod floor;
mod ledger;
mod roles;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use floor::Closing;
use ledger::Ledger;
use manyhands_shm::{Queue, Statistics, arena};
use roles::{ROLES, Role, Stage};
use support::{adopt_orphans, alone, doing, fork, kill, reap, reap_all};

/// How many processes are alive at a time.
const HANDS: usize = 8;

/// How many are killed in a round, at most.
const KILLS: usize = 400;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

fn setting(name: &str) -> Option<f64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What happened in all.
#[derive(Default)]
struct Totals {
    rounds: u64,
    killed: u64,
    put: u64,
    got: u64,
    missing: u64,
    lost: u64,
    floor: [u64; 5],
    roles: BTreeMap<String, u64>,
}

#[test]
fn whoever_is_killed_and_when_the_others_go_on() {
    let _alone = alone();
    adopt_orphans();
    let long = Duration::from_secs_f64(setting("MANYHANDS_KILL_SECONDS").unwrap_or(2.0));
    let seed = setting("MANYHANDS_KILL_SEED").map_or_else(
        || Instant::now().elapsed().subsec_nanos() as u64 ^ u64::from(std::process::id()) << 20,
        |seed| seed as u64,
    );
    println!("MANYHANDS_KILL_SEED={seed}");
    let mut random = Random(seed | 1);
    let (begun, mut totals) = (Instant::now(), Totals::default());
    while begun.elapsed() < long {
        let (before, descriptors) = (size(), descriptors());
        round(&mut random, &mut totals, begun + long);
        settles(before);
        assert_eq!(self::descriptors(), descriptors, "descriptors");
        totals.rounds += 1;
    }
    let Totals { rounds, killed, put, got, missing, lost, floor, roles } = totals;
    let [inherited, acquired, seen, eaten, met] = floor;
    println!(
        "{killed} killed in {rounds} rounds: {put} messages put, {got} got, {missing} gone with who had \
         taken them, {lost} counted as lost; none twice, none torn\n\
         {inherited} locks inherited, {acquired} acquisitions of a semaphore, {seen} waits for an event, \
         {eaten} for a condition, {met} at a barrier\n\
         killed: {roles:?}"
    );
}

/// How many descriptors are open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What can be compared of the arena before and after.
fn size() -> (u64, u64, u64) {
    let Statistics { blocks, lingering, participants, .. } = arena().unwrap().statistics().unwrap();
    (blocks, lingering, participants)
}

/// The arena is as large as it was; or will be when the places are given up that the dead kept for
/// children which were never born.
fn settles(before: (u64, u64, u64)) {
    let begun = Instant::now();
    while size() != before && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(size(), before, "(blocks, lingering, participants)");
}

fn round(random: &mut Random, totals: &mut Totals, end: Instant) {
    let maxsize = [0, 0, 1, 7][random.below(4) as usize];
    let stage = Stage::new(maxsize);
    // In some rounds those who put, or get, live on: then nothing at all may be missing.
    let spared: &[Role] = match random.below(3) {
        0 => &[Role::Consumer, Role::Impatient, Role::Both],
        1 => &[Role::Producer, Role::Parent, Role::Both],
        _ => &[],
    };
    let mut hands: Vec<(i32, Role)> = Vec::new();
    let mut killed = 0;
    let start = |random: &mut Random, role: Role| {
        let seed = random.next();
        (fork(|| stage.play(role, Random(seed | 1))), role)
    };
    // One of each that is needed for the others to get anywhere, and some more.
    for role in [Role::Producer, Role::Consumer] {
        hands.push(start(random, role));
    }
    while killed < KILLS && (Instant::now() < end) {
        while hands.len() < HANDS {
            let role = ROLES[random.below(ROLES.len() as u64) as usize];
            if !spared.contains(&role) {
                hands.push(start(random, role));
            }
        }
        doing(|| format!("killing, maxsize {maxsize}: {hands:?}"));
        match random.below(3) {
            0 => {}
            1 => (0..random.below(20_000)).for_each(|_| std::hint::spin_loop()),
            _ => std::thread::sleep(Duration::from_micros(random.below(3000))),
        }
        let victims = 1 + random.below(8) / 7;
        for _ in 0..victims {
            let chosen = random.below(hands.len() as u64) as usize;
            if spared.contains(&hands[chosen].1) {
                continue;
            }
            let (victim, role) = hands.swap_remove(chosen);
            kill(victim);
            killed += 1;
            *totals.roles.entry(format!("{role:?}")).or_default() += 1;
            // Some stay zombies for a while, and nobody tells the arena.
            if random.below(2) == 0 {
                reap(victim);
                manyhands_shm::child_died(victim.cast_unsigned());
            }
            if random.below(2) == 0 {
                hands.push(start(random, role));
            }
        }
    }
    doing(|| format!("ending, maxsize {maxsize}: {hands:?}"));
    stage.end();
    for (hand, _) in hands.drain(..) {
        let code = reap(hand);
        assert_eq!(code, 0, "somebody who was not killed has failed, see above");
    }
    reap_all();
    stage.drain();
    let Ledger { put, got, missing, excused, putting } = stage.balance();
    let lost = stage.queue.lost();
    if spared.contains(&Role::Consumer) {
        assert_eq!((missing, excused), (0, 0), "who gets was spared");
    }
    if spared.contains(&Role::Producer) {
        assert_eq!(putting, 0, "who puts was spared");
    }
    assert!(missing <= excused, "{missing} messages missing, {excused} died with one");
    assert!(lost <= excused + putting, "{lost} counted as lost, {excused} + {putting} died there");
    assert!(excused + putting <= killed as u64 * 2, "(one who forks may be two)");
    totals.killed += killed as u64;
    totals.put += put;
    totals.got += got;
    totals.missing += missing;
    totals.lost += lost;
    let Closing { inherited, acquired, seen, eaten, met } = stage.closing();
    for (sum, more) in totals.floor.iter_mut().zip([inherited, acquired, seen, eaten, met]) {
        *sum += more;
    }
    // The queue is as good as new.
    let queue: &Queue = &stage.queue;
    assert!(queue.is_empty().unwrap() && queue.is_shut());
}
