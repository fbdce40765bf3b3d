//! What goes through all blocks: burials, repairs, counts.

use std::sync::atomic::Ordering;

use manyhands_sys::step::step;

use super::{State, Status, UNSEEN, all, free_if_unused, push_free, release_in_ledger};
use crate::arena::{Arena, Statistics};
use crate::participant::Number;
use crate::{ArenaError, Kind, heirs, holders};

/// Lets go of everything that a dead process owned, as far as it can be reached; under the ledger.
pub(crate) fn release_all_of(arena: &Arena, owner: Number) -> Result<(), ArenaError> {
    for block in all(arena) {
        let (index, block) = block?;
        if State::of(block).status == Status::Used
            && block.owner.load(Ordering::Acquire) == u64::from(owner.bits()) << 32
        {
            release_in_ledger(arena, index, block, owner);
        }
    }
    Ok(())
}

/// Makes what one process owns another's, as far as it can be reached; under the ledger.
pub(crate) fn hand_over(arena: &Arena, owner: Number, heir: Number) -> Result<(), ArenaError> {
    for block in all(arena) {
        let (_, block) = block?;
        if State::of(block).status == Status::Used
            && block.owner.load(Ordering::Acquire) == u64::from(owner.bits()) << 32
        {
            block.owner.store(u64::from(heir.bits()) << 32, Ordering::Release);
            step();
        }
    }
    Ok(())
}

/// Frees what was kept for processes that are gone now, or by one that could not reach all of it, as
/// far as we can; under the ledger.
pub(crate) fn free_lingering(arena: &Arena) {
    if arena.head().lingering.load(Ordering::Relaxed) == 0 {
        return;
    }
    for (index, block) in all(arena).map_while(Result::ok) {
        if State::of(block).status != Status::Lingering {
            continue;
        }
        free_if_unused(arena, index, block);
    }
}

/// Takes a participant that is dead, and whose slot is to be another's, out of the holders of all
/// originals; under the ledger.
pub(crate) fn forget_holder(arena: &Arena, slot: usize) -> Result<(), ArenaError> {
    for block in all(arena) {
        let (index, block) = block?;
        let state = State::of(block);
        if state.status != Status::Free && state.kind == Kind::Original as u32 {
            holders::remove(arena, index, slot)?;
        }
    }
    Ok(())
}

/// Rebuilds the ledger after somebody was killed while changing it, as far as we can reach: what is
/// there then is in order, but blocks are missing; under the ledger.
#[cold]
pub(crate) fn repair(arena: &Arena) -> Result<(), ArenaError> {
    let head = arena.head();
    for list in &head.free {
        list.store(0, Ordering::Relaxed);
    }
    step();
    let (mut lingering, mut retained) = (0, 0);
    let mut whole = Ok(());
    for block in all(arena) {
        let (index, block) = match block {
            Ok(block) => block,
            Err(error) => {
                whole = Err(error);
                break;
            }
        };
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
    if whole.is_err() {
        lingering += UNSEEN;
    }
    head.lingering.store(lingering, Ordering::Relaxed);
    step();
    head.retained.store(retained, Ordering::Relaxed);
    step();
    // Who was burying somebody may not have come to these.
    free_lingering(arena);
    heirs::forget_the_childless(arena);
    whole
}

/// Whether anything of that process is kept for its heirs, or may be where we cannot look; under the
/// ledger.
pub(crate) fn keeps_anything_of(arena: &Arena, owner: Number) -> bool {
    arena.head().lingering.load(Ordering::Relaxed) != 0
        && all(arena).any(|block| {
            block.map_or(true, |(_, block)| {
                State::of(block).status == Status::Lingering
                    && block.owner.load(Ordering::Relaxed) == u64::from(owner.bits()) << 32
            })
        })
}

/// What is in use at present.
pub(crate) fn count(arena: &Arena) -> Result<Statistics, ArenaError> {
    arena.with_ledger(|| {
        let mut statistics = Statistics::default();
        for block in all(arena) {
            let (_, block) = block?;
            match State::of(block).status {
                Status::Free => {}
                Status::Used => {
                    statistics.blocks += 1;
                    statistics.bytes += block.len.load(Ordering::Relaxed);
                }
                Status::Lingering => statistics.lingering += 1,
            }
        }
        Ok(statistics)
    })
}
