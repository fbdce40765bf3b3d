//! What one side of a queue is doing.

use std::sync::atomic::{AtomicU64, Ordering};

use manyhands_sys::step::step;

/// One side's notes of what it is doing, for who finds its lock with the holder dead.
#[repr(C)]
pub(super) struct Journal {
    /// Bit 63: a record is being put, or taken. Bits 32 to 62: how many were lost.
    /// The lower half: the count of records before.
    state: AtomicU64,
}

impl Journal {
    const BUSY: u64 = 1 << 63;

    pub(super) fn begin(&self, count: u32) {
        let lost = self.state.load(Ordering::Relaxed) & !Self::BUSY & !0xffff_ffff;
        self.state.store(Self::BUSY | lost | u64::from(count), Ordering::Relaxed);
        step();
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }

    pub(super) fn end(&self) {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        let state = self.state.load(Ordering::Relaxed);
        self.state.store(state & !Self::BUSY, Ordering::Relaxed);
        step();
    }

    pub(super) fn lost(&self) -> u64 {
        (self.state.load(Ordering::Relaxed) & !Self::BUSY) >> 32
    }

    /// The count of records when the dead one began, if it had begun.
    pub(super) fn interrupted(&self) -> Option<u32> {
        let state = self.state.load(Ordering::Relaxed);
        (state & Self::BUSY != 0).then_some(state as u32)
    }

    /// Ends it, with so many more lost: one store.
    pub(super) fn settle(&self, lost: u64) {
        let state = self.state.load(Ordering::Relaxed) & !Self::BUSY;
        self.state.store(state + (lost << 32), Ordering::Relaxed);
        step();
    }
}
