//! Who can have inherited what.
//!
//! A process has what its parent had in the moment of the fork, and so on up the chain. When that
//! moment was is known as a span on the arena's clock: from when the child's place was reserved
//! to when fork had returned to the parent. What the parent had at some time of the span counts
//! as inherited. The span is open for as long as nobody has closed it: then it reaches to the end of
//! time, which keeps things for longer than needed and does no other harm.

use std::sync::atomic::Ordering;

use manyhands_sys::liveness;
use manyhands_sys::step::step;

use crate::arena::Arena;
use crate::block;
use crate::layout::{PARTICIPANTS, Participant};
use crate::participant::{Identity, Number, State, slot, slots};

/// How long after `joined` a process may have inherited something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// Nobody knows yet.
    Open,
    /// Not at all: what it is handed was there before.
    Closed,
    /// So many ticks of the arena's clock.
    Ticks(u32),
}

/// Contents of `Participant::lineage`: the span in 32 bits (0 is an open one), the parent's slot in 15
/// from bit 32 on (0 if none is known), the generation of whose it is in 16 from bit 47 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lineage {
    pub(crate) parent: usize,
    pub(crate) generation: u32,
    pub(crate) span: Span,
}

impl Lineage {
    pub(crate) fn of(slot: &Participant) -> Lineage {
        let bits = slot.lineage.load(Ordering::Relaxed);
        let span = match bits as u32 {
            0 => Span::Open,
            1 => Span::Closed,
            ticks => Span::Ticks(ticks),
        };
        let parent = (bits >> 32) as usize & 0x7fff;
        Lineage { parent, generation: (bits >> 47) as u32 & 0xffff, span }
    }

    fn bits(self) -> u64 {
        let span = match self.span {
            Span::Open => 0,
            Span::Closed => 1,
            Span::Ticks(ticks) => ticks.max(1),
        };
        u64::from(self.generation) << 47 | (self.parent as u64) << 32 | u64::from(span)
    }

    /// Makes it that of the slot; under the ledger.
    pub(crate) fn store(self, slot: &Participant) {
        slot.lineage.store(self.bits(), Ordering::Relaxed);
        step();
    }
}

/// Says that the fork is over by which that participant came to be.
pub(crate) fn close_span(arena: &Arena, number: Number) {
    let slot = slot(arena, number.slot());
    let open = Lineage::of(slot);
    // The child may be dead and forgotten already, and another one in its place.
    if open.generation == number.generation() && open.span == Span::Open {
        let ticks = arena.stamp().saturating_sub(slot.joined.load(Ordering::Relaxed));
        let closed =
            Lineage { span: Span::Ticks(u32::try_from(ticks).unwrap_or(u32::MAX)), ..open };
        let _ = slot.lineage.compare_exchange(
            open.bits(),
            closed.bits(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        step();
    }
}

/// Whether who joined then, of that lineage, can have what its parent had from `born` to `released`.
fn inherits(joined: u64, lineage: Lineage, born: u64, released: u64) -> bool {
    let end = match lineage.span {
        Span::Open => u64::MAX,
        Span::Closed => joined + 1,
        Span::Ticks(ticks) => joined + u64::from(ticks),
    };
    born < end && joined <= released
}

/// Whether there is a process that can have got at what `owner` had from `born` to `released`:
/// a child that it started meanwhile, or a descendant of one.
pub(crate) fn has_heirs(arena: &Arena, owner: Number, born: u64, released: u64) -> bool {
    slots(arena).any(|index| {
        let heir = Identity::of(slot(arena, index));
        heir.exists()
            && descends(arena, index, owner, born, released)
            && (heir.pid == 0 || liveness::exists(heir.pid))
    })
}

fn descends(arena: &Arena, mut index: usize, owner: Number, born: u64, released: u64) -> bool {
    for _ in 0..PARTICIPANTS {
        let ancestor = slot(arena, index);
        let lineage = Lineage::of(ancestor);
        // Of one without a parent nothing is known.
        if (lineage.parent == owner.slot() || lineage.parent == 0)
            && inherits(ancestor.joined.load(Ordering::Relaxed), lineage, born, released)
        {
            return true;
        }
        if lineage.parent == 0 {
            return false;
        }
        index = lineage.parent;
    }
    false
}

fn children_of(arena: &Arena, parent: usize) -> impl Iterator<Item = &Participant> {
    slots(arena)
        .map(|index| slot(arena, index))
        .filter(move |slot| Identity::of(slot).state != State::Free)
        .filter(move |slot| Lineage::of(slot).parent == parent)
}

/// Frees the slots of dead processes that nobody has for a parent, and that hold nothing; under the ledger.
pub(crate) fn forget_the_childless(arena: &Arena) {
    loop {
        let mut forgotten = false;
        for index in slots(arena) {
            let grave = slot(arena, index);
            let identity = Identity::of(grave);
            if identity.state == State::Dead
                && children_of(arena, index).next().is_none()
                // What it held would be another's. If we cannot see to that, one who can reaches more.
                && block::forget_holder(arena, index).is_ok()
            {
                Identity { state: State::Free, ..identity }.store(grave);
                forgotten = true;
            }
        }
        if !forgotten {
            return;
        }
    }
}

/// Takes the dead out of the lines of descent where nothing of theirs is kept for anybody, as in
/// a line of servers each of which started the next; under the ledger.
pub(crate) fn shorten(arena: &Arena) {
    for index in slots(arena) {
        let grave = slot(arena, index);
        let identity = Identity::of(grave);
        let dead = Number::new(index, identity.generation);
        if identity.state != State::Dead || block::keeps_anything_of(arena, dead) {
            continue;
        }
        let lineage = Lineage::of(grave);
        for child in children_of(arena, index) {
            if Identity::of(child).state == State::Pending {
                // That its parent is dead tells how long to wait for it.
                continue;
            }
            // Their grandparent's children they are, from when their parent was born. In this order:
            // while the child is its parent's, when it joined concerns nobody.
            child.joined.store(grave.joined.load(Ordering::Relaxed), Ordering::Relaxed);
            step();
            Lineage { generation: Lineage::of(child).generation, ..lineage }.store(child);
        }
    }
    forget_the_childless(arena);
}
