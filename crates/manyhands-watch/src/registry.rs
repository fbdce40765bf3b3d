//! The one table behind all subjects and waits.
//!
//! Invariants, under the table's lock:
//! * a subject is in `subjects` from `register` until its drop;
//! * a wait is in `waits` from its begin until its guard's drop, and its thread exists:
//!   the first look in a forked child forgets the waits of its parent.
//!
//! The lock is held across fork(2), so that a child never finds it taken by a thread that it
//! does not have.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock};

use manyhands_sys::fork::{self, ForkMutex, Protected};
use manyhands_sys::liveness;
use manyhands_sys::thread::{self, ThreadId};
use manyhands_sys::time::Deadline;

use crate::agent;
use crate::state::Object;
use crate::subject::{Kind, Seen, Waiting};
use crate::traced;

struct Table {
    /// The number that the next subject or wait gets.
    next: u64,
    /// The [`fork::epoch`] in which `waits` was true.
    epoch: u32,
    subjects: BTreeMap<u64, Known>,
    waits: BTreeMap<u64, Wait>,
}

#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) kind: Kind,
    pub(crate) owner: Arc<AtomicU64>,
    /// How often somebody waited for it.
    pub(crate) waits: u64,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// A subject, by its number.
    Subject(u64),
    /// Something in memory that processes share, by its address here.
    Memory(usize),
    /// The end of a process, by its number.
    Process(u32),
}

/// Knows of a wait that somebody else ended whether it is over.
pub trait Pending: Send + Sync {
    /// Whether the thread has only to get a turn.
    fn is_over(&self) -> bool;
}

#[derive(Clone)]
pub(crate) struct Wait {
    pub(crate) about: About,
    pub(crate) thread: ThreadId,
    /// The kernel's number of the thread.
    pub(crate) kernel: u32,
    pub(crate) greenlet: u64,
    pub(crate) operation: &'static str,
    pub(crate) since: Deadline,
    pub(crate) limited: bool,
    pub(crate) pending: Option<Arc<dyn Pending>>,
    /// How often the thread has looked for itself whether there is still something to wait for.
    pub(crate) looks: u32,
    /// It is to end with an error.
    pub(crate) condemned: bool,
}

static TABLE: ForkMutex<Table> =
    ForkMutex::new(Table { next: 1, epoch: 0, subjects: BTreeMap::new(), waits: BTreeMap::new() });

/// How many waits are condemned: that of a thread is looked up only if there are any.
static CONDEMNED: AtomicUsize = AtomicUsize::new(0);

static GREENLET: OnceLock<fn() -> u64> = OnceLock::new();

impl Protected for Table {
    fn mutex() -> &'static ForkMutex<Table> {
        &TABLE
    }
}

/// Says how to find out which greenlet of the calling thread runs; 0 for none.
pub fn set_current_greenlet(current: fn() -> u64) {
    let _ = GREENLET.set(current);
}

/// Knows of what processes share.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    /// What lies at that address, if this process has it still.
    pub at: fn(usize) -> Option<Object>,
    /// All that this process has.
    pub all: fn() -> Vec<Object>,
    /// The processes that share something with this one, itself among them.
    pub processes: fn() -> Vec<u32>,
}

static SHARED: OnceLock<Shared> = OnceLock::new();

/// Says whom to ask about what processes share.
pub fn set_shared(shared: Shared) {
    let _ = SHARED.set(shared);
}

static HELPERS: OnceLock<fn() -> Vec<u32>> = OnceLock::new();

/// Says how to find the processes that serve this one, and do nothing by themselves.
pub fn set_helpers(helpers: fn() -> Vec<u32>) {
    let _ = HELPERS.set(helpers);
}

pub(crate) fn helpers() -> Vec<u32> {
    HELPERS.get().map(|helpers| helpers()).unwrap_or_default()
}

/// The processes that share something with this one: the program that it belongs to.
pub(crate) fn sharing() -> Vec<u32> {
    shared().map(|shared| (shared.processes)()).unwrap_or_default()
}

pub(crate) fn shared() -> Option<Shared> {
    SHARED.get().copied()
}

/// Has forks of this process find the table free. Done before the first wait, but a fork that is under
/// way then finds it taken, so who forks among threads calls this first.
pub fn prepare_for_forks() {
    TABLE.prepare();
    agent::prepare_for_forks();
}

fn table() -> MutexGuard<'static, Table> {
    let epoch = fork::epoch();
    let mut table = TABLE.lock();
    let noted = std::mem::replace(&mut table.epoch, epoch);
    if noted != epoch {
        table.waits.retain(|_, wait| fork::survived(wait.thread, noted));
        // The thread that is left is the child's first one.
        let kernel = liveness::process_id();
        table.waits.values_mut().for_each(|wait| wait.kernel = kernel);
        CONDEMNED.store(0, Ordering::Relaxed);
    }
    table
}

fn number(table: &mut Table) -> u64 {
    let number = table.next;
    table.next += 1;
    number
}

pub(crate) fn add(kind: Kind, owner: Arc<AtomicU64>) -> u64 {
    let mut table = table();
    let id = number(&mut table);
    table.subjects.insert(id, Known { kind, owner, waits: 0 });
    id
}

pub(crate) fn remove(id: u64) {
    table().subjects.remove(&id);
}

pub(crate) fn begin_wait(
    about: About,
    operation: &'static str,
    limited: bool,
    pending: Option<Arc<dyn Pending>>,
) -> u64 {
    if manyhands_trace::is_on() {
        manyhands_trace::pause();
    }
    let wait = Wait {
        about,
        thread: ThreadId::current(),
        kernel: thread::kernel_id(),
        greenlet: greenlet(),
        operation,
        since: Deadline::now(),
        limited,
        pending,
        looks: 0,
        condemned: false,
    };
    let mut table = table();
    if let About::Subject(id) = about
        && let Some(known) = table.subjects.get_mut(&id)
    {
        known.waits += 1;
    }
    let id = number(&mut table);
    table.waits.insert(id, wait);
    id
}

/// Notes that the thread has looked, and by what it will be known next that its wait is over.
pub(crate) fn looked(id: u64, pending: Option<Arc<dyn Pending>>) {
    if let Some(wait) = table().waits.get_mut(&id) {
        wait.looks += 1;
        wait.pending = pending;
    }
}

pub(crate) fn end_wait(id: u64) {
    let (ended, kind) = {
        let mut table = table();
        let ended = table.waits.remove(&id);
        let kind = ended.as_ref().and_then(|wait| match wait.about {
            About::Subject(subject) => table.subjects.get(&subject).map(|known| known.kind),
            _ => None,
        });
        (ended, kind)
    };
    let Some(wait) = ended else { return };
    if wait.condemned {
        CONDEMNED.fetch_sub(1, Ordering::Relaxed);
    }
    if manyhands_trace::is_on() {
        traced::wait(wait.about, kind, wait.operation, wait.greenlet, wait.since.elapsed());
    }
}

/// Which greenlet of the calling thread runs; 0 for none.
pub(crate) fn greenlet() -> u64 {
    GREENLET.get().map_or(0, |current| current())
}

/// Has a wait end with an error, as soon as its thread looks; false if it is over.
pub(crate) fn condemn(id: u64) -> bool {
    let mut table = table();
    let Some(wait) = table.waits.get_mut(&id) else { return false };
    if !std::mem::replace(&mut wait.condemned, true) {
        CONDEMNED.fetch_add(1, Ordering::Relaxed);
    }
    true
}

/// Whether what the calling thread waits for is never to come: it shall give up, with an error.
/// Asked by who waits, again and again.
#[inline]
pub fn is_condemned() -> bool {
    CONDEMNED.load(Ordering::Relaxed) != 0 && {
        let me = ThreadId::current();
        table().waits.values().any(|wait| wait.condemned && wait.thread == me)
    }
}

/// All waits, oldest first, with their numbers.
pub(crate) fn waits() -> Vec<(u64, Wait)> {
    table().waits.iter().map(|(&id, wait)| (id, wait.clone())).collect()
}

/// All subjects with their numbers.
pub(crate) fn subjects() -> Vec<(u64, Known)> {
    table().subjects.iter().map(|(&id, known)| (id, known.clone())).collect()
}

/// What is registered at this moment, in the order of registration.
///
/// ```
/// use manyhands_watch::{Kind, Subject, snapshot};
///
/// let subject = Subject::register(Kind::Lock);
/// for seen in snapshot() {
///     println!("{} {}: {} wait", seen.kind, seen.id, seen.waiters.len());
/// }
/// # drop(subject);
/// ```
///
/// # Fork safety
/// A forked child sees its own copies of the objects, and of the waiting threads only those that it
/// has.
pub fn snapshot() -> Vec<Seen> {
    let table = table();
    let mut seen: BTreeMap<u64, Seen> = table
        .subjects
        .iter()
        .map(|(&id, known)| {
            let owner = ThreadId::from_raw(known.owner.load(Ordering::Relaxed));
            (id, Seen { id, kind: known.kind, owner, waiters: Vec::new() })
        })
        .collect();
    for wait in table.waits.values() {
        if let About::Subject(id) = wait.about
            && let Some(seen) = seen.get_mut(&id)
        {
            seen.waiters.push(Waiting {
                thread: wait.thread,
                operation: wait.operation,
                waited: wait.since.elapsed(),
            });
        }
    }
    seen.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Subject;

    fn seen(id: u64) -> Option<Seen> {
        snapshot().into_iter().find(|seen| seen.id == id)
    }

    #[test]
    fn a_subject_is_seen_from_registration_to_drop() {
        let subject = Subject::register(Kind::Lock);
        let id = subject.id();
        subject.set_owner(Some(ThreadId::current()));
        let state = seen(id).expect("it is registered");
        assert_eq!((state.kind, state.owner), (Kind::Lock, Some(ThreadId::current())));
        subject.set_owner(None);
        assert_eq!(seen(id).expect("it is registered").owner, None);
        drop(subject);
        assert_eq!(seen(id), None);
    }

    #[test]
    fn waiters_are_seen_longest_first() {
        let subject = Subject::register(Kind::Queue);
        let first = subject.begin_wait("get", false, None);
        let second = subject.begin_wait("join", false, None);
        let state = seen(subject.id()).expect("it is registered");
        let operations: Vec<_> = state.waiters.iter().map(|waiting| waiting.operation).collect();
        assert_eq!(operations, ["get", "join"]);
        assert!(state.waiters[0].waited >= state.waiters[1].waited);
        drop(first);
        assert_eq!(seen(subject.id()).expect("it is registered").waiters.len(), 1);
        drop(second);
    }
}
