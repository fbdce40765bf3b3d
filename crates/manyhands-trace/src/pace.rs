//! What comes faster than anybody could look at it is noted together: that costs next to nothing.

use std::cell::Cell;
use std::time::Duration;

use crate::recorder::{note, now};
use crate::ring::{Event, Kind, Label, UNKNOWN};

/// Of what comes faster than that, several are noted at once.
const PACE: u64 = 10_000;

/// So many items at most: when they come slower all at once, so many are not seen.
const ITEMS: u64 = 64;

/// So many calls at most; each wait of the thread ends the batch.
const CALLS: u64 = 1024;

/// How many of such a duration take about as long as the pace.
fn as_many(nanos: u64, most: u64) -> u32 {
    (PACE / nanos.max(1)).min(most) as u32
}

/// Items that went into or out of a queue, of which one in so many is noted.
#[derive(Clone, Copy)]
struct Flow {
    /// Of which queue, and its number.
    key: u64,
    object: u64,
    /// How many have not been noted, and how many of the next ones are not to be.
    passed: u16,
    left: u32,
    /// When one was noted.
    noted: u64,
}

/// Calls of a function that are noted as one.
#[derive(Clone, Copy)]
struct Batch {
    /// Of which function.
    key: usize,
    label: Label,
    greenlet: u64,
    begun: u64,
    count: u16,
    /// How many more belong to it.
    left: u32,
    /// Whether one is being made.
    is_inside: bool,
}

const IDLE: Flow = Flow { key: 0, object: 0, passed: 0, left: 0, noted: 0 };
const NONE: Batch =
    Batch { key: 0, label: Label(0), greenlet: 0, begun: 0, count: 0, left: 0, is_inside: false };

thread_local! {
    static PUT: Cell<Flow> = const { Cell::new(IDLE) };
    static GET: Cell<Flow> = const { Cell::new(IDLE) };
    static BATCH: Cell<Batch> = const { Cell::new(NONE) };
}

/// Notes that an item was put into a queue (or taken out), which `key` tells from others at this moment; `look`
/// says its number, `ask` how many items it has now.
#[inline]
pub fn item(is_put: bool, key: u64, look: impl FnOnce() -> u64, ask: impl FnOnce() -> u64) {
    let cell = if is_put { &PUT } else { &GET };
    let mut flow = cell.get();
    if flow.key != key {
        rest(is_put, UNKNOWN).into_iter().for_each(note);
        flow = Flow { key, object: look(), ..IDLE };
    }
    flow.passed += 1;
    if flow.left > 0 {
        flow.left -= 1;
        cell.set(flow);
        return;
    }
    let before = flow.noted;
    flow.noted = now();
    flow.left = as_many(flow.noted.saturating_sub(before) / u64::from(flow.passed), ITEMS);
    cell.set(flow);
    rest(is_put, ask()).into_iter().for_each(note);
}

/// What of a flow was not noted yet.
#[cold]
fn rest(is_put: bool, items: u64) -> Option<Event> {
    let (cell, kind, label) =
        if is_put { (&PUT, Kind::Put, "put") } else { (&GET, Kind::Get, "get") };
    let flow = cell.get();
    if flow.passed == 0 {
        return None;
    }
    cell.set(Flow { passed: 0, ..flow });
    Some(Event {
        kind,
        label: crate::fixed_label(label),
        thread: 0,
        greenlet: 0,
        count: flow.passed,
        object: flow.object,
        begun: now(),
        value: items,
    })
}

/// Makes a call that a worker was given, and notes it; `key` tells the function from others at this
/// moment, `describe` its name, and which greenlet this is.
///
/// # Errors
/// Those of the call.
pub fn call<R, E>(
    key: usize,
    describe: impl FnOnce() -> (Label, u64),
    call: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    let mut batch = BATCH.get();
    if batch.is_inside {
        // A call within a call is noted by itself.
        let (label, greenlet) = describe();
        batch = Batch { label, greenlet, begun: now(), count: 1, ..NONE };
        let done = call();
        write(&batch, done.is_ok());
        return done;
    }
    if batch.count == 0 || batch.key != key {
        pause();
        let (label, greenlet) = describe();
        let left = if batch.key == key { batch.left } else { 0 };
        batch = Batch { key, label, greenlet, begun: now(), count: 0, left, is_inside: false };
    }
    BATCH.set(Batch { is_inside: true, ..batch });
    let done = call();
    // It may have waited, and so have noted those before it.
    batch = Batch { is_inside: false, ..BATCH.get() };
    batch.count += 1;
    if done.is_err() || batch.left == 0 {
        let took = write(&batch, done.is_ok());
        batch.left = as_many(took / u64::from(batch.count), CALLS);
        batch.count = 0;
    } else {
        batch.left -= 1;
    }
    BATCH.set(batch);
    done
}

/// Notes the calls that were to be noted with more to come: this thread is about to wait.
#[inline]
pub fn pause() {
    if BATCH.get().count > 0 {
        calls().into_iter().for_each(note);
    }
    // What comes after the wait may come slower.
    for flow in [&PUT, &GET] {
        flow.set(Flow { left: 0, ..flow.get() });
    }
}

/// Notes all that was to be noted with more to come: this thread has waited, or is about to end.
pub fn finish() {
    unfinished().into_iter().flatten().for_each(note);
}

/// That.
pub(crate) fn unfinished() -> [Option<Event>; 3] {
    [calls(), rest(true, UNKNOWN), rest(false, UNKNOWN)]
}

/// The calls that were not noted yet.
#[cold]
fn calls() -> Option<Event> {
    let batch = BATCH.get();
    (batch.count > 0).then(|| {
        // If this is within a call, that began just before.
        BATCH.set(Batch { count: 0, begun: now(), ..batch });
        event(&batch, true)
    })
}

/// Whether a wait lasted so long that it is noted.
pub fn is_noted(waited: Duration) -> bool {
    waited.as_nanos() >= u128::from(PACE)
}

/// This is a forked child: what its parent did is not its own. Does what may be done in one.
pub(crate) fn forget() {
    PUT.set(IDLE);
    GET.set(IDLE);
    BATCH.set(NONE);
}

/// Notes that the calls are over; returns how long they took.
#[cold]
fn write(batch: &Batch, is_ok: bool) -> u64 {
    let event = event(batch, is_ok);
    note(event);
    event.value
}

fn event(batch: &Batch, is_ok: bool) -> Event {
    let Batch { label, greenlet, count, begun, .. } = *batch;
    let kind = if is_ok { Kind::Task } else { Kind::Failed };
    let value = now().saturating_sub(begun);
    Event { kind, label, thread: 0, greenlet, count, object: 0, begun, value }
}
