//! What observers learn of the objects that this process has.

use std::sync::Once;

use manyhands_watch::state::{Hand, Object};
use manyhands_watch::{Shared, set_shared};

use crate::arena::existing;
use crate::handle::{self, Open};
use crate::lock::Lock;
use crate::participant;
use crate::queue::Queue;
use crate::rlock::RLock;
use crate::semaphore::Semaphore;
use crate::{Kind, Owner, Reference};

/// Has observers ask here; done when there is the first object.
pub(crate) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| set_shared(Shared { at, all, processes }));
}

fn at(address: usize) -> Option<Object> {
    handle::open_objects().into_iter().find(|open| open.contains(address)).map(|open| object(&open))
}

fn all() -> Vec<Object> {
    handle::open_objects().iter().map(object).collect()
}

fn processes() -> Vec<u32> {
    existing().map(participant::pids).unwrap_or_default()
}

/// The number by which observers know an object.
pub fn id(reference: Reference) -> String {
    format!("{:x}.{:x}", reference.arena, reference.block)
}

fn object(open: &Open) -> Object {
    let mut object = Object { id: id(open.reference), shared: true, ..Object::default() };
    let Some(kind) = open.kind() else { return object };
    object.kind = format!("{kind:?}");
    match kind {
        Kind::Lock => object.owner = hand(open.with(Lock::owner)),
        Kind::RLock => object.owner = hand(open.with(RLock::owner)),
        Kind::Semaphore | Kind::BoundedSemaphore => {
            object.size = open.with(|semaphore: &Semaphore| Some(semaphore.value().into()));
            object.capacity = open.with(|semaphore: &Semaphore| {
                Some(semaphore.maximum()).filter(|&most| most < Semaphore::MAX).map(u64::from)
            });
        }
        Kind::Queue => {
            if let Ok(queue) = Queue::open(open.reference) {
                object.size = queue.len().ok().map(|len| len as u64);
                let (put, got) = queue.counts().ok().unzip();
                (object.put, object.taken) = (put.map(u64::from), got.map(u64::from));
                object.capacity = Some(queue.maxsize()).filter(|&most| most > 0).map(u64::from);
            }
        }
        _ => {}
    }
    object
}

fn hand(owner: Option<Owner>) -> Option<Hand> {
    let owner = owner?;
    Some(Hand { pid: owner.pid()?, thread: owner.thread(), greenlet: 0 })
}
