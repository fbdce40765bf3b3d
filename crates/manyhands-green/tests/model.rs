//! Whatever is done with a hub, in whatever order: turns go to those who were woken, once, in their order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use manyhands_green::{Hub, Key, Turn, Wake};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Deed {
    Wait,
    Wake(usize),
    End(usize),
    Again(usize),
    WakeAt(usize, bool),
    ForgetTime(usize),
    Post,
    Look,
    Next,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        3 => Just(Deed::Wait),
        4 => (0..40usize).prop_map(Deed::Wake),
        2 => (0..40usize).prop_map(Deed::End),
        1 => (0..40usize).prop_map(Deed::Again),
        2 => (0..40usize, any::<bool>()).prop_map(|(of, past)| Deed::WakeAt(of, past)),
        1 => (0..40usize).prop_map(Deed::ForgetTime),
        1 => Just(Deed::Post),
        1 => Just(Deed::Look),
        4 => Just(Deed::Next),
    ];
    proptest::collection::vec(deed, 0..200)
}

/// One who waits, as simply as it can be said.
#[derive(Clone, Debug)]
struct Waits {
    key: Key,
    is_there: bool,
    woken: Option<Wake>,
    /// It is due when the hub next looks.
    is_due: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Slot(usize),
    Job,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn turns_are_as_the_model_says(deeds in deeds()) {
        let mut hub: Hub<usize> = Hub::new().unwrap();
        let mut all: Vec<Waits> = Vec::new();
        let mut turns: VecDeque<Expected> = VecDeque::new();
        let mut clock = 0;
        let begun = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let mut since_look = 0;
        for deed in deeds {
            match deed {
                Deed::Wait => {
                    let key = hub.wait(all.len(), true);
                    all.push(Waits { key, is_there: true, woken: None, is_due: None });
                }
                Deed::Wake(of) if of < all.len() => {
                    let it = &mut all[of];
                    let wakes = it.is_there && it.woken.is_none();
                    prop_assert_eq!(hub.wake(it.key, Wake::Notified), wakes);
                    if wakes {
                        it.woken = Some(Wake::Notified);
                        it.is_due = None;
                        turns.push_back(Expected::Slot(of));
                    }
                }
                Deed::End(of) if of < all.len() => {
                    let it = &mut all[of];
                    let expected = it.is_there.then_some((of, it.woken));
                    prop_assert_eq!(hub.end(it.key), expected);
                    it.is_there = false;
                    turns.retain(|turn| *turn != Expected::Slot(of));
                }
                // Only for one whose turn has come.
                Deed::Again(of) if of < all.len() && !turns.contains(&Expected::Slot(of)) => {
                    hub.again(all[of].key);
                    all[of].woken = None;
                }
                Deed::WakeAt(of, past) if of < all.len() => {
                    clock += 1;
                    let after = if past { Duration::from_micros(clock as u64) } else { Duration::from_secs(1000) };
                    hub.wake_at(all[of].key, begun + after);
                    if all[of].is_there && all[of].woken.is_none() {
                        all[of].is_due = past.then_some(clock);
                    }
                }
                Deed::ForgetTime(of) if of < all.len() => {
                    hub.forget_time(all[of].key);
                    all[of].is_due = None;
                }
                Deed::Post => {
                    hub.post(usize::MAX);
                    turns.push_back(Expected::Job);
                }
                Deed::Look => {
                    hub.look();
                    expire(&mut all, &mut turns);
                    since_look = 0;
                }
                Deed::Next => {
                    since_look += 1;
                    if since_look == 64 {
                        expire(&mut all, &mut turns);
                        since_look = 0;
                    }
                    let got = hub.next().map(|turn| match turn {
                        Turn::Slot(key) => Expected::Slot(*hub.what(key).unwrap()),
                        Turn::Job(_) => Expected::Job,
                    });
                    prop_assert_eq!(got, turns.pop_front());
                }
                _ => {}
            }
            let there = all.iter().filter(|it| it.is_there);
            prop_assert_eq!(hub.places(), there.clone().count());
            prop_assert_eq!(hub.keeping(), there.clone().filter(|it| it.woken.is_none()).count());
            for it in &all {
                prop_assert_eq!(hub.woken(it.key), if it.is_there { it.woken } else { None });
            }
        }
    }
}

fn expire(all: &mut [Waits], turns: &mut VecDeque<Expected>) {
    let mut due: Vec<(usize, usize)> = all
        .iter()
        .enumerate()
        .filter_map(|(of, it)| it.is_due.filter(|_| it.is_there).map(|at| (at, of)))
        .collect();
    due.sort_unstable();
    for (_, of) in due {
        all[of].woken = Some(Wake::TimedOut);
        all[of].is_due = None;
        turns.push_back(Expected::Slot(of));
    }
}
