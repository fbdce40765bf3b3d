//! The memory that a process shares with its relatives.
//!
//! There is one arena in a process: made when something is first to be shared, or inherited by
//! fork, or joined in a child that was started in another way. It is never unmapped.

use std::convert::Infallible;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use manyhands_sys::memory::{SharedMemory, file_size_limit};
use manyhands_sys::robust::Previous;

use crate::layout::{FIRST, GRAIN, Head, MAGIC};
use crate::{ArenaError, OutOfReach, child, participant, wait};

/// How large it may become: nothing of it is memory until used, or address space until reached.
const LARGEST: usize = 128 << 30;

/// Less is of no use.
const LEAST: usize = FIRST + (1 << 20);

/// Set once, and not by a lock of any sort: a fork by another thread would leave it locked.
static ARENA: AtomicPtr<Arena> = AtomicPtr::new(std::ptr::null_mut());

/// The arena of this process.
#[derive(Debug)]
pub struct Arena {
    memory: SharedMemory,
    id: u64,
}

/// The arena of this process, made if there is none.
///
/// ```
/// let arena = manyhands_shm::arena()?;
/// println!("{:?}", arena.statistics()?);
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
///
/// # Errors
/// The limits of descriptors, address space, memory.
#[inline]
pub fn arena() -> Result<&'static Arena, ArenaError> {
    match existing() {
        Some(arena) => Ok(arena),
        None => create(),
    }
}

/// The arena of this process if it has one.
#[inline]
pub fn existing() -> Option<&'static Arena> {
    // SAFETY: null, or a box that was leaked before its address was stored.
    unsafe { ARENA.load(Ordering::Acquire).as_ref() }
}

#[cold]
fn create() -> Result<&'static Arena, ArenaError> {
    let mut len = LARGEST;
    if let Some(limit) = file_size_limit() {
        len = len.min(usize::try_from(limit).unwrap_or(usize::MAX) / 4096 * 4096);
        if len < LEAST {
            let error = rustix::io::Errno::FBIG.into();
            return Err(ArenaError::system("cannot share memory with other processes", error));
        }
    }
    let memory = SharedMemory::create("manyhands", len)
        .map_err(|error| ArenaError::system("cannot share memory with other processes", error))?;
    // The table of participants is touched where it is used; one page of it is enough for a start.
    memory
        .commit(0, 2 * 4096)
        .map_err(|error| ArenaError::system("cannot share memory with other processes", error))?;
    let arena = Arena { memory, id: random() };
    let head = arena.head();
    head.id.store(arena.id, Ordering::Relaxed);
    head.clock.store(1, Ordering::Relaxed);
    head.top.store((FIRST / GRAIN) as u64, Ordering::Relaxed);
    head.magic.store(MAGIC, Ordering::Release);
    let arena = install(arena);
    participant::enter(arena);
    Ok(arena)
}

/// Makes it the arena of this process, unless it has one already.
fn install(arena: Arena) -> &'static Arena {
    child::prepare_for_forks();
    let new = Box::into_raw(Box::new(arena));
    match ARENA.compare_exchange(std::ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: from now on it lives as long as the process.
        Ok(_) => unsafe { &*new },
        Err(old) => {
            // SAFETY: nobody has seen the new one; the old one was leaked as this would have been.
            unsafe {
                drop(Box::from_raw(new));
                &*old
            }
        }
    }
}

/// Joins the arena behind a descriptor as the child that the ticket of that number is for.
///
/// # Errors
/// This process has another arena already; it is none; limits of the system.
pub fn join(descriptor: OwnedFd, ticket: u64) -> Result<&'static Arena, ArenaError> {
    let memory = SharedMemory::map(descriptor).map_err(|error| {
        ArenaError::system("cannot share memory with the parent process", error)
    })?;
    if memory.len() < FIRST {
        return Err(ArenaError::NoArena);
    }
    let mut joined = Arena { memory, id: 0 };
    if joined.head().magic.load(Ordering::Acquire) != MAGIC {
        return Err(ArenaError::NoArena);
    }
    joined.id = joined.head().id.load(Ordering::Relaxed);
    let id = joined.id;
    let arena = install(joined);
    if arena.id != id {
        return Err(ArenaError::AlreadyJoined);
    }
    child::enter_by_ticket(arena, ticket);
    Ok(arena)
}

impl Arena {
    /// The number by which it is told from others.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// By which a child that was not forked can [`join`] it.
    ///
    /// # Errors
    /// The program has closed it.
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>, ArenaError> {
        self.memory
            .descriptor()
            .map_err(|error| ArenaError::system("cannot share memory with a child", error))
    }

    pub(crate) fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    #[inline]
    pub(crate) fn head(&self) -> &Head {
        // SAFETY: so much is mapped from the beginning, page-aligned, and never unmapped; a Head is
        // atomics only, for which any bytes are valid.
        unsafe { self.memory.base().cast().as_ref() }
    }

    /// The place of an index, from which on so many bytes can be accessed, as far as there are any.
    ///
    /// What another process has made may lie where this one has not been yet, and there may be no
    /// address space for it: so this comes first, and only then what cannot be left half done.
    ///
    /// # Errors
    /// The limit of address space.
    #[inline]
    pub(crate) fn place(&self, index: u64, len: usize) -> Result<NonNull<u8>, OutOfReach> {
        let begin = index as usize * GRAIN;
        let end = (begin + len).min(self.memory.len());
        self.memory.reach(begin, end).map_err(OutOfReach)?;
        // SAFETY: an index is one of a place in the arena.
        Ok(unsafe { self.memory.base().byte_add(begin) })
    }

    /// The present moment on the arena's clock, which goes on by this.
    pub(crate) fn stamp(&self) -> u64 {
        self.head().clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Does something with the ledger locked, after repairing what a dead process left of it.
    ///
    /// Who cannot reach all blocks repairs the ledger as far as he can reach, works with that, and
    /// leaves word that it is to be repaired: what he did not see comes back with the next who does.
    pub(crate) fn with_ledger<R>(&self, action: impl FnOnce() -> R) -> R {
        let ledger = &self.head().ledger;
        let Ok(previous) = ledger.lock_with(|word, expected, until| {
            wait::sleep_aside(word, expected, until);
            Ok::<(), Infallible>(())
        });
        let is_whole = previous == Previous::Released || crate::block::repair(self).is_ok();
        let result = action();
        if is_whole {
            ledger.unlock()
        } else {
            ledger.unlock_unrepaired()
        }
        result
    }
}

/// What the arena holds at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Blocks in use.
    pub blocks: u64,
    /// Bytes that those were asked for.
    pub bytes: u64,
    /// Blocks whose owner has let go of them, kept for processes that may use them still.
    pub lingering: u64,
    /// Bytes of memory that the whole takes from the system.
    pub resident: u64,
    /// Processes.
    pub participants: u64,
}

impl Arena {
    /// Counts what is there, after tidying up behind processes that have died.
    ///
    /// # Errors
    /// This process has no address space for all of it.
    pub fn statistics(&self) -> Result<Statistics, ArenaError> {
        participant::sweep(self, None);
        let mut statistics = crate::block::count(self)?;
        statistics.participants = participant::count(self);
        statistics.resident = self.memory.resident();
        Ok(statistics)
    }
}

fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};

    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.write_u64(CALLS.fetch_add(1, Ordering::Relaxed));
    hasher.write_u128(manyhands_sys::liveness::now().as_nanos());
    hasher.finish() | 1
}
