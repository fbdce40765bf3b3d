//! Who shares the arena: a table of processes.
//!
//! States of a slot, each change a single store or exchange of `identity`:
//! ```text
//! Free ──reserve──▶ Pending ──the child itself──▶ Live ──whoever notices──▶ Dead ──▶ Free
//!                      └──────────whoever notices──────────────────────────▲
//! ```
//! * All but the child's own step are made under the ledger.
//! * A slot is reserved before its process exists, so that it counts from the moment in which the
//!   process can have inherited anything.
//! * Killed while reserving: the slot is still Free. Killed between the fork and its own step: the
//!   parent, who has noted the process's number, or a sweep, buries it.
//! * Only a Live one owns anything, so a Pending one is buried by one exchange, which fails if the
//!   child has made its own step meanwhile.
//! * Dead slots stay until no slot has them for its parent: the chain of parents tells who can
//!   have inherited what; see `heirs`.
//! * `bury` releases what the dead process owned, as if it had done so itself. Who cannot reach all of
//!   that leaves the slot Live, for the next who looks.
//! * A process that got no place (the table was full) has the number 0, of which nothing is known.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use manyhands_sys::liveness;
use manyhands_sys::step::step;

use crate::arena::{Arena, existing};
use crate::heirs::{self, Lineage, Span};
use crate::layout::{PARTICIPANTS, Participant};
use crate::{ArenaError, block};

/// After so long a place kept for a child of which nobody knows the number is given up: the fork
/// failed, or the child was killed in its first instructions.
const PENDING_AT_MOST: Duration =
    if cfg!(feature = "steps") { Duration::from_millis(50) } else { Duration::from_secs(60) };

/// And after so long if its parent is dead, who would have noted the number: the child's own first
/// instructions note it, too.
const ORPHAN_AT_MOST: Duration =
    if cfg!(feature = "steps") { Duration::from_millis(50) } else { Duration::from_secs(2) };

/// A table of so many is looked through for the dead before it grows to twice as many.
const SWEEP_FROM: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    Pending,
    Live,
    Dead,
}

/// Contents of `Participant::identity`: 2 bits of state, 16 of generation from bit 32 on, 32 of
/// process number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) state: State,
    pub(crate) generation: u32,
    pub(crate) pid: u32,
}

impl Identity {
    const GENERATIONS: u32 = 1 << 16;

    pub(crate) fn of(slot: &Participant) -> Identity {
        let bits = slot.identity.load(Ordering::Acquire);
        let state = match bits >> 62 {
            0 => State::Free,
            1 => State::Pending,
            2 => State::Live,
            _ => State::Dead,
        };
        Identity { state, generation: (bits >> 32) as u32 & 0xffff, pid: bits as u32 }
    }

    fn bits(self) -> u64 {
        (self.state as u64) << 62 | u64::from(self.generation) << 32 | u64::from(self.pid)
    }

    /// Makes it that of the slot; under the ledger.
    pub(crate) fn store(self, slot: &Participant) {
        slot.identity.store(self.bits(), Ordering::Release);
        step();
    }

    /// Puts it in the place of that one, if that is the slot's still.
    fn replace(self, old: Identity, slot: &Participant) -> bool {
        let replaced = slot.identity.compare_exchange(
            old.bits(),
            self.bits(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        step();
        replaced.is_ok()
    }

    pub(crate) fn exists(self) -> bool {
        matches!(self.state, State::Pending | State::Live)
    }
}

/// A participant: slot and generation in 31 bits; 0 is nobody known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number(u32);

impl Number {
    pub(crate) fn new(slot: usize, generation: u32) -> Number {
        Number(generation << 15 | slot as u32)
    }

    pub(crate) fn from_bits(bits: u32) -> Number {
        Number(bits & 0x7fff_ffff)
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    pub(crate) fn slot(self) -> usize {
        (self.0 & 0x7fff) as usize
    }

    pub(crate) fn generation(self) -> u32 {
        self.0 >> 15
    }
}

/// This process's number, shifted as an `Owner` has it; 0 before it has entered.
static ME: AtomicU64 = AtomicU64::new(0);

pub(crate) fn slot(arena: &Arena, index: usize) -> &Participant {
    &arena.head().participants[index]
}

/// The slots that were ever in use.
pub(crate) fn slots(arena: &Arena) -> std::ops::RangeInclusive<usize> {
    1..=arena.head().last_participant.load(Ordering::Relaxed) as usize
}

/// This process's number, shifted by 32 bits. May take the ledger: not for who holds a lock.
#[inline]
pub(crate) fn me() -> u64 {
    match ME.load(Ordering::Relaxed) {
        0 => enter_late(),
        me => me,
    }
}

/// As [`me`], but 0 if this process has not entered; for who holds a lock.
#[inline]
pub(crate) fn me_if_entered() -> u64 {
    ME.load(Ordering::Relaxed)
}

/// The number of this process as a participant.
pub(crate) fn my_number() -> Number {
    Number::from_bits((me() >> 32) as u32)
}

#[cold]
fn enter_late() -> u64 {
    if let Some(arena) = existing() {
        enter(arena);
    }
    ME.load(Ordering::Relaxed)
}

/// Makes this process a participant, if it is none.
pub(crate) fn enter(arena: &Arena) {
    // No lock: a fork by another thread would leave it locked in the child.
    if ME.load(Ordering::Relaxed) == 0
        && let Ok(number) = reserve(arena, Span::Closed)
        && claim(arena, number)
    {
        let me = u64::from(number.bits()) << 32;
        if ME.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            // Another thread was faster.
            bury(arena, number);
        }
    }
}

/// Makes this process, which has not entered, the participant for whom that place was kept.
pub(crate) fn enter_as(arena: &Arena, number: Number) -> bool {
    let claimed = claim(arena, number);
    if claimed {
        ME.store(u64::from(number.bits()) << 32, Ordering::Relaxed);
    }
    claimed
}

/// In a forked child: it is not its parent.
pub(crate) fn forget_myself() {
    ME.store(0, Ordering::Relaxed);
}

/// Keeps a place for a process that is about to be.
pub(crate) fn reserve(arena: &Arena, span: Span) -> Result<Number, ArenaError> {
    arena.with_ledger(|| {
        let index = match free_slot(arena) {
            Some(index) => index,
            None => grow(arena)?,
        };
        let slot = slot(arena, index);
        let generation = (Identity::of(slot).generation + 1) % Identity::GENERATIONS;
        let generation = generation.max(1);
        let parent = Number::from_bits((ME.load(Ordering::Relaxed) >> 32) as u32).slot();
        slot.joined.store(arena.stamp(), Ordering::Relaxed);
        step();
        slot.seen.store(nanoseconds(liveness::now()), Ordering::Relaxed);
        step();
        Lineage { parent, generation, span }.store(slot);
        Identity { state: State::Pending, generation, pid: 0 }.store(slot);
        Ok(Number::new(index, generation))
    })
}

/// The first free slot; gives up on the way those that nobody has come to take.
fn free_slot(arena: &Arena) -> Option<usize> {
    slots(arena).find(|&index| {
        let slot = slot(arena, index);
        let identity = Identity::of(slot);
        if is_given_up(arena, slot, identity) {
            bury_in_ledger(arena, Number::new(index, identity.generation));
        }
        Identity::of(slot).state == State::Free
    })
}

/// A slot that was never in use, or one that a look after the dead has freed.
fn grow(arena: &Arena) -> Result<usize, ArenaError> {
    let index = *slots(arena).end() + 1;
    if index >= PARTICIPANTS || index >= SWEEP_FROM && index.is_power_of_two() {
        // Children that somebody else waited for may lie here unburied.
        sweep_in_ledger(arena);
        heirs::shorten(arena);
        if let Some(index) = free_slot(arena) {
            return Ok(index);
        }
    }
    if index >= PARTICIPANTS {
        return Err(ArenaError::TooManyProcesses(PARTICIPANTS - 1));
    }
    let head = std::ptr::from_ref(arena.head()) as usize;
    let offset = std::ptr::from_ref(slot(arena, index)) as usize - head;
    arena
        .memory()
        .commit(offset, size_of::<Participant>())
        .map_err(|error| ArenaError::system("cannot share memory with a child", error))?;
    arena.head().last_participant.store(index as u32, Ordering::Relaxed);
    step();
    Ok(index)
}

/// Takes the place that was kept for this process; false if it was given up meanwhile.
fn claim(arena: &Arena, number: Number) -> bool {
    // A forked child does this before any other code of it runs: it touches memory, and no lock.
    let slot = slot(arena, number.slot());
    let pid = liveness::process_id();
    let mut known = Identity::of(slot);
    while known.state == State::Pending && known.generation == number.generation() {
        note_seen(slot);
        if (Identity { state: State::Live, pid, ..known }).replace(known, slot) {
            return true;
        }
        known = Identity::of(slot);
    }
    false
}

/// Notes that the process is there: before its number is, as it is judged by both.
fn note_seen(slot: &Participant) {
    slot.seen.store(nanoseconds(liveness::now()), Ordering::Relaxed);
    step();
}

/// Notes the number of the process for which a place was kept.
pub(crate) fn note_pid(arena: &Arena, number: Number, pid: u32) {
    let slot = slot(arena, number.slot());
    let unknown = Identity { state: State::Pending, generation: number.generation(), pid: 0 };
    if Identity::of(slot) == unknown {
        // It began after its place was reserved.
        note_seen(slot);
        // If this fails the child was faster.
        let _ = Identity { pid, ..unknown }.replace(unknown, slot);
    }
}

/// Buries those who have died unnoticed, of that number or any.
pub(crate) fn sweep(arena: &Arena, pid: Option<u32>) {
    for index in slots(arena) {
        let identity = Identity::of(slot(arena, index));
        if pid.is_none_or(|pid| identity.pid == pid)
            && has_died(arena, slot(arena, index), identity)
        {
            bury(arena, Number::new(index, identity.generation));
        }
    }
}

fn sweep_in_ledger(arena: &Arena) {
    for index in slots(arena) {
        let identity = Identity::of(slot(arena, index));
        if has_died(arena, slot(arena, index), identity) {
            bury_in_ledger(arena, Number::new(index, identity.generation));
        }
    }
}

fn has_died(arena: &Arena, slot: &Participant, identity: Identity) -> bool {
    is_gone(slot, identity) || is_given_up(arena, slot, identity)
}

/// Whether it is known to have been a process that is not there any more.
fn is_gone(slot: &Participant, identity: Identity) -> bool {
    let is_known = identity.exists() && identity.pid != 0;
    is_known && !liveness::is_running(identity.pid, seen(slot))
}

/// Whether nobody has come to take the place.
fn is_given_up(arena: &Arena, place: &Participant, identity: Identity) -> bool {
    if identity.state != State::Pending || identity.pid != 0 {
        return false;
    }
    let age = liveness::now().saturating_sub(seen(place));
    if age > PENDING_AT_MOST {
        return true;
    }
    let parent = heirs::Lineage::of(place).parent;
    age > ORPHAN_AT_MOST && parent != 0 && {
        let parent = slot(arena, parent);
        !Identity::of(parent).exists() || is_gone(parent, Identity::of(parent))
    }
}

pub(crate) fn bury(arena: &Arena, number: Number) {
    arena.with_ledger(|| bury_in_ledger(arena, number));
}

/// Gives up a place that was kept, unless its process is there already.
pub(crate) fn give_up(arena: &Arena, number: Number) {
    arena.with_ledger(|| {
        let place = slot(arena, number.slot());
        let identity = Identity::of(place);
        let pending =
            identity.state == State::Pending && identity.generation == number.generation();
        if pending && (Identity { state: State::Dead, ..identity }).replace(identity, place) {
            block::free_lingering(arena);
            heirs::forget_the_childless(arena);
        }
    });
}

fn bury_in_ledger(arena: &Arena, number: Number) {
    let grave = slot(arena, number.slot());
    let mut identity = Identity::of(grave);
    while identity.state == State::Pending && identity.generation == number.generation() {
        let dead = Identity { state: State::Dead, ..identity };
        if dead.replace(identity, grave) {
            block::free_lingering(arena);
            heirs::forget_the_childless(arena);
            return;
        }
        // Its parent has noted its number. Or it has just come to life, and it is not for us to
        // say whether it still lives.
        identity = Identity::of(grave);
        if identity.state == State::Live {
            return;
        }
    }
    if identity.state != State::Live || identity.generation != number.generation() {
        return;
    }
    // Should we be killed in between, the slot is Live still, and all this is done again; and so it is,
    // by the next sweep of somebody, if there is anything of his that we cannot reach.
    if block::release_all_of(arena, number).is_ok() {
        Identity { state: State::Dead, ..identity }.store(grave);
    }
    block::free_lingering(arena);
    heirs::forget_the_childless(arena);
}

pub(crate) fn hand_over_to_parent(arena: &Arena) -> Result<(), ArenaError> {
    let me = my_number();
    arena.with_ledger(|| {
        let parent = heirs::Lineage::of(slot(arena, me.slot())).parent;
        let heir = Identity::of(slot(arena, parent));
        if parent == 0 || !heir.exists() {
            return Ok(());
        }
        block::hand_over(arena, me, Number::new(parent, heir.generation))
    })
}

pub(crate) fn count(arena: &Arena) -> u64 {
    slots(arena).filter(|&index| Identity::of(slot(arena, index)).exists()).count() as u64
}

/// The numbers of the processes that live, and of those that are about to.
pub(crate) fn pids(arena: &Arena) -> Vec<u32> {
    let alive = |index| {
        let slot = slot(arena, index);
        let identity = Identity::of(slot);
        (identity.exists() && identity.pid != 0 && !is_gone(slot, identity)).then_some(identity.pid)
    };
    slots(arena).filter_map(alive).collect()
}

fn seen(slot: &Participant) -> Duration {
    Duration::from_nanos(slot.seen.load(Ordering::Relaxed))
}

fn nanoseconds(moment: Duration) -> u64 {
    u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX)
}

/// Whether the participant has not died.
pub(crate) fn is_there(arena: &Arena, number: Number) -> bool {
    let participant = slot(arena, number.slot());
    let identity = Identity::of(participant);
    identity.exists()
        && identity.generation == number.generation()
        && !has_died(arena, participant, identity)
}

/// Whether the participant has not died; buries it if it has.
pub(crate) fn is_alive(arena: &Arena, number: Number) -> bool {
    let is_there = is_there(arena, number);
    if !is_there && Identity::of(slot(arena, number.slot())).exists() {
        bury(arena, number);
    }
    is_there
}
