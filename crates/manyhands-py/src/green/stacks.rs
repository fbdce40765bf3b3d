//! Memory for the stacks of Python frames, kept for the next greenlet.
//!
//! The interpreter maps 16 KiB for each greenlet that begins and unmaps it when it ends: two system calls and four page faults, more
//! than all else that a short greenlet costs. So blocks of that size are kept here when they are given back, up to a
//! bound, and those that nobody needed between two sleeps of a hub are given back to the system by and by.
#![expect(unsafe_code, reason = "the interpreter's allocator is a table of C functions")]

use std::ffi::c_void;
use std::sync::{Mutex, Once, OnceLock};

use pyo3::ffi;
use pyo3::prelude::*;

/// What the interpreter takes for the frames of a thread or greenlet.
const BLOCK: usize = 16 * 1024;

/// How many are kept at most: 4 MiB.
const MOST: usize = 256;

struct Cache {
    blocks: Vec<Block>,
    most: usize,
    /// The fewest there were since a hub last slept.
    fewest: usize,
}

struct Block(*mut c_void);

// SAFETY: memory that nobody uses.
unsafe impl Send for Block {}

/// The allocator that was there before.
struct Below(ffi::PyObjectArenaAllocator);

// SAFETY: a table of functions that any thread may call.
unsafe impl Send for Below {}
// SAFETY: as above.
unsafe impl Sync for Below {}

static BELOW: OnceLock<Below> = OnceLock::new();

static CACHE: Mutex<Cache> = Mutex::new(Cache { blocks: Vec::new(), most: MOST, fewest: 0 });

/// Nothing if another thread is at it, which may also be one that a forked child has not: nobody waits here.
fn with<R>(work: impl FnOnce(&mut Cache) -> R) -> Option<R> {
    CACHE.try_lock().ok().map(|mut cache| work(&mut cache))
}

extern "C" fn alloc(_context: *mut c_void, size: usize) -> *mut c_void {
    let kept = if size == BLOCK { with(Cache::take).flatten() } else { None };
    if let Some(Block(block)) = kept {
        return block;
    }
    BELOW
        .get()
        .and_then(|below| below.0.alloc.map(|alloc| alloc(below.0.ctx, size)))
        .unwrap_or(std::ptr::null_mut())
}

extern "C" fn free(_context: *mut c_void, block: *mut c_void, size: usize) {
    if size != BLOCK || with(|cache| cache.put(Block(block))) != Some(true) {
        give_back(block, size);
    }
}

fn give_back(block: *mut c_void, size: usize) {
    if let Some(below) = BELOW.get()
        && let Some(free) = below.0.free
    {
        free(below.0.ctx, block, size);
    }
}

impl Cache {
    fn take(&mut self) -> Option<Block> {
        let block = self.blocks.pop();
        self.fewest = self.fewest.min(self.blocks.len());
        block
    }

    fn put(&mut self, block: Block) -> bool {
        let fits = self.blocks.len() < self.most;
        if fits {
            self.blocks.push(block);
        }
        fits
    }

    fn shrink(&mut self, to: usize) {
        for Block(block) in self.blocks.drain(to.min(self.blocks.len())..) {
            give_back(block, BLOCK);
        }
    }
}

/// Puts the cache before the interpreter's own allocator.
pub(super) fn install(_py: Python<'_>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut below =
            ffi::PyObjectArenaAllocator { ctx: std::ptr::null_mut(), alloc: None, free: None };
        // SAFETY: this thread is attached; the table is filled.
        unsafe { ffi::PyObject_GetArenaAllocator(&raw mut below) };
        let _ = BELOW.set(Below(below));
        let mut ours = ffi::PyObjectArenaAllocator {
            ctx: std::ptr::null_mut(),
            alloc: Some(alloc),
            free: Some(free),
        };
        // SAFETY: functions that hand all on to those that were there; the interpreter copies the table.
        unsafe { ffi::PyObject_SetArenaAllocator(&raw mut ours) };
    });
}

/// A hub is about to sleep: half of what nobody has needed since the last time goes back to the system.
pub(super) fn idle() {
    with(|cache| {
        if cache.fewest > 1 {
            let to = cache.blocks.len() - cache.fewest / 2;
            cache.shrink(to);
        }
        cache.fewest = cache.blocks.len();
    });
}

/// Say how many blocks of 16 KiB are kept at most for the frames of greenlets that begin; 0: none.
#[pyfunction]
fn _keep_stacks(most: usize) {
    with(|cache| {
        cache.most = most;
        cache.fewest = cache.fewest.min(most);
        cache.shrink(most);
    });
}

/// How many are kept now.
#[pyfunction]
fn _kept_stacks() -> usize {
    with(|cache| cache.blocks.len()).unwrap_or_default()
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    install(module.py());
    module.add_function(wrap_pyfunction!(_keep_stacks, module)?)?;
    module.add_function(wrap_pyfunction!(_kept_stacks, module)?)
}
