//! Bytes that are copied into the arena once, and of which any number of processes have images.
//!
//! An *original* belongs to its maker, which tells others where it is by a reference. Who is told makes an
//! *image*: what it writes to that is its own affair. The contents stay as they are until the last image is
//! gone, whether the maker has let go of the original meanwhile, or was killed. Who comes to make an image
//! when the original has been freed is told so: its maker must not let go of it while it wants anybody to.
//!
//! A process *holds* an original while it has images of it: a count in its own `TABLE`, and its bit among
//! the original's holders, which is set while the count is not 0. Both change under the ledger. A process
//! that forks sets the bit of its child, which has the same images, before, and nothing changes from then
//! until it has forked; or, so that it need not wait for the ledger while it forks, some time before, and
//! from then on sets the bits of both. So the child has the bits of all that it has images of. What its
//! parent has let go of meanwhile it holds in vain, until it ends.
//!
//! What can be written to is mapped privately, which costs a fault for each piece that is touched. So a mapping
//! whose image is gone is kept, for the next image of that original, if no page of it has been
//! copied; the block need not be held for that, as nobody looks at it.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::{Mutex, MutexGuard, PoisonError};

use manyhands_sys::image::PrivateImage;
use manyhands_sys::memory::is_equal;

use crate::arena::{Arena, existing};
use crate::block::{self, Block, Contents};
use crate::layout::{GRAIN, Ref};
use crate::participant::{self, Number};
use crate::{ArenaError, Kind, holders};

/// What this process holds.
struct Table {
    /// How many images it has of which original.
    images: Option<HashMap<Ref, u32>>,
    /// The children that it is about to have, which hold the same.
    expected: Vec<Number>,
}

/// Locked under the ledger, never the other way round.
static TABLE: Mutex<Table> = Mutex::new(Table { images: None, expected: Vec::new() });

type Locked = MutexGuard<'static, Table>;

thread_local! {
    /// Holds the table while this thread forks. Never dropped with the thread.
    static HELD: Cell<Option<ManuallyDrop<Locked>>> = const { Cell::new(None) };
}

fn table() -> Locked {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    fn is_empty(&self) -> bool {
        self.images.as_ref().is_none_or(HashMap::is_empty)
    }

    /// Has a child hold what this process does; under the ledger.
    fn endow(&self, arena: &Arena, child: Number) {
        for reference in self.images.iter().flat_map(HashMap::keys) {
            // Its bits were in reach when this process held it.
            let _ = holders::add(arena, reference.index(), child.slot());
        }
    }
}

/// From now on the child of that number, which is still to be forked, holds what this process does.
pub(crate) fn expect(arena: &Arena, child: Number) {
    arena.with_ledger(|| {
        let mut table = table();
        table.endow(arena, child);
        table.expected.push(child);
    });
}

/// That child will not be.
pub(crate) fn expect_no_more(child: Number) {
    table().expected.retain(|expected| *expected != child);
}

/// Locks the table, for the fork of a child that was expected, until [`unlock_table`].
pub(crate) fn lock_table() {
    HELD.set(Some(ManuallyDrop::new(table())));
}

/// The same for the child of that number, which was not.
pub(crate) fn lock_table_for(arena: &Arena, child: Number) {
    let mut locked = table();
    if !locked.is_empty() {
        // The ledger comes first.
        drop(locked);
        locked = arena.with_ledger(|| {
            let table = table();
            table.endow(arena, child);
            table
        });
    }
    HELD.set(Some(ManuallyDrop::new(locked)));
}

/// Unlocks it, with those children expected still of which `keeps` says so.
pub(crate) fn unlock_table(keeps: impl FnMut(&Number) -> bool) {
    if let Some(mut locked) = HELD.take().map(ManuallyDrop::into_inner) {
        locked.expected.retain(keeps);
    }
}

/// Bytes in the arena that do not change; its maker's, until that drops it.
///
/// ```
/// use manyhands_shm::{Image, Original};
///
/// let bytes = vec![7; 1 << 20];
/// let original = Original::of(&bytes)?;
/// let image = Image::of(original.reference(), true)?;
/// drop(original);
/// // SAFETY: within the image, which is ours.
/// unsafe {
///     image.start().write(8);
///     assert_eq!(image.start().add(1).read(), 7);
/// }
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
pub struct Original {
    arena: &'static Arena,
    block: Block,
    contents: Contents,
}

impl Original {
    /// One of these bytes.
    ///
    /// # Errors
    /// The limits of descriptors, address space, memory.
    pub fn of(bytes: &[u8]) -> Result<Original, ArenaError> {
        // SAFETY: a slice can be read.
        unsafe { Original::of_memory(bytes.as_ptr(), bytes.len()) }
    }

    /// One of so many bytes from there on.
    ///
    /// # Errors
    /// As of [`Original::of`].
    ///
    /// # Safety
    /// They can be read. If somebody writes there meanwhile, it is of what was there at some time.
    pub unsafe fn of_memory(start: *const u8, len: usize) -> Result<Original, ArenaError> {
        let arena = crate::arena()?;
        let whole = len.saturating_add(holders::BYTES);
        let block::Allocated { block, contents, .. } = block::allocate(arena, whole, Kind::Part)?;
        let original = Original { arena, block, contents };
        // SAFETY: the block holds so many bytes, and nobody else knows it.
        unsafe {
            contents.start.write_bytes(0, holders::BYTES);
            contents.start.add(holders::BYTES).copy_from_nonoverlapping(start, len);
        }
        // Killed before this it is nobody's but its maker's.
        block.set_kind(Kind::Original);
        Ok(original)
    }

    /// What to pass to another process, for [`Image::of`].
    pub fn reference(&self) -> Ref {
        self.block.reference
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.contents.len - holders::BYTES
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether these are its bytes.
    ///
    /// # Safety
    /// As of [`Original::of_memory`].
    pub unsafe fn is_of(&self, start: *const u8, len: usize) -> bool {
        // SAFETY: the contents have that many bytes; the caller vouches for the others.
        len == self.len()
            && unsafe { is_equal(self.contents.start.add(holders::BYTES), start, len) }
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        block::release(self.arena, self.block);
    }
}

impl fmt::Debug for Original {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Original").field("block", &self.block).finish_non_exhaustive()
    }
}

/// A process's share of an original: while there is one, its contents stay.
#[derive(Debug)]
struct Hold {
    arena: &'static Arena,
    block: Block,
}

impl Hold {
    fn of(arena: &'static Arena, reference: Ref) -> Result<Hold, ArenaError> {
        let number = participant::my_number();
        let block = Block::reach(arena, reference)?;
        arena.with_ledger(|| {
            if !block.is(Kind::Original) {
                return Err(ArenaError::Gone);
            }
            let mut table = table();
            holders::add(arena, reference.index(), number.slot())?;
            for child in &table.expected {
                holders::add(arena, reference.index(), child.slot())?;
            }
            *table.images.get_or_insert_default().entry(reference).or_default() += 1;
            Ok(Hold { arena, block })
        })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let (arena, reference) = (self.arena, self.block.reference);
        let number = participant::my_number();
        arena.with_ledger(|| {
            let mut table = table();
            let Some(counts) = table.images.as_mut() else { return };
            let is_last = counts.get_mut(&reference).is_some_and(|count| {
                *count -= 1;
                *count == 0
            });
            if is_last {
                counts.remove(&reference);
                // They were in reach when it was set.
                let _ = holders::remove(arena, reference.index(), number.slot());
                self.block.free_if_unused(arena);
            }
        });
    }
}

/// Where an image lies.
#[derive(Debug)]
enum View {
    /// In the arena itself, as nobody may write to it.
    Shared(*mut u8),
    /// In this process. Taken when the image is dropped.
    Private(Option<PrivateImage>),
    /// In this process, as there is no other way.
    Copied(Box<[u8]>),
}

/// The bytes of an original, as this process alone has them.
#[derive(Debug)]
pub struct Image {
    view: View,
    writable: bool,
    len: usize,
    hold: Hold,
}

// SAFETY: memory that belongs to no thread; who uses the pointer vouches for what is done there.
unsafe impl Send for Image {}
// SAFETY: as above.
unsafe impl Sync for Image {}

impl Image {
    /// That of an original of which this process was told. Only if it is `writable` may it be written to.
    ///
    /// # Errors
    /// The original was freed; the limits of address space, memory.
    pub fn of(reference: Ref, writable: bool) -> Result<Image, ArenaError> {
        let arena = existing().ok_or(ArenaError::Gone)?;
        if !block::is_possible(arena, reference) {
            return Err(ArenaError::Gone);
        }
        let hold = Hold::of(arena, reference)?;
        let len = hold.block.len().checked_sub(holders::BYTES).ok_or(ArenaError::Gone)?;
        let mapped = writable.then(|| private(arena, reference, len));
        let view = if let Some(Ok(image)) = mapped {
            View::Private(Some(image))
        } else {
            let Contents { start, .. } = hold.block.contents(arena)?;
            // SAFETY: within the contents.
            let start = unsafe { start.add(holders::BYTES) };
            if writable {
                // SAFETY: there are so many bytes, and nobody writes to them.
                View::Copied(copy_of(unsafe { std::slice::from_raw_parts(start, len) })?)
            } else {
                View::Shared(start)
            }
        };
        Ok(Image { view, writable, len, hold })
    }

    /// Its first byte. It is there for as long as this is.
    pub fn start(&self) -> *mut u8 {
        match &self.view {
            View::Shared(start) => *start,
            View::Private(image) => {
                image.as_ref().map_or(std::ptr::null_mut(), PrivateImage::start)
            }
            View::Copied(bytes) => bytes.as_ptr().cast_mut(),
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it may be written to.
    pub fn is_writable(&self) -> bool {
        self.writable
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let View::Private(image) = &mut self.view
            && let Some(image) = image.take()
        {
            keep(self.hold.block.reference, image);
        }
    }
}

fn copy_of(bytes: &[u8]) -> Result<Box<[u8]>, ArenaError> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| {
        let error = rustix::io::Errno::NOMEM.into();
        ArenaError::system("cannot have a copy of what another process has sent", error)
    })?;
    copy.extend_from_slice(bytes);
    Ok(copy.into_boxed_slice())
}

/// Mappings of which nobody has the image, and to which nothing was written: the last ones, and of which
/// original each is. Never waited for: a fork by another thread may have left it locked.
static KEPT: Mutex<Vec<(Ref, PrivateImage)>> = Mutex::new(Vec::new());

const KEPT_AT_MOST: usize = 4;

fn private(arena: &Arena, reference: Ref, len: usize) -> std::io::Result<PrivateImage> {
    if let Ok(mut kept) = KEPT.try_lock() {
        // What is held has been what it is since it was made.
        if let Some(index) = kept.iter().position(|(of, _)| *of == reference) {
            return Ok(kept.remove(index).1);
        }
    }
    let begin = reference.index() as usize * GRAIN + GRAIN + holders::BYTES;
    PrivateImage::of(arena.memory(), begin, len).or_else(|error| {
        // There may be room without those.
        let kept = KEPT.try_lock().map(|mut kept| std::mem::take(&mut *kept));
        if kept.is_ok_and(|kept| !kept.is_empty()) {
            return PrivateImage::of(arena.memory(), begin, len);
        }
        Err(error)
    })
}

fn keep(reference: Ref, image: PrivateImage) {
    if !image.is_untouched() {
        return;
    }
    if let Ok(mut kept) = KEPT.try_lock() {
        if kept.len() == KEPT_AT_MOST {
            kept.remove(0);
        }
        kept.push((reference, image));
    }
}
