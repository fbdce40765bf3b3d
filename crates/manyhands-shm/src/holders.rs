//! Who holds an original: one bit for each participant, at the beginning of what its block holds.
//!
//! Invariants:
//! * A bit is set and cleared under the ledger only: by the participant itself, for a child by who forks
//!   it (before the fork), and by who makes the slot of a dead one free for another.
//! * A process has its bit set, by its own slot, for as long as it has an image (see `original`).
//! * The bit of a participant counts while that is Pending or Live. A slot becomes Free only after all
//!   its bits are cleared, so no bit is ever another's. Killed in between: the slot is Dead still, and who
//!   repairs the ledger does it again.
//! * The first bit is of processes without a place in the table: nobody clears it, as nobody knows when
//!   the last of them has ended. What they have had is not used again.
//! * An original is freed by who lets go of it as its maker, or clears the last bit that counts, or buries
//!   the last holder, whichever comes last; all of that is under the ledger, and done again by who repairs it.

use std::sync::atomic::{AtomicU64, Ordering};

use manyhands_sys::step::step;

use crate::OutOfReach;
use crate::arena::Arena;
use crate::layout::{GRAIN, PARTICIPANTS};
use crate::participant::{Identity, slot, slots};

/// How many bytes they take; the bytes of the original follow.
pub(crate) const BYTES: usize = PARTICIPANTS / 8;

type Bits = [AtomicU64; PARTICIPANTS / 64];

const _: () = assert!(size_of::<Bits>() == BYTES);

/// The bits of the original in the block of that index.
fn of(arena: &Arena, index: u64) -> Result<&Bits, OutOfReach> {
    let place = arena.place(index, GRAIN + BYTES)?;
    // SAFETY: what a block holds follows its head, an original begins with that many bytes, which are
    // atomics, and what is mapped stays so.
    Ok(unsafe { place.byte_add(GRAIN).cast().as_ref() })
}

/// Whether anybody holds it; true if we cannot look.
pub(crate) fn any(arena: &Arena, index: u64) -> bool {
    let Ok(bits) = of(arena, index) else { return true };
    let has = |number: usize| bits[number / 64].load(Ordering::Relaxed) & 1 << (number % 64) != 0;
    let last = *slots(arena).end();
    let words = bits[..=last / 64].iter().zip((0..).step_by(64));
    words.filter(|(word, _)| word.load(Ordering::Relaxed) != 0).any(|(_, first)| {
        (first..first + 64)
            .filter(|&number| has(number))
            .any(|number| number == 0 || Identity::of(slot(arena, number)).exists())
    })
}

pub(crate) fn add(arena: &Arena, index: u64, number: usize) -> Result<(), OutOfReach> {
    of(arena, index)?[number / 64].fetch_or(1 << (number % 64), Ordering::Relaxed);
    step();
    Ok(())
}

pub(crate) fn remove(arena: &Arena, index: u64, number: usize) -> Result<(), OutOfReach> {
    let word = &of(arena, index)?[number / 64];
    if number != 0 && word.load(Ordering::Relaxed) & 1 << (number % 64) != 0 {
        word.fetch_and(!(1 << (number % 64)), Ordering::Relaxed);
        step();
    }
    Ok(())
}
