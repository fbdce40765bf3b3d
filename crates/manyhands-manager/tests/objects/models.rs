//! Random calls, compared with what is simple.

use std::collections::VecDeque;

use proptest::prelude::*;

use crate::world::World;

fn shown<T: std::fmt::Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    format!("[{}]", items.join(", "))
}

/// Python's slice, member by member: start and stop are brought inside, then counted.
fn sliced(length: i64, start: i64, stop: i64, step: i64) -> Vec<usize> {
    let bring = |at: i64| {
        let at = if at < 0 { at + length } else { at };
        if step > 0 { at.clamp(0, length) } else { at.clamp(-1, length - 1) }
    };
    let (mut at, stop) = (bring(start), bring(stop));
    let mut places = Vec::new();
    while if step > 0 { at < stop } else { at > stop } {
        places.push(at as usize);
        at += step;
    }
    places
}

#[derive(Clone, Debug)]
enum ListCall {
    Append(i64),
    Insert(i64, i64),
    Pop(i64),
    Get(i64),
    Set(i64, i64),
    Slice(i64, i64, i64),
    DeleteSlice(i64, i64, i64),
    SetSlice(i64, i64, Vec<i64>),
    Remove(i64),
    Count(i64),
    Sort(bool),
    Reverse,
}

fn list_call() -> impl Strategy<Value = ListCall> {
    use ListCall::*;
    let at = || -9_i64..9;
    let step = || prop_oneof![-3_i64..0, 1_i64..4];
    prop_oneof![
        3 => at().prop_map(Append),
        2 => (at(), at()).prop_map(|(a, b)| Insert(a, b)),
        1 => at().prop_map(Pop),
        1 => at().prop_map(Get),
        1 => (at(), at()).prop_map(|(a, b)| Set(a, b)),
        2 => (at(), at(), step()).prop_map(|(a, b, c)| Slice(a, b, c)),
        1 => (at(), at(), step()).prop_map(|(a, b, c)| DeleteSlice(a, b, c)),
        1 => (at(), at(), prop::collection::vec(at(), 0..4)).prop_map(|(a, b, c)| SetSlice(a, b, c)),
        1 => at().prop_map(Remove),
        1 => at().prop_map(Count),
        1 => any::<bool>().prop_map(Sort),
        1 => Just(Reverse),
    ]
}

/// What a call makes of a list of Rust's; None for an error.
fn on_model(model: &mut Vec<i64>, call: &ListCall) -> Option<String> {
    let length = model.len() as i64;
    let place = |at: i64| {
        let at = if at < 0 { at + length } else { at };
        (0..length).contains(&at).then_some(at as usize)
    };
    let none = Some("None".to_owned());
    match call {
        ListCall::Append(value) => model.push(*value),
        ListCall::Insert(at, value) => {
            let at = if *at < 0 { (at + length).max(0) } else { (*at).min(length) };
            model.insert(at as usize, *value);
        }
        ListCall::Pop(at) => return place(*at).map(|at| model.remove(at).to_string()),
        ListCall::Get(at) => return place(*at).map(|at| model[at].to_string()),
        ListCall::Set(at, value) => model[place(*at)?] = *value,
        ListCall::Slice(start, stop, step) => {
            let places = sliced(length, *start, *stop, *step);
            let items: Vec<i64> = places.into_iter().map(|at| model[at]).collect();
            return Some(shown(&items));
        }
        ListCall::DeleteSlice(start, stop, step) => {
            let places = sliced(length, *start, *stop, *step);
            let kept = model.iter().enumerate().filter(|(at, _)| !places.contains(at));
            *model = kept.map(|(_, item)| *item).collect();
        }
        ListCall::SetSlice(start, stop, items) => {
            let bring = |at: i64| (if at < 0 { at + length } else { at }).clamp(0, length) as usize;
            let (start, stop) = (bring(*start), bring(*stop));
            model.splice(start..stop.max(start), items.iter().copied());
        }
        ListCall::Remove(value) => {
            let at = model.iter().position(|item| item == value)?;
            model.remove(at);
        }
        ListCall::Count(value) => {
            return Some(model.iter().filter(|item| *item == value).count().to_string());
        }
        ListCall::Sort(reverse) => {
            model.sort_unstable();
            if *reverse {
                model.reverse();
            }
        }
        ListCall::Reverse => model.reverse(),
    }
    none
}

fn list_source(call: &ListCall) -> String {
    match call {
        ListCall::Append(value) => format!("append({value})"),
        ListCall::Insert(at, value) => format!("insert({at}, {value})"),
        ListCall::Pop(at) => format!("pop({at})"),
        ListCall::Get(at) => format!("__getitem__({at})"),
        ListCall::Set(at, value) => format!("__setitem__({at}, {value})"),
        ListCall::Slice(a, b, c) => format!("__getitem__(slice({a}, {b}, {c}))"),
        ListCall::DeleteSlice(a, b, c) => format!("__delitem__(slice({a}, {b}, {c}))"),
        ListCall::SetSlice(a, b, items) => format!("__setitem__(slice({a}, {b}, None), {items:?})"),
        ListCall::Remove(value) => format!("remove({value})"),
        ListCall::Count(value) => format!("count({value})"),
        ListCall::Sort(reverse) => format!("sort(reverse={})", i64::from(*reverse)),
        ListCall::Reverse => "reverse()".to_owned(),
    }
}

proptest! {
    #[test]
    fn a_list_is_a_vec(calls in prop::collection::vec(list_call(), 1..60)) {
        let mut list = World::new("list", "");
        let mut model = Vec::new();
        for call in &calls {
            let outcome = list.call(1, &list_source(call));
            match on_model(&mut model, call) {
                Some(expected) => prop_assert_eq!(outcome, expected, "{:?}", call),
                None => prop_assert!(outcome.contains("Error("), "{:?}: {}", call, outcome),
            }
            prop_assert_eq!(list.call(1, "copy()"), shown(&model));
        }
    }

    #[test]
    fn a_dict_is_a_vec_of_pairs(calls in prop::collection::vec((0..5, 0..40, 0..9), 1..200)) {
        let mut dict = World::new("dict", "");
        let mut model: Vec<(i32, i32)> = Vec::new();
        for (what, key, value) in calls {
            let at = model.iter().position(|(known, _)| *known == key);
            let (source, expected) = match (what, at) {
                (0 | 1, at) => {
                    match at {
                        Some(at) => model[at].1 = value,
                        None => model.push((key, value)),
                    }
                    (format!("__setitem__({key}, {value})"), "None".to_owned())
                }
                (2, Some(at)) => (format!("pop({key}.0)"), model.remove(at).1.to_string()),
                (2, None) => (format!("pop({key}, 'no')"), "'no'".to_owned()),
                (3, Some(at)) => (format!("get({key})"), model[at].1.to_string()),
                (3, None) => (format!("get({key})"), "None".to_owned()),
                _ => match model.pop() {
                    Some((key, value)) => ("popitem()".to_owned(), format!("({key}, {value})")),
                    None => ("__len__()".to_owned(), "0".to_owned()),
                },
            };
            prop_assert_eq!(dict.call(1, &source), expected, "{}", source);
            let keys: Vec<i32> = model.iter().map(|(key, _)| *key).collect();
            prop_assert_eq!(dict.call(1, "keys()"), shown(&keys));
        }
    }

    /// Whoever waits: items come out in the order in which their puts came, to getters in the order in which their gets came.
    #[test]
    fn a_queue_loses_and_doubles_nothing(
        maximum in 0..4_u64,
        calls in prop::collection::vec((0..9, any::<bool>()), 1..200),
    ) {
        let mut queue = World::new("Queue", &maximum.to_string());
        // Each call is of a connection of its own; who puts puts its number.
        let (mut puts, mut gets) = (VecDeque::new(), VecDeque::new());
        let mut waiting: Vec<u64> = Vec::new();
        for (who, (what, wait)) in (100_u64..).step_by(10).zip(calls) {
            let source = match what {
                0..4 => format!("put({who}, {})", if wait { "True" } else { "False" }),
                4..8 => format!("get({})", if wait { "True" } else { "False" }),
                _ => match waiting.pop() {
                    Some(tired) => {
                        queue.call(tired, "!expire");
                        puts.retain(|put| *put != tired);
                        gets.retain(|get| *get != tired);
                        continue;
                    }
                    None => continue,
                },
            };
            let is_put = what < 4;
            let outcome = queue.call(who, &source);
            if outcome.starts_with("queue.") {
                continue;
            }
            if is_put { puts.push_back(who) } else { gets.push_back(who) }
            for (at, part) in outcome.split("; ").enumerate() {
                let (whose, got) = match part.split_once(": ") {
                    Some((whose, got)) => (whose.parse().unwrap(), got),
                    None => (who, part),
                };
                prop_assert_eq!(at == 0, whose == who);
                waiting.retain(|waits| *waits != whose);
                if got == "waits" {
                    waiting.push(whose);
                } else if got != "None" {
                    prop_assert_eq!(puts.pop_front().map(|put| put.to_string()), Some(got.to_owned()));
                    prop_assert_eq!(gets.pop_front(), Some(whose));
                }
            }
            let inside: u64 = queue.call(1, "qsize()").parse().unwrap();
            prop_assert!(maximum == 0 || inside <= maximum);
            prop_assert!(gets.is_empty() || inside == 0);
        }
    }

    /// Whoever dies or gives up: one holder at a time, and then the one that has waited longest.
    #[test]
    fn a_lock_has_one_holder(
        kind in prop_oneof![Just("Lock"), Just("RLock"), Just("Condition")],
        calls in prop::collection::vec((0..6, 1..6_u64), 1..100),
    ) {
        let mut lock = World::new(kind, "");
        let (mut holder, mut line, mut abandoned) = (None, VecDeque::new(), false);
        for (what, who) in calls {
            let waits = line.contains(&who);
            let is_holder = holder == Some(who);
            let (source, lets_go) = match what {
                0 | 1 if !waits && !is_holder => {
                    let outcome = lock.call(who, "acquire()");
                    if holder.is_some() {
                        line.push_back(who);
                        prop_assert_eq!(outcome, "waits");
                    } else {
                        holder = Some(who);
                        prop_assert_eq!(outcome, if abandoned { "abandoned True" } else { "True" });
                    }
                    continue;
                }
                2 if is_holder => ("release()", true),
                3 if is_holder => ("!lost acquire(True)", true),
                4 => ("!died", is_holder),
                5 if waits => ("!expire", false),
                _ => continue,
            };
            let outcome = lock.call(who, source);
            line.retain(|waiter| *waiter != who);
            let own = match source {
                "release()" => "None",
                "!expire" => "False",
                _ => "",
            };
            let mut expected = own.to_owned();
            if lets_go {
                // Who never heard of it leaves it as it was.
                abandoned = source == "!died" || (source != "release()" && abandoned);
                holder = line.pop_front();
                if let Some(next) = holder {
                    let text = if abandoned { "abandoned True" } else { "True" };
                    let gap = if own.is_empty() { "" } else { "; " };
                    expected.push_str(&format!("{gap}{next}: {text}"));
                }
            }
            prop_assert_eq!(outcome, expected, "{} {}", who, source);
        }
    }
}
