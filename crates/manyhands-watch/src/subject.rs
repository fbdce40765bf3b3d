//! One watched object and what is told of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use manyhands_sys::thread::ThreadId;

use crate::registry::{self, About, Pending};
use crate::traced;

/// What sort of object a subject is. Displays as the name of its class.
///
/// ```
/// use manyhands_watch::Kind;
///
/// assert_eq!(Kind::RLock.to_string(), "RLock");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is named like the class that it stands for")]
pub enum Kind {
    Lock,
    RLock,
    Semaphore,
    BoundedSemaphore,
    Event,
    Condition,
    Barrier,
    Queue,
    LifoQueue,
    PriorityQueue,
    SimpleQueue,
    /// What a call comes to that was submitted to a pool of threads.
    Future,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// A registered object; dropping it takes it out of the registry.
///
/// ```
/// use manyhands_watch::{Kind, Subject, snapshot};
///
/// let id = {
///     let subject = Subject::register(Kind::Barrier);
///     assert!(snapshot().iter().any(|seen| seen.id == subject.id()));
///     subject.id()
/// };
/// assert!(snapshot().iter().all(|seen| seen.id != id));
/// ```
///
/// # Fork safety
/// It is registered in a forked child, too, under the same number.
#[derive(Debug)]
pub struct Subject {
    id: u64,
    kind: Kind,
    /// Number of the owning thread, 0 for none. Written by the primitive, under its own
    /// protection; read by snapshots, for which any recent value will do.
    owner: Arc<AtomicU64>,
    /// Since when there has been an owner, for traces: nanoseconds of the monotonic clock, 0 for none. Written as
    /// the owner is.
    held: AtomicU64,
}

impl Subject {
    /// Enters an object into the registry.
    ///
    /// ```
    /// use manyhands_watch::{Kind, Subject};
    ///
    /// let subject = Subject::register(Kind::Semaphore);
    /// # drop(subject);
    /// ```
    pub fn register(kind: Kind) -> Subject {
        let owner = Arc::new(AtomicU64::new(0));
        let id = registry::add(kind, Arc::clone(&owner));
        Subject { id, kind, owner, held: AtomicU64::new(0) }
    }

    /// The object's number: unique in this process and its forked children, never used again.
    ///
    /// ```
    /// use manyhands_watch::{Kind, Subject};
    ///
    /// let (first, second) = (Subject::register(Kind::Lock), Subject::register(Kind::Lock));
    /// assert_ne!(first.id(), second.id());
    /// ```
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Notes who owns the object now.
    ///
    /// ```
    /// use manyhands_sys::thread::ThreadId;
    /// use manyhands_watch::{Kind, Subject};
    ///
    /// let subject = Subject::register(Kind::Lock);
    /// subject.set_owner(Some(ThreadId::current()));
    /// subject.set_owner(None);
    /// ```
    pub fn set_owner(&self, owner: Option<ThreadId>) {
        self.owner.store(owner.map_or(0, ThreadId::get), Ordering::Relaxed);
        if manyhands_trace::is_on() {
            self.trace_hold(owner.is_some());
        }
    }

    #[cold]
    fn trace_hold(&self, is_held: bool) {
        let held = self.held.load(Ordering::Relaxed);
        if is_held {
            if held == 0 {
                self.held.store(manyhands_trace::now(), Ordering::Relaxed);
            }
        } else if held != 0 {
            self.held.store(0, Ordering::Relaxed);
            traced::hold(traced::subject(self.id, self.kind), held);
        }
    }

    /// Notes, where there is a trace, that an item was put into it or taken out, and how many there are now.
    #[inline]
    pub fn trace_item(&self, is_put: bool, items: usize) {
        let look = || traced::subject(self.id, self.kind);
        manyhands_trace::item(is_put, self.id, look, || items as u64);
    }

    /// Notes that the calling thread waits for the object, until the guard is dropped.
    ///
    /// `operation` is what it called: `"acquire"`, `"get"`...; `limited` says that the wait ends by itself
    /// sooner or later; `pending` tells from outside whether it has been ended.
    ///
    /// ```
    /// use manyhands_watch::{Kind, Subject};
    ///
    /// let subject = Subject::register(Kind::Queue);
    /// let waiting = subject.begin_wait("get", false, None);
    /// // ... wait ...
    /// drop(waiting);
    /// ```
    pub fn begin_wait(
        &self,
        operation: &'static str,
        limited: bool,
        pending: Option<Arc<dyn Pending>>,
    ) -> WaitingGuard {
        WaitingGuard(registry::begin_wait(About::Subject(self.id), operation, limited, pending))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        registry::remove(self.id);
    }
}

/// Lasts as long as the wait that [`Subject::begin_wait`] noted.
///
/// ```
/// use manyhands_watch::{Kind, Subject, snapshot};
///
/// let subject = Subject::register(Kind::Queue);
/// let waits = || snapshot().iter().find(|seen| seen.id == subject.id()).unwrap().waiters.len();
/// let waiting = subject.begin_wait("get", false, None);
/// assert_eq!(waits(), 1);
/// drop(waiting);
/// assert_eq!(waits(), 0);
/// ```
#[derive(Debug)]
#[must_use = "the wait is noted only as long as this lives"]
pub struct WaitingGuard(u64);

impl WaitingGuard {
    /// A wait for something that processes share, which lies at that address.
    pub fn for_memory(address: usize, operation: &'static str, limited: bool) -> WaitingGuard {
        WaitingGuard(registry::begin_wait(About::Memory(address), operation, limited, None))
    }

    /// A wait for the end of a process.
    pub fn for_process(pid: u32, operation: &'static str, limited: bool) -> WaitingGuard {
        WaitingGuard(registry::begin_wait(About::Process(pid), operation, limited, None))
    }

    /// Notes that the thread has looked whether it has to wait still, and has to; from now on `pending`
    /// tells whether that has changed.
    pub fn looked(&self, pending: Option<Arc<dyn Pending>>) {
        registry::looked(self.0, pending);
    }
}

impl Drop for WaitingGuard {
    fn drop(&mut self) {
        registry::end_wait(self.0);
    }
}

/// What [`snapshot`](crate::snapshot) saw of one object.
///
/// ```
/// use manyhands_watch::{Kind, Subject, snapshot};
///
/// let subject = Subject::register(Kind::Event);
/// let seen = snapshot().into_iter().find(|seen| seen.id == subject.id()).unwrap();
/// assert_eq!((seen.kind, seen.owner), (Kind::Event, None));
/// assert!(seen.waiters.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The object's number, see [`Subject::id`].
    pub id: u64,
    /// What it is.
    pub kind: Kind,
    /// The thread that holds it; none for a kind without owners, or if it is free.
    pub owner: Option<ThreadId>,
    /// Who waits for it, longest first.
    pub waiters: Vec<Waiting>,
}

/// One thread that waits.
///
/// ```
/// use manyhands_sys::thread::ThreadId;
/// use manyhands_watch::{Kind, Subject, snapshot};
///
/// let subject = Subject::register(Kind::Event);
/// let _waiting = subject.begin_wait("wait", false, None);
/// let seen = snapshot().into_iter().find(|seen| seen.id == subject.id()).unwrap();
/// assert_eq!(seen.waiters[0].thread, ThreadId::current());
/// assert_eq!(seen.waiters[0].operation, "wait");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which thread.
    pub thread: ThreadId,
    /// What it called: `"acquire"`, `"get"`...
    pub operation: &'static str,
    /// How long it has waited.
    pub waited: Duration,
}
