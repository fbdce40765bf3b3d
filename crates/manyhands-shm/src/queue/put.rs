//! Putting.

use std::sync::atomic::{Ordering, compiler_fence};

use manyhands_sys::robust::Previous;
use manyhands_sys::step::step;

use super::parcel::{self, Owned};
use super::ring::{INLINE, LARGEST_CAPACITY, Record, Segment};
use super::{Debris, Message, PutError, Queue, new_segment};
use crate::layout::Ref;
use crate::wait::{is_over, look};
use crate::{ArenaError, Limit, Pause, block, participant};

/// From so many bytes on a copy is worth leaving the interpreter for.
const LONG_COPY: usize = 128 << 10;

impl Queue {
    /// Puts a message at the end; waits while the queue is full, at most until `limit`.
    ///
    /// # Errors
    /// Full, shut down, no memory; the wait was given up.
    #[inline]
    pub fn put<P: Pause>(
        &self,
        pause: &P,
        message: Message<'_>,
        limit: Limit,
    ) -> Result<(), PutError<P::Error>> {
        if message.pieces.is_empty() && message.head.len() <= INLINE {
            return self.put_record(pause, Record::Inline(message.head), limit);
        }
        let too_large = || ArenaError::Full { wanted: usize::MAX, capacity: 0 };
        let len = parcel::len(message.head, message.pieces).ok_or_else(too_large)?;
        if self.is_shut() {
            return Err(PutError::ShutDown);
        }
        let mut made = None;
        let mut make = || {
            made = Some(Owned::new(self.arena(), len).inspect(|block| {
                // SAFETY: who made the message vouches for its pieces.
                unsafe { parcel::write(block, message.head, message.pieces) };
            }));
        };
        if len < LONG_COPY {
            make()
        } else {
            pause.aside(&mut make)
        }
        let block = made.expect("`aside` calls it")?;
        self.put_record(pause, Record::Block(block.reference), limit)?;
        block.given();
        Ok(())
    }

    fn put_record<P: Pause>(
        &self,
        pause: &P,
        record: Record<'_>,
        limit: Limit,
    ) -> Result<(), PutError<P::Error>> {
        let side = &self.head.put_side;
        let mut spare: Option<Owned> = None;
        let mut slept = false;
        // Repairing makes blocks our own; with a lock held it is too late to become somebody.
        participant::me();
        loop {
            let _debris = match self.lock_put_side(pause) {
                Ok(debris) => debris,
                Err(error) => {
                    self.head.not_full.ring();
                    return Err(PutError::GivenUp(error));
                }
            };
            if self.is_shut() {
                side.lock.unlock();
                self.head.not_full.ring();
                return Err(PutError::ShutDown);
            }
            let (reference, segment) = self.segment(&side.segment);
            if self.is_full() {
                if limit == Limit::Never {
                    side.lock.unlock();
                    return Err(PutError::Full);
                }
                self.head.not_full.arm();
                let is_stuck = self.is_full() && !self.is_shut();
                side.lock.unlock();
                if is_stuck && !look(pause, || !self.is_full()) {
                    if is_over(limit) {
                        return Err(PutError::Full);
                    }
                    slept = true;
                    if let Err(error) = self.head.not_full.sleep(pause, limit) {
                        // The wake may have been for us; it is for another then.
                        self.head.not_full.ring();
                        return Err(PutError::GivenUp(error));
                    }
                }
                continue;
            }
            let Some(room) = segment.room(record) else {
                if let Some(next) = spare.take() {
                    self.link(reference, segment, &next);
                    next.given();
                    side.lock.unlock();
                } else {
                    let capacity = (2 * segment.capacity()).min(LARGEST_CAPACITY);
                    side.lock.unlock();
                    spare = Some(new_segment(self.arena(), capacity)?);
                }
                continue;
            };
            side.journal.begin(room.count());
            if let Record::Block(block) = record {
                side.pending.store(block.to_bits(), Ordering::Relaxed);
                step();
                compiler_fence(Ordering::SeqCst);
                block::give(self.arena(), block, self.head.block());
            }
            segment.write(&room, record);
            segment.commit(&room);
            if let Record::Block(_) = record {
                compiler_fence(Ordering::SeqCst);
                side.pending.store(0, Ordering::Relaxed);
                step();
            }
            side.journal.end();
            side.lock.unlock();
            self.head.not_empty.ring();
            if slept && !self.is_full() {
                self.head.not_full.ring();
            }
            return Ok(());
        }
    }

    /// Makes a segment the last one; under the put lock.
    fn link(&self, last: Ref, segment: &Segment, next: &Owned) {
        let side = &self.head.put_side;
        debug_assert_eq!(side.segment.load(Ordering::Relaxed), last.to_bits());
        let bits = next.reference.to_bits();
        // SAFETY: made as a segment, and known to nobody else yet.
        unsafe { Segment::at(self.arena(), next.reference) }.count_from(segment.tail().count);
        side.previous.store(last.to_bits(), Ordering::Relaxed);
        step();
        compiler_fence(Ordering::SeqCst);
        side.pending.store(bits, Ordering::Relaxed);
        step();
        compiler_fence(Ordering::SeqCst);
        block::give(self.arena(), next.reference, self.head.block());
        side.segment.store(bits, Ordering::Release);
        step();
        segment.next.store(bits, Ordering::Release);
        step();
        compiler_fence(Ordering::SeqCst);
        side.pending.store(0, Ordering::Relaxed);
        step();
    }

    /// Takes the put lock. What has to be released after it is unlocked comes back, as one thread
    /// holds one robust lock at a time.
    pub(super) fn lock_put_side<P: Pause>(&self, pause: &P) -> Result<Option<Debris>, P::Error> {
        let lock = &self.head.put_side.lock;
        Ok(match lock.lock_with(|word, expected, until| pause.pause(word, expected, until))? {
            Previous::Released => None,
            Previous::Died => self.repair_put_side(),
        })
    }

    #[cold]
    fn repair_put_side(&self) -> Option<Debris> {
        let side = &self.head.put_side;
        let (_, segment) = self.segment(&side.segment);
        let mut debris = None;
        let put = side.journal.interrupted().is_some_and(|count| segment.tail().count != count);
        if let Some(block) = Ref::from_bits(side.pending.load(Ordering::Relaxed))
            && block::is_part(self.arena(), block, self.head.block())
        {
            if side.segment.load(Ordering::Relaxed) == block.to_bits() {
                self.link_previous(block);
            } else if !put {
                block::take(self.arena(), block);
                debris = Some(Debris { arena: self.arena(), block });
            }
        }
        side.pending.store(0, Ordering::Relaxed);
        step();
        if side.journal.interrupted().is_some() {
            side.journal.settle(u64::from(!put));
        }
        debris
    }

    /// Sees to it that the last segment is the next of the one before it; under the put lock.
    fn link_previous(&self, last: Ref) {
        let Some(previous) = Ref::from_bits(self.head.put_side.previous.load(Ordering::Relaxed))
        else {
            return;
        };
        // SAFETY: it is a segment, or was one.
        let segment = unsafe { Segment::at(self.arena(), previous) };
        // In this order: if it is the queue's now it was when we looked. And then it stays that
        // until we are through, as nobody drops a segment that has no next one.
        let has_next = segment.next.load(Ordering::Acquire) != 0;
        if !has_next && block::is_part(self.arena(), previous, self.head.block()) {
            segment.next.store(last.to_bits(), Ordering::Release);
            step();
        }
    }
}
