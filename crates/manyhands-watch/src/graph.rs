//! Who waits for whom, and who waits in vain.
//!
//! A thread that runs, or whose wait ends by itself, is awake. One that waits may be woken by others:
//! for a lock that only its holder can release, by that one; for the end of a thread, by that thread;
//! for an event, by any thread that can reach it. Who can be reached from somebody awake in this way
//! may go on one day; all others never will: nobody who could wake them can be woken himself.
//!
//! That is done twice. For what is **certain**, a lock without a strict owner may be released by any
//! thread, and what processes share may be changed by any of them, as it may be on its way to one that
//! does not have it yet; threads that run no Python and handlers of signals may do anything that is
//! not an owner's alone. For what is **likely**, a lock is released by its holder, and what processes
//! share is changed by those that have it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::state::{Hand, Object, Process, Thread, Wait};

/// Who waits in vain, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Groups that wait for each other or for nobody, the largest doubts last.
    pub knots: Vec<Knot>,
}

/// Threads that wait in vain, because of each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Knot {
    /// Whether nothing can wake them, or only something that programs do not usually do.
    pub certain: bool,
    /// Those who wait in a circle, each for the next; empty if there is no circle.
    pub cycle: Vec<Hand>,
    /// All of them, those of the circle first.
    pub hands: Vec<Hand>,
}

impl Knot {
    /// The youngest wait of its circle, or of all if there is none: the one to be broken. Not one that
    /// is not ours, of which nobody knows when it began: a join of a thread.
    pub fn youngest(&self, processes: &[Process]) -> Option<Hand> {
        let among = if self.cycle.is_empty() { &self.hands } else { &self.cycle };
        let age = |&hand: &Hand| {
            let wait = find(processes, hand)?.1.wait.as_ref()?;
            (wait.seconds > 0.0).then_some((hand, wait.seconds))
        };
        let youngest = among.iter().filter_map(age).min_by(|one, other| one.1.total_cmp(&other.1));
        youngest.map(|(hand, _)| hand)
    }
}

/// The thread, or greenlet, of that name.
pub fn find(processes: &[Process], hand: Hand) -> Option<(&Process, &Thread)> {
    let process = processes.iter().find(|process| process.pid == hand.pid)?;
    let is_it = |thread: &&Thread| (thread.thread, thread.greenlet) == (hand.thread, hand.greenlet);
    Some((process, process.threads.iter().find(is_it)?))
}

/// What a thread of that process waits for.
pub fn object<'a>(process: &'a Process, wait: &Wait) -> Option<&'a Object> {
    process.objects.iter().find(|object| object.id == wait.object)
}

/// Who can end a wait.
#[derive(Clone, Debug, PartialEq)]
enum Wakers {
    /// Somebody that we do not know.
    Anybody,
    /// These, by their index.
    These(Vec<usize>),
    /// Threads of these processes, by index, and who may act for them.
    Of(Vec<usize>),
}

struct Graph<'a> {
    processes: &'a [Process],
    /// Process and thread, by index.
    hands: Vec<(usize, usize)>,
    index: HashMap<Hand, usize>,
    of_process: Vec<Vec<usize>>,
    pids: BTreeMap<u32, usize>,
}

impl<'a> Graph<'a> {
    fn new(processes: &'a [Process]) -> Graph<'a> {
        let mut graph = Graph {
            processes,
            hands: Vec::new(),
            index: HashMap::new(),
            of_process: vec![Vec::new(); processes.len()],
            pids: BTreeMap::new(),
        };
        for (number, process) in processes.iter().enumerate() {
            graph.pids.insert(process.pid, number);
            for (place, thread) in process.threads.iter().enumerate() {
                graph.index.insert(hand(process, thread), graph.hands.len());
                graph.of_process[number].push(graph.hands.len());
                graph.hands.push((number, place));
            }
        }
        graph
    }

    fn thread(&self, hand: usize) -> (&'a Process, &'a Thread) {
        let (process, thread) = self.hands[hand];
        (&self.processes[process], &self.processes[process].threads[thread])
    }

    fn hand(&self, index: usize) -> Hand {
        let (process, thread) = self.thread(index);
        hand(process, thread)
    }

    /// Whether somebody may act in a process who is none of its threads that we know.
    fn has_strangers(&self, process: usize) -> bool {
        let process = &self.processes[process];
        process.foreign > 0 || process.handles_signals || process.silent.is_some()
    }

    fn wakers(&self, index: usize, certain: bool) -> Wakers {
        let (process, thread) = self.thread(index);
        let Some(wait) = thread.wait.as_ref().filter(|wait| !wait.limited) else {
            return Wakers::Anybody;
        };
        let Some(object) = object(process, wait) else { return Wakers::Anybody };
        match (object.kind.as_str(), object.owner) {
            // It is free, and the thread will find it so.
            ("Lock" | "RLock", None) => Wakers::Anybody,
            ("RLock", Some(owner)) => self.owner(owner),
            ("Lock", Some(owner)) if !certain => self.owner(owner),
            ("Thread", Some(owner)) => match self.index.get(&owner) {
                Some(&hand) => Wakers::These(vec![hand]),
                None => Wakers::Anybody, // it has ended
            },
            ("Process", Some(owner)) => match self.pids.get(&owner.pid) {
                Some(&number) => Wakers::Of(vec![number]),
                None => Wakers::Anybody,
            },
            // Whatever a process does may be what a call of a pool comes to.
            ("Future" | WORKERS, _) => Wakers::Of((0..self.processes.len()).collect()),
            (kind, _) if !KINDS.contains(&kind) => Wakers::Anybody,
            _ if !object.shared => Wakers::Of(vec![self.hands[index].0]),
            _ if certain => Wakers::Of((0..self.processes.len()).collect()),
            _ => Wakers::Of(self.who_have(&object.id)),
        }
    }

    /// The one who holds something that only its holder can let go of.
    fn owner(&self, owner: Hand) -> Wakers {
        match (self.index.get(&owner), self.pids.get(&owner.pid)) {
            (Some(&hand), _) => Wakers::These(vec![hand]),
            // A thread that has ended; in another process nobody knows yet.
            (None, Some(&number)) if self.processes[number].silent.is_none() => {
                Wakers::These(Vec::new())
            }
            _ => Wakers::Anybody,
        }
    }

    fn who_have(&self, id: &str) -> Vec<usize> {
        let has = |process: &Process| {
            process.silent.is_some() || process.objects.iter().any(|object| object.id == id)
        };
        (0..self.processes.len()).filter(|&number| has(&self.processes[number])).collect()
    }

    /// Who will never go on.
    fn stuck(&self, certain: bool) -> Vec<usize> {
        let wakers: Vec<_> = (0..self.hands.len()).map(|hand| self.wakers(hand, certain)).collect();
        let mut is_live = vec![false; self.hands.len()];
        let mut live_in: Vec<bool> =
            (0..self.processes.len()).map(|process| self.has_strangers(process)).collect();
        loop {
            let mut changed = false;
            for hand in 0..self.hands.len() {
                let goes_on = !is_live[hand]
                    && match &wakers[hand] {
                        Wakers::Anybody => true,
                        Wakers::These(hands) => hands.iter().any(|&other| is_live[other]),
                        Wakers::Of(processes) => processes.iter().any(|&process| live_in[process]),
                    };
                if goes_on {
                    is_live[hand] = true;
                    live_in[self.hands[hand].0] = true;
                    changed = true;
                }
            }
            if !changed {
                return (0..self.hands.len()).filter(|&hand| !is_live[hand]).collect();
            }
        }
    }

    /// For whom one of the stuck waits, as far as it can be said: one of the stuck.
    fn next(&self, index: usize, stuck: &BTreeSet<usize>) -> Option<usize> {
        match self.wakers(index, false) {
            Wakers::These(hands) => hands.into_iter().find(|hand| stuck.contains(hand)),
            Wakers::Of(processes)
                if processes.len() == 1 && processes[0] != self.hands[index].0 =>
            {
                self.of_process[processes[0]].iter().copied().find(|hand| stuck.contains(hand))
            }
            _ => None,
        }
    }

    fn knots(&self, stuck: &[usize], certain: bool) -> Vec<Knot> {
        let all: BTreeSet<usize> = stuck.iter().copied().collect();
        let mut left = all.clone();
        let mut knots = Vec::new();
        for &first in stuck {
            if let Some(cycle) = self.cycle_from(first, &all)
                && cycle.iter().all(|hand| left.contains(hand))
            {
                cycle.iter().for_each(|hand| {
                    left.remove(hand);
                });
                let mut hands = cycle.clone();
                hands.extend(self.followers(&cycle, &mut left, &all));
                knots.push(self.knot(&cycle, &hands, certain));
            }
        }
        if !left.is_empty() {
            let hands: Vec<usize> = left.into_iter().collect();
            knots.push(self.knot(&[], &hands, certain));
        }
        knots
    }

    /// Those of `left` who wait for one of the circle, or for one who does.
    fn followers(
        &self,
        cycle: &[usize],
        left: &mut BTreeSet<usize>,
        all: &BTreeSet<usize>,
    ) -> Vec<usize> {
        let mut reached: BTreeSet<usize> = cycle.iter().copied().collect();
        let mut found = Vec::new();
        loop {
            let leads =
                |&hand: &usize| self.next(hand, all).is_some_and(|to| reached.contains(&to));
            let Some(hand) = left.iter().copied().find(leads) else { return found };
            left.remove(&hand);
            reached.insert(hand);
            found.push(hand);
        }
    }

    fn cycle_from(&self, first: usize, stuck: &BTreeSet<usize>) -> Option<Vec<usize>> {
        let mut path = vec![first];
        loop {
            let next = self.next(*path.last()?, stuck)?;
            if let Some(begin) = path.iter().position(|&hand| hand == next) {
                // From its smallest on, so that it is the same wherever it was entered.
                let mut cycle = path.split_off(begin);
                let smallest = cycle.iter().enumerate().min_by_key(|(_, hand)| **hand)?.0;
                cycle.rotate_left(smallest);
                return Some(cycle);
            }
            path.push(next);
        }
    }

    fn knot(&self, cycle: &[usize], hands: &[usize], certain: bool) -> Knot {
        let named = |hands: &[usize]| hands.iter().map(|&hand| self.hand(hand)).collect();
        Knot { certain, cycle: named(cycle), hands: named(hands) }
    }
}

/// What the helper of a pool waits for.
pub(crate) const WORKERS: &str = "Workers";

/// What threads of the same process, or of those that share it, can bring about.
const KINDS: [&str; 10] = [
    "Lock",
    "Semaphore",
    "BoundedSemaphore",
    "Event",
    "Condition",
    "Barrier",
    "Queue",
    "LifoQueue",
    "PriorityQueue",
    "SimpleQueue",
];

fn hand(process: &Process, thread: &Thread) -> Hand {
    Hand { pid: process.pid, thread: thread.thread, greenlet: thread.greenlet }
}

/// Finds out who waits in vain.
pub fn judge(processes: &[Process]) -> Verdict {
    let helpers: BTreeSet<u32> =
        processes.iter().flat_map(|process| process.helpers.iter().copied()).collect();
    let mut acting = processes.to_vec();
    acting.retain(|process| !helpers.contains(&process.pid));
    let graph = Graph::new(&acting);
    let certain = graph.stuck(true);
    let mut knots = graph.knots(&certain, true);
    let known: BTreeSet<usize> = certain.into_iter().collect();
    let likely: Vec<usize> =
        graph.stuck(false).into_iter().filter(|hand| !known.contains(hand)).collect();
    knots.extend(graph.knots(&likely, false));
    Verdict { knots }
}
