//! Waiting for a notice.
//!
//! Each waiter has a place: a slot of a room, the first of which is in the condition itself; further
//! ones are hung on when all are taken, and stay.
//!
//! States of a place:
//! ```text
//! owner 0 ──claim──▶ owner, Idle ──▶ Waiting(number) ──notify──▶ Notified ──▶ Idle ──▶ owner 0
//!                                          └──give up──▶ Idle ──────────────────▲
//! ```
//! * A place is claimed, and taken over from a dead owner, by a compare-exchange of `owner`. All else of
//!   it only its owner writes, but for the step from Waiting to Notified: that is the notifier's
//!   compare-exchange, and there is one notice for one such step.
//! * The bit in `taken` is set after the place became Waiting and cleared before its owner lets go
//!   of it. It only saves notifiers from looking at idle places.
//! * A waiter who was notified stays Notified until he has his lock back.
//! * Who has no address space for a room does not wait, so that he never has a notice to pass on to
//!   there; and does not notify, if he asks before. A room that was hung on meanwhile he takes for not
//!   there yet.
//!
//! Killed...
//! * in an Idle place, or with the bit not set yet: who finds no free place takes it over;
//! * Waiting: the notifier who picks him looks whether he is alive, takes the place over, and goes on
//!   to the next. He may be taken for alive (a zombie that died just now): then it is as if killed
//! * when Notified, before he has his lock back: another waiter, when he has slept for RECHECK, takes
//!   the place over and passes the notice on, to one who was waiting when it was given;
//! * while taking over: the taker is the dead owner now, and the state is as it was. A notice may be
//!   passed on twice, so that somebody wakes for nothing; it is never lost;
//! * notifying: between the step and the wake, the sleep ends with RECHECK; in the middle of
//!   several, the rest is not notified, as if they had not been asked to be.

use std::fmt;

use crate::shim::{self, AtomicU32, AtomicU64, Ordering, Owner};
use crate::wait::{Nap, Vigil, is_over, look, sign};
use crate::{Limit, Pause};

/// Places of a room: so that a condition with its first room takes 1 KiB.
const PLACES: usize = 36;

/// The phases of a place, in the lowest bits of its state; above them is the waiter's number.
const PHASE: u32 = 3;
const IDLE: u32 = 0;
const WAITING: u32 = 1;
const NOTIFIED: u32 = 2;

#[derive(Default)]
#[repr(C)]
struct Place {
    /// Who waits here, 0 if nobody does.
    owner: AtomicU64,
    /// The phase, and the waiter's number. The waiter sleeps on it.
    state: AtomicU32,
    /// When he came.
    since: AtomicU32,
    /// The number of the next waiter at the time of the notice. Written by the notifier, before it.
    noticed_at: AtomicU32,
    reserved: AtomicU32,
}

#[derive(Default)]
#[repr(C)]
struct Room {
    /// Bit i: place i is Waiting or Notified.
    taken: AtomicU64,
    /// The block with the next room, 0 if there is none. Written once.
    next: AtomicU64,
    places: Places,
}

#[repr(transparent)]
struct Places([Place; PLACES]);

impl Default for Places {
    fn default() -> Self {
        Places(std::array::from_fn(|_| Place::default()))
    }
}

/// Threads of several processes wait here for a notice; the lock that goes with it is the caller's
/// affair: [`enlist`](crate::Handle::enlist), release the lock, [`Waiting::wait_with`], acquire it again, and only
/// then drop the [`Waiting`].
///
/// ```
/// use manyhands_shm::{Condition, Handle, Kind, Limit, Patient};
///
/// let changed = Handle::<Condition>::new(Kind::Condition)?;
/// let mut waiting = changed.enlist()?;
/// changed.notify(1);
/// assert_eq!(waiting.wait_with(&Patient, Limit::Forever), Ok(true));
/// # drop(waiting);
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
///
/// # References
/// `multiprocessing.Condition` in the Python library reference.
#[doc(alias = "multiprocessing.synchronize.Condition")]
#[derive(Default)]
#[repr(C)]
pub struct Condition {
    /// The number of the next waiter, in steps of PHASE + 1.
    number: AtomicU32,
    /// When somebody looked for dead waiters.
    looked: AtomicU32,
    /// The processor of the last notifier.
    processor: AtomicU32,
    reserved: AtomicU32,
    first: Room,
}

// SAFETY: atomics only, and zero is one for which nobody waits.
#[cfg(not(loom))]
unsafe impl crate::Shared for Condition {}

/// A place in the line of a condition, given up when dropped.
pub struct Waiting<'a> {
    condition: &'a Condition,
    room: &'a Room,
    index: usize,
    /// What the place's owner is: another thread than this one after a fork during the wait.
    me: Owner,
}

impl Condition {
    fn rooms(&self) -> impl Iterator<Item = &Room> {
        std::iter::successors(Some(&self.first), |room| room.next())
    }

    fn places(&self) -> impl Iterator<Item = (&Room, usize)> {
        self.rooms().flat_map(|room| {
            let mut taken = room.taken.load(Ordering::Acquire);
            std::iter::from_fn(move || {
                let index = taken.trailing_zeros() as usize;
                taken &= taken.wrapping_sub(1);
                (index < PLACES).then_some((room, index))
            })
        })
    }

    /// Makes sure that this process can reach all who wait at present. Who notifies without having called
    /// this notifies only those whom it can reach.
    ///
    /// # Errors
    /// The limit of address space.
    #[cfg(not(loom))]
    #[inline]
    pub fn reach(&self) -> Result<(), crate::ArenaError> {
        let mut room = &self.first;
        while room.next.load(Ordering::Acquire) != 0 {
            let Some(next) = room.reach_next()? else { break };
            room = next;
        }
        Ok(())
    }

    /// A place in the rooms that there are, and in reach.
    pub(crate) fn enlist_here(&self) -> Option<Waiting<'_>> {
        let me = Owner::current();
        for attempt in 0..2 {
            for room in self.rooms() {
                if let Some(index) = room.claim(me) {
                    let number = self.number.fetch_add(PHASE + 1, Ordering::Relaxed);
                    let place = &room.places.0[index];
                    place.since.store(shim::moment(), Ordering::Relaxed);
                    place.state.store(number & !PHASE | WAITING, Ordering::Release);
                    room.taken.fetch_or(1 << index, Ordering::AcqRel);
                    return Some(Waiting { condition: self, room, index, me });
                }
            }
            if attempt == 0 && !self.bury_all() {
                break;
            }
        }
        None
    }

    /// Takes over the places of all dead ones; false if there is none.
    fn bury_all(&self) -> bool {
        let mut found = false;
        for room in self.rooms() {
            for (index, place) in room.places.0.iter().enumerate() {
                let owner = Owner::from_bits(place.owner.load(Ordering::Acquire));
                if let Some(owner) = owner
                    && !owner.is_alive()
                {
                    self.bury(room, index, owner);
                    found = true;
                }
            }
        }
        found
    }

    /// Takes over the place of a dead one, and passes on a notice that he got.
    #[cold]
    fn bury(&self, room: &Room, index: usize, dead: Owner) {
        let place = &room.places.0[index];
        let me = Owner::current().to_bits();
        if place
            .owner
            .compare_exchange(dead.to_bits(), me, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            return;
        }
        // A notifier may be faster than we are.
        let state = place.state.load(Ordering::Acquire);
        let was_notified = state & PHASE == NOTIFIED
            || state & PHASE == WAITING
                && place
                    .state
                    .compare_exchange(state, state & !PHASE, Ordering::AcqRel, Ordering::Relaxed)
                    .is_err();
        if was_notified {
            self.notify_one(Some(place.noticed_at.load(Ordering::Relaxed)));
        }
        room.let_go(index);
    }

    /// Notifies the one who has waited longest, of those who came before `before` if that is given.
    fn notify_one(&self, before: Option<u32>) -> bool {
        loop {
            let now = self.number.load(Ordering::Relaxed);
            // Numbers wrap: older is what is further behind the next one.
            let longest = self
                .places()
                .map(|(room, index)| {
                    (room, index, room.places.0[index].state.load(Ordering::Acquire))
                })
                .filter(|(_, _, state)| state & PHASE == WAITING)
                .filter(|(_, _, state)| {
                    before.is_none_or(|before| (before.wrapping_sub(state & !PHASE) as i32) > 0)
                })
                .max_by_key(|(_, _, state)| now.wrapping_sub(state & !PHASE));
            let Some((room, index, state)) = longest else { return false };
            let place = &room.places.0[index];
            let owner = Owner::from_bits(place.owner.load(Ordering::Acquire));
            if let Some(owner) = owner
                && !seems_alive(owner, place.since.load(Ordering::Relaxed))
            {
                self.bury(room, index, owner);
                continue;
            }
            if place.notify(state, now) {
                sign(&self.processor);
                shim::wake(&place.state, 1);
                return true;
            }
        }
    }

    /// Lets up to so many of those who wait go on, longest first.
    #[inline]
    pub fn notify(&self, count: usize) {
        if self.is_idle() {
            return;
        }
        for _ in 0..count {
            if !self.notify_one(None) {
                break;
            }
        }
    }

    /// Lets all who wait go on.
    #[inline]
    pub fn notify_all(&self) {
        if self.is_idle() {
            return;
        }
        let now = self.number.load(Ordering::Relaxed);
        let notified: Vec<&Place> = self
            .places()
            .map(|(room, index)| &room.places.0[index])
            .filter(|place| place.notify(place.state.load(Ordering::Acquire), now))
            .collect();
        sign(&self.processor);
        for place in notified {
            shim::wake(&place.state, 1);
        }
    }

    #[inline]
    fn is_idle(&self) -> bool {
        self.first.taken.load(Ordering::Acquire) == 0
            && self.first.next.load(Ordering::Acquire) == 0
    }

    /// How many wait, and live.
    pub fn waiters(&self) -> usize {
        self.places()
            .filter(|(room, index)| {
                let place = &room.places.0[*index];
                place.state.load(Ordering::Acquire) & PHASE == WAITING
                    && Owner::from_bits(place.owner.load(Ordering::Acquire))
                        .is_some_and(Owner::is_alive)
            })
            .count()
    }

    /// Looks for notices that died with whom they were for.
    #[cold]
    fn save_notices(&self) {
        for (room, index) in self.places() {
            let place = &room.places.0[index];
            let owner = Owner::from_bits(place.owner.load(Ordering::Acquire));
            if place.state.load(Ordering::Acquire) & PHASE == NOTIFIED
                && let Some(owner) = owner
                && !owner.is_alive()
            {
                self.bury(room, index, owner);
            }
        }
    }
}

/// Whether somebody who came at that moment is alive; wrong only for who died within RECHECK of it
/// and has not been waited for by his parent.
fn seems_alive(owner: Owner, since: u32) -> bool {
    #[cfg(not(loom))]
    if !shim::is_long_ago(since) {
        return owner.exists();
    }
    let _ = since;
    owner.is_alive()
}

impl Place {
    /// Makes the step from Waiting to Notified, if that is its state.
    fn notify(&self, state: u32, now: u32) -> bool {
        if state & PHASE != WAITING {
            return false;
        }
        self.noticed_at.store(now, Ordering::Relaxed);
        let notified = state & !PHASE | NOTIFIED;
        self.state.compare_exchange(state, notified, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Room {
    #[cfg(not(loom))]
    fn next(&self) -> Option<&Room> {
        self.reach_next().ok()?
    }

    /// The next room, unless this process has no address space for it.
    #[cfg(not(loom))]
    fn reach_next(&self) -> Result<Option<&Room>, crate::ArenaError> {
        use crate::block::Block;

        let next = crate::Ref::from_bits(self.next.load(Ordering::Acquire)).zip(crate::existing());
        let Some((next, arena)) = next else { return Ok(None) };
        let contents = Block::reach(arena, next)?.contents(arena)?;
        // SAFETY: it was made for a room, belongs to this condition, and is freed with it.
        Ok(Some(unsafe { &*contents.start.cast::<Room>() }))
    }

    #[cfg(loom)]
    fn next(&self) -> Option<&Room> {
        None
    }

    fn claim(&self, me: Owner) -> Option<usize> {
        let taken = self.taken.load(Ordering::Relaxed);
        self.places.0.iter().enumerate().position(|(index, place)| {
            taken & 1 << index == 0
                && place
                    .owner
                    .compare_exchange(0, me.to_bits(), Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
        })
    }

    /// Its owner leaves a place.
    fn let_go(&self, index: usize) {
        let place = &self.places.0[index];
        place.state.store(IDLE, Ordering::Relaxed);
        self.taken.fetch_and(!(1 << index), Ordering::AcqRel);
        place.owner.store(0, Ordering::Release);
    }
}

#[cfg(not(loom))]
impl crate::Handle<Condition> {
    /// Gets in line; whoever notifies from now on notifies us, too.
    ///
    /// # Errors
    /// There is no place left, and no memory for more; no address space for the places of others.
    pub fn enlist(&self) -> Result<Waiting<'_>, crate::ArenaError> {
        loop {
            // A notice may have to be passed on to any of them.
            self.reach()?;
            match self.enlist_here() {
                Some(waiting) => return Ok(waiting),
                None => self.add_room()?,
            }
        }
    }

    /// Hangs on another room; killed meanwhile, a block is left that is freed with the condition.
    #[cold]
    fn add_room(&self) -> Result<(), crate::ArenaError> {
        use crate::block::{self, Allocated};

        let arena = self.arena();
        let Allocated { block, contents, dirty } =
            block::allocate(arena, size_of::<Room>(), crate::Kind::Part)?;
        // SAFETY: the block holds that many bytes, and is this process's alone.
        unsafe { contents.start.write_bytes(0, dirty) };
        block.give(self.block());
        let bits = block.reference.to_bits();
        let last = self.rooms().last().unwrap_or(&self.first);
        if last.next.compare_exchange(0, bits, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            block.take(arena);
            block::release(arena, block);
        }
        Ok(())
    }
}

#[cfg(loom)]
impl Condition {
    /// Gets in line.
    pub fn enlist(&self) -> Result<Waiting<'_>, std::convert::Infallible> {
        Ok(self.enlist_here().expect("a model has few threads"))
    }
}

impl Waiting<'_> {
    fn place(&self) -> &Place {
        &self.room.places.0[self.index]
    }

    /// Waits for the notice within the limit, pausing in the caller's way; false if none came.
    ///
    /// # Errors
    /// Those of the pause. A notice that came nevertheless goes to another waiter.
    pub fn wait_with<P: Pause>(&mut self, pause: &P, limit: Limit) -> Result<bool, P::Error> {
        let vigil = Vigil::new(self.condition, "wait", limit);
        loop {
            if self.me != Owner::current() && !self.enlist_again() {
                return Ok(false);
            }
            let place = self.place();
            let state = place.state.load(Ordering::Acquire);
            if state & PHASE != WAITING {
                return Ok(state & PHASE == NOTIFIED);
            }
            if is_over(limit) {
                return Ok(!self.give_up(state));
            }
            if look(pause, || place.state.load(Ordering::Acquire) != state) {
                continue;
            }
            let nap = Nap::begin();
            if let Err(error) = pause.pause(&place.state, state, vigil.next_look()) {
                if self.me == Owner::current() && !self.give_up(state) {
                    self.condition.notify_one(Some(place.noticed_at.load(Ordering::Relaxed)));
                    place.state.store(state & !PHASE, Ordering::Relaxed);
                }
                return Err(error);
            }
            if place.state.load(Ordering::Relaxed) != state {
                nap.ended_from(&self.condition.processor);
            } else if shim::is_due(&self.condition.looked) {
                self.condition.save_notices();
            }
        }
    }

    /// From Waiting to Idle; false if a notice was faster.
    fn give_up(&self, state: u32) -> bool {
        self.place()
            .state
            .compare_exchange(state, state & !PHASE, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The place is that of the process that we were forked from during the wait; false if there is no
    /// other in the rooms that there are.
    #[cold]
    fn enlist_again(&mut self) -> bool {
        let Some(own) = self.condition.enlist_here() else { return false };
        (self.room, self.index, self.me) = (own.room, own.index, own.me);
        std::mem::forget(own);
        true
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // What a forked child has is its parent's.
        if self.me != Owner::current() {
            return;
        }
        let state = self.place().state.load(Ordering::Relaxed);
        if state & PHASE == WAITING && !self.give_up(state) {
            self.condition.notify_one(Some(self.place().noticed_at.load(Ordering::Relaxed)));
        }
        self.room.let_go(self.index);
    }
}

impl fmt::Debug for Waiting<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Waiting").field("place", &self.index).finish_non_exhaustive()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Condition")
            .field("waiters", &self.waiters())
            .finish_non_exhaustive()
    }
}
