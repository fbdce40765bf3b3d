//! The trace as Perfetto (<https://ui.perfetto.dev>) and Chrome (`chrome://tracing`) read it.
//!
//! # References
//! "Trace Event Format" of the Chromium project.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::lanes::SHARED_BY;
use crate::ring::Kind;
use crate::trace::{Noted, Trace};

/// Writes it.
///
/// # Errors
/// Those of writing.
pub fn write(trace: &Trace, out: &mut impl Write) -> io::Result<()> {
    let start = trace.events.first().map_or(0, |noted| noted.event.begun);
    let lost = trace.lost;
    write!(out, "{{\"displayTimeUnit\":\"ms\",\"otherData\":{{\"lost events\":{lost}}},")?;
    write!(out, "\"traceEvents\":[")?;
    let mut separator = "\n";
    let mut put = |value: Value| -> io::Result<()> {
        write!(out, "{separator}{value}")?;
        separator = ",\n";
        Ok(())
    };
    let mut tracks = Tracks::default();
    for noted in &trace.events {
        let track = tracks.of(noted);
        for value in values(trace, noted, track, start) {
            put(value)?;
        }
    }
    for value in tracks.names(trace) {
        put(value)?;
    }
    writeln!(out, "\n]}}")
}

/// The number of each thread's, and each greenlet's, track.
#[derive(Default)]
struct Tracks {
    known: BTreeMap<(u32, u32, u64), u64>,
    /// Whether there is something that processes share.
    shares: bool,
}

impl Tracks {
    fn of(&mut self, noted: &Noted) -> u64 {
        let event = &noted.event;
        self.shares |= !event.kind.lasts() && Trace::object_key(noted).0 == 0;
        let next = (1 << 32) + self.known.len() as u64;
        let track = if event.greenlet == 0 { event.thread.into() } else { next };
        *self.known.entry((noted.pid, event.thread, event.greenlet)).or_insert(track)
    }

    fn names(&self, trace: &Trace) -> Vec<Value> {
        let pids: BTreeSet<u32> = self.known.keys().map(|&(pid, ..)| pid).collect();
        let name = |what: &str, pid: u32, track: u64, name: String| json!({"ph": "M", "name": what, "pid": pid, "tid": track, "args": {"name": name}});
        let processes =
            pids.into_iter().map(|pid| name("process_name", pid, 0, trace.process(pid)));
        let threads = self.known.iter().map(|(&(pid, thread, greenlet), &track)| {
            let thread = trace.thread(pid, thread);
            let called =
                if greenlet == 0 { thread } else { format!("greenlet {greenlet:x} of {thread}") };
            name("thread_name", pid, track, called)
        });
        let shared = self.shares.then(|| name("process_name", 0, 0, SHARED_BY.to_owned()));
        processes.chain(threads).chain(shared).collect()
    }
}

fn values(trace: &Trace, noted: &Noted, track: u64, start: u64) -> Vec<Value> {
    let (event, pid) = (&noted.event, noted.pid);
    let title = trace.title(noted);
    let micros = |nanos: u64| nanos as f64 / 1e3;
    let begun = micros(event.begun.saturating_sub(start));
    let mut args = serde_json::Map::new();
    if let Some(object) = trace.object(noted) {
        args.insert("object".to_owned(), object.into());
    }
    if event.count > 1 {
        args.insert("count".to_owned(), event.count.into());
    }
    let lasting = |category: &str| {
        json!({
            "ph": "X", "cat": category, "name": title, "pid": pid, "tid": track,
            "ts": begun, "dur": micros(event.value), "args": args,
        })
    };
    let depth = || {
        let object = trace.object(noted).unwrap_or_default();
        // What processes share is shown once, in a process of its own.
        let (owner, _) = Trace::object_key(noted);
        trace.items(noted).map(|items| {
            json!({"ph": "C", "name": object, "pid": owner, "ts": begun, "args": {"items": items}})
        })
    };
    match event.kind {
        Kind::Task => vec![lasting("task")],
        Kind::Failed => vec![lasting("task,failed")],
        Kind::Wait => std::iter::once(lasting("wait")).chain(depth()).collect(),
        Kind::Hold => {
            // Those of a thread may overlap, which spans of a track must not.
            let id = format!("{:x}.{}", event.object, track);
            let edge = |phase: &str, at: f64| {
                json!({
                    "ph": phase, "cat": "hold", "name": title, "id": id, "pid": pid,
                    "tid": track, "ts": at, "args": args,
                })
            };
            vec![edge("b", begun), edge("e", begun + micros(event.value))]
        }
        Kind::Put | Kind::Get => {
            let category = if event.kind == Kind::Put { "put" } else { "get" };
            args.insert("count".to_owned(), event.count.into());
            args.insert("items".to_owned(), trace.items(noted).into());
            let instant = json!({
                "ph": "i", "s": "t", "cat": category, "name": title, "pid": pid, "tid": track,
                "ts": begun, "args": args,
            });
            std::iter::once(instant).chain(depth()).collect()
        }
    }
}
