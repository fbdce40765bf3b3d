//! Getting.

use std::sync::atomic::{Ordering, compiler_fence};

use manyhands_sys::robust::Previous;
use manyhands_sys::step::step;

use super::parcel::{Owned, Parcel};
use super::ring::{INLINE, Record};
use super::{Debris, GetError, Queue};
use crate::layout::Ref;
use crate::wait::{is_over, look};
use crate::{Limit, Pause, block, participant};

impl Queue {
    /// Takes the oldest message; waits while there is none, at most until `limit`. One of a few KiB
    /// comes in `scratch`, which is cleared before; a larger one as a parcel.
    ///
    /// # Errors
    /// Empty, shut down; no address space for a large message, which stays; the wait was given up.
    #[inline]
    pub fn get<P: Pause>(
        &self,
        pause: &P,
        scratch: &mut Vec<u8>,
        limit: Limit,
    ) -> Result<Option<Parcel>, GetError<P::Error>> {
        let side = &self.head.get_side;
        let mut slept = false;
        scratch.clear();
        // Under the lock there is no time for it.
        scratch.reserve(INLINE);
        participant::me();
        loop {
            let _debris = match self.lock_get_side(pause) {
                Ok(debris) => debris,
                Err(error) => {
                    self.head.not_empty.ring();
                    return Err(GetError::GivenUp(error));
                }
            };
            let (reference, segment) = self.segment(&side.segment);
            let Some((record, head)) = segment.oldest() else {
                if let Some(next) = Ref::from_bits(segment.next.load(Ordering::Acquire)) {
                    // Nothing is put into a segment that has a next one; but it may have been
                    // between our two looks.
                    let drained = segment.oldest().is_none();
                    let _drained = drained.then(|| self.advance(reference, next));
                    side.lock.unlock();
                    continue;
                }
                if self.is_shut() {
                    // Nothing is put any more; but it may have been between our two looks.
                    let is_empty = self.is_empty();
                    side.lock.unlock();
                    if !is_empty {
                        continue;
                    }
                    self.head.not_empty.ring();
                    return Err(GetError::ShutDown);
                }
                if limit == Limit::Never {
                    side.lock.unlock();
                    return Err(GetError::Empty);
                }
                side.lock.unlock();
                if look(pause, || !self.is_empty() || self.is_shut()) {
                    continue;
                }
                self.head.not_empty.arm();
                if self.is_empty() && !self.is_shut() {
                    if is_over(limit) {
                        return Err(GetError::Empty);
                    }
                    slept = true;
                    if let Err(error) = self.head.not_empty.sleep(pause, limit) {
                        // The wake may have been for us; it is for another then.
                        self.head.not_empty.ring();
                        return Err(GetError::GivenUp(error));
                    }
                }
                continue;
            };
            if let Record::Block(block) = record
                && let Err(error) = block::reach(self.arena(), block)
            {
                // It stays there, for a process that can.
                side.lock.unlock();
                self.head.not_empty.ring();
                return Err(GetError::Arena(error));
            }
            let mut parcel = None;
            side.journal.begin(segment.head().count);
            match record {
                Record::Inline(bytes) => {
                    scratch.extend_from_slice(bytes);
                    segment.consume(head);
                    side.journal.end();
                }
                Record::Block(block) => {
                    if block::is_part(self.arena(), block, self.head.block()) {
                        block::take(self.arena(), block);
                        segment.consume(head);
                        side.journal.end();
                        parcel = Some(Parcel::new(Owned::adopt(self.arena(), block)));
                    } else {
                        // It went with a taker that was killed before the record went.
                        segment.consume(head);
                        side.journal.settle(1);
                        side.lock.unlock();
                        continue;
                    }
                }
            }
            side.lock.unlock();
            if self.maxsize() != 0 {
                self.head.not_full.ring();
            }
            if slept && !self.is_empty() {
                self.head.not_empty.ring();
            }
            return Ok(parcel);
        }
    }

    /// Drops the drained first segment; under the get lock.
    fn advance(&self, drained: Ref, next: Ref) -> Debris {
        let side = &self.head.get_side;
        side.drained.store(drained.to_bits(), Ordering::Relaxed);
        step();
        compiler_fence(Ordering::SeqCst);
        side.segment.store(next.to_bits(), Ordering::Release);
        step();
        block::take(self.arena(), drained);
        compiler_fence(Ordering::SeqCst);
        side.drained.store(0, Ordering::Relaxed);
        step();
        Debris { arena: self.arena(), block: drained }
    }

    fn lock_get_side<P: Pause>(&self, pause: &P) -> Result<Option<Debris>, P::Error> {
        let lock = &self.head.get_side.lock;
        Ok(match lock.lock_with(|word, expected, until| pause.pause(word, expected, until))? {
            Previous::Released => None,
            Previous::Died => self.repair_get_side(),
        })
    }

    #[cold]
    fn repair_get_side(&self) -> Option<Debris> {
        let side = &self.head.get_side;
        let mut debris = None;
        if let Some(drained) = Ref::from_bits(side.drained.load(Ordering::Relaxed))
            && drained.to_bits() != side.segment.load(Ordering::Relaxed)
            && block::is_part(self.arena(), drained, self.head.block())
        {
            block::take(self.arena(), drained);
            debris = Some(Debris { arena: self.arena(), block: drained });
        }
        side.drained.store(0, Ordering::Relaxed);
        step();
        if let Some(count) = side.journal.interrupted() {
            let (_, segment) = self.segment(&side.segment);
            side.journal.settle(u64::from(segment.head().count != count));
        }
        debris
    }
}
