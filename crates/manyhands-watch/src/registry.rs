//! The one table behind all subjects.
//!
//! Invariants, under the table's lock:
//! * a subject is in `subjects` from `register` until its drop;
//! * a wait is in `waits` from `begin_wait` until its guard's drop, and its thread exists:
//!   the first look in a forked child forgets the waits of its parent.
//!
//! The lock is held across fork(2), so that a child never finds it taken by a thread that it
//! does not have.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use manyhands_sys::fork::{self, ForkMutex, Protected};
use manyhands_sys::thread::ThreadId;
use manyhands_sys::time::Deadline;

use crate::subject::{Kind, Seen, Waiting};

struct Table {
    /// The number that the next subject or wait gets.
    next: u64,
    /// The [`fork::epoch`] in which `waits` was true.
    epoch: u32,
    subjects: BTreeMap<u64, (Kind, Arc<AtomicU64>)>,
    waits: BTreeMap<u64, Wait>,
}

pub(crate) struct Wait {
    pub(crate) subject: u64,
    pub(crate) thread: ThreadId,
    pub(crate) operation: &'static str,
    pub(crate) since: Deadline,
}

static TABLE: ForkMutex<Table> =
    ForkMutex::new(Table { next: 1, epoch: 0, subjects: BTreeMap::new(), waits: BTreeMap::new() });

impl Protected for Table {
    fn mutex() -> &'static ForkMutex<Table> {
        &TABLE
    }
}

/// Has forks of this process find the table free. Done before the first wait, but a fork that is under
/// way then finds it taken, so who forks among threads calls this first.
pub fn prepare_for_forks() {
    TABLE.prepare();
}

fn table() -> MutexGuard<'static, Table> {
    let epoch = fork::epoch();
    let mut table = TABLE.lock();
    let noted = std::mem::replace(&mut table.epoch, epoch);
    if noted != epoch {
        table.waits.retain(|_, wait| fork::survived(wait.thread, noted));
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
    table.subjects.insert(id, (kind, owner));
    id
}

pub(crate) fn remove(id: u64) {
    table().subjects.remove(&id);
}

pub(crate) fn begin_wait(wait: Wait) -> u64 {
    let mut table = table();
    let id = number(&mut table);
    table.waits.insert(id, wait);
    id
}

pub(crate) fn end_wait(id: u64) {
    table().waits.remove(&id);
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
        .map(|(&id, (kind, owner))| {
            let owner = ThreadId::from_raw(owner.load(Ordering::Relaxed));
            (id, Seen { id, kind: *kind, owner, waiters: Vec::new() })
        })
        .collect();
    for wait in table.waits.values() {
        if let Some(seen) = seen.get_mut(&wait.subject) {
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
        let first = subject.begin_wait("get");
        let second = subject.begin_wait("join");
        let state = seen(subject.id()).expect("it is registered");
        let operations: Vec<_> = state.waiters.iter().map(|waiting| waiting.operation).collect();
        assert_eq!(operations, ["get", "join"]);
        assert!(state.waiters[0].waited >= state.waiters[1].waited);
        drop(first);
        assert_eq!(seen(subject.id()).expect("it is registered").waiters.len(), 1);
        drop(second);
    }
}
