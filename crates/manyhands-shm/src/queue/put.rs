//! Putting.

use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use manyhands_sys::robust::Previous;
use manyhands_sys::step::step;

use super::parcel::{self, Owned};
use super::ring::{INLINE, LARGEST_CAPACITY, Record, Segment};
use super::{Debris, Message, PutError, Queue, Turn, WaitError, new_segment};
use crate::block::Block;
use crate::layout::Ref;
use crate::wait::{Vigil, is_over, look};
use crate::{ArenaError, Limit, OutOfReach, Pause, participant};

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
        self.put_in_turn(pause, message, limit).map(drop)
    }

    /// As [`Queue::put`]; returns the message's turn, for [`Queue::has_gone`] and
    /// [`Queue::retract`].
    ///
    /// # Errors
    /// As of [`Queue::put`].
    #[inline]
    pub fn put_in_turn<P: Pause>(
        &self,
        pause: &P,
        message: Message<'_>,
        limit: Limit,
    ) -> Result<Turn, PutError<P::Error>> {
        self.put_when(pause, message, limit, || !self.is_shut())
    }

    /// As [`Queue::put_in_turn`], also if the queue was shut down: for what was taken out of it, but has
    /// to be done again. Who gets may not know of it before somebody else does.
    ///
    /// # Errors
    /// As of [`Queue::put`].
    pub fn put_again<P: Pause>(
        &self,
        pause: &P,
        message: Message<'_>,
        limit: Limit,
    ) -> Result<Turn, PutError<P::Error>> {
        self.put_when(pause, message, limit, || true)
    }

    #[inline]
    fn put_when<P: Pause>(
        &self,
        pause: &P,
        message: Message<'_>,
        limit: Limit,
        is_open: impl Fn() -> bool,
    ) -> Result<Turn, PutError<P::Error>> {
        if message.pieces.is_empty() && message.head.len() <= INLINE {
            return self.put_record(pause, Record::Inline(message.head), None, limit, is_open);
        }
        let too_large = || ArenaError::Full { wanted: usize::MAX, capacity: 0 };
        let len = parcel::len(message.head, message.pieces).ok_or_else(too_large)?;
        if !is_open() {
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
        let record = Record::Block(block.reference());
        let turn = self.put_record(pause, record, Some(block.block), limit, is_open)?;
        block.given();
        Ok(turn)
    }

    /// Puts a record, and the block that it is of, if it is.
    fn put_record<P: Pause>(
        &self,
        pause: &P,
        record: Record<'_>,
        block: Option<Block>,
        limit: Limit,
        is_open: impl Fn() -> bool,
    ) -> Result<Turn, PutError<P::Error>> {
        let side = &self.head.put_side;
        let mut spare: Option<(Owned, &Segment)> = None;
        let mut slept = false;
        let vigil = Vigil::new(&self.head.not_full, "put", limit);
        // Repairing makes blocks our own; with a lock held it is too late to become somebody.
        participant::me();
        loop {
            let _debris = match self.lock_put_side(pause) {
                Ok(debris) => debris,
                Err(error) => {
                    self.head.not_full.ring();
                    return Err(error.into());
                }
            };
            if !is_open() {
                side.lock.unlock();
                self.head.not_full.ring();
                return Err(PutError::ShutDown);
            }
            let (reference, segment) = match self.segment(&side.segment) {
                Ok(found) => found,
                Err(error) => return Err(self.cannot_put(error)),
            };
            let is_full = match self.has_most() {
                Ok(is_full) => is_full,
                Err(error) => return Err(self.cannot_put(error)),
            };
            if is_full {
                if limit == Limit::Never {
                    side.lock.unlock();
                    return Err(PutError::Full);
                }
                let armed = self.head.not_full.arm();
                // Where this cannot be told any more, nothing is slept for.
                let is_full = || self.has_most().unwrap_or(false);
                let is_stuck = is_full() && is_open();
                side.lock.unlock();
                if is_stuck && !look(pause, || !is_full()) {
                    if is_over(limit) {
                        return Err(PutError::Full);
                    }
                    slept = true;
                    if let Err(error) = self.head.not_full.sleep(armed, pause, vigil.next_look()) {
                        // The wake may have been for us; it is for another then.
                        self.head.not_full.ring();
                        return Err(PutError::GivenUp(error));
                    }
                }
                continue;
            }
            let Some(room) = segment.room(record) else {
                if let Some((next, next_segment)) = spare.take() {
                    next_segment.count_from(segment.tail().count);
                    self.link(reference, segment, &next);
                    next.given();
                    side.lock.unlock();
                } else {
                    let capacity = (2 * segment.capacity()).min(LARGEST_CAPACITY);
                    side.lock.unlock();
                    match new_segment(self.arena(), capacity) {
                        Ok(made) => spare = Some(made),
                        Err(error) => {
                            self.head.not_full.ring();
                            return Err(error.into());
                        }
                    }
                }
                continue;
            };
            side.journal.begin(room.count());
            if let Some(block) = block {
                side.pending.store(block.reference.to_bits(), Ordering::Relaxed);
                step();
                compiler_fence(Ordering::SeqCst);
                block.give(self.head.block());
            }
            segment.write(&room, record);
            segment.commit(&room);
            if block.is_some() {
                compiler_fence(Ordering::SeqCst);
                side.pending.store(0, Ordering::Relaxed);
                step();
            }
            side.journal.end();
            side.lock.unlock();
            self.head.not_empty.ring();
            if slept && !self.has_most().unwrap_or(false) {
                self.head.not_full.ring();
            }
            self.trace(true);
            return Ok(Turn { count: room.count(), position: room.position(), segment: reference });
        }
    }

    /// Gives up with the lock held and nothing changed: a wake that was for us is for another then.
    #[cold]
    fn cannot_put<E>(&self, error: OutOfReach) -> PutError<E> {
        self.head.put_side.lock.unlock();
        self.head.not_full.ring();
        PutError::Arena(error.into())
    }

    /// Makes a segment the last one; under the put lock.
    fn link(&self, last: Ref, segment: &Segment, next: &Owned) {
        let side = &self.head.put_side;
        debug_assert_eq!(side.segment.load(Ordering::Relaxed), last.to_bits());
        let bits = next.reference().to_bits();
        side.previous.store(last.to_bits(), Ordering::Relaxed);
        step();
        compiler_fence(Ordering::SeqCst);
        side.pending.store(bits, Ordering::Relaxed);
        step();
        compiler_fence(Ordering::SeqCst);
        next.block.give(self.head.block());
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
    #[inline]
    pub(super) fn lock_put_side<P: Pause>(
        &self,
        pause: &P,
    ) -> Result<Option<Debris>, WaitError<P::Error>> {
        let lock = &self.head.put_side.lock;
        match lock.lock_with(|word, expected, until| pause.pause(word, expected, until)) {
            Ok(Previous::Released) => Ok(None),
            Ok(Previous::Died) => Ok(self.repair_put_side().inspect_err(|_| {
                lock.unlock_unrepaired();
            })?),
            Err(error) => Err(WaitError::GivenUp(error)),
        }
    }

    /// Puts right what a dead one left, or nothing of it where we cannot reach all of it.
    #[cold]
    fn repair_put_side(&self) -> Result<Option<Debris>, ArenaError> {
        let (side, arena) = (&self.head.put_side, self.arena());
        let reach = |word: &AtomicU64| {
            let reference = Ref::from_bits(word.load(Ordering::Relaxed));
            reference.map(|reference| Block::reach(arena, reference)).transpose()
        };
        let (_, segment) = self.segment(&side.segment)?;
        let pending = reach(&side.pending)?.filter(|block| block.is_part_of(self.head.block()));
        let is_last =
            |block: Block| side.segment.load(Ordering::Relaxed) == block.reference.to_bits();
        let before_last = if pending.is_some_and(is_last) { reach(&side.previous)? } else { None };
        let before_last = match before_last {
            // SAFETY: it is a segment, or was one.
            Some(block) => Some((block, unsafe { Segment::at(arena, block.reference) }?)),
            None => None,
        };
        // From here on it is done, whatever comes.
        let mut debris = None;
        let put = side.journal.interrupted().is_some_and(|count| segment.tail().count != count);
        if let Some(block) = pending {
            if is_last(block) {
                if let Some((previous, segment)) = before_last {
                    self.link_previous(previous, segment, block.reference);
                }
            } else if !put {
                block.take(arena);
                debris = Some(Debris { arena, block });
            }
        }
        side.pending.store(0, Ordering::Relaxed);
        step();
        if side.journal.interrupted().is_some() {
            side.journal.settle(u64::from(!put));
        }
        Ok(debris)
    }

    /// Sees to it that the last segment is the next of the one before it; under the put lock.
    fn link_previous(&self, previous: Block, segment: &Segment, last: Ref) {
        // In this order: if it is the queue's now it was when we looked. And then it stays that
        // until we are through, as nobody drops a segment that has no next one.
        let has_next = segment.next.load(Ordering::Acquire) != 0;
        if !has_next && previous.is_part_of(self.head.block()) {
            segment.next.store(last.to_bits(), Ordering::Release);
            step();
        }
    }
}
