//! What lock and rlock are made of: a word that says who has it.
//!
//! States of `word`, each change a single compare-exchange or swap:
//! ```text
//! 0 ──take──▶ owner ──give──▶ 0
//!               │ ▲
//!   set WAITERS │ │ inherit: the owner is dead, another one's compare-exchange puts itself there
//!               ▼ │
//!         owner|WAITERS ──give, wake one──▶ 0
//! ```
//! * Whoever sleeps has set WAITERS after he last saw the word, or seen it set; and has read `turn`
//!   before. Whoever gives sees WAITERS in what he replaces, changes `turn` and wakes one sleeper.
//!   That one takes the word with WAITERS set, since others may sleep; or, if somebody was faster or
//!   he gives up, sees to it that WAITERS is set, or wakes another. So a sleeper can be forgotten only
//!   if somebody was killed: between replacing the word and waking, or woken and before he looked.
//!   Then the sleep ends with RECHECK.
//! * Killed as the owner: a sleeper who was not woken asks whether the owner is alive, and inherits.
//!   Who has not slept yet asks, too, but not more often than once in RECHECK all together.
//! * `abandoned` is set by the heir; killed before, it is his own heir who sets it.

use std::fmt;

#[cfg(not(loom))]
use manyhands_watch::traced;

use crate::shim::{self, AtomicU32, AtomicU64, Ordering, Owner};
use crate::wait::{Vigil, is_over};
use crate::{Acquired, Limit, Pause};

/// Somebody sleeps until the owner gives it.
const WAITERS: u64 = 1 << 31;

#[derive(Default)]
#[repr(C)]
pub(crate) struct Owned {
    /// The owner's number, and WAITERS; 0 while nobody has it. Written by takers, givers, waiters.
    word: AtomicU64,
    /// Sleepers sleep on it; changed before one is woken.
    turn: AtomicU32,
    /// When somebody looked whether the owner is alive without having slept.
    looked: AtomicU32,
    /// 1 if an owner died and nobody has said since that all is well.
    abandoned: AtomicU32,
    reserved: AtomicU32,
}

impl Owned {
    #[inline]
    pub(crate) fn owner(&self) -> Option<Owner> {
        Owner::from_bits(self.word.load(Ordering::Relaxed))
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn set_abandoned(&self, abandoned: bool) {
        self.abandoned.store(abandoned.into(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn try_take(&self, me: Owner) -> bool {
        let is_taken = self
            .word
            .compare_exchange(0, me.to_bits(), Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
        if is_taken {
            self.trace(true);
        }
        is_taken
    }

    /// Notes, where there is a trace, from when to when somebody has it.
    #[inline]
    fn trace(&self, is_taken: bool) {
        #[cfg(not(loom))]
        if manyhands_trace::is_on() {
            let address = std::ptr::from_ref(self).addr();
            if is_taken {
                traced::hold_of_memory(address);
            } else {
                traced::release_of_memory(address);
            }
        }
        #[cfg(loom)]
        let _ = is_taken;
    }

    /// Whoever has it has it no more; false if nobody had.
    #[inline]
    pub(crate) fn give(&self) -> bool {
        let word = self.word.swap(0, Ordering::Release);
        if word & WAITERS != 0 {
            self.wake_one();
        }
        self.trace(false);
        word != 0
    }

    #[cold]
    fn wake_one(&self) {
        self.turn.fetch_add(1, Ordering::Release);
        shim::wake(&self.turn, 1);
    }

    /// Takes it within the limit; `is_gone` says whether an owner will never give it.
    #[cold]
    pub(crate) fn take<P: Pause>(
        &self,
        pause: &P,
        limit: Limit,
        is_gone: impl Fn(Owner) -> bool,
    ) -> Result<Acquired, P::Error> {
        let acquired = self.wait_and_take(pause, limit, is_gone);
        if acquired.as_ref().is_ok_and(|acquired| acquired.is_acquired()) {
            self.trace(true);
        }
        acquired
    }

    fn wait_and_take<P: Pause>(
        &self,
        pause: &P,
        limit: Limit,
        is_gone: impl Fn(Owner) -> bool,
    ) -> Result<Acquired, P::Error> {
        let mut slept = false;
        let vigil = Vigil::new(self, "acquire", limit);
        loop {
            let turn = self.turn.load(Ordering::Acquire);
            let word = self.word.load(Ordering::Relaxed);
            if word == 0 {
                let flag = if slept { WAITERS } else { 0 };
                if self.exchange(0, Owner::current().to_bits() | flag) {
                    return Ok(Acquired::Yes);
                }
                continue;
            }
            if !slept {
                if shim::is_due(&self.looked)
                    && let Some(acquired) = self.inherit(word, &is_gone)
                {
                    return Ok(acquired);
                }
                if limit == Limit::Never {
                    return Ok(Acquired::No);
                }
            }
            if word & WAITERS == 0 && !self.exchange(word, word | WAITERS) {
                continue;
            }
            if is_over(limit) {
                let is_due = shim::is_due(&self.looked);
                let inherited = if is_due { self.inherit(word | WAITERS, &is_gone) } else { None };
                return Ok(inherited.unwrap_or(Acquired::No));
            }
            if let Err(error) = pause.pause(&self.turn, turn, vigil.next_look()) {
                self.pass_on();
                return Err(error);
            }
            slept = true;
            if self.turn.load(Ordering::Relaxed) == turn
                && self.word.load(Ordering::Relaxed) == word | WAITERS
                && let Some(acquired) = self.inherit(word | WAITERS, &is_gone)
            {
                return Ok(acquired);
            }
        }
    }

    fn exchange(&self, old: u64, new: u64) -> bool {
        self.word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Puts the calling thread in the place of the word's owner if he is gone, and the owner still.
    #[cold]
    fn inherit(&self, word: u64, is_gone: &impl Fn(Owner) -> bool) -> Option<Acquired> {
        let owner = Owner::from_bits(word)?;
        // Once it is known that the process has died, its number may be forgotten.
        let process = owner.pid();
        if !is_gone(owner) || !self.exchange(word, Owner::current().to_bits() | word & WAITERS) {
            return None;
        }
        self.set_abandoned(true);
        Some(Acquired::Inherited(process))
    }

    /// Gives up waiting: whoever was to be woken instead of us is.
    fn pass_on(&self) {
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if word == 0 {
                return self.wake_one();
            }
            if word & WAITERS != 0 || self.exchange(word, word | WAITERS) {
                return;
            }
        }
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Owned")
            .field("owner", &self.owner())
            .field("abandoned", &self.is_abandoned())
            .finish_non_exhaustive()
    }
}
