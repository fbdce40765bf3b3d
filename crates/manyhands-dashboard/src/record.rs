//! What is told to browsers: what a look saw, and what looks before saw that is not there any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use manyhands_top::picture::{Look, Picture, PoolSeen};
use manyhands_watch::graph::{Knot, judge};
use manyhands_watch::report;
use manyhands_watch::state::Process;
use serde::Serialize;
use serde_json::{Value, json};

/// So many pools that have ended are kept.
const MOST: usize = 50;

#[derive(Default)]
pub(crate) struct Record {
    before: Option<Look>,
    /// What waited in vain at the look before: the numbers of the waits.
    suspected: BTreeSet<Vec<(u32, u64)>>,
    /// The pools of the looks before, by process and number.
    pools: BTreeMap<(u32, u64), PoolSeen>,
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    picture: &'a Picture,
    /// The pools of processes that were there before and are not now, as they were seen last.
    gone_pools: Vec<&'a PoolSeen>,
    /// Who waits in vain, in words.
    deadlocks: Vec<String>,
}

impl Record {
    /// Takes note of a look; returns what is to be told then.
    pub(crate) fn add(&mut self, processes: Vec<Process>) -> Arc<str> {
        // Without names it would tell less than the look before.
        if let Some(why) = processes.first().and_then(|process| process.silent.as_ref())
            && self.before.is_some()
        {
            return silent(why);
        }
        let deadlocks = self.deadlocks(&processes);
        let look = Look::of(processes);
        let picture = Picture::new(self.before.as_ref(), &look);
        let there: BTreeSet<(u32, u64)> =
            picture.pools.iter().map(|pool| (pool.pid, pool.id)).collect();
        for pool in &picture.pools {
            let gone = PoolSeen { ended: true, left: None, ..pool.clone() };
            self.pools.insert((pool.pid, pool.id), gone);
        }
        while self.pools.len() > MOST.max(there.len()) {
            let oldest = self.pools.keys().find(|key| !there.contains(key)).copied();
            let Some(oldest) = oldest else { break };
            self.pools.remove(&oldest);
        }
        let gone_pools =
            self.pools.iter().filter(|(key, _)| !there.contains(key)).map(|(_, pool)| pool);
        let told = Told { picture: &picture, gone_pools: gone_pools.collect(), deadlocks };
        let told = text(&told);
        self.before = Some(look);
        told
    }

    /// Those that were there at the look before, too: others may only not have had their turn yet.
    fn deadlocks(&mut self, processes: &[Process]) -> Vec<String> {
        let knots = judge(processes).knots;
        let suspected: BTreeSet<_> = knots.iter().map(|knot| waits(processes, knot)).collect();
        let told = knots.iter().filter(|knot| self.suspected.contains(&waits(processes, knot)));
        let told = told.map(|knot| report::knot(processes, knot)).collect();
        self.suspected = suspected;
        told
    }
}

/// The numbers of the waits of a group.
fn waits(processes: &[Process], knot: &Knot) -> Vec<(u32, u64)> {
    let number = |hand: &manyhands_watch::state::Hand| {
        let (_, thread) = manyhands_watch::graph::find(processes, *hand)?;
        Some((hand.pid, thread.wait.as_ref()?.number))
    };
    knot.hands.iter().filter_map(number).collect()
}

fn text(value: &impl Serialize) -> Arc<str> {
    // What a picture has are texts and numbers.
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()).into()
}

/// What is told while the program says nothing.
pub(crate) fn silent(why: &str) -> Arc<str> {
    text(&json!({ "silent": why }))
}

/// What is told when the program has ended: what was told last, and how.
pub(crate) fn ended(last: &str, how: &str) -> Arc<str> {
    let mut told: Value = serde_json::from_str(last).unwrap_or_default();
    if !told.is_object() {
        told = json!({});
    }
    told["ended"] = how.into();
    text(&told)
}
