//! How the threads of this process note what they do.
//!
//! Each has a ring, taken when it has something to note first and given back to the process when it ends. A
//! forked child has none of them: it finds by the number of forks that what it knows is its parent's.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use manyhands_sys::fork::{self, ForkMutex, Protected};
use manyhands_sys::{liveness, thread, time};

use crate::pace;
use crate::ring::{Event, Kind, Label};
use crate::store::{Region, Store, What};

static ON: AtomicBool = AtomicBool::new(false);

/// Raised by each [`begin`]: what threads have is of the trace before, otherwise.
static ROUND: AtomicU64 = AtomicU64::new(0);

#[derive(Default)]
struct Process {
    /// The [`fork::epoch`] that all but `store` is of.
    epoch: u32,
    store: Option<Arc<Store>>,
    /// The rings of threads that have ended.
    free: Vec<Region>,
    names: Option<Region>,
    labels: HashMap<String, Label>,
    /// The objects that have a name.
    named: HashSet<u64>,
}

struct Shared(Option<Process>);

static PROCESS: ForkMutex<Shared> = ForkMutex::new(Shared(None));

impl Protected for Shared {
    fn mutex() -> &'static ForkMutex<Shared> {
        &PROCESS
    }

    fn in_child(&mut self) {
        pace::forget();
    }
}

/// What a thread has.
struct Local {
    epoch: u32,
    round: u64,
    store: Weak<Store>,
    ring: Option<Region>,
    /// How many events are in the ring, and were.
    written: u64,
    thread: u32,
    labels: HashMap<usize, Label>,
    named: HashSet<u64>,
}

impl Drop for Local {
    fn drop(&mut self) {
        if !self.is_current() {
            return;
        }
        pace::unfinished().into_iter().flatten().for_each(|event| self.note(event));
        if let Some(ring) = self.ring {
            with_process(|process| process.free.push(ring));
        }
    }
}

impl Local {
    fn is_current(&self) -> bool {
        self.epoch == fork::epoch() && self.round == ROUND.load(Ordering::Acquire)
    }

    fn new() -> Option<Local> {
        let (epoch, round) = (fork::epoch(), ROUND.load(Ordering::Acquire));
        let thread = thread::kernel_id();
        let (store, ring) = with_process(|process| {
            let store = process.store.clone()?;
            let ring = process.free.pop().or_else(|| store.give_ring(liveness::process_id()));
            Some((store, ring))
        })?;
        let written = ring.and_then(|region| store.ring(region)).map_or(0, |ring| ring.written());
        let (labels, named) = (HashMap::new(), HashSet::new());
        let store = Arc::downgrade(&store);
        Some(Local { epoch, round, store, ring, written, thread, labels, named })
    }

    fn note(&mut self, event: Event) {
        let Some(store) = self.store.upgrade() else { return };
        match self.ring.and_then(|region| store.ring(region)) {
            Some(ring) => {
                ring.push(self.written, &Event { thread: self.thread, ..event });
                self.written += 1;
            }
            None => store.lose(1),
        }
    }
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

fn with_process<R>(body: impl FnOnce(&mut Process) -> R) -> R {
    let mut shared = PROCESS.lock();
    let process = shared.0.get_or_insert_default();
    let epoch = fork::epoch();
    if std::mem::replace(&mut process.epoch, epoch) != epoch {
        *process = Process { epoch, store: process.store.take(), ..Process::default() };
    }
    body(process)
}

fn with_local<R>(body: impl FnOnce(&mut Local) -> R) -> Option<R> {
    let found = LOCAL.try_with(|local| {
        let mut local = local.try_borrow_mut().ok()?;
        if !local.as_ref().is_some_and(Local::is_current) {
            // The parent's, or of another trace, which is dropped: not under the lock.
            *local = None;
            *local = Local::new();
        }
        local.as_mut().map(body)
    });
    found.ok().flatten()
}

/// Has forks of this process find what it has free: nothing else is locked by who has that.
pub fn prepare_for_forks() {
    PROCESS.prepare();
}

/// Whether events are to be noted.
#[inline]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Has this process, and children that it forks, note what they do there.
pub fn begin(store: &Arc<Store>) {
    with_process(|process| {
        *process =
            Process { epoch: process.epoch, store: Some(Arc::clone(store)), ..Process::default() };
        ROUND.fetch_add(1, Ordering::AcqRel);
    });
    ON.store(true, Ordering::Release);
}

/// Has this process note nothing more.
pub fn end() {
    pace::finish();
    ON.store(false, Ordering::Release);
    with_process(|process| {
        ROUND.fetch_add(1, Ordering::AcqRel);
        *process = Process { epoch: process.epoch, ..Process::default() };
    });
}

/// The number of a text in this process.
pub fn label(text: &str) -> Label {
    with_process(|process| {
        if let Some(&label) = process.labels.get(text) {
            return label;
        }
        let number = process.labels.len() + 1;
        match u16::try_from(number) {
            Ok(number) if process.add_name(What::Label, number.into(), text) => {
                process.labels.insert(text.to_owned(), Label(number));
                Label(number)
            }
            // There is no room: what happens has no name.
            _ => Label(0),
        }
    })
}

/// As [`label`], of a text that stays where it is.
pub fn fixed_label(text: &'static str) -> Label {
    let address = text.as_ptr().addr() ^ text.len() << 48;
    let known = with_local(|local| local.labels.get(&address).copied()).flatten();
    known.unwrap_or_else(|| {
        let label = label(text);
        with_local(|local| local.labels.insert(address, label));
        label
    })
}

impl Process {
    fn add_name(&mut self, what: What, key: u64, text: &str) -> bool {
        let Some(store) = &self.store else { return false };
        let names = self.names.or_else(|| store.give_names(liveness::process_id()));
        self.names = names;
        names.is_some_and(|names| store.add_name(names, what, key, text))
    }
}

/// Says of which kind an object is ([`What::Object`]), or what it is called ([`What::Given`]), the first time.
pub fn name_object(what: What, key: u64, text: impl FnOnce() -> String) {
    if with_local(|local| local.named.insert(key)) != Some(true) {
        return;
    }
    with_process(|process| {
        if process.named.insert(key) {
            process.add_name(what, key, &text());
        }
    });
}

/// Says what something is called; what is said last counts.
pub fn name(what: What, key: u64, text: &str) {
    with_process(|process| process.add_name(what, key, text));
}

/// Notes an event of this thread, whose number is filled in.
pub(crate) fn note(event: Event) {
    let noted = with_local(|local| local.note(event));
    if noted.is_none() {
        // The thread is ending, or a signal came amid this.
        with_process(|process| process.store.as_ref().inspect(|store| store.lose(1)).is_some());
    }
}

/// Notes something that has lasted since `begun`, nanoseconds of the monotonic clock.
pub fn span(kind: Kind, label: Label, object: u64, greenlet: u64, begun: u64) {
    let value = now().saturating_sub(begun);
    note(Event { kind, label, thread: 0, greenlet, count: 1, object, begun, value });
}

/// The moment, in nanoseconds of the monotonic clock.
#[inline]
pub fn now() -> u64 {
    time::now().as_nanos() as u64
}
