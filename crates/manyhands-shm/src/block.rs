//! Blocks: pieces of the arena, of 2^n bytes, reused last in first out.
//!
//! Invariants:
//! * From `FIRST` to `top` there is one block after the other; the class in the head of each tells
//!   where the next begins, and never changes.
//! * A block is Free, Used or Lingering. Free ones are in the list of their class, or will be once
//!   somebody repairs the ledger; Used ones have an owner: a process, or an object of the arena
//!   (a queue has its segments and the messages in it).
//! * Status, list and `top` are changed under the ledger only. The owner of a Used block is changed by
//!   a single store, without the ledger, by who owns it, or who has the lock of the object that does.
//! * Killed at any instruction under the ledger: `repair` rebuilds all lists from the blocks'
//!   own heads. A block taken from a list and not Used yet is Free; one carved and not below `top`
//!   does not exist.
//! * The owner ends without releasing: `participant::bury` does it.

use std::sync::atomic::Ordering;

use manyhands_sys::step::step;

use crate::arena::{Arena, Statistics};
use crate::layout::{BlockHead, CLASSES, FIRST, GRAIN, Ref, SMALLEST_CLASS, SPAN};
use crate::participant::{self, Number};
use crate::{ArenaError, Kind, heirs};

/// Free blocks keep so many bytes of memory in all; what is freed beyond goes back to the system.
const RETAIN: u64 = if cfg!(feature = "steps") { 4 << 20 } else { 128 << 20 };

/// Set in the owner of a block that belongs to an object.
const OBJECT: u64 = 1 << 63;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Free,
    Used,
    Lingering,
}

/// Contents of `BlockHead::state`.
#[derive(Clone, Copy, Debug)]
struct State {
    class: u32,
    status: Status,
    kind: u32,
}

impl State {
    fn of(head: &BlockHead) -> State {
        let bits = head.state.load(Ordering::Acquire);
        let status = match bits >> 8 & 0xff {
            0 => Status::Free,
            1 => Status::Used,
            _ => Status::Lingering,
        };
        State { class: bits as u32 & 0xff, status, kind: (bits >> 16) as u32 }
    }

    fn store(self, head: &BlockHead) {
        let bits = u64::from(self.kind) << 16 | (self.status as u64) << 8 | u64::from(self.class);
        head.state.store(bits, Ordering::Release);
        step();
    }
}

/// A block that this process has just got.
pub(crate) struct Allocated {
    pub(crate) reference: Ref,
    /// So many bytes of its contents may be something else than 0.
    pub(crate) dirty: usize,
}

fn block_head(arena: &Arena, index: u64) -> &BlockHead {
    // SAFETY: indices come from free lists, walks, and references, which all name blocks.
    unsafe { arena.at(index) }
}

/// The indices of all blocks, in their order.
fn all(arena: &Arena) -> impl Iterator<Item = u64> {
    from(arena, (FIRST / GRAIN) as u64)
}

/// The indices of all blocks from that one on. They end early where this process has no address space
/// for more: then what it looked for is left to another, or stays for as long as the arena does.
fn from(arena: &Arena, mut index: u64) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || {
        if index >= arena.head().top.load(Ordering::Acquire)
            || arena.reach(index as usize * GRAIN, SPAN).is_err()
        {
            return None;
        }
        let this = index;
        index += (1 << State::of(block_head(arena, this)).class) / GRAIN as u64;
        Some(this)
    })
}

/// A block for `len` bytes, owned by this process.
pub(crate) fn allocate(arena: &Arena, len: usize, kind: Kind) -> Result<Allocated, ArenaError> {
    let capacity = arena.memory().len();
    let full = || ArenaError::Full { wanted: len, capacity };
    let whole = len.checked_add(GRAIN).filter(|&whole| whole <= capacity).ok_or_else(full)?;
    let class = whole.next_power_of_two().trailing_zeros().max(SMALLEST_CLASS);
    let me = participant::me();
    let (index, committed) = arena.with_ledger(|| {
        let head = arena.head();
        let list = &head.free[class as usize];
        let index = match list.load(Ordering::Relaxed) {
            0 => carve(arena, class, whole)?.ok_or_else(full)?,
            index => {
                arena.reach(index as usize * GRAIN, whole.max(SPAN))?;
                let block = block_head(arena, index);
                list.store(block.links.load(Ordering::Relaxed), Ordering::Relaxed);
                step();
                let committed = block.committed.load(Ordering::Relaxed);
                head.retained.fetch_sub(committed, Ordering::Relaxed);
                step();
                index
            }
        };
        let block = block_head(arena, index);
        let generation = block.generation.load(Ordering::Relaxed).wrapping_add(1).max(1);
        block.generation.store(generation, Ordering::Relaxed);
        step();
        block.owner.store(me, Ordering::Relaxed);
        step();
        block.born.store(arena.stamp(), Ordering::Relaxed);
        step();
        block.released.store(0, Ordering::Relaxed);
        step();
        block.len.store(len as u64, Ordering::Relaxed);
        step();
        block.links.store(NO_PARTS, Ordering::Relaxed);
        step();
        State { class, status: Status::Used, kind: kind as u32 }.store(block);
        Ok((index, block.committed.load(Ordering::Relaxed) as usize))
    })?;
    let block = block_head(arena, index);
    let reference = Ref::new(index, block.generation.load(Ordering::Relaxed));
    if committed < whole {
        // Not under the ledger: the kernel clears each page, which takes its time.
        let begin = index as usize * GRAIN + committed;
        if let Err(error) = arena.memory().commit(begin, whole - committed) {
            release(arena, reference);
            return Err(ArenaError::system(
                &format!("cannot get {len} bytes of memory to share with other processes"),
                error,
            ));
        }
        step();
        block.committed.store(whole as u64, Ordering::Relaxed);
        step();
    }
    Ok(Allocated { reference, dirty: committed.saturating_sub(GRAIN).min(len) })
}

/// A new block at the top for so many bytes in all, Free and in no list; `None` if there is no room.
fn carve(arena: &Arena, class: u32, whole: usize) -> Result<Option<u64>, ArenaError> {
    let head = arena.head();
    let top = head.top.load(Ordering::Relaxed);
    let begin = top as usize * GRAIN;
    if arena.memory().len() - begin < 1 << class {
        return Ok(None);
    }
    arena.reach(begin, whole.max(SPAN))?;
    arena.memory().commit(begin, GRAIN).map_err(|error| {
        ArenaError::system("cannot get memory to share with other processes", error)
    })?;
    step();
    let block = block_head(arena, top);
    block.committed.store(GRAIN as u64, Ordering::Relaxed);
    step();
    State { class, status: Status::Free, kind: 0 }.store(block);
    head.top.store(top + (1 << class) / GRAIN as u64, Ordering::Release);
    step();
    Ok(Some(top))
}

/// Lets go of a block, if this process owns it.
pub(crate) fn release(arena: &Arena, reference: Ref) {
    let me = participant::my_number();
    arena.with_ledger(|| {
        let block = block_head(arena, reference.index());
        if block.generation.load(Ordering::Relaxed) == reference.generation()
            && State::of(block).status == Status::Used
            && block.owner.load(Ordering::Relaxed) == u64::from(me.bits()) << 32
        {
            release_in_ledger(arena, reference.index(), me);
        }
    });
}

fn release_in_ledger(arena: &Arena, index: u64, owner: Number) {
    let block = block_head(arena, index);
    let released = arena.stamp();
    block.released.store(released, Ordering::Relaxed);
    step();
    if heirs::has_heirs(arena, owner, block.born.load(Ordering::Relaxed), released) {
        State { status: Status::Lingering, ..State::of(block) }.store(block);
        arena.head().lingering.fetch_add(1, Ordering::Relaxed);
        step();
    } else {
        free(arena, index);
    }
}

/// Lets go of everything that a dead process owned; under the ledger.
pub(crate) fn release_all_of(arena: &Arena, owner: Number) {
    for index in all(arena) {
        let block = block_head(arena, index);
        if State::of(block).status == Status::Used
            && block.owner.load(Ordering::Acquire) == u64::from(owner.bits()) << 32
        {
            release_in_ledger(arena, index, owner);
        }
    }
}

/// Makes what one process owns another's; under the ledger.
pub(crate) fn hand_over(arena: &Arena, owner: Number, heir: Number) {
    for index in all(arena) {
        let block = block_head(arena, index);
        if State::of(block).status == Status::Used
            && block.owner.load(Ordering::Acquire) == u64::from(owner.bits()) << 32
        {
            block.owner.store(u64::from(heir.bits()) << 32, Ordering::Release);
            step();
        }
    }
}

/// Frees what was kept for processes that are gone now; under the ledger.
pub(crate) fn free_lingering(arena: &Arena) {
    if arena.head().lingering.load(Ordering::Relaxed) == 0 {
        return;
    }
    for index in all(arena) {
        let block = block_head(arena, index);
        if State::of(block).status != Status::Lingering {
            continue;
        }
        let owner = Number::from_bits((block.owner.load(Ordering::Relaxed) >> 32) as u32);
        let (born, released) =
            (block.born.load(Ordering::Relaxed), block.released.load(Ordering::Relaxed));
        if !heirs::has_heirs(arena, owner, born, released) {
            arena.head().lingering.fetch_sub(1, Ordering::Relaxed);
            step();
            free(arena, index);
        }
    }
}

/// Frees a block, and before it what belongs to it; under the ledger.
fn free(arena: &Arena, index: u64) {
    let block = block_head(arena, index);
    let state = State::of(block);
    if Kind::has_parts(state.kind) {
        let owner = OBJECT | Ref::new(index, block.generation.load(Ordering::Relaxed)).to_bits();
        let (first, last) = parts(block);
        for part in from(arena, first).take_while(|&part| part <= last) {
            let head = block_head(arena, part);
            if State::of(head).status == Status::Used && head.owner.load(Ordering::Acquire) == owner
            {
                free_alone(arena, part);
            }
        }
    }
    free_alone(arena, index);
}

fn free_alone(arena: &Arena, index: u64) {
    let head = arena.head();
    let block = block_head(arena, index);
    let state = State::of(block);
    State { status: Status::Free, kind: 0, ..state }.store(block);
    let mut committed = block.committed.load(Ordering::Relaxed);
    if committed >= 1 << 20 && head.retained.load(Ordering::Relaxed) + committed > RETAIN {
        let begin = index as usize * GRAIN;
        let keep = (begin + GRAIN).next_multiple_of(4096) - begin;
        // First the note, then the deed.
        block.committed.store(keep as u64, Ordering::Relaxed);
        step();
        if arena.memory().discard(begin + keep, committed as usize - keep).is_ok() {
            committed = keep as u64;
        } else {
            // The pages are there still, and not zero.
            block.committed.store(committed, Ordering::Relaxed);
        }
        step();
    }
    head.retained.fetch_add(committed, Ordering::Relaxed);
    step();
    push_free(arena, block, state.class, index);
}

/// Puts a Free block into the list of its class; under the ledger.
fn push_free(arena: &Arena, block: &BlockHead, class: u32, index: u64) {
    let list = &arena.head().free[class as usize];
    block.links.store(list.load(Ordering::Relaxed), Ordering::Relaxed);
    step();
    list.store(index, Ordering::Relaxed);
    step();
}

/// `BlockHead::links` of a block that never had parts.
const NO_PARTS: u64 = (u32::MAX as u64) << 32;

/// The lowest and the highest index of what belongs to an object, or has belonged to it.
fn parts(block: &BlockHead) -> (u64, u64) {
    let links = block.links.load(Ordering::Relaxed);
    (links >> 32, links & u64::from(u32::MAX))
}

/// Makes a block of this process that of an object.
pub(crate) fn give(arena: &Arena, reference: Ref, object: Ref) {
    let whole = block_head(arena, object.index());
    // Several may do this at a time, where the object has no lock.
    let _ = whole.links.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |links| {
        let (first, last) = (links >> 32, links & u64::from(u32::MAX));
        let wider = first.min(reference.index()) << 32 | last.max(reference.index());
        (wider != links).then_some(wider)
    });
    step();
    block_head(arena, reference.index()).owner.store(OBJECT | object.to_bits(), Ordering::Release);
    step();
}

/// Makes a block of an object that of this process, which has entered (see `participant::me`): the
/// caller has a lock, and cannot do that now.
pub(crate) fn take(arena: &Arena, reference: Ref) {
    let block = block_head(arena, reference.index());
    block.born.store(arena.stamp(), Ordering::Relaxed);
    step();
    block.owner.store(participant::me_if_entered(), Ordering::Release);
    step();
}

/// Whether that block belongs to that object.
pub(crate) fn is_part(arena: &Arena, reference: Ref, object: Ref) -> bool {
    let block = block_head(arena, reference.index());
    block.generation.load(Ordering::Relaxed) == reference.generation()
        && State::of(block).status == Status::Used
        && block.owner.load(Ordering::Acquire) == OBJECT | object.to_bits()
}

/// The contents of a block, and how many bytes it was asked to hold.
pub(crate) fn contents(arena: &Arena, reference: Ref) -> (*mut u8, usize) {
    let begin = reference.index() as usize * GRAIN + GRAIN;
    let len = block_head(arena, reference.index()).len.load(Ordering::Relaxed) as usize;
    arena.expect_reach(begin, len);
    // SAFETY: a reference is of a block of the arena, and it is mapped.
    (unsafe { arena.memory().base().add(begin).as_ptr() }, len)
}

/// Makes sure that this process can access what a block holds.
pub(crate) fn reach(arena: &Arena, reference: Ref) -> Result<(), ArenaError> {
    let begin = reference.index() as usize * GRAIN;
    arena.reach(begin, GRAIN)?;
    let len = block_head(arena, reference.index()).len.load(Ordering::Relaxed) as usize;
    arena.reach(begin, GRAIN + len)
}

/// Whether a reference is of a block that is in use still, of that kind.
pub(crate) fn is_there(arena: &Arena, reference: Ref, kind: Kind) -> bool {
    if reference.index() < (FIRST / GRAIN) as u64
        || reference.index() >= arena.head().top.load(Ordering::Acquire)
    {
        return false;
    }
    let block = block_head(arena, reference.index());
    let state = State::of(block);
    state.status != Status::Free
        && state.kind == kind as u32
        && block.generation.load(Ordering::Relaxed) == reference.generation()
}

/// Rebuilds the ledger after somebody was killed while changing it; under the ledger.
#[cold]
pub(crate) fn repair(arena: &Arena) {
    let head = arena.head();
    for list in &head.free {
        list.store(0, Ordering::Relaxed);
    }
    step();
    let (mut lingering, mut retained) = (0, 0);
    for index in all(arena) {
        let block = block_head(arena, index);
        let state = State::of(block);
        match state.status {
            Status::Used => {}
            Status::Lingering => lingering += 1,
            Status::Free => {
                retained += block.committed.load(Ordering::Relaxed);
                push_free(arena, block, state.class, index);
            }
        }
    }
    head.lingering.store(lingering, Ordering::Relaxed);
    step();
    head.retained.store(retained, Ordering::Relaxed);
    step();
    // Who was burying somebody may not have come to these.
    free_lingering(arena);
    heirs::forget_the_childless(arena);
}

/// Whether anything of that process is kept for its heirs; under the ledger.
pub(crate) fn keeps_anything_of(arena: &Arena, owner: Number) -> bool {
    arena.head().lingering.load(Ordering::Relaxed) != 0
        && all(arena).map(|index| block_head(arena, index)).any(|block| {
            State::of(block).status == Status::Lingering
                && block.owner.load(Ordering::Relaxed) == u64::from(owner.bits()) << 32
        })
}

/// What is in use at present.
pub(crate) fn count(arena: &Arena) -> Statistics {
    arena.with_ledger(|| {
        let mut statistics = Statistics::default();
        for index in all(arena) {
            let block = block_head(arena, index);
            match State::of(block).status {
                Status::Free => {}
                Status::Used => {
                    statistics.blocks += 1;
                    statistics.bytes += block.len.load(Ordering::Relaxed);
                }
                Status::Lingering => statistics.lingering += 1,
            }
        }
        statistics
    })
}

const _: () = assert!(CLASSES > 37, "the largest block is half of the arena");
