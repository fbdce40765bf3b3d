//! How a trace lies on a picture: a lane for each thread, queue and lock, under each other.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ring::Kind;
use crate::trace::{Noted, Trace};

/// What the group of queues and locks is called that processes share.
pub(crate) const SHARED_BY: &str = "shared by processes";

/// All that is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Lanes {
    /// How long it took, in nanoseconds.
    pub(crate) length: u64,
    pub(crate) lost: u64,
    pub(crate) events: usize,
    /// What bars are called, by their numbers.
    pub(crate) titles: Vec<String>,
    pub(crate) groups: Vec<Group>,
}

/// A process, or what processes share.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) lanes: Vec<Lane>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Lane {
    /// A thread's, a greenlet's, or a lock's.
    Bars { name: String, bars: Vec<Bar> },
    /// A queue's: how many items it had from when on.
    Items { name: String, items: Vec<(u64, u64)> },
}

/// When it begins, how long it is, in nanoseconds; what it is called; of which sort it is; and how many it
/// stands for.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Bar(
    pub(crate) u64,
    pub(crate) u64,
    pub(crate) usize,
    pub(crate) Sort,
    pub(crate) u16,
);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    Task,
    Failed,
    Wait,
    Hold,
}

impl Sort {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Sort::Task => "task",
            Sort::Failed => "failed",
            Sort::Wait => "wait",
            Sort::Hold => "hold",
        }
    }
}

/// The place of a lane: threads first, then queues, then locks.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Thread(u32, u64),
    Queue(u64),
    Lock(u64),
}

#[derive(Default)]
struct Titles {
    known: BTreeMap<String, usize>,
    list: Vec<String>,
}

impl Titles {
    fn number(&mut self, title: String) -> usize {
        let next = self.list.len();
        let list = &mut self.list;
        *self.known.entry(title).or_insert_with_key(|title| {
            list.push(title.clone());
            next
        })
    }
}

impl Lanes {
    pub(crate) fn new(trace: &Trace) -> Lanes {
        let start = trace.events.first().map_or(0, |noted| noted.event.begun);
        let mut titles = Titles::default();
        // What processes share comes last.
        let mut groups: BTreeMap<(bool, u32), BTreeMap<Place, Lane>> = BTreeMap::new();
        let mut length = 1;
        for noted in &trace.events {
            let event = &noted.event;
            let begun = event.begun - start;
            length = length.max(begun);
            if let Some(sort) = sort(event.kind) {
                length = length.max(begun + event.value);
                let (group, place, name) = place(trace, noted);
                let lanes = groups.entry((group == 0, group)).or_default();
                let lane =
                    lanes.entry(place).or_insert_with(|| Lane::Bars { name, bars: Vec::new() });
                if let Lane::Bars { bars, .. } = lane {
                    let title = titles.number(trace.title(noted));
                    bars.push(Bar(begun, event.value, title, sort, event.count));
                }
            }
            if let Some(now) = trace.items(noted) {
                let (group, key) = Trace::object_key(noted);
                let name = trace.object(noted).unwrap_or_default();
                let lanes = groups.entry((group == 0, group)).or_default();
                let lane = lanes
                    .entry(Place::Queue(key))
                    .or_insert_with(|| Lane::Items { name, items: Vec::new() });
                if let Lane::Items { items, .. } = lane {
                    items.push((begun, now));
                }
            }
        }
        let groups = groups.into_iter().map(|((_, pid), lanes)| Group {
            name: if pid == 0 { SHARED_BY.to_owned() } else { trace.process(pid) },
            lanes: lanes.into_values().collect(),
        });
        let groups = groups.collect();
        Lanes { length, lost: trace.lost, events: trace.events.len(), titles: titles.list, groups }
    }
}

fn sort(kind: Kind) -> Option<Sort> {
    match kind {
        Kind::Task => Some(Sort::Task),
        Kind::Failed => Some(Sort::Failed),
        Kind::Wait => Some(Sort::Wait),
        Kind::Hold => Some(Sort::Hold),
        Kind::Put | Kind::Get => None,
    }
}

/// The group, the place in it, and the name of the lane of bars in which an event is shown.
fn place(trace: &Trace, noted: &Noted) -> (u32, Place, String) {
    let event = &noted.event;
    if event.kind == Kind::Hold {
        let (owner, key) = Trace::object_key(noted);
        return (
            owner,
            Place::Lock(key),
            format!("{}, held", trace.object(noted).unwrap_or_default()),
        );
    }
    let thread = trace.thread(noted.pid, event.thread);
    let name = match event.greenlet {
        0 => thread,
        greenlet => format!("greenlet {greenlet:x} of {thread}"),
    };
    (noted.pid, Place::Thread(event.thread, event.greenlet), name)
}
