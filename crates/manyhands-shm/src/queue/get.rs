//! Getting.

use std::sync::atomic::{Ordering, compiler_fence};

use manyhands_sys::robust::Previous;
use manyhands_sys::step::step;

use super::parcel::{self, Owned, Parcel};
use super::ring::{INLINE, Record, Segment};
use super::{Debris, GetError, Queue, Turn, WaitError};
use crate::block::Block;
use crate::layout::Ref;
use crate::wait::{Vigil, is_over, look};
use crate::{ArenaError, Limit, Patient, Pause, participant};

impl Queue {
    /// Takes the oldest message; waits while there is none, at most until `limit`. One of a few KiB
    /// comes in `scratch`, which is cleared before; a larger one as a parcel.
    ///
    /// # Errors
    /// Empty, shut down; no address space for the message, which stays; the wait was given up.
    #[inline]
    pub fn get<P: Pause>(
        &self,
        pause: &P,
        scratch: &mut Vec<u8>,
        limit: Limit,
    ) -> Result<Option<Parcel>, GetError<P::Error>> {
        self.get_noting(pause, scratch, limit, |_| ())
    }

    /// As [`Queue::get`]. Before the message goes, `note` is called with its first part: what that
    /// writes to shared memory is there, whenever this process is killed, if the message is not in the
    /// queue any more. It may be there although the message still is; see [`Queue::has_gone`].
    ///
    /// # Errors
    /// As of [`Queue::get`].
    #[inline]
    pub fn get_noting<P: Pause>(
        &self,
        pause: &P,
        scratch: &mut Vec<u8>,
        limit: Limit,
        note: impl Fn(&[u8]),
    ) -> Result<Option<Parcel>, GetError<P::Error>> {
        let side = &self.head.get_side;
        let mut slept = false;
        let vigil = Vigil::new(&self.head.not_empty, "get", limit);
        scratch.clear();
        // Under the lock there is no time for it.
        scratch.reserve(INLINE);
        participant::me();
        loop {
            let _debris = match self.lock_get_side(pause) {
                Ok(debris) => debris,
                Err(error) => {
                    self.head.not_empty.ring();
                    return Err(error.into());
                }
            };
            let (reference, segment) = match self.segment(&side.segment) {
                Ok(found) => found,
                Err(error) => return Err(self.cannot_get(error)),
            };
            let Some((record, head)) = segment.oldest() else {
                if let Some(next) = Ref::from_bits(segment.next.load(Ordering::Acquire)) {
                    // Nothing is put into a segment that has a next one; but it may have been
                    // between our two looks.
                    let drained = segment.oldest().is_none();
                    let block = match Block::reach(self.arena(), reference) {
                        Ok(block) => block,
                        Err(error) => return Err(self.cannot_get(error)),
                    };
                    let _drained = drained.then(|| self.advance(block, next));
                    side.lock.unlock();
                    continue;
                }
                if self.is_shut() {
                    // Nothing is put any more; but it may have been between our two looks.
                    let count = match self.count() {
                        Ok(count) => count,
                        Err(error) => return Err(self.cannot_get(error)),
                    };
                    side.lock.unlock();
                    if count != 0 {
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
                // Where this cannot be told, the error comes with the next look.
                if look(pause, || self.has_any() == Some(true) || self.is_shut()) {
                    continue;
                }
                let armed = self.head.not_empty.arm();
                let count = match self.count() {
                    Ok(count) => count,
                    Err(error) => {
                        self.head.not_empty.ring();
                        return Err(GetError::Arena(error.into()));
                    }
                };
                if count == 0 && !self.is_shut() {
                    if is_over(limit) {
                        return Err(GetError::Empty);
                    }
                    slept = true;
                    if let Err(error) = self.head.not_empty.sleep(armed, pause, vigil.next_look()) {
                        // The wake may have been for us; it is for another then.
                        self.head.not_empty.ring();
                        return Err(GetError::GivenUp(error));
                    }
                }
                continue;
            };
            let mut parcel = None;
            match record {
                Record::Inline(bytes) => {
                    side.journal.begin(segment.head().count);
                    scratch.extend_from_slice(bytes);
                    note(bytes);
                    step();
                    compiler_fence(Ordering::SeqCst);
                    segment.consume(head);
                    side.journal.end();
                }
                Record::Block(reference) => {
                    let reached = Block::reach(self.arena(), reference)
                        .and_then(|block| Ok((block, block.contents(self.arena())?)));
                    let (block, contents) = match reached {
                        Ok(reached) => reached,
                        // It stays there, for a process that can.
                        Err(error) => return Err(self.cannot_get(error)),
                    };
                    side.journal.begin(segment.head().count);
                    if block.is_part_of(self.head.block()) {
                        note(parcel::head(&contents));
                        step();
                        compiler_fence(Ordering::SeqCst);
                        block.take(self.arena());
                        segment.consume(head);
                        side.journal.end();
                        parcel = Some(Parcel::new(Owned::adopt(self.arena(), block, contents)));
                    } else {
                        // It went with a taker that was killed before the record went.
                        segment.consume(head);
                        side.journal.settle(1);
                        side.lock.unlock();
                        continue;
                    }
                }
                Record::Retracted(_) => {
                    segment.consume(head);
                    side.lock.unlock();
                    if self.maxsize() != 0 {
                        self.head.not_full.ring();
                    }
                    continue;
                }
            }
            side.lock.unlock();
            if self.maxsize() != 0 {
                self.head.not_full.ring();
            }
            if slept && self.has_any() != Some(false) {
                self.head.not_empty.ring();
            }
            self.trace(false);
            return Ok(parcel);
        }
    }

    /// Whether the message of that turn is not in the queue any more: somebody has taken it, and if that
    /// one was killed, has noted it before. One whose taker was killed on the way is made to have gone.
    ///
    /// # Errors
    /// This process has no address space for what another one has added to the queue.
    pub fn has_gone(&self, turn: Turn) -> Result<bool, ArenaError> {
        let side = &self.head.get_side;
        participant::me();
        let _debris = match self.lock_get_side(&Patient) {
            Ok(debris) => debris,
            Err(WaitError::Arena(error)) => return Err(error),
        };
        let looked = (|| {
            let (_, segment) = self.segment(&side.segment)?;
            while let Some((Record::Block(reference), head)) = segment.oldest() {
                if Block::reach(self.arena(), reference)?.is_part_of(self.head.block()) {
                    break;
                }
                side.journal.begin(segment.head().count);
                segment.consume(head);
                side.journal.settle(1);
            }
            Ok(segment.head().count)
        })();
        side.lock.unlock();
        // Both wrap around.
        looked.map(|got: u32| got.wrapping_sub(turn.count) as i32 > 0)
    }

    /// Takes back the message of that turn; false if somebody has taken it. What was taken back still counts
    /// as one until all before it are gone.
    ///
    /// # Errors
    /// This process has no address space for what another one has added to the queue.
    pub fn retract(&self, turn: Turn) -> Result<bool, ArenaError> {
        let side = &self.head.get_side;
        participant::me();
        let _debris = match self.lock_get_side(&Patient) {
            Ok(debris) => debris,
            Err(WaitError::Arena(error)) => return Err(error),
        };
        let mut taken = None;
        let retracted = (|| {
            let (_, first) = self.segment(&side.segment)?;
            if first.head().count.wrapping_sub(turn.count) as i32 > 0 {
                return Ok(false);
            }
            // SAFETY: what has not gone is in a segment of this queue.
            let segment = unsafe { Segment::at(self.arena(), turn.segment) }?;
            segment.retract(turn.position, |reference| {
                let block = Block::reach(self.arena(), reference)?;
                // If it is not the queue's, its taker was killed before the record went.
                if block.is_part_of(self.head.block()) {
                    // Killed from here on, we leave what such a taker leaves.
                    block.take(self.arena());
                    taken = Some(Debris { arena: self.arena(), block });
                }
                Ok::<(), ArenaError>(())
            })?;
            Ok(true)
        })();
        side.lock.unlock();
        drop(taken);
        retracted
    }

    /// Gives up with the lock held and nothing changed: a wake that was for us is for another then.
    #[cold]
    fn cannot_get<E>(&self, error: impl Into<ArenaError>) -> GetError<E> {
        self.head.get_side.lock.unlock();
        self.head.not_empty.ring();
        GetError::Arena(error.into())
    }

    /// Drops the drained first segment; under the get lock.
    fn advance(&self, drained: Block, next: Ref) -> Debris {
        let side = &self.head.get_side;
        side.drained.store(drained.reference.to_bits(), Ordering::Relaxed);
        step();
        compiler_fence(Ordering::SeqCst);
        side.segment.store(next.to_bits(), Ordering::Release);
        step();
        drained.take(self.arena());
        compiler_fence(Ordering::SeqCst);
        side.drained.store(0, Ordering::Relaxed);
        step();
        Debris { arena: self.arena(), block: drained }
    }

    #[inline]
    fn lock_get_side<P: Pause>(&self, pause: &P) -> Result<Option<Debris>, WaitError<P::Error>> {
        let lock = &self.head.get_side.lock;
        match lock.lock_with(|word, expected, until| pause.pause(word, expected, until)) {
            Ok(Previous::Released) => Ok(None),
            Ok(Previous::Died) => Ok(self.repair_get_side().inspect_err(|_| {
                lock.unlock_unrepaired();
            })?),
            Err(error) => Err(WaitError::GivenUp(error)),
        }
    }

    /// Puts right what a dead one left, or nothing of it where we cannot reach all of it.
    #[cold]
    fn repair_get_side(&self) -> Result<Option<Debris>, ArenaError> {
        let (side, arena) = (&self.head.get_side, self.arena());
        let (first, segment) = self.segment(&side.segment)?;
        let drained = Ref::from_bits(side.drained.load(Ordering::Relaxed))
            .filter(|&drained| drained != first)
            .map(|drained| Block::reach(arena, drained))
            .transpose()?;
        // From here on it is done, whatever comes.
        let mut debris = None;
        if let Some(block) = drained
            && block.is_part_of(self.head.block())
        {
            block.take(arena);
            debris = Some(Debris { arena, block });
        }
        side.drained.store(0, Ordering::Relaxed);
        step();
        if let Some(count) = side.journal.interrupted() {
            side.journal.settle(u64::from(segment.head().count != count));
        }
        Ok(debris)
    }
}
