//! Workers die, and every task has exactly one outcome: its result, or, for at most the one that a dead
//! worker had, that it is lost.
//!
//! `cargo test -p manyhands-pool --features steps` has one die at every step of what it does in the arena.
#![expect(unsafe_code, reason = "processes are forked and killed")]

#[path = "../../manyhands-shm/tests/support/mod.rs"]
mod support;

use std::collections::HashMap;

use manyhands_pool::{Buried, Lead, Pool, TASK, What, Worker};
use manyhands_shm::{ArenaError, GetError, Limit, Parcel, Patient, Reference, Statistics, arena};
use support::{alone, doing, fork, kill, wait};

/// Small ones lie in the ring, large ones in blocks.
const SIZES: [usize; 4] = [0, 100, 5000, 20_000];

/// A pool, and what came of each task.
struct Scene {
    pool: Pool<u32>,
    submitted: u32,
    /// What the pool calls each.
    tasks: Vec<u64>,
    outcomes: HashMap<u32, Outcome>,
    seats: HashMap<i32, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Lost,
    Retracted,
}

fn size() -> (u64, u64, u64) {
    let Statistics { blocks, lingering, participants, .. } = arena().unwrap().statistics().unwrap();
    (blocks, lingering, participants)
}

/// Does tasks until there are no more: a result is the task, with its bytes in reverse.
fn work(board: Reference, seat: usize) -> i32 {
    let worker = Worker::join(board, seat).unwrap();
    worker.set_ready();
    let mut scratch = Vec::new();
    loop {
        let parcel = match worker.next(&Patient, &mut scratch) {
            Ok(parcel) => parcel,
            Err(GetError::ShutDown) => return 0,
            Err(why) => panic!("{why}"),
        };
        let mut result = parcel.as_ref().map_or(&scratch[..], Parcel::head).to_vec();
        drop(parcel);
        result[TASK..].reverse();
        // SAFETY: there are no pieces.
        unsafe { worker.finish(&Patient, &result, &[]) }.unwrap();
    }
}

fn note(outcomes: &mut HashMap<u32, Outcome>, number: u32, outcome: Outcome) {
    let before = outcomes.insert(number, outcome);
    assert_eq!(before, None, "task {number} has a second outcome");
}

/// Takes the results that are there.
fn take_all(pool: &Pool<u32>, lead: &Lead<'_>, outcomes: &mut HashMap<u32, Outcome>) {
    let mut scratch = Vec::new();
    loop {
        let taken = match pool.take(lead, &Patient, &mut scratch, Limit::Never) {
            Ok(taken) => taken,
            Err(GetError::Empty) => return,
            Err(why) => panic!("{why}"),
        };
        let message = taken.parcel.as_ref().map_or(&scratch[..], Parcel::head);
        let What::Result(number) = taken.what else { panic!("{:?}", taken.what) };
        let mut expected = number.to_ne_bytes().to_vec();
        expected.resize(4 + SIZES[number as usize % SIZES.len()], number as u8);
        expected.reverse();
        assert!(message[TASK..] == expected, "the result of {number} is another one's");
        note(outcomes, number, Outcome::Done);
    }
}

impl Scene {
    fn new() -> Scene {
        let pool = Pool::new(8).unwrap();
        let (outcomes, seats) = (HashMap::new(), HashMap::new());
        Scene { pool, submitted: 0, tasks: Vec::new(), outcomes, seats }
    }

    fn submit(&mut self) {
        let number = self.submitted;
        self.submitted += 1;
        let mut message = vec![0; TASK];
        message.extend_from_slice(&number.to_ne_bytes());
        message.resize(message.len() + SIZES[number as usize % SIZES.len()], number as u8);
        // SAFETY: there are no pieces.
        let task = unsafe { self.pool.submit(&Patient, number, &mut message, &[]) }.unwrap();
        self.tasks.push(task);
    }

    /// Takes a task back, if no worker has it.
    fn retract(&mut self, number: u32) -> bool {
        let task = self.tasks[number as usize];
        let retracted = self.pool.retract(task).unwrap();
        if let Some(tag) = retracted {
            assert_eq!(tag, number);
            self.note(number, Outcome::Retracted);
        }
        retracted.is_some()
    }

    fn start(&mut self, before: impl FnOnce()) -> i32 {
        let seat = self.pool.hire().expect("a seat");
        let board = self.pool.reference();
        let pid = fork(|| {
            before();
            work(board, seat)
        });
        self.seats.insert(pid, seat);
        pid
    }

    fn note(&mut self, number: u32, outcome: Outcome) {
        note(&mut self.outcomes, number, outcome);
    }

    /// Takes the results that are there.
    fn drain(&mut self) {
        let lead = self.pool.try_lead().expect("nobody else leads");
        take_all(&self.pool, &lead, &mut self.outcomes);
    }

    /// A worker is dead: settles what it has left. Returns whether a task was lost.
    fn bury(&mut self, pid: i32) -> bool {
        let seat = self.seats.remove(&pid).expect("a worker");
        let lead = self.pool.try_lead().expect("nobody else leads");
        let (pool, outcomes) = (&self.pool, &mut self.outcomes);
        let drain = || {
            take_all(pool, &lead, outcomes);
            Ok::<_, ArenaError>(())
        };
        let Buried::Settled { lost, .. } = pool.bury(&lead, seat, drain).unwrap() else {
            panic!("nothing is being put")
        };
        drop(lead);
        if let Some(number) = lost {
            self.note(number, Outcome::Lost);
        }
        lost.is_some()
    }

    /// Has a new worker do all that is left; then everything has an outcome.
    fn finish(mut self, what: &str) {
        self.pool.close().unwrap();
        let last = self.start(|| ());
        assert_eq!(wait(last), 0, "{what}");
        assert!(!self.bury(last), "{what}");
        for pid in self.seats.keys().copied().collect::<Vec<_>>() {
            assert_eq!(wait(pid), 0, "{what}");
            assert!(!self.bury(pid), "{what}");
        }
        assert_eq!(self.pool.pending(), 0, "{what}: tasks without an outcome");
        assert_eq!(self.outcomes.len(), self.submitted as usize, "{what}");
    }
}

#[cfg(feature = "steps")]
#[test]
fn a_worker_dies_at_every_step() {
    use manyhands_sys::step::die_at;

    let _alone = alone();
    let mut lost = 0;
    for n in 1.. {
        let what = format!("a death at step {n}");
        doing(|| what.clone());
        let before = size();
        let mut scene = Scene::new();
        for _ in 0..6 {
            scene.submit();
        }
        let pid = scene.start(|| die_at(n));
        // It would wait for more otherwise.
        scene.pool.close().unwrap();
        let code = wait(pid);
        assert!(code == 0 || code == -libc::SIGKILL, "{what}: {code}");
        lost += u32::from(scene.bury(pid));
        scene.finish(&what);
        assert_eq!(size(), before, "{what}");
        if code == 0 {
            println!("{} steps, at {lost} of which a task was lost", n - 1);
            assert!(n > 50 && lost > 6);
            return;
        }
    }
}

/// Tasks are taken back that it may have claimed, and may have taken.
#[cfg(feature = "steps")]
#[test]
fn a_worker_dies_at_every_step_before_tasks_are_taken_back() {
    use manyhands_sys::step::die_at;

    let _alone = alone();
    let (mut retracted, mut too_late) = (0, 0);
    for n in 1.. {
        let what = format!("a death at step {n}");
        doing(|| what.clone());
        let before = size();
        let mut scene = Scene::new();
        for _ in 0..6 {
            scene.submit();
        }
        let pid = scene.start(|| die_at(n));
        scene.pool.close().unwrap();
        let code = wait(pid);
        for number in [4, 0, 1, 0, 3] {
            let done = scene.outcomes.contains_key(&number);
            let took = scene.retract(number);
            assert!(!(took && done), "{what}: task {number} twice");
            if took { retracted += 1 } else { too_late += 1 }
        }
        scene.bury(pid);
        scene.finish(&what);
        assert_eq!(size(), before, "{what}");
        if code == 0 {
            assert!(retracted > 50 && too_late > 50, "{retracted}, {too_late}");
            return;
        }
    }
}

/// One that has claimed a task but not taken it is not held responsible; and so again for two.
#[cfg(feature = "steps")]
#[test]
fn two_workers_die_at_every_pair_of_steps() {
    use manyhands_sys::step::die_at;

    let _alone = alone();
    // The first task only: what comes after is more of the same.
    for n in 1..60 {
        // A third of them, another one for each.
        for m in (1 + n % 3..60).step_by(3) {
            let what = format!("deaths at steps {n} and {m}");
            doing(|| what.clone());
            let mut scene = Scene::new();
            for _ in 0..3 {
                scene.submit();
            }
            let first = scene.start(|| die_at(n));
            assert_eq!(wait(first), -libc::SIGKILL, "{what}");
            let second = scene.start(|| die_at(m));
            scene.pool.close().unwrap();
            let code = wait(second);
            assert!(code == 0 || code == -libc::SIGKILL, "{what}: {code}");
            // In either order.
            let order = if (n + m) % 2 == 0 { [first, second] } else { [second, first] };
            for pid in order {
                scene.bury(pid);
            }
            scene.finish(&what);
        }
    }
}

/// What a worker had claimed, and another has and is doing, is the other's.
#[cfg(feature = "steps")]
#[test]
fn a_claim_of_the_dead_is_void_while_another_has_the_task() {
    use manyhands_shm::{Handle, Kind, Semaphore};
    use manyhands_sys::step::die_at;

    let _alone = alone();
    let mut had = 0;
    for n in 1..80 {
        let what = format!("a death at step {n}");
        doing(|| what.clone());
        let mut scene = Scene::new();
        let gate = || {
            let gate = Handle::<Semaphore>::new(Kind::Semaphore).unwrap();
            gate.set_up(0, Semaphore::MAX);
            gate
        };
        let (taken, go) = (gate(), gate());
        scene.submit();
        scene.pool.close().unwrap();
        let first = scene.start(|| die_at(n));
        if wait(first) == 0 {
            break;
        }
        let seat = scene.pool.hire().expect("a seat");
        let board = scene.pool.reference();
        let second = fork(|| {
            let worker = Worker::join(board, seat).unwrap();
            let mut scratch = Vec::new();
            let Ok(None) = worker.next(&Patient, &mut scratch) else { return 0 };
            taken.release().unwrap();
            go.acquire();
            scratch[TASK..].reverse();
            // SAFETY: there are no pieces.
            unsafe { worker.finish(&Patient, &scratch, &[]) }.unwrap();
            1
        });
        scene.seats.insert(second, seat);
        // It has the task, or has ended as there was none.
        let has = loop {
            if taken.try_acquire() {
                break true;
            }
            let mut status = 0;
            // SAFETY: a child of ours.
            if unsafe { libc::waitpid(second, &raw mut status, libc::WNOHANG) } == second {
                assert_eq!(status, 0, "{what}");
                manyhands_shm::child_died(second.cast_unsigned());
                break false;
            }
            std::thread::yield_now();
        };
        let lost = scene.bury(first);
        if has {
            had += 1;
            assert!(!lost, "{what}");
            go.release().unwrap();
            assert_eq!(wait(second), 1, "{what}");
        }
        scene.bury(second);
        scene.finish(&what);
    }
    assert!(had > 2, "{had}");
}

#[test]
fn workers_die_at_random_moments() {
    let _alone = alone();
    let seconds = std::env::var("MANYHANDS_KILL_SECONDS").map_or(2, |text| text.parse().unwrap());
    let begun = std::time::Instant::now();
    let (mut killed, mut lost, mut tasks, mut retracted) = (0, 0, 0, 0);
    let mut random = std::collections::hash_map::RandomState::new();
    while begun.elapsed().as_secs() < seconds {
        let before = size();
        let mut scene = Scene::new();
        for round in 0..200 {
            doing(|| format!("round {round}"));
            for _ in 0..50 {
                scene.submit();
            }
            scene.drain();
            // The last ones, which the workers may have had or not, and an old one. In the
            // first round there is no worker yet.
            let newest = scene.submitted - 1;
            for number in [newest, newest / 2, newest - 20] {
                let back = scene.retract(number);
                assert!(back || round > 0, "nobody had task {number}");
                retracted += u32::from(back);
            }
            while scene.seats.len() < 3 {
                scene.start(|| ());
            }
            let dice = std::hash::BuildHasher::hash_one(&random, round);
            random = std::collections::hash_map::RandomState::new();
            std::thread::sleep(std::time::Duration::from_micros(dice % 1000));
            let victims: Vec<i32> = scene.seats.keys().copied().collect();
            let victim = victims[dice as usize % victims.len()];
            kill(victim);
            assert_eq!(wait(victim), -libc::SIGKILL);
            lost += u32::from(scene.bury(victim));
            killed += 1;
        }
        tasks += scene.submitted;
        scene.finish("random kills");
        assert_eq!(size(), before);
    }
    println!(
        "{killed} workers killed, {tasks} tasks, {lost} lost with them, {retracted} taken back"
    );
}
