//! What this process tells of itself.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use manyhands_sys::{liveness, process};

use crate::registry::{self, About};
use crate::state::{Hand, Object, Process, Thread, Wait};

/// Adds what the interpreter knows: names and stacks of threads, names of objects. Called in
/// a thread of its own, so it may take long, or for ever.
pub type Describe = fn(&mut Process, stacks: bool);

static DESCRIBE: OnceLock<Describe> = OnceLock::new();

/// The names of our own threads that do nothing for the program by themselves.
const QUIET: [&str; 4] =
    ["manyhands-watch", "manyhands-reap", "manyhands-guard", "manyhands-sleep"];

/// Says who describes this process.
pub fn set_describe(describe: Describe) {
    let _ = DESCRIBE.set(describe);
}

/// The threads that wait and what they wait for, without names.
pub(crate) fn bare() -> Process {
    let pid = liveness::process_id();
    let mut process = Process {
        pid,
        parent: process::parent(),
        command: command(pid),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        helpers: registry::helpers(),
        shares_with: registry::sharing(),
        ..Process::default()
    };
    let mut kernel = HashMap::new();
    let mut newest: HashMap<(u32, u64), Thread> = HashMap::new();
    let mut objects: Vec<Object> =
        registry::shared().map(|shared| (shared.all)()).unwrap_or_default();
    for (number, wait) in registry::waits() {
        kernel.insert(wait.thread.get(), wait.kernel);
        let is_over = wait.pending.as_ref().is_some_and(|pending| pending.is_over());
        let Some(object) = about(wait.about, &mut objects).filter(|_| !is_over) else { continue };
        let thread = Thread {
            thread: wait.kernel,
            id: wait.thread.get(),
            greenlet: wait.greenlet,
            wait: Some(Wait {
                number,
                object,
                operation: wait.operation.to_owned(),
                seconds: wait.since.elapsed().as_secs_f64(),
                limited: wait.limited,
                looks: wait.looks,
            }),
            ..Thread::default()
        };
        // A thread waits for one thing at a time: the one that it began with last.
        newest.insert((wait.kernel, wait.greenlet), thread);
    }
    for (id, known) in registry::subjects() {
        let owner = known.owner.load(Ordering::Relaxed);
        objects.push(Object {
            id: subject_id(id),
            kind: known.kind.to_string(),
            thread_id: owner,
            owner: (owner != 0).then(|| Hand {
                pid,
                // Where it has never waited, whoever describes the process knows it.
                thread: kernel.get(&owner).copied().unwrap_or(0),
                greenlet: 0,
            }),
            waits: known.waits,
            ..Object::default()
        });
    }
    process.objects = objects;
    process.threads = newest.into_values().collect();
    process.threads.sort_by_key(|thread| (thread.thread != pid, thread.thread, thread.greenlet));
    process
}

/// All that this process knows of itself.
pub(crate) fn full(stacks: bool) -> Process {
    let mut process = bare();
    match DESCRIBE.get() {
        Some(describe) => describe(&mut process, stacks),
        None => add_threads(&mut process),
    }
    process.foreign = count_foreign(&process);
    process
}

/// The name of a subject of this process, by its number.
pub fn subject_id(id: u64) -> String {
    format!("{}-{id}", liveness::process_id())
}

/// The number of what is waited for, which is among the objects then.
fn about(about: About, objects: &mut Vec<Object>) -> Option<String> {
    let object = match about {
        About::Subject(id) => return Some(subject_id(id)),
        About::Memory(address) => {
            let object = (registry::shared()?.at)(address)?;
            return Some(object.id);
        }
        About::Process(child) => Object {
            id: format!("process-{child}"),
            kind: "Process".to_owned(),
            owner: Some(Hand { pid: child, thread: 0, greenlet: 0 }),
            ..Object::default()
        },
    };
    let id = object.id.clone();
    if objects.iter().all(|known| known.id != id) {
        objects.push(object);
    }
    Some(id)
}

/// Without an interpreter all threads of the process are threads of the program.
fn add_threads(process: &mut Process) {
    for thread in kernel_threads() {
        let name = thread_name(thread);
        match process.threads.iter_mut().find(|known| known.thread == thread) {
            Some(known) => known.name = name,
            None if QUIET.contains(&name.as_str()) => {}
            None => process.threads.push(Thread { thread, name, ..Thread::default() }),
        }
    }
}

fn count_foreign(process: &Process) -> u32 {
    let is_foreign = |&thread: &u32| {
        process.threads.iter().all(|known| known.thread != thread)
            && !QUIET.contains(&thread_name(thread).as_str())
    };
    kernel_threads().into_iter().filter(is_foreign).count() as u32
}

fn kernel_threads() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let number =
        |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    entries.filter_map(number).collect()
}

fn thread_name(thread: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
    name.unwrap_or_default().trim_end().to_owned()
}

/// The words that a process was started with.
pub(crate) fn command(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words =
        bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let mut words: Vec<String> = words.collect();
    if words.last().is_some_and(String::is_empty) {
        words.pop();
    }
    words
}
