//! Children: a place is kept for each before it is there.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use manyhands_sys::fork;

use crate::arena::{Arena, existing};
use crate::heirs::{Span, close_span};
use crate::participant::{self, Number, bury, note_pid, reserve};
use crate::{ArenaError, handle, original};

thread_local! {
    /// The place kept for the child of the fork that this thread is making, or made last.
    static FORKING: Cell<u32> = const { Cell::new(0) };
    /// The place kept ahead for the child of the fork that this thread is about to make.
    static AHEAD: Cell<u32> = const { Cell::new(0) };
    /// Whether this thread is between `before_fork` and what follows it.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
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
    participant::me();
    Ok(Ticket { arena, number: reserve(arena, Span::Closed)?, used: false })
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
        if !self.used {
            participant::give_up(self.arena, self.number);
        }
    }
}

/// Makes this process the participant for whom a ticket was reserved.
pub(crate) fn enter_by_ticket(arena: &Arena, ticket: u64) {
    // A copy that nobody knows to be one begins as what it was copied from.
    participant::forget_myself();
    let entered = u32::try_from(ticket)
        .is_ok_and(|bits| participant::enter_as(arena, Number::from_bits(bits)));
    if !entered {
        participant::enter(arena);
    }
}

/// Keeps a place for the child of the fork that this thread makes next, at once. Who does not call
/// this has the place kept by the fork itself, and may then wait inside of it for who keeps one at the
/// moment, when nothing else of the host can run: should that one be stopped, nobody is left to have
/// it go on.
pub fn reserve_for_fork() {
    let Some(arena) = existing() else { return };
    give_up_reserved();
    if let Ok(number) = reserve(arena, Span::Open) {
        original::expect(arena, number);
        AHEAD.set(number.bits());
    }
}

/// Says that the fork for which this thread has kept a place is not made, or not in the usual way.
pub fn give_up_reserved() {
    let unused = AHEAD.take();
    if let Some(arena) = existing()
        && unused != 0
    {
        original::expect_no_more(Number::from_bits(unused));
        participant::give_up(arena, Number::from_bits(unused));
    }
}

/// Tells which child the last fork by this thread made since [`prepare_for_forks`]; `None` if it failed.
pub fn forked(pid: Option<u32>) {
    // Still there if it failed before it began.
    give_up_reserved();
    let (Some(arena), number) = (existing(), FORKING.replace(0)) else { return };
    if number != 0 {
        match pid {
            Some(pid) => note_pid(arena, Number::from_bits(number), pid),
            None => bury(arena, Number::from_bits(number)),
        }
    }
}

/// Makes what this process has made its parent's, so that it outlives this process: for one that only
/// prepares what its siblings use.
///
/// # Errors
/// This process has no address space to look through the arena; what it has not come to stays its own.
pub fn hand_over_to_parent() -> Result<(), ArenaError> {
    existing().map_or(Ok(()), participant::hand_over_to_parent)
}

/// Tells that the child of that number has ended (whether waited for already or not), so that
/// what it held is released now instead of when somebody stumbles over it.
pub fn child_died(pid: u32) {
    if let Some(arena) = existing() {
        participant::sweep(arena, Some(pid));
    }
}

/// Whether this thread is inside a fork.
pub(crate) fn is_forking() -> bool {
    INSIDE.get()
}

extern "C" fn before_fork() {
    if INSIDE.replace(true) {
        return;
    }
    // Before the table is locked: who drops a handle takes the ledger first.
    if let Some(arena) = existing() {
        let ahead = AHEAD.replace(0);
        // Without a place the child enters by itself, later.
        if ahead == 0 {
            FORKING.set(reserve(arena, Span::Open).map_or(0, Number::bits));
            // The child has what this process has images of.
            original::lock_table_for(arena, Number::from_bits(FORKING.get()));
        } else {
            FORKING.set(ahead);
            original::lock_table();
        }
    }
    handle::lock_table();
}

extern "C" fn in_parent() {
    if !INSIDE.replace(false) {
        return;
    }
    if let (Some(arena), number) = (existing(), FORKING.get())
        && number != 0
    {
        close_span(arena, Number::from_bits(number));
    }
    handle::unlock_table();
    original::unlock_table(|expected| *expected != Number::from_bits(FORKING.get()));
}

extern "C" fn in_child() {
    if !INSIDE.replace(false) {
        return;
    }
    participant::forget_myself();
    if let (Some(arena), number) = (existing(), FORKING.replace(0))
        && number != 0
    {
        participant::enter_as(arena, Number::from_bits(number));
    }
    handle::unlock_table();
    // Those are its parent's children.
    original::unlock_table(|_| false);
}

/// Has forks of this process noticed, from before it has an arena. A fork that is under way while the
/// first arena is made goes unnoticed, so who forks among threads calls this first; and who will tell
/// of a fork with [`forked`], so that none before it is meant.
pub fn prepare_for_forks() {
    static WATCHED: AtomicBool = AtomicBool::new(false);

    FORKING.set(0);
    // No lock, which a fork by another thread would leave locked in the child. Done twice is no
    // harm: the second call of each function does nothing.
    if !WATCHED.load(Ordering::Acquire) {
        fork::register(before_fork, in_parent, in_child).expect("pthread_atfork: out of memory");
        WATCHED.store(true, Ordering::Release);
    }
}
