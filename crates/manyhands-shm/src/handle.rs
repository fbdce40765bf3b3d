//! Objects in the arena, as a process holds them.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::arena::{Arena, existing};
use crate::block::{self, Block, Contents};
use crate::layout::Ref;
use crate::{ArenaError, Kind, observed};

/// What can lie in the arena.
///
/// # Safety
/// All fields are atomics (or arrays, or structs of such), the layout is `repr(C)`, and all bytes
/// zero is a valid state to begin with.
pub unsafe trait Shared: Sync + 'static {}

/// Where an object lies: what is passed to a process that is to open it.
///
/// ```
/// use manyhands_shm::{Handle, Kind, Plain};
///
/// let memory = Handle::<Plain>::with_tail(Kind::Plain, 100)?;
/// let again = Handle::<Plain>::open(memory.reference(), Kind::Plain)?;
/// assert_eq!(again.tail(), memory.tail());
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The arena's number.
    pub arena: u64,
    /// The object's block, as a number.
    pub block: u64,
}

/// A process's share of a block: dropped last, the block is let go of if the process owns it.
#[derive(Debug)]
struct Share {
    arena: &'static Arena,
    block: Block,
    contents: Contents,
}

impl Drop for Share {
    fn drop(&mut self) {
        // The table is locked under the ledger, never the other way round: who waits for the ledger may
        // have let go of the host, and gets that again only when nobody who has it waits for the table.
        block::release_if(self.arena, self.block, || {
            let (mut table, reference) = (table(), self.block.reference);
            // Somebody may have opened it again meanwhile, and then it is theirs.
            let is_last =
                table.get().get(&reference).is_some_and(|share| share.strong_count() == 0);
            if is_last {
                table.get().remove(&reference);
                manyhands_watch::traced::forget_addresses();
            }
            is_last
        });
    }
}

type Table = HashMap<Ref, Weak<Share>>;

/// The shares that this process has: an object opened twice is let go of once.
static TABLE: Mutex<Option<Table>> = Mutex::new(None);

thread_local! {
    /// Holds the table while this thread forks, so that no other thread does in the child. Never
    /// dropped with the thread: the destructor of another thread-local may fork.
    static HELD: Cell<Option<ManuallyDrop<TableGuard>>> = const { Cell::new(None) };
}

struct TableGuard(MutexGuard<'static, Option<Table>>);

impl TableGuard {
    fn get(&mut self) -> &mut Table {
        self.0.get_or_insert_with(Table::new)
    }
}

fn table() -> TableGuard {
    TableGuard(TABLE.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(crate) fn lock_table() {
    HELD.set(Some(ManuallyDrop::new(table())));
}

pub(crate) fn unlock_table() {
    drop(HELD.take().map(ManuallyDrop::into_inner));
}

/// An object in the arena. It is there for as long as its maker, or a process that can have inherited
/// it or been handed it from its maker, is there and has not let go of it.
pub struct Handle<T: 'static> {
    share: Arc<Share>,
    object: &'static T,
}

impl<T: Shared> Handle<T> {
    /// A new one, all zero.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn new(kind: Kind) -> Result<Handle<T>, ArenaError> {
        Handle::with_tail(kind, 0)
    }

    /// A new one with that many bytes after it; all zero.
    ///
    /// # Errors
    /// As of [`Handle::new`].
    pub fn with_tail(kind: Kind, bytes: usize) -> Result<Handle<T>, ArenaError> {
        const { assert!(align_of::<T>() <= crate::layout::GRAIN) };
        let arena = crate::arena()?;
        let len = size_of::<T>().saturating_add(bytes);
        let block::Allocated { block, contents, dirty } = block::allocate(arena, len, kind)?;
        // SAFETY: the block holds that many bytes, has memory for them, and is this process's alone.
        unsafe { contents.start.write_bytes(0, dirty) };
        let share = Arc::new(Share { arena, block, contents });
        table().get().insert(block.reference, Arc::downgrade(&share));
        observed::begin();
        Ok(Handle::of(share))
    }

    /// That of the reference, which a relative has passed.
    ///
    /// # Errors
    /// It is of another arena; it was freed; it is of another kind; the limit of address space.
    pub fn open(reference: Reference, kind: Kind) -> Result<Handle<T>, ArenaError> {
        let arena = existing().filter(|arena| arena.id() == reference.arena);
        let arena = arena.ok_or(ArenaError::Stranger)?;
        let block = Ref::from_bits(reference.block)
            .filter(|&block| block::is_possible(arena, block))
            .ok_or(ArenaError::Gone)?;
        let block = Block::reach(arena, block)?;
        let mut table = table();
        if let Some(share) = table.get().get(&block.reference).and_then(Weak::upgrade) {
            drop(table);
            if !block.is(kind) {
                return Err(ArenaError::Gone);
            }
            return Ok(Handle::of(share));
        }
        if !block.is(kind) {
            return Err(ArenaError::Gone);
        }
        let contents = block.contents(arena)?;
        if contents.len < size_of::<T>() {
            return Err(ArenaError::Gone);
        }
        let share = Arc::new(Share { arena, block, contents });
        table.get().insert(block.reference, Arc::downgrade(&share));
        drop(table);
        observed::begin();
        Ok(Handle::of(share))
    }

    fn of(share: Arc<Share>) -> Handle<T> {
        // SAFETY: the block was made for a T of that kind, is aligned to GRAIN, and the arena is never
        // unmapped. Whoever holds a share keeps it from being anything else.
        let object = unsafe { &*share.contents.start.cast::<T>() };
        Handle { share, object }
    }

    /// What to pass to another process, for [`Handle::open`].
    pub fn reference(&self) -> Reference {
        Reference { arena: self.share.arena.id(), block: self.share.block.reference.to_bits() }
    }

    /// The bytes after it: where, and how many.
    pub fn tail(&self) -> (*mut u8, usize) {
        let Contents { start, len } = self.share.contents;
        // SAFETY: the block holds at least a T.
        (unsafe { start.add(size_of::<T>()) }, len - size_of::<T>())
    }

    pub(crate) fn arena(&self) -> &'static Arena {
        self.share.arena
    }

    pub(crate) fn block(&self) -> Block {
        self.share.block
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Handle { share: Arc::clone(&self.share), object: self.object }
    }
}

impl<T> Deref for Handle<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.object
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handle").field("reference", &self.share.block.reference).finish()
    }
}

/// Nothing but the bytes after it.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Plain {}

// SAFETY: it has no fields.
unsafe impl Shared for Plain {}

/// An object that this process has, whatever it is.
pub(crate) struct Open {
    pub(crate) reference: Reference,
    share: Arc<Share>,
}

/// All objects that this process has.
pub(crate) fn open_objects() -> Vec<Open> {
    let mut table = table();
    let shares: Vec<_> = table.get().values().filter_map(Weak::upgrade).collect();
    drop(table);
    let open = |share: Arc<Share>| {
        let reference =
            Reference { arena: share.arena.id(), block: share.block.reference.to_bits() };
        Open { reference, share }
    };
    shares.into_iter().map(open).collect()
}

impl Open {
    pub(crate) fn contains(&self, address: usize) -> bool {
        let Contents { start, len } = self.share.contents;
        (start.addr()..start.addr() + len).contains(&address)
    }

    /// What it is, if observers know such objects.
    pub(crate) fn kind(&self) -> Option<Kind> {
        const KNOWN: [Kind; 8] = [
            Kind::Lock,
            Kind::RLock,
            Kind::Semaphore,
            Kind::BoundedSemaphore,
            Kind::Event,
            Kind::Condition,
            Kind::Barrier,
            Kind::Queue,
        ];
        KNOWN.into_iter().find(|&kind| self.share.block.is(kind))
    }

    /// Looks at it as what its kind says that it is.
    pub(crate) fn with<T: Shared, R>(&self, look: impl FnOnce(&T) -> Option<R>) -> Option<R> {
        // SAFETY: as for a handle, which whoever asks for a T of this kind may have.
        (self.share.contents.len >= size_of::<T>())
            .then(|| unsafe { &*self.share.contents.start.cast::<T>() })
            .and_then(look)
    }
}
