//! What of all this is noted in a trace, see [`manyhands_trace`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use manyhands_trace::{
    Kind, SHARED, What, finish, fixed_label, is_noted, item, name_object, now, span,
};

use crate::registry::{self, About};
use crate::subject;

/// The number of a subject in the trace of this process.
pub(crate) fn subject(id: u64, kind: subject::Kind) -> u64 {
    name_object(What::Object, id, || kind.to_string());
    id
}

fn hashed(id: &str) -> u64 {
    // FNV-1a: the same in all processes.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash | SHARED
}

/// The process, 0 for what several share, and the number there of what observers know by that.
pub fn key(id: &str) -> (u32, u64) {
    let own = id.split_once('-').and_then(|(pid, id)| Some((pid.parse().ok()?, id.parse().ok()?)));
    own.unwrap_or_else(|| (0, hashed(id)))
}

/// Raised when something that is shared is no longer open here: its address may become another's.
static CLOSED: AtomicU64 = AtomicU64::new(0);

/// Says that something that processes share is not at its address any more.
#[inline]
pub fn forget_addresses() {
    if manyhands_trace::is_on() {
        CLOSED.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Known {
    closed: u64,
    keys: HashMap<usize, u64>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// The number of what lies at that address; 0 if nobody knows.
fn at(address: usize) -> u64 {
    let closed = CLOSED.load(Ordering::Relaxed);
    let known = KNOWN.try_with(|known| {
        let known = &mut *known.borrow_mut();
        if std::mem::replace(&mut known.closed, closed) != closed {
            known.keys.clear();
        }
        known.keys.get(&address).copied()
    });
    if let Ok(Some(key)) = known {
        return key;
    }
    let object = registry::shared().and_then(|known| (known.at)(address));
    let key = object.map_or(0, |object| {
        let key = hashed(&object.id);
        name_object(What::Object, key, || object.kind);
        key
    });
    let _ = KNOWN.try_with(|known| known.borrow_mut().keys.insert(address, key));
    key
}

/// Notes a wait that is over.
pub(crate) fn wait(
    about: About,
    kind: Option<subject::Kind>,
    operation: &'static str,
    greenlet: u64,
    waited: Duration,
) {
    if !is_noted(waited) {
        return;
    }
    finish();
    let object = match (about, kind) {
        (About::Subject(id), Some(kind)) => subject(id, kind),
        (About::Process(pid), _) => {
            let key = hashed(&format!("process-{pid}"));
            name_object(What::Given, key, || format!("process {pid}"));
            key
        }
        // A subject that is gone; and what is shared notes its waits itself.
        (About::Subject(_), None) | (About::Memory(_), _) => return,
    };
    span(Kind::Wait, fixed_label(operation), object, greenlet, since(waited));
}

fn since(waited: Duration) -> u64 {
    now().saturating_sub(waited.as_nanos() as u64)
}

/// Notes a wait that is over for something in memory that processes share.
#[cold]
pub fn wait_for_memory(address: usize, operation: &'static str, waited: Duration) {
    if !is_noted(waited) {
        return;
    }
    finish();
    span(Kind::Wait, fixed_label(operation), at(address), registry::greenlet(), since(waited));
}

/// Notes that somebody has had something since then.
pub(crate) fn hold(object: u64, begun: u64) {
    span(Kind::Hold, fixed_label("hold"), object, 0, begun);
}

thread_local! {
    /// What this thread holds that lies in memory that processes share, and since when.
    static HELD: RefCell<Vec<(usize, u64)>> = const { RefCell::new(Vec::new()) };
}

/// This thread has what lies at that address in memory that processes share.
#[cold]
pub fn hold_of_memory(address: usize) {
    let _ = HELD.try_with(|held| held.borrow_mut().push((address, now())));
}

/// Notes that it has not any more, if it was this thread that had it.
#[cold]
pub fn release_of_memory(address: usize) {
    let begun = HELD.try_with(|held| {
        let held = &mut *held.borrow_mut();
        let index = held.iter().rposition(|&(known, _)| known == address)?;
        Some(held.swap_remove(index).1)
    });
    if let Ok(Some(begun)) = begun {
        hold(at(address), begun);
    }
}

/// Notes that an item was put into a queue in memory that processes share, or taken out of it.
#[inline]
pub fn item_in_memory(address: usize, is_put: bool, items: impl FnOnce() -> u64) {
    item(is_put, address as u64, || at(address), items);
}
