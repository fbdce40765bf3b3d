//! Lines, by themselves and against what a counter promises.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct Sleeper {
    name: usize,
    /// What `wake` says, and whether it was called.
    waits: Rc<Cell<bool>>,
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Wakeable for Sleeper {
    fn wake(&self) -> bool {
        self.waits.replace(false)
    }
}

fn sleeper(name: usize) -> Sleeper {
    Sleeper { name, waits: Rc::new(Cell::new(true)) }
}

#[test]
fn only_as_many_are_woken_as_there_is_something_for() {
    let mut line: Line<Sleeper, ()> = Line::new();
    let sleepers: Vec<Sleeper> = (0..3).map(sleeper).collect();
    sleepers.iter().cloned().for_each(|it| line.enter(it));
    assert!(!line.advance(u64::MAX, 2));
    assert!(!line.advance(u64::MAX, 2));
    let waits: Vec<bool> = sleepers.iter().map(|it| it.waits.get()).collect();
    assert_eq!(waits, [false, false, true]);
    line.arrive();
    assert!(!line.advance(u64::MAX, 2));
    assert!(line.is_empty());
}

#[test]
fn who_waits_no_longer_is_passed_over() {
    let mut line: Line<Sleeper, ()> = Line::new();
    let (gone, there) = (sleeper(0), sleeper(1));
    gone.waits.set(false);
    line.enter(gone);
    line.enter(there.clone());
    assert!(!line.advance(u64::MAX, 1));
    assert!(!there.waits.get());
}

#[test]
fn who_comes_back_is_first() {
    let mut line: Line<Sleeper, ()> = Line::new();
    let (first, second) = (sleeper(0), sleeper(1));
    line.enter(first.clone());
    line.enter(second.clone());
    assert!(!line.advance(u64::MAX, 1));
    line.arrive();
    first.waits.set(true);
    line.come_back(first.clone());
    assert!(!line.advance(u64::MAX, 1));
    assert_eq!((first.waits.get(), second.waits.get()), (false, true));
}

#[test]
fn one_may_be_called_out_of_the_line() {
    let mut line: Line<Sleeper, ()> = Line::new();
    let (first, second) = (sleeper(0), sleeper(1));
    line.enter(first.clone());
    line.enter(second.clone());
    line.call_out(&second);
    line.call_out(&second);
    assert_eq!((first.waits.get(), second.waits.get()), (true, false));
    assert_eq!((line.len(), line.on_their_way()), (1, 1));
}

#[test]
fn those_who_came_later_are_left_out() {
    let mut line: Line<Sleeper, ()> = Line::new();
    let (early, late) = (sleeper(0), sleeper(1));
    line.enter(early.clone());
    let until = line.number();
    line.enter(late.clone());
    assert!(!line.advance(until, usize::MAX));
    assert_eq!((early.waits.get(), late.waits.get()), (false, true));
}

#[test]
fn links_and_waiters_keep_their_order() {
    let mut line: Line<Sleeper, char> = Line::new();
    let (before, after) = (sleeper(0), sleeper(1));
    line.enter(before.clone());
    line.link('a');
    line.link('b');
    line.enter(after.clone());
    line.link('c');
    let all = (u64::MAX, usize::MAX);
    assert!(line.advance(all.0, all.1));
    assert!(!line.advance(all.0, all.1), "there is a job already");
    assert_eq!((before.waits.get(), after.waits.get()), (false, true));
    assert_eq!(line.next_link(all.0, all.1), Some('a'));
    assert_eq!(line.next_link(all.0, all.1), Some('b'));
    assert_eq!(line.next_link(all.0, all.1), None);
    line.end_links();
    assert!(line.advance(all.0, all.1), "for the last link");
    assert!(!after.waits.get());
}

#[test]
fn a_link_that_was_taken_out_is_not_called() {
    let mut line: Line<Sleeper, char> = Line::new();
    line.link('a');
    line.link('b');
    assert!(line.advance(u64::MAX, 1));
    let numbers: Vec<u64> = line.links().map(|(number, _)| number).collect();
    assert_eq!(numbers.first().and_then(|first| line.unlink(*first)), Some('a'));
    assert_eq!(numbers.first().and_then(|first| line.unlink(*first)), None);
    assert_eq!(line.next_link(u64::MAX, 1), Some('b'));
}

#[test]
fn in_a_forked_child_nobody_is_on_its_way() {
    let mut line: Line<Sleeper, char> = Line::new();
    (0..3).map(sleeper).for_each(|it| line.enter(it));
    line.link('a');
    assert!(!line.advance(u64::MAX, 1));
    assert!(line.is_moving());
    line.forked(|it| it.name == 2);
    assert!(!line.is_moving());
    assert_eq!((line.len(), line.take_links()), (2, vec!['a']));
    assert_eq!(line.len(), 1);
}

/// What may happen to a counter that several wait for.
#[derive(Clone, Debug)]
enum Step {
    Release,
    /// By somebody who does not wait: he takes a unit if there is one.
    Steal,
    Wait,
    /// The one of that number who is on its way goes on, or is killed first.
    GoOn {
        which: usize,
        killed: bool,
    },
    /// The one of that number who waits gives up.
    GiveUp {
        which: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Release),
        Just(Step::Steal),
        Just(Step::Wait),
        (0..8usize, any::<bool>()).prop_map(|(which, killed)| Step::GoOn { which, killed }),
        (0..8usize).prop_map(|which| Step::GiveUp { which }),
    ]
}

proptest! {
    /// Whenever there is something, somebody is on its way for it, or nobody waits.
    #[test]
    fn nothing_is_left_while_somebody_waits(steps in prop::collection::vec(step(), 0..80)) {
        let mut line: Line<Sleeper, ()> = Line::new();
        let (mut units, mut name) = (0usize, 0);
        let mut waiting: Vec<Sleeper> = Vec::new();
        for step in steps {
            match step {
                Step::Release => units += 1,
                Step::Steal => units = units.saturating_sub(1),
                Step::Wait => {
                    name += 1;
                    let it = sleeper(name);
                    line.enter(it.clone());
                    waiting.push(it);
                }
                Step::GoOn { which, killed } => {
                    let mut woken = waiting.iter().filter(|it| !it.waits.get());
                    let Some(it) = woken.nth(which).cloned() else { continue };
                    line.arrive();
                    if killed || units > 0 {
                        units -= usize::from(!killed);
                        waiting.retain(|other| *other != it);
                    } else {
                        it.waits.set(true);
                        line.come_back(it);
                    }
                }
                Step::GiveUp { which } => {
                    let mut asleep = waiting.iter().filter(|it| it.waits.get());
                    let Some(it) = asleep.nth(which).cloned() else { continue };
                    prop_assert!(line.leave(&it));
                    waiting.retain(|other| *other != it);
                }
            }
            prop_assert!(!line.advance(u64::MAX, units));
            let woken = waiting.iter().filter(|it| !it.waits.get()).count();
            prop_assert_eq!(line.len() + woken, waiting.len());
            prop_assert!(woken >= units || line.is_empty(), "units that nobody comes for");
        }
    }
}
