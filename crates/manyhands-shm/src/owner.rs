//! A thread of a process of the tree.

use std::num::NonZeroU64;

use manyhands_sys::{liveness, thread};

use crate::arena::existing;
use crate::participant::{self, Identity, Number, me, slot};

/// A thread of a process of the tree. As a number: 31 bits of participant from bit 32 on, 22 of the
/// kernel's number of the thread; never 0, and the other bits are free for flags.
///
/// ```
/// use manyhands_shm::Owner;
///
/// manyhands_shm::arena()?;
/// let me = Owner::current();
/// assert!(me.is_alive() && me.is_current_thread());
/// assert_eq!(Owner::from_bits(me.to_bits()), Some(me));
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(NonZeroU64);

impl Owner {
    const BITS: u64 = 0x7fff_ffff_003f_ffff;

    /// The calling thread.
    #[inline]
    pub fn current() -> Owner {
        let bits = me() | u64::from(thread::kernel_id());
        // The number of a thread is not 0.
        Owner(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    /// That of the number, without flags; `None` for 0.
    #[inline]
    pub fn from_bits(bits: u64) -> Option<Owner> {
        NonZeroU64::new(bits & Self::BITS).map(Owner)
    }

    /// The number.
    #[inline]
    pub fn to_bits(self) -> u64 {
        self.0.get()
    }

    fn participant(self) -> Number {
        Number::from_bits((self.0.get() >> 32) as u32)
    }

    /// Whether its process has not ended (a zombie has). Reads /proc: not for fast paths.
    pub fn is_alive(self) -> bool {
        if self.participant().bits() == 0 {
            // Of a process that got no place in the table. A thread's own entry is in /proc, too.
            return liveness::is_running(self.thread(), liveness::now());
        }
        self.is_current_process()
            || existing().is_some_and(|arena| participant::is_alive(arena, self.participant()))
    }

    /// As [`Owner::is_alive`], but it only looks: for who holds a robust lock, and may not take another.
    pub(crate) fn is_there(self) -> bool {
        if self.participant().bits() == 0 {
            return self.is_alive();
        }
        self.is_current_process()
            || existing().is_some_and(|arena| participant::is_there(arena, self.participant()))
    }

    /// Whether its process has not ended or is a zombie. Cheap: a system call.
    pub(crate) fn exists(self) -> bool {
        if self.participant().bits() == 0 {
            return liveness::exists(self.thread());
        }
        self.is_current_process() || self.pid().is_some_and(liveness::exists)
    }

    /// Whether the thread itself has not ended. Reads /proc.
    pub fn is_thread_alive(self) -> bool {
        self.is_alive() && self.pid().is_none_or(|pid| liveness::has_thread(pid, self.thread()))
    }

    /// The number of its process, if that is known still.
    pub fn pid(self) -> Option<u32> {
        let slot = slot(existing()?, self.participant().slot());
        let identity = Identity::of(slot);
        (identity.generation == self.participant().generation() && identity.pid != 0)
            .then_some(identity.pid)
    }

    /// The kernel's number of the thread.
    #[inline]
    pub fn thread(self) -> u32 {
        self.0.get() as u32 & 0x003f_ffff
    }

    /// Whether it is the calling thread.
    #[inline]
    pub fn is_current_thread(self) -> bool {
        self == Owner::current()
    }

    /// Whether it is of the calling process.
    #[inline]
    pub fn is_current_process(self) -> bool {
        let (its, mine) = (self.0.get() >> 32, me() >> 32);
        its == mine && (its != 0 || liveness::has_thread(liveness::process_id(), self.thread()))
    }
}
