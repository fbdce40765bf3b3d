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
//! * Dead slots stay until no slot has them for its parent: the chain of parents tells who can
//!   have inherited what.
//! * `bury` releases what the dead process owned, as if it had done so itself.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use manyhands_sys::{fork, liveness, thread};

use crate::arena::{Arena, existing};
use crate::layout::{PARTICIPANTS, Participant};
use crate::{ArenaError, block, handle};

/// After so long a place kept for a child of which nobody knows the number is given up: the fork
/// failed, or the child was killed in its first instructions.
const PENDING_AT_MOST: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Pending,
    Live,
    Dead,
}

/// Contents of `Participant::identity`: 2 bits of state, 12 of generation, 32 of process number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    state: State,
    generation: u32,
    pid: u32,
}

impl Identity {
    const GENERATIONS: u32 = 1 << 12;

    fn of(slot: &Participant) -> Identity {
        let bits = slot.identity.load(Ordering::Acquire);
        let state = match bits >> 62 {
            0 => State::Free,
            1 => State::Pending,
            2 => State::Live,
            _ => State::Dead,
        };
        Identity { state, generation: (bits >> 32) as u32 & 0xfff, pid: bits as u32 }
    }

    fn bits(self) -> u64 {
        (self.state as u64) << 62 | u64::from(self.generation) << 32 | u64::from(self.pid)
    }

    fn exists(self) -> bool {
        matches!(self.state, State::Pending | State::Live)
    }
}

/// A participant: slot and generation in 27 bits, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number(u32);

impl Number {
    fn new(slot: usize, generation: u32) -> Number {
        Number(generation << 15 | slot as u32)
    }

    pub(crate) fn from_bits(bits: u32) -> Number {
        Number(bits & 0x07ff_ffff)
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    pub(crate) fn slot(self) -> usize {
        (self.0 & 0x7fff) as usize
    }

    fn generation(self) -> u32 {
        self.0 >> 15
    }
}

/// This process's number, shifted as an `Owner` has it; 0 before it has entered.
static ME: AtomicU64 = AtomicU64::new(0);
static ENTERING: Mutex<()> = Mutex::new(());

thread_local! {
    /// The place kept for the child of the fork that this thread is making, or made last.
    static FORKING: Cell<u32> = const { Cell::new(0) };
}

fn slot(arena: &Arena, index: usize) -> &Participant {
    &arena.head().participants[index]
}

/// The slots that were ever in use.
fn slots(arena: &Arena) -> std::ops::RangeInclusive<usize> {
    1..=arena.head().last_participant.load(Ordering::Relaxed) as usize
}

/// This process's number, shifted by 32 bits.
#[inline]
pub(crate) fn me() -> u64 {
    match ME.load(Ordering::Relaxed) {
        0 => enter_late(),
        me => me,
    }
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
    let _guard = ENTERING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if ME.load(Ordering::Relaxed) == 0
        && let Ok(number) = reserve(arena)
    {
        claim(arena, number);
    }
}

/// Makes this process the participant for whom a ticket was reserved.
pub(crate) fn enter_by_ticket(arena: &Arena, ticket: u64) {
    let claimed = u32::try_from(ticket).is_ok_and(|bits| claim(arena, Number::from_bits(bits)));
    if !claimed {
        enter(arena);
    }
}

/// Keeps a place for a process that is about to be.
fn reserve(arena: &Arena) -> Result<Number, ArenaError> {
    arena.with_ledger(|| {
        let mut free = None;
        for index in slots(arena) {
            let slot = slot(arena, index);
            let identity = Identity::of(slot);
            let given_up = identity.state == State::Pending
                && identity.pid == 0
                && liveness::now().saturating_sub(seen(slot)) > PENDING_AT_MOST;
            if given_up {
                bury_in_ledger(arena, Number::new(index, identity.generation));
            }
            if Identity::of(slot).state == State::Free {
                free = Some(index);
                break;
            }
        }
        let index = match free {
            Some(index) => index,
            None => {
                let index = *slots(arena).end() + 1;
                if index >= PARTICIPANTS {
                    return Err(ArenaError::TooManyProcesses(PARTICIPANTS - 1));
                }
                let head = std::ptr::from_ref(arena.head()) as usize;
                let offset = std::ptr::from_ref(slot(arena, index)) as usize - head;
                arena.memory().commit(offset, size_of::<Participant>()).map_err(|error| {
                    ArenaError::system("cannot share memory with a child", error)
                })?;
                arena.head().last_participant.store(index as u32, Ordering::Relaxed);
                index
            }
        };
        let slot = slot(arena, index);
        let generation = (Identity::of(slot).generation + 1) % Identity::GENERATIONS;
        let generation = generation.max(1);
        let parent = Number::from_bits((ME.load(Ordering::Relaxed) >> 32) as u32).slot();
        slot.joined.store(arena.stamp(), Ordering::Relaxed);
        slot.seen.store(nanoseconds(liveness::now()), Ordering::Relaxed);
        slot.parent.store(parent as u32, Ordering::Relaxed);
        let pending = Identity { state: State::Pending, generation, pid: 0 };
        slot.identity.store(pending.bits(), Ordering::Release);
        Ok(Number::new(index, generation))
    })
}

/// Takes the place that was kept for this process; false if it was given up meanwhile.
fn claim(arena: &Arena, number: Number) -> bool {
    // A forked child does this before any other code of it runs: it touches memory, and no lock.
    let slot = slot(arena, number.slot());
    let pid = liveness::process_id();
    let mut known = Identity::of(slot);
    while known.state == State::Pending && known.generation == number.generation() {
        // Not before the process began, and before it can have been taken for another.
        slot.seen.store(nanoseconds(liveness::now()), Ordering::Relaxed);
        let live = Identity { state: State::Live, pid, ..known };
        match slot.identity.compare_exchange(
            known.bits(),
            live.bits(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        ) {
            Ok(_) => {
                ME.store(u64::from(number.bits()) << 32, Ordering::Relaxed);
                return true;
            }
            Err(_) => known = Identity::of(slot),
        }
    }
    false
}

/// A place in the arena for a child that is about to be started in another way than by fork.
#[derive(Debug)]
pub struct Ticket {
    arena: &'static Arena,
    number: Number,
    used: bool,
}

/// Keeps a place for a child that is about to be started by other means than fork: it has to
/// [`join`](crate::join) with the ticket's number. Everything that is handed to it has to exist
/// before.
///
/// # Errors
/// As of [`arena`](crate::arena()); too many processes.
pub fn reserve_child() -> Result<Ticket, ArenaError> {
    let arena = crate::arena()?;
    me();
    Ok(Ticket { arena, number: reserve(arena)?, used: false })
}

impl Ticket {
    /// By which the child maps the arena.
    pub fn arena(&self) -> &'static Arena {
        self.arena
    }

    /// What the child joins with.
    pub fn number(&self) -> u64 {
        u64::from(self.number.bits())
    }

    /// Notes which process it became. Without this a child that is killed before it joins is
    /// noticed late.
    pub fn started(mut self, pid: u32) {
        self.used = true;
        note_pid(self.arena, self.number, pid);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The child may be there all the same, and live on.
        let slot = slot(self.arena, self.number.slot());
        if !self.used && Identity::of(slot).state == State::Pending {
            bury(self.arena, self.number);
        }
    }
}

fn note_pid(arena: &Arena, number: Number, pid: u32) {
    let slot = slot(arena, number.slot());
    let unknown = Identity { state: State::Pending, generation: number.generation(), pid: 0 };
    let known = Identity { pid, ..unknown };
    // If it fails the child was faster.
    let _ = slot.identity.compare_exchange(
        unknown.bits(),
        known.bits(),
        Ordering::AcqRel,
        Ordering::Relaxed,
    );
}

/// Tells which child the last fork by this thread made; `None` if it failed.
pub fn forked(pid: Option<u32>) {
    let (Some(arena), number) = (existing(), FORKING.replace(0)) else { return };
    if number != 0 {
        match pid {
            Some(pid) => note_pid(arena, Number::from_bits(number), pid),
            None => bury(arena, Number::from_bits(number)),
        }
    }
}

/// Tells that the child of that number has ended (whether waited for already or not), so that
/// what it held is released now instead of when somebody stumbles over it.
pub fn child_died(pid: u32) {
    let Some(arena) = existing() else { return };
    for index in slots(arena) {
        let slot = slot(arena, index);
        let identity = Identity::of(slot);
        if identity.exists() && identity.pid == pid && !liveness::is_running(pid, seen(slot)) {
            bury(arena, Number::new(index, identity.generation));
        }
    }
}

/// Buries all who have died unnoticed.
pub(crate) fn sweep(arena: &Arena) {
    for index in slots(arena) {
        let slot = slot(arena, index);
        let identity = Identity::of(slot);
        if identity.exists() && identity.pid != 0 && !liveness::is_running(identity.pid, seen(slot))
        {
            bury(arena, Number::new(index, identity.generation));
        }
    }
}

fn bury(arena: &Arena, number: Number) {
    arena.with_ledger(|| bury_in_ledger(arena, number));
}

fn bury_in_ledger(arena: &Arena, number: Number) {
    let grave = slot(arena, number.slot());
    let identity = Identity::of(grave);
    if !identity.exists() || identity.generation != number.generation() {
        return;
    }
    // Should we be killed in between, the slot is Live still, and all this is done again.
    block::release_all_of(arena, number);
    grave.identity.store(Identity { state: State::Dead, ..identity }.bits(), Ordering::Release);
    block::free_lingering(arena);
    forget_the_childless(arena);
}

/// Frees the slots of dead processes that nobody has for a parent.
pub(crate) fn forget_the_childless(arena: &Arena) {
    loop {
        let mut forgotten = false;
        for index in slots(arena) {
            let grave = slot(arena, index);
            let identity = Identity::of(grave);
            if identity.state != State::Dead {
                continue;
            }
            let is_parent = slots(arena).any(|other| {
                let other = slot(arena, other);
                Identity::of(other).state != State::Free
                    && other.parent.load(Ordering::Relaxed) as usize == index
            });
            if !is_parent {
                let free = Identity { state: State::Free, pid: 0, ..identity };
                grave.identity.store(free.bits(), Ordering::Release);
                forgotten = true;
            }
        }
        if !forgotten {
            return;
        }
    }
}

/// Whether there is a process that can have got at what `owner` had from `born` to `released`:
/// a child that it started meanwhile, or a descendant of one.
pub(crate) fn has_heirs(arena: &Arena, owner: Number, born: u64, released: u64) -> bool {
    slots(arena).any(|index| {
        let heir = Identity::of(slot(arena, index));
        if !heir.exists() || heir.pid != 0 && !liveness::exists(heir.pid) {
            return false;
        }
        let mut index = index;
        for _ in 0..PARTICIPANTS {
            let ancestor = slot(arena, index);
            let parent = ancestor.parent.load(Ordering::Relaxed) as usize;
            let joined = ancestor.joined.load(Ordering::Relaxed);
            // Of one without a parent nothing is known.
            if (parent == owner.slot() || parent == 0) && joined > born && joined <= released {
                return true;
            }
            if parent == 0 {
                return false;
            }
            index = parent;
        }
        false
    })
}

pub(crate) fn count(arena: &Arena) -> u64 {
    slots(arena).filter(|&index| Identity::of(slot(arena, index)).exists()).count() as u64
}

fn seen(slot: &Participant) -> Duration {
    Duration::from_nanos(slot.seen.load(Ordering::Relaxed))
}

fn nanoseconds(moment: Duration) -> u64 {
    u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX)
}

/// Whether the participant has not died; notes it if it has.
fn is_alive(arena: &Arena, number: Number) -> bool {
    let participant = slot(arena, number.slot());
    let identity = Identity::of(participant);
    if !identity.exists() || identity.generation != number.generation() {
        return false;
    }
    if identity.pid == 0 || liveness::is_running(identity.pid, seen(participant)) {
        return true;
    }
    bury(arena, number);
    false
}

/// A thread of a process of the tree. As a number: 27 bits of participant from bit 32 on, 22 of the
/// kernel's number of the thread; never 0, and the other bits are free for flags.
///
/// ```
/// use manyhands_shm::Owner;
///
/// manyhands_shm::arena()?;
/// let me = Owner::current();
/// assert!(me.is_alive() && me.is_current_thread());
/// assert_eq!(Owner::from_bits(me.to_bits()), Some(me));
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(std::num::NonZeroU64);

impl Owner {
    const BITS: u64 = 0x07ff_ffff_003f_ffff;

    /// The calling thread.
    #[inline]
    pub fn current() -> Owner {
        let bits = me() | u64::from(thread::kernel_id());
        // The number of a thread is not 0.
        Owner(std::num::NonZeroU64::new(bits).unwrap_or(std::num::NonZeroU64::MIN))
    }

    /// That of the number, without flags; `None` for 0.
    #[inline]
    pub fn from_bits(bits: u64) -> Option<Owner> {
        std::num::NonZeroU64::new(bits & Self::BITS).map(Owner)
    }

    /// The number.
    #[inline]
    pub fn to_bits(self) -> u64 {
        self.0.get()
    }

    fn participant(self) -> Number {
        Number::from_bits((self.0.get() >> 32) as u32)
    }

    /// Whether its process has not ended (a zombie has). Reads /proc: not for fast paths.
    pub fn is_alive(self) -> bool {
        self.is_current_process()
            || existing().is_some_and(|arena| is_alive(arena, self.participant()))
    }

    /// Whether the thread itself has not ended. Reads /proc.
    pub fn is_thread_alive(self) -> bool {
        self.is_alive() && self.pid().is_some_and(|pid| liveness::has_thread(pid, self.thread()))
    }

    /// The number of its process, if that is known still.
    pub fn pid(self) -> Option<u32> {
        let slot = slot(existing()?, self.participant().slot());
        let identity = Identity::of(slot);
        (identity.generation == self.participant().generation() && identity.pid != 0)
            .then_some(identity.pid)
    }

    /// The kernel's number of the thread.
    #[inline]
    pub fn thread(self) -> u32 {
        self.0.get() as u32 & 0x003f_ffff
    }

    /// Whether it is the calling thread.
    #[inline]
    pub fn is_current_thread(self) -> bool {
        self == Owner::current()
    }

    /// Whether it is of the calling process.
    #[inline]
    pub fn is_current_process(self) -> bool {
        self.0.get() >> 32 == me() >> 32
    }
}

/// The number of this process as a participant.
pub(crate) fn my_number() -> Number {
    Number::from_bits((me() >> 32) as u32)
}

extern "C" fn before_fork() {
    handle::lock_table();
    if let Some(arena) = existing() {
        // Without a place the child enters by itself, later.
        FORKING.set(reserve(arena).map_or(0, Number::bits));
    }
}

extern "C" fn in_parent() {
    handle::unlock_table();
}

extern "C" fn in_child() {
    ME.store(0, Ordering::Relaxed);
    if let (Some(arena), number) = (existing(), FORKING.replace(0))
        && number != 0
    {
        claim(arena, Number::from_bits(number));
    }
    handle::unlock_table();
}

/// Has forks of this process noticed; called once, when it gets an arena.
pub(crate) fn watch_forks() {
    fork::register(before_fork, in_parent, in_child).expect("pthread_atfork: out of memory");
}
