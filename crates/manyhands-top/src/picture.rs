//! What two looks at a program say together: how much, how fast, how long.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use manyhands_watch::graph;
use manyhands_watch::state::{Frame, Object, Process};
use serde::Serialize;

use crate::usage::{self, Usage};

/// What was seen at one moment.
#[derive(Clone, Debug)]
pub struct Look {
    /// When.
    pub at: Instant,
    /// What the processes told.
    pub processes: Vec<Process>,
    /// What processes (thread 0) and threads have used.
    pub usage: HashMap<(u32, u32), Usage>,
}

impl Look {
    /// Looks at what these processes use.
    pub fn of(processes: Vec<Process>) -> Look {
        let mut usage = HashMap::new();
        for process in &processes {
            usage.extend(usage::of_process(process.pid).map(|used| ((process.pid, 0), used)));
            for thread in process.threads.iter().filter(|thread| thread.greenlet == 0) {
                let used = usage::of_thread(process.pid, thread.thread);
                usage.extend(used.map(|used| ((process.pid, thread.thread), used)));
            }
        }
        Look { at: Instant::now(), processes, usage }
    }
}

/// What is shown of a program.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Picture {
    /// Its processes, the first one first.
    pub processes: Vec<ProcessSeen>,
    /// Its pools and executors.
    pub pools: Vec<PoolSeen>,
    /// Its queues.
    pub queues: Vec<QueueSeen>,
    /// Everything else that makes threads wait, that which somebody waits for longest first.
    pub locks: Vec<LockSeen>,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProcessSeen {
    /// Its number.
    pub pid: u32,
    /// That of its parent.
    pub parent: u32,
    /// The words that it was started with.
    pub command: String,
    /// Percent of one processor since the look before; none at the first.
    pub cpu: Option<f64>,
    /// Bytes of memory.
    pub memory: u64,
    /// Why it tells nothing, if so.
    pub silent: Option<String>,
    /// Its threads and greenlets.
    pub threads: Vec<ThreadSeen>,
}

/// A thread or greenlet.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ThreadSeen {
    /// The kernel's number.
    pub thread: u32,
    /// Which greenlet of it; 0 for the thread itself.
    pub greenlet: u64,
    /// Its name.
    pub name: String,
    /// Percent of one processor since the look before; none at the first, and for greenlets.
    pub cpu: Option<f64>,
    /// What it waits for.
    pub waits_for: Option<String>,
    /// For how many seconds.
    pub seconds: Option<f64>,
    /// Where it is, the innermost call last.
    pub stack: Vec<Frame>,
}

/// A pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PoolSeen {
    /// The process that it belongs to.
    pub pid: u32,
    /// Its number there.
    pub id: u64,
    /// The name of its class.
    pub kind: String,
    /// How many workers it has.
    pub workers: u32,
    /// Calls that are done, without those that failed.
    pub done: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that run.
    pub running: u64,
    /// Calls that wait for a worker.
    pub waiting: u64,
    /// Calls that end in a second: since the look before, or, at the first, since the pool was made.
    pub rate: Option<f64>,
    /// Seconds until what it has is done, if it goes on as since it was made.
    pub left: Option<f64>,
    /// Whether it has ended; then the rate is that of its whole life.
    pub ended: bool,
}

/// A queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QueueSeen {
    /// The name that it has for observers.
    pub id: String,
    /// As the program calls it.
    pub name: String,
    /// The name of its class.
    pub kind: String,
    /// The processes that have it.
    pub pids: Vec<u32>,
    /// How many items it has.
    pub size: Option<u64>,
    /// How many it may have.
    pub capacity: Option<u64>,
    /// Items that are put in a second; none at the first look, and where they are not counted.
    pub put_rate: Option<f64>,
    /// Items that are taken in a second.
    pub take_rate: Option<f64>,
    /// Threads that wait for it.
    pub waiters: usize,
    /// For how many seconds the first of them has waited.
    pub longest: Option<f64>,
}

/// A lock, or another object that makes threads wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LockSeen {
    /// The name that it has for observers.
    pub id: String,
    /// As the program calls it.
    pub name: String,
    /// The name of its class.
    pub kind: String,
    /// The processes that have it.
    pub pids: Vec<u32>,
    /// Who holds it.
    pub holder: Option<String>,
    /// Threads that wait for it.
    pub waiters: usize,
    /// For how many seconds the first of them has waited.
    pub longest: Option<f64>,
    /// How often somebody had to wait for it, where that is counted.
    pub waits: u64,
}

impl Picture {
    /// What is to be shown now.
    pub fn new(before: Option<&Look>, now: &Look) -> Picture {
        let objects = objects(&now.processes);
        let (queues, locks) =
            objects.values().partition::<Vec<&Shown>, _>(|shown| shown.is_queue());
        let mut locks: Vec<LockSeen> = locks.into_iter().map(|shown| lock(shown, now)).collect();
        locks.sort_by(|one, other| {
            other.longest.partial_cmp(&one.longest).unwrap_or(std::cmp::Ordering::Equal)
        });
        Picture {
            processes: now.processes.iter().map(|it| process(it, before, now)).collect(),
            pools: now.processes.iter().flat_map(|it| pools(it, before, now)).collect(),
            queues: queues.into_iter().map(|shown| queue(shown, before, now)).collect(),
            locks,
        }
    }
}

fn seconds_between(before: &Look, now: &Look) -> f64 {
    now.at.saturating_duration_since(before.at).as_secs_f64()
}

/// What changed by so much in the time between, in a second.
fn rate(before: Option<&Look>, now: &Look, change: impl Fn(&Look) -> Option<f64>) -> Option<f64> {
    let seconds = seconds_between(before?, now);
    (seconds > 0.0).then(|| change(before?).map(|change| change / seconds))?
}

fn cpu(before: Option<&Look>, now: &Look, key: (u32, u32)) -> Option<f64> {
    let used = now.usage.get(&key)?.cpu;
    rate(before, now, |before| {
        Some(used.saturating_sub(before.usage.get(&key)?.cpu).as_secs_f64() * 100.0)
    })
}

fn process(process: &Process, before: Option<&Look>, now: &Look) -> ProcessSeen {
    let threads = process.threads.iter().map(|thread| {
        let wait = thread.wait.as_ref();
        let object = wait.and_then(|wait| graph::object(process, wait));
        let key = (process.pid, thread.thread);
        ThreadSeen {
            thread: thread.thread,
            greenlet: thread.greenlet,
            name: thread.name.clone(),
            cpu: if thread.greenlet == 0 { cpu(before, now, key) } else { None },
            waits_for: object.map(called),
            seconds: wait.map(|wait| wait.seconds).filter(|&seconds| seconds > 0.0),
            stack: thread.stack.clone(),
        }
    });
    ProcessSeen {
        pid: process.pid,
        parent: process.parent,
        command: process.command.join(" "),
        cpu: cpu(before, now, (process.pid, 0)),
        memory: now.usage.get(&(process.pid, 0)).map_or(0, |usage| usage.memory),
        silent: process.silent.clone(),
        threads: threads.collect(),
    }
}

fn called(object: &Object) -> String {
    match (object.kind.as_str(), object.name.as_str()) {
        ("Thread", name) => format!("end of thread {name}"),
        ("Process", _) => {
            format!("end of process {}", object.owner.map_or(0, |owner| owner.pid))
        }
        ("Workers", _) => "workers".to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, name) => format!("{name} ({kind})"),
    }
}

fn pools(process: &Process, before: Option<&Look>, now: &Look) -> Vec<PoolSeen> {
    let seen = |pool: &manyhands_watch::state::Pool| {
        let ended = (pool.done + pool.failed) as f64;
        let overall = (pool.seconds > 0.0).then(|| ended / pool.seconds);
        let lately = rate(before, now, |before| {
            let then = before.processes.iter().find(|it| it.pid == process.pid)?;
            let then = then.pools.iter().find(|it| it.id == pool.id)?;
            Some(ended - (then.done + then.failed) as f64)
        });
        let left = (pool.running + pool.waiting) as f64;
        PoolSeen {
            pid: process.pid,
            id: pool.id,
            kind: pool.kind.clone(),
            workers: pool.workers,
            done: pool.done,
            failed: pool.failed,
            running: pool.running,
            waiting: pool.waiting,
            rate: if pool.ended { overall } else { lately.or(overall) },
            ended: pool.ended,
            left: overall.filter(|&rate| rate > 0.0 && left > 0.0).map(|rate| left / rate),
        }
    };
    process.pools.iter().map(seen).collect()
}

/// An object, whoever tells of it.
struct Shown<'a> {
    object: &'a Object,
    name: &'a str,
    pids: Vec<u32>,
    waits: u64,
    waiting: Vec<f64>,
}

impl Shown<'_> {
    fn is_queue(&self) -> bool {
        self.object.kind.contains("Queue")
    }

    fn longest(&self) -> Option<f64> {
        self.waiting.iter().copied().reduce(f64::max)
    }
}

fn objects(processes: &[Process]) -> BTreeMap<&str, Shown<'_>> {
    let mut objects: BTreeMap<&str, Shown<'_>> = BTreeMap::new();
    for process in processes {
        for object in process.objects.iter().filter(|object| is_shown(object)) {
            let shown = objects.entry(&object.id).or_insert_with(|| Shown {
                object,
                name: "",
                pids: Vec::new(),
                waits: 0,
                waiting: Vec::new(),
            });
            if shown.name.is_empty() {
                shown.name = &object.name;
            }
            shown.pids.push(process.pid);
            shown.waits += object.waits;
        }
        for wait in process.threads.iter().filter_map(|thread| thread.wait.as_ref()) {
            if let Some(shown) = objects.get_mut(wait.object.as_str()) {
                shown.waiting.push(wait.seconds);
            }
        }
    }
    objects
}

fn is_shown(object: &Object) -> bool {
    !matches!(object.kind.as_str(), "" | "Thread" | "Process" | "Workers")
}

fn queue(shown: &Shown<'_>, before: Option<&Look>, now: &Look) -> QueueSeen {
    // What is counted wraps.
    let flow = |count: fn(&Object) -> Option<u64>| {
        let later = count(shown.object)?;
        rate(before, now, |before| {
            let mut objects = before.processes.iter().flat_map(|process| &process.objects);
            let earlier = count(objects.find(|object| object.id == shown.object.id)?)?;
            Some(f64::from((later as u32).wrapping_sub(earlier as u32)))
        })
    };
    QueueSeen {
        id: shown.object.id.clone(),
        name: shown.name.to_owned(),
        kind: shown.object.kind.clone(),
        pids: shown.pids.clone(),
        size: shown.object.size,
        capacity: shown.object.capacity,
        put_rate: flow(|object| object.put),
        take_rate: flow(|object| object.taken),
        waiters: shown.waiting.len(),
        longest: shown.longest(),
    }
}

fn lock(shown: &Shown<'_>, now: &Look) -> LockSeen {
    let holder = shown.object.owner.map(|owner| match graph::find(&now.processes, owner) {
        Some((_, thread)) if !thread.name.is_empty() => format!("{} of {}", thread.name, owner.pid),
        _ => format!("process {}", owner.pid),
    });
    LockSeen {
        id: shown.object.id.clone(),
        name: shown.name.to_owned(),
        kind: shown.object.kind.clone(),
        pids: shown.pids.clone(),
        holder,
        waiters: shown.waiting.len(),
        longest: shown.longest(),
        waits: shown.waits,
    }
}
