//! Messages too large for a record: a block of their own.
//!
//! ```text
//! words      length of the head, number of pieces, length of each piece (bit 63: writable)
//! head       bytes
//! pieces     each at a multiple of 64
//! ```

use crate::arena::Arena;
use crate::block::{self, Block, Contents};
use crate::layout::{GRAIN, Ref};
use crate::{ArenaError, Kind};

const WRITABLE: u64 = 1 << 63;

/// A part of a message that is copied once, straight into shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Its first byte.
    pub start: *const u8,
    /// How many bytes it has.
    pub len: usize,
    /// Whether who gets it may write to it.
    pub writable: bool,
}

// SAFETY: an address and a number; who reads there vouches for it.
unsafe impl Send for Piece {}
// SAFETY: as above.
unsafe impl Sync for Piece {}

/// A block that belongs to this process until it is dropped, or given to a queue.
#[derive(Debug)]
pub(super) struct Owned {
    arena: &'static Arena,
    pub(super) block: Block,
    contents: Contents,
}

impl Owned {
    pub(super) fn new(arena: &'static Arena, len: usize) -> Result<Owned, ArenaError> {
        let block::Allocated { block, contents, .. } = block::allocate(arena, len, Kind::Part)?;
        Ok(Owned { arena, block, contents })
    }

    /// One that has become this process's by other means, with what it holds.
    pub(super) fn adopt(arena: &'static Arena, block: Block, contents: Contents) -> Owned {
        Owned { arena, block, contents }
    }

    pub(super) fn reference(&self) -> Ref {
        self.block.reference
    }

    /// It is a queue's now. Another thread of this process may have got it from there already: then it
    /// is this process's again, but that thread's to release.
    pub(super) fn given(self) {
        std::mem::forget(self);
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.contents.start
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        block::release(self.arena, self.block);
    }
}

/// A message that was got from a queue: it lies in shared memory and is this process's alone, until
/// it is dropped.
#[derive(Debug)]
pub struct Parcel {
    block: Owned,
}

/// How many bytes a message takes as a parcel; `None` if more than there can be.
pub(super) fn len(head: &[u8], pieces: &[Piece]) -> Option<usize> {
    let begin = (2 + pieces.len()) * 8 + head.len();
    pieces
        .iter()
        .try_fold(begin, |end, piece| end.checked_next_multiple_of(GRAIN)?.checked_add(piece.len))
}

/// Writes a message into a block of that length.
///
/// # Safety
/// The pieces are readable.
pub(super) unsafe fn write(block: &Owned, head: &[u8], pieces: &[Piece]) {
    let start = block.start();
    let words = start.cast::<u64>();
    // SAFETY: the block has `len` bytes, is aligned to 64, and is this process's alone; the caller
    // vouches for the pieces.
    unsafe {
        words.write(head.len() as u64);
        words.add(1).write(pieces.len() as u64);
        for (index, piece) in pieces.iter().enumerate() {
            let writable = if piece.writable { WRITABLE } else { 0 };
            words.add(2 + index).write(piece.len as u64 | writable);
        }
        let mut end = (2 + pieces.len()) * 8;
        start.add(end).copy_from_nonoverlapping(head.as_ptr(), head.len());
        end += head.len();
        for piece in pieces {
            end = end.next_multiple_of(GRAIN);
            start.add(end).copy_from_nonoverlapping(piece.start, piece.len);
            end += piece.len;
        }
    }
}

/// The small part of the message that a block holds.
pub(super) fn head(contents: &Contents) -> &[u8] {
    let words = contents.start.cast::<u64>();
    // SAFETY: as `write` left it; nobody writes to it but who has the block for its own.
    unsafe {
        let begin = (2 + words.add(1).read() as usize) * 8;
        std::slice::from_raw_parts(contents.start.add(begin), words.read() as usize)
    }
}

impl Parcel {
    pub(super) fn new(block: Owned) -> Parcel {
        Parcel { block }
    }

    fn word(&self, index: usize) -> u64 {
        // SAFETY: `write` wrote them, and nobody else has the block.
        unsafe { self.block.start().cast::<u64>().add(index).read() }
    }

    /// The small part of the message.
    pub fn head(&self) -> &[u8] {
        head(&self.block.contents)
    }

    /// The pieces, in the order in which they were put. They are there for as long as this is.
    pub fn pieces(&self) -> Vec<Piece> {
        let count = self.word(1) as usize;
        let mut end = (2 + count) * 8 + self.word(0) as usize;
        (0..count)
            .map(|index| {
                let word = self.word(2 + index);
                let begin = end.next_multiple_of(GRAIN);
                let len = (word & !WRITABLE) as usize;
                end = begin + len;
                // SAFETY: within the block.
                let start = unsafe { self.block.start().add(begin) };
                Piece { start, len, writable: word & WRITABLE != 0 }
            })
            .collect()
    }
}
