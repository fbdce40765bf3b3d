//! What is told of a program that does not go on, for people to read.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::graph::{self, Knot, judge};
use crate::state::{Frame, Hand, Object, Process, Thread};

/// So many calls of a stack are shown, the innermost.
const CALLS: usize = 12;

/// Everything about a program: what waits in vain first, then all threads of all processes.
pub fn full(processes: &[Process]) -> String {
    let knots = judge(processes).knots;
    let mut text = String::new();
    for knot in &knots {
        text += &self::knot(processes, knot);
    }
    if knots.is_empty() {
        text += "No deadlock: whoever waits may still be woken.\n";
    }
    let named: BTreeSet<Hand> = knots.iter().flat_map(|knot| &knot.hands).copied().collect();
    for process in processes {
        let _ = write!(text, "\nprocess {}", process.pid);
        let command = process.command.join(" ");
        if !command.is_empty() {
            let _ = write!(text, ": {}", shortened(&command));
        }
        text.push('\n');
        if let Some(silent) = &process.silent {
            let _ = writeln!(text, "  {silent}");
        }
        for thread in &process.threads {
            let is_named = named.contains(&hand(process, thread));
            text += &self::thread(processes, process, thread, !is_named);
        }
        if process.foreign > 0 {
            let _ = writeln!(text, "  and {} threads of libraries", process.foreign);
        }
    }
    text
}

/// One group of those who wait in vain.
pub fn knot(processes: &[Process], knot: &Knot) -> String {
    let sure = if knot.certain { "deadlock" } else { "probably a deadlock" };
    let several = knot.hands.iter().map(|hand| hand.pid).collect::<BTreeSet<_>>().len() > 1;
    let who = if several { "threads of several processes" } else { "threads" };
    let mut text = match (knot.cycle.len(), knot.hands.len()) {
        (0, 1) => format!("manyhands: {sure}: a thread waits for what nobody can bring about\n"),
        (0, count) if knot.certain => format!(
            "manyhands: {sure}: all hands asleep: {count} {who} wait, and nobody is left who could wake them\n"
        ),
        (0, count) => {
            format!("manyhands: {sure}: {count} {who} wait for what nobody is about to do\n")
        }
        (1, _) => format!("manyhands: {sure}: a thread waits for itself\n"),
        (count, _) => format!("manyhands: {sure}: {count} {who} wait for each other\n"),
    };
    for &hand in &knot.hands {
        if let Some((process, thread)) = graph::find(processes, hand) {
            text += &self::thread(processes, process, thread, true);
        }
    }
    if !knot.certain {
        text += "  (a Lock may be released by any thread, and not all of them wait)\n";
    }
    text
}

/// The threads that are in no knot, in a line each.
pub fn others(processes: &[Process], knots: &[Knot]) -> String {
    let named: BTreeSet<Hand> = knots.iter().flat_map(|knot| &knot.hands).copied().collect();
    let mut text = String::new();
    for process in processes {
        for thread in &process.threads {
            if !named.contains(&hand(process, thread)) {
                text += &self::thread(processes, process, thread, false);
            }
        }
    }
    if text.is_empty() { text } else { format!("  besides:\n{text}") }
}

fn hand(process: &Process, thread: &Thread) -> Hand {
    Hand { pid: process.pid, thread: thread.thread, greenlet: thread.greenlet }
}

fn thread(processes: &[Process], process: &Process, thread: &Thread, with_stack: bool) -> String {
    let object = thread.wait.as_ref().and_then(|wait| graph::object(process, wait));
    if object.is_some_and(|object| object.kind == graph::WORKERS) {
        return String::new(); // one of ours
    }
    let mut text = format!("  {}", name(process, thread));
    match &thread.wait {
        None => {
            text += if thread.stack.is_empty() { "" } else { " runs, or waits for something else" }
        }
        Some(wait) => {
            text += " has waited";
            if wait.seconds > 0.0 {
                let _ = write!(text, " {:.1} s", wait.seconds);
            }
            match graph::object(process, wait) {
                None => {
                    let _ = write!(text, " in {}()", wait.operation);
                }
                Some(object) => text += &what(processes, process, object, &wait.operation),
            }
            if wait.limited {
                text += " (it gives up after some time)";
            }
        }
    }
    text.push('\n');
    if with_stack {
        let begin = thread.stack.len().saturating_sub(CALLS);
        for frame in &thread.stack[begin..] {
            text += &call(frame);
        }
    } else if let Some(frame) = thread.stack.last() {
        text += &call(frame);
    }
    text
}

fn call(frame: &Frame) -> String {
    let mut text =
        format!("    File \"{}\", line {}, in {}\n", frame.file, frame.line, frame.function);
    if !frame.text.is_empty() {
        let _ = writeln!(text, "      {}", frame.text);
    }
    text
}

fn name(process: &Process, thread: &Thread) -> String {
    let what = if thread.greenlet == 0 { "thread" } else { "greenlet" };
    if thread.name.is_empty() {
        return format!("{what} {} of process {}", thread.thread, process.pid);
    }
    format!("{what} {} of process {}", thread.name, process.pid)
}

fn what(processes: &[Process], process: &Process, object: &Object, operation: &str) -> String {
    let kind = &object.kind;
    let called =
        if object.name.is_empty() { kind.clone() } else { format!("{} ({kind})", object.name) };
    let mut text = match (kind.as_str(), object.owner) {
        ("Thread", _) => format!(" for the end of thread {}", object.name),
        ("Process", Some(owner)) => format!(" for the end of process {}", owner.pid),
        _ => format!(" in {operation}() of {called}"),
    };
    match (object.size, object.capacity) {
        (Some(0), _) if operation == "get" => text += ", which is empty",
        (Some(size), Some(capacity)) if operation == "put" && size >= capacity => {
            let _ = write!(text, ", which is full ({capacity})");
        }
        _ => {}
    }
    if matches!(kind.as_str(), "Lock" | "RLock")
        && let Some(owner) = object.owner
    {
        match graph::find(processes, owner) {
            Some((its, thread)) if its.pid == process.pid => {
                let _ = write!(text, ", held by {}", short_name(thread));
            }
            Some((its, thread)) => {
                let _ = write!(text, ", held by {}", name(its, thread));
            }
            None if owner.pid == process.pid => text += ", held by a thread that has ended",
            None => {
                let _ = write!(text, ", held by process {}", owner.pid);
            }
        }
    }
    text
}

fn short_name(thread: &Thread) -> String {
    if thread.name.is_empty() {
        format!("thread {}", thread.thread)
    } else {
        format!("thread {}", thread.name)
    }
}

fn shortened(command: &str) -> String {
    const MOST: usize = 100;
    if command.chars().count() <= MOST {
        return command.to_owned();
    }
    command.chars().take(MOST - 3).chain("...".chars()).collect()
}
