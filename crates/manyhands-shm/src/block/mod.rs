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
//! * A Lingering one was let go of by its owner and is kept for others: its owner's heirs, or, if it is an
//!   original, its holders (see `holders`).
//!
//! A process that has no address space for all of the arena goes through the blocks up to the first that
//! it cannot reach. What is beyond is left to one who can: the ledger is handed on as in need of repair,
//! a dead process is not buried, an object whose parts are not all in reach lingers. Nothing is
//! judged by what was not seen: what may be there counts as there.

mod walks;

use std::sync::atomic::Ordering;

use manyhands_sys::step::step;

use crate::arena::Arena;
use crate::layout::{BlockHead, CLASSES, FIRST, GRAIN, Ref, SMALLEST_CLASS, SPAN};
use crate::participant::{self, Number};
use crate::{ArenaError, Kind, heirs, holders};
pub(crate) use walks::{
    count, forget_holder, free_lingering, hand_over, keeps_anything_of, release_all_of, repair,
};

/// Free blocks keep so many bytes of memory in all; what is freed beyond goes back to the system.
const RETAIN: u64 = if cfg!(feature = "steps") { 4 << 20 } else { 128 << 20 };

/// So many more are said to be lingering where they could not be counted: nobody is to think that there
/// are none.
const UNSEEN: u64 = 1 << 32;

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

/// A block whose head this process has reached.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub(crate) reference: Ref,
    head: &'static BlockHead,
}

/// What a block holds: the first byte, and how many it was asked to hold, all of which this process
/// can access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contents {
    pub(crate) start: *mut u8,
    pub(crate) len: usize,
}

// SAFETY: an address and a number; who reads or writes there vouches for it.
unsafe impl Send for Contents {}
// SAFETY: as above.
unsafe impl Sync for Contents {}

/// A block that this process has just got.
pub(crate) struct Allocated {
    pub(crate) block: Block,
    pub(crate) contents: Contents,
    /// So many bytes of its contents may be something else than 0.
    pub(crate) dirty: usize,
}

fn block_head(arena: &Arena, index: u64) -> Result<&BlockHead, ArenaError> {
    let place = arena.place(index, size_of::<BlockHead>())?;
    // SAFETY: indices come from free lists, walks, and references, which all name blocks; a head is
    // atomics, and what is mapped stays so.
    Ok(unsafe { place.cast().as_ref() })
}

/// All blocks, in their order.
fn all(arena: &Arena) -> impl Iterator<Item = Result<(u64, &BlockHead), ArenaError>> {
    between(arena, (FIRST / GRAIN) as u64, u64::MAX)
}

/// All blocks from the first index to the last. They end with an error where this process has no
/// address space for more: what it looks for may be there, and is left to another.
fn between(
    arena: &Arena,
    first: u64,
    last: u64,
) -> impl Iterator<Item = Result<(u64, &BlockHead), ArenaError>> {
    let mut next = Some(first);
    std::iter::from_fn(move || {
        let is_there =
            |&index: &u64| index <= last && index < arena.head().top.load(Ordering::Acquire);
        let index = next.filter(is_there)?;
        let head = block_head(arena, index);
        next = head.as_ref().ok().map(|head| index + (1 << State::of(head).class) / GRAIN as u64);
        Some(head.map(|head| (index, head)))
    })
}

/// A block for `len` bytes, owned by this process.
pub(crate) fn allocate(
    arena: &'static Arena,
    len: usize,
    kind: Kind,
) -> Result<Allocated, ArenaError> {
    let capacity = arena.memory().len();
    let full = || ArenaError::Full { wanted: len, capacity };
    let whole = len.checked_add(GRAIN).filter(|&whole| whole <= capacity).ok_or_else(full)?;
    let class = whole.next_power_of_two().trailing_zeros().max(SMALLEST_CLASS);
    let me = participant::me();
    let (block, place, committed) = arena.with_ledger(|| {
        let head = arena.head();
        let list = &head.free[class as usize];
        let index = match list.load(Ordering::Relaxed) {
            0 => carve(arena, class, whole)?.ok_or_else(full)?,
            index => index,
        };
        // Before it is taken: where there is no address space for it, it is left for others.
        let place = arena.place(index, whole.max(SPAN))?;
        let block = block_head(arena, index)?;
        if list.load(Ordering::Relaxed) == index {
            list.store(block.links.load(Ordering::Relaxed), Ordering::Relaxed);
            step();
            let committed = block.committed.load(Ordering::Relaxed);
            head.retained.fetch_sub(committed, Ordering::Relaxed);
            step();
        }
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
        let reference = Ref::new(index, generation);
        let committed = block.committed.load(Ordering::Relaxed) as usize;
        Ok::<_, ArenaError>((Block { reference, head: block }, place, committed))
    })?;
    if committed < whole {
        // Not under the ledger: the kernel clears each page, which takes its time.
        let begin = block.reference.index() as usize * GRAIN + committed;
        if let Err(error) = arena.memory().commit(begin, whole - committed) {
            release(arena, block);
            return Err(ArenaError::system(
                &format!("cannot get {len} bytes of memory to share with other processes"),
                error,
            ));
        }
        step();
        block.head.committed.store(whole as u64, Ordering::Relaxed);
        step();
    }
    // SAFETY: the contents follow the head.
    let contents = Contents { start: unsafe { place.as_ptr().add(GRAIN) }, len };
    Ok(Allocated { block, contents, dirty: committed.saturating_sub(GRAIN).min(len) })
}

/// A new block at the top for so many bytes in all, Free and in no list; `None` if there is no room.
fn carve(arena: &Arena, class: u32, whole: usize) -> Result<Option<u64>, ArenaError> {
    let head = arena.head();
    let top = head.top.load(Ordering::Relaxed);
    let begin = top as usize * GRAIN;
    if arena.memory().len() - begin < 1 << class {
        return Ok(None);
    }
    arena.place(top, whole.max(SPAN))?;
    arena.memory().commit(begin, GRAIN).map_err(|error| {
        ArenaError::system("cannot get memory to share with other processes", error)
    })?;
    step();
    let block = block_head(arena, top)?;
    block.committed.store(GRAIN as u64, Ordering::Relaxed);
    step();
    State { class, status: Status::Free, kind: 0 }.store(block);
    head.top.store(top + (1 << class) / GRAIN as u64, Ordering::Release);
    step();
    Ok(Some(top))
}

/// Lets go of a block, if this process owns it.
pub(crate) fn release(arena: &Arena, block: Block) {
    release_if(arena, block, || true);
}

/// Lets go of a block, if this process owns it and the condition holds, which is asked under the
/// ledger.
pub(crate) fn release_if(arena: &Arena, block: Block, condition: impl FnOnce() -> bool) {
    let me = participant::my_number();
    arena.with_ledger(|| {
        if condition()
            && block.is_current()
            && block.head.owner.load(Ordering::Relaxed) == u64::from(me.bits()) << 32
        {
            release_in_ledger(arena, block.reference.index(), block.head, me);
        }
    });
}

fn release_in_ledger(arena: &Arena, index: u64, block: &BlockHead, owner: Number) {
    let released = arena.stamp();
    block.released.store(released, Ordering::Relaxed);
    step();
    if is_kept(arena, index, block, owner) || free(arena, index, block).is_err() {
        State { status: Status::Lingering, ..State::of(block) }.store(block);
        arena.head().lingering.fetch_add(1, Ordering::Relaxed);
        step();
    }
}

/// Frees a lingering block if nobody is left for whom it is kept; under the ledger.
fn free_if_unused(arena: &Arena, index: u64, block: &BlockHead) {
    let owner = Number::from_bits((block.owner.load(Ordering::Relaxed) >> 32) as u32);
    if !is_kept(arena, index, block, owner) && free(arena, index, block).is_ok() {
        arena.head().lingering.fetch_sub(1, Ordering::Relaxed);
        step();
    }
}

/// Whether somebody may use a block that its owner has let go of; under the ledger.
fn is_kept(arena: &Arena, index: u64, block: &BlockHead, owner: Number) -> bool {
    if State::of(block).kind == Kind::Original as u32 {
        // A child that its maker has forked cannot get at it, nor can who was handed a message of it
        // and has not come to hold it.
        return holders::any(arena, index);
    }
    let (born, released) =
        (block.born.load(Ordering::Relaxed), block.released.load(Ordering::Relaxed));
    heirs::has_heirs(arena, owner, born, released)
}

/// Frees a block, and before it what belongs to it, or nothing of this if we cannot reach all of it;
/// under the ledger.
fn free(arena: &Arena, index: u64, block: &BlockHead) -> Result<(), ArenaError> {
    if Kind::has_parts(State::of(block).kind) {
        let owner = OBJECT | Ref::new(index, block.generation.load(Ordering::Relaxed)).to_bits();
        let (first, last) = parts(block);
        if !arena.memory().is_reached(first as usize * GRAIN, (last as usize + 1) * GRAIN) {
            between(arena, first, last).try_for_each(|part| part.map(drop))?;
        }
        for part in between(arena, first, last) {
            let (part, head) = part?;
            if State::of(head).status == Status::Used && head.owner.load(Ordering::Acquire) == owner
            {
                free_alone(arena, part, head);
            }
        }
    }
    free_alone(arena, index, block);
    Ok(())
}

fn free_alone(arena: &Arena, index: u64, block: &BlockHead) {
    let head = arena.head();
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

impl Block {
    /// That of a reference.
    #[inline]
    pub(crate) fn reach(arena: &'static Arena, reference: Ref) -> Result<Block, ArenaError> {
        Ok(Block { reference, head: block_head(arena, reference.index())? })
    }

    /// Makes a block of this process that of an object.
    pub(crate) fn give(self, object: Block) {
        // Several may do this at a time, where the object has no lock.
        let _ = object.head.links.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |links| {
            let (first, last) = (links >> 32, links & u64::from(u32::MAX));
            let index = self.reference.index();
            let wider = first.min(index) << 32 | last.max(index);
            (wider != links).then_some(wider)
        });
        step();
        self.head.owner.store(OBJECT | object.reference.to_bits(), Ordering::Release);
        step();
    }

    /// Makes a block of an object that of this process, which has entered (see `participant::me`): the
    /// caller has a lock, and cannot do that now.
    pub(crate) fn take(self, arena: &Arena) {
        self.head.born.store(arena.stamp(), Ordering::Relaxed);
        step();
        self.head.owner.store(participant::me_if_entered(), Ordering::Release);
        step();
    }

    /// Whether it is in use still, and not by somebody else.
    fn is_current(self) -> bool {
        self.head.generation.load(Ordering::Relaxed) == self.reference.generation()
            && State::of(self.head).status == Status::Used
    }

    /// Whether it belongs to that object.
    pub(crate) fn is_part_of(self, object: Block) -> bool {
        self.is_current()
            && self.head.owner.load(Ordering::Acquire) == OBJECT | object.reference.to_bits()
    }

    /// Makes a block of this process one of another kind, now that it is ready to be that.
    pub(crate) fn set_kind(self, kind: Kind) {
        State { kind: kind as u32, ..State::of(self.head) }.store(self.head);
    }

    /// Frees it if its owner has let go of it and nobody is left for whom it is kept; under the ledger.
    pub(crate) fn free_if_unused(self, arena: &Arena) {
        if State::of(self.head).status == Status::Lingering {
            free_if_unused(arena, self.reference.index(), self.head);
        }
    }

    /// Whether it is in use still, as something of that kind.
    pub(crate) fn is(self, kind: Kind) -> bool {
        let state = State::of(self.head);
        state.status != Status::Free
            && state.kind == kind as u32
            && self.head.generation.load(Ordering::Relaxed) == self.reference.generation()
    }

    /// How many bytes it holds.
    pub(crate) fn len(self) -> usize {
        self.head.len.load(Ordering::Relaxed) as usize
    }

    /// What it holds.
    pub(crate) fn contents(self, arena: &Arena) -> Result<Contents, ArenaError> {
        let len = self.len();
        let place = arena.place(self.reference.index(), GRAIN + len)?;
        // SAFETY: the contents follow the head.
        Ok(Contents { start: unsafe { place.as_ptr().add(GRAIN) }, len })
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.reference.fmt(formatter)
    }
}

/// Whether there can be a block of that reference.
pub(crate) fn is_possible(arena: &Arena, reference: Ref) -> bool {
    let blocks = (FIRST / GRAIN) as u64..arena.head().top.load(Ordering::Acquire);
    blocks.contains(&reference.index())
}

const _: () = assert!(CLASSES > 37, "the largest block is half of the arena");
