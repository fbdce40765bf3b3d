//! What lies where in the arena.
//!
//! ```text
//! 0        Head: stamps, free lists, the table of participants
//! FIRST    blocks, one after the other, each a BlockHead and room for what it holds,
//!          2^class bytes together
//! top      nothing yet
//! ```
//! A place is told by its index, the offset divided by [`GRAIN`], a block by its [`Ref`].

use std::sync::atomic::{AtomicU32, AtomicU64};

use manyhands_sys::robust::RobustLock;

/// Blocks begin at multiples of so many bytes, and their heads are so long.
pub(crate) const GRAIN: usize = 64;

/// Whatever is not as long as somebody wants it to be (a message, the tail of an object) is shorter
/// than this. So much of a block is reached by who makes it.
pub(crate) const SPAN: usize = 2 << 20;

/// 2^7 bytes is the smallest block, 2^40 none.
pub(crate) const SMALLEST_CLASS: u32 = 7;
pub(crate) const CLASSES: usize = 40;

/// How many processes there can be at a time.
pub(crate) const PARTICIPANTS: usize = 1 << 15;

/// "Manyhnd" and the version of the layout.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"Manyhnd\x01");

#[repr(C, align(64))]
pub(crate) struct Head {
    pub(crate) magic: AtomicU64,
    /// A random number by which arenas are told apart.
    pub(crate) id: AtomicU64,
    /// Counts births, releases, joins: what happened when, relative to each other.
    pub(crate) clock: AtomicU64,
    /// Index of the end of the last block.
    pub(crate) top: AtomicU64,
    /// How many blocks are released, and kept for processes that may still use them.
    pub(crate) lingering: AtomicU64,
    /// Bytes of free blocks that have their memory still.
    pub(crate) retained: AtomicU64,
    /// Number of the last participant's slot that was ever used.
    pub(crate) last_participant: AtomicU32,
    /// The ledger: who changes heads of blocks, free lists, or slots of participants holds this.
    pub(crate) ledger: RobustLock,
    /// Index of the first free block of each class, 0 if there is none.
    pub(crate) free: [AtomicU64; CLASSES],
    pub(crate) participants: [Participant; PARTICIPANTS],
}

/// A process, or the place kept for one that is being started.
#[repr(C, align(32))]
pub(crate) struct Participant {
    /// State, generation and number of the process; see `participant::Identity`.
    pub(crate) identity: AtomicU64,
    /// When it joined, on the arena's clock.
    pub(crate) joined: AtomicU64,
    /// When it was seen to run, in nanoseconds since the machine was started.
    pub(crate) seen: AtomicU64,
    /// Who started it, and until when it may have inherited something; see `heirs::Lineage`.
    pub(crate) lineage: AtomicU64,
}

/// What stands before what a block holds.
#[repr(C, align(64))]
pub(crate) struct BlockHead {
    /// Class, status and kind; see `block::State`.
    pub(crate) state: AtomicU64,
    /// Participant (in the upper half) or object (a [`Ref`]) that it belongs to, as the status says.
    pub(crate) owner: AtomicU64,
    /// On the arena's clock: when it became the owner's...
    pub(crate) born: AtomicU64,
    /// ... and when that one let go of it; 0 before.
    pub(crate) released: AtomicU64,
    /// While it is free: index of the next free block of the class, 0 if it is the last. While it is
    /// used: between which indices its parts lie, and have lain; see `block::give`.
    pub(crate) links: AtomicU64,
    /// How many bytes from its beginning have memory.
    pub(crate) committed: AtomicU64,
    /// How many bytes it was asked to hold.
    pub(crate) len: AtomicU64,
    /// Another number each time that it is allocated, so that old references are told.
    pub(crate) generation: AtomicU32,
    unused: AtomicU32,
}

const _: () = assert!(size_of::<BlockHead>() == GRAIN);

/// Where blocks begin.
pub(crate) const FIRST: usize = size_of::<Head>().next_multiple_of(4096);

/// A block at a time of its life: index and generation. 0 is none.
///
/// ```
/// use manyhands_shm::Ref;
///
/// assert_eq!(Ref::from_bits(0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ref(std::num::NonZeroU64);

impl Ref {
    pub(crate) fn new(index: u64, generation: u32) -> Ref {
        debug_assert!(index > 0 && index < 1 << 32);
        Ref(std::num::NonZeroU64::new(index << 32 | u64::from(generation)).expect("index > 0"))
    }

    /// That of the number; `None` for 0.
    pub fn from_bits(bits: u64) -> Option<Ref> {
        // No block begins at index 0.
        std::num::NonZeroU64::new(bits).filter(|bits| bits.get() >> 32 != 0).map(Ref)
    }

    /// The number, which is not 0.
    pub fn to_bits(self) -> u64 {
        self.0.get()
    }

    pub(crate) fn index(self) -> u64 {
        self.0.get() >> 32
    }

    pub(crate) fn generation(self) -> u32 {
        self.0.get() as u32
    }
}
