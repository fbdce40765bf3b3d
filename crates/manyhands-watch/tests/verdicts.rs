//! Who waits in vain, in programs that are made up.

use manyhands_watch::graph::{Knot, judge};
use manyhands_watch::state::{Hand, Object, Process, Thread, Wait};
use proptest::prelude::*;

/// A process whose threads are numbered from its pid times 100 on.
fn process(pid: u32, threads: u32) -> Process {
    let thread = |number| Thread { thread: pid * 100 + number, ..Thread::default() };
    Process { pid, threads: (0..threads).map(thread).collect(), ..Process::default() }
}

fn hand(pid: u32, number: u32) -> Hand {
    Hand { pid, thread: pid * 100 + number, greenlet: 0 }
}

fn add(process: &mut Process, id: &str, kind: &str, shared: bool, owner: Option<Hand>) {
    let object =
        Object { id: id.to_owned(), kind: kind.to_owned(), shared, owner, ..Object::default() };
    process.objects.push(object);
}

fn wait(process: &mut Process, number: usize, object: &str, limited: bool) {
    let wait = Wait { object: object.to_owned(), seconds: 1.5, limited, ..Wait::default() };
    process.threads[number].wait = Some(wait);
}

fn hands(knots: &[Knot], certain: bool) -> Vec<Hand> {
    let mut hands: Vec<Hand> = knots
        .iter()
        .filter(|knot| knot.certain == certain)
        .flat_map(|knot| knot.hands.iter().copied())
        .collect();
    hands.sort();
    hands
}

/// Threads 1 and 2 wait for each other's lock; thread 0 runs.
fn two_locks(kind: &str) -> Process {
    let mut process = process(1, 3);
    add(&mut process, "a", kind, false, Some(hand(1, 1)));
    add(&mut process, "b", kind, false, Some(hand(1, 2)));
    wait(&mut process, 1, "b", false);
    wait(&mut process, 2, "a", false);
    process
}

#[test]
fn locks_that_only_their_holders_release_are_certain() {
    let knots = judge(&[two_locks("RLock")]).knots;
    assert_eq!(knots.len(), 1);
    assert!(knots[0].certain);
    assert_eq!(knots[0].cycle, [hand(1, 1), hand(1, 2)]);
}

#[test]
fn plain_locks_are_likely_while_somebody_runs_and_certain_when_nobody_does() {
    let mut process = two_locks("Lock");
    let knots = judge(std::slice::from_ref(&process)).knots;
    assert_eq!(hands(&knots, false), [hand(1, 1), hand(1, 2)]);
    assert_eq!(hands(&knots, true), []);
    add(&mut process, "t", "Thread", false, Some(hand(1, 1)));
    wait(&mut process, 0, "t", false);
    let knots = judge(&[process]).knots;
    assert_eq!(hands(&knots, true), [hand(1, 0), hand(1, 1), hand(1, 2)]);
    assert_eq!(knots[0].cycle, [hand(1, 1), hand(1, 2)]);
}

#[test]
fn who_gives_up_by_himself_or_is_strange_saves_all() {
    let mut limited = two_locks("RLock");
    limited.threads[1].wait.as_mut().unwrap().limited = true;
    assert_eq!(judge(&[limited]).knots, []);
    let mut asleep = process(1, 1);
    add(&mut asleep, "e", "Event", false, None);
    wait(&mut asleep, 0, "e", false);
    assert_eq!(hands(&judge(std::slice::from_ref(&asleep)).knots, true), [hand(1, 0)]);
    for change in [
        (|process: &mut Process| process.foreign = 1) as fn(&mut Process),
        |process| process.handles_signals = true,
        |process| process.silent = Some("stopped".to_owned()),
        |process| process.threads.push(Thread { thread: 7, ..Thread::default() }),
    ] {
        let mut saved = asleep.clone();
        change(&mut saved);
        assert_eq!(judge(&[saved]).knots, []);
    }
}

#[test]
fn a_free_lock_is_about_to_be_taken() {
    let mut process = process(1, 1);
    add(&mut process, "a", "Lock", false, None);
    wait(&mut process, 0, "a", false);
    assert_eq!(judge(&[process]).knots, []);
}

#[test]
fn what_processes_share_may_be_on_its_way_to_one_that_runs() {
    let mut taker = process(1, 1);
    add(&mut taker, "q", "Queue", true, None);
    wait(&mut taker, 0, "q", false);
    let runs = process(2, 1);
    let knots = judge(&[taker.clone(), runs.clone()]).knots;
    assert_eq!((hands(&knots, true), hands(&knots, false)), (vec![], vec![hand(1, 0)]));
    // A helper does nothing by itself.
    taker.helpers = vec![2];
    assert_eq!(hands(&judge(&[taker, runs]).knots, true), [hand(1, 0)]);
}

#[test]
fn a_parent_and_the_child_that_waits_for_it() {
    let (mut parent, mut child) = (process(1, 1), process(2, 1));
    add(&mut parent, "p", "Process", false, Some(Hand { pid: 2, thread: 0, greenlet: 0 }));
    wait(&mut parent, 0, "p", false);
    for process in [&mut parent, &mut child] {
        add(process, "q", "Queue", true, None);
    }
    wait(&mut child, 0, "q", false);
    let knots = judge(&[parent.clone(), child.clone()]).knots;
    assert_eq!(hands(&knots, true), [hand(1, 0), hand(2, 0)]);
    child.threads.push(Thread { thread: 201, ..Thread::default() });
    assert_eq!(judge(&[parent, child]).knots, []);
}

#[test]
fn the_youngest_is_of_the_circle() {
    let mut process = two_locks("RLock");
    process.threads[2].wait.as_mut().unwrap().seconds = 1.0;
    add(&mut process, "t", "Thread", false, Some(hand(1, 1)));
    wait(&mut process, 0, "t", false);
    process.threads[0].wait.as_mut().unwrap().seconds = 0.5;
    let processes = [process];
    let knots = judge(&processes).knots;
    assert_eq!(knots[0].hands.len(), 3);
    assert_eq!(knots[0].youngest(&processes), Some(hand(1, 2)));
}

/// A program of threads that hold and want locks with strict owners.
#[derive(Clone, Debug)]
struct Program {
    /// For each thread the lock that it waits for, and whether it gives up.
    wants: Vec<Option<(usize, bool)>>,
    /// For each lock the thread that holds it.
    holders: Vec<Option<usize>>,
}

fn programs() -> impl Strategy<Value = Program> {
    (1_usize..9, 1_usize..9).prop_flat_map(|(threads, locks)| {
        let wants = prop::option::of((0..locks, prop::bool::weighted(0.1)));
        let holders = prop::option::of(0..threads);
        (prop::collection::vec(wants, threads), prop::collection::vec(holders, locks))
            .prop_map(|(wants, holders)| Program { wants, holders })
    })
}

impl Program {
    /// Who never goes on: found by letting those who can go on end, and release what they hold, until
    /// nobody can.
    fn stuck(&self) -> Vec<usize> {
        let mut holders = self.holders.clone();
        let mut left: Vec<usize> = (0..self.wants.len()).collect();
        loop {
            let ends = |&thread: &usize| match self.wants[thread] {
                None | Some((_, true)) => true,
                Some((lock, false)) => holders[lock].is_none(),
            };
            let Some(place) = left.iter().position(ends) else { return left };
            let thread = left.remove(place);
            for holder in &mut holders {
                if *holder == Some(thread) {
                    *holder = None;
                }
            }
        }
    }

    fn process(&self, kind: &str) -> Process {
        let mut process = process(1, self.wants.len() as u32);
        for (number, holder) in self.holders.iter().enumerate() {
            let owner = holder.map(|thread| hand(1, thread as u32));
            add(&mut process, &format!("lock {number}"), kind, false, owner);
        }
        for (thread, want) in self.wants.iter().enumerate() {
            if let Some((lock, limited)) = want {
                wait(&mut process, thread, &format!("lock {lock}"), *limited);
            }
        }
        process
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn nobody_is_missed_and_nobody_wronged(program in programs()) {
        let stuck: Vec<Hand> =
            program.stuck().into_iter().map(|thread| hand(1, thread as u32)).collect();
        let knots = judge(&[program.process("RLock")]).knots;
        prop_assert_eq!(hands(&knots, true), stuck.clone());
        prop_assert_eq!(hands(&knots, false), vec![]);
        // Any thread may release a plain one: certain only if nobody goes on.
        let knots = judge(&[program.process("Lock")]).knots;
        let certain = hands(&knots, true);
        let all_stuck = stuck.len() == program.wants.len();
        prop_assert_eq!(&certain, &if all_stuck { stuck.clone() } else { vec![] });
        prop_assert_eq!(hands(&knots, false), if all_stuck { vec![] } else { stuck });
    }
}
