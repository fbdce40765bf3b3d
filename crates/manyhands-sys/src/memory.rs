//! Memory that processes share: anonymous, sparse, mapped once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::os;

/// What is mapped at a time; a power of two.
const PART: usize = 16 << 20;

/// How much address space is to be free behind the beginning, if there is so much.
const GAP: usize = 128 << 30;

/// A memory file of no name. Pages come into being when they are committed or touched, and go back
/// to the system when they are discarded. Forked children have it, too.
///
/// It may be far larger than what is used of it: only its beginning is mapped at first, and other
/// parts, where they belong, when they are to be reached, so it takes little of a process's `RLIMIT_AS`.
///
/// ```
/// use manyhands_sys::memory::SharedMemory;
///
/// let memory = SharedMemory::create("example", 1 << 20)?;
/// memory.commit(0, 4096)?;
/// // SAFETY: the first page exists, and nobody else uses it.
/// unsafe { memory.base().write(7) };
/// let again = SharedMemory::map(memory.descriptor()?.try_clone_to_owned()?)?;
/// // SAFETY: as above.
/// assert_eq!(unsafe { again.base().read() }, 7);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
/// memfd_create(2), mmap(2), fallocate(2).
#[derive(Debug)]
pub struct SharedMemory {
    descriptor: OwnedFd,
    /// Of the file: programs close descriptors that they have not opened, and others get the number.
    identity: (u64, u64),
    base: NonNull<u8>,
    len: usize,
    /// A bit for each part that is mapped.
    mapped: Box<[AtomicU64]>,
}

// SAFETY: it is an address range; who writes what into it is the business of those who use the
// pointer.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        for part in (0..self.len.div_ceil(PART)).filter(|&part| self.is_mapped(part)) {
            let (offset, len) = self.bounds(part);
            // SAFETY: who uses the pointer beyond the life of this breaks what `base` asks for.
            unsafe { os::unmap(self.base.add(offset), len) };
        }
    }
}

impl SharedMemory {
    /// A new one of `len` bytes, all zero.
    ///
    /// # Errors
    /// The limits of descriptors (`RLIMIT_NOFILE`), address space (`RLIMIT_AS`), file size
    /// (`RLIMIT_FSIZE`), or memory.
    pub fn create(name: &str, len: usize) -> io::Result<SharedMemory> {
        SharedMemory::map(os::create_memory_file(name, len)?)
    }

    /// That behind a descriptor, which may come from another process.
    ///
    /// # Errors
    /// The descriptor is none of memory; the limit of address space.
    pub fn map(descriptor: OwnedFd) -> io::Result<SharedMemory> {
        let len = os::file_size(descriptor.as_fd())?;
        let identity = os::file_identity(descriptor.as_fd())?;
        // The gap is filled from its far end by whatever else the program maps.
        let base = os::map_beginning(descriptor.as_fd(), len.min(PART), len.max(GAP))?;
        let mapped: Box<[_]> = (0..len.div_ceil(64 * PART)).map(|_| AtomicU64::new(0)).collect();
        mapped[0].store(1, Ordering::Relaxed);
        Ok(SharedMemory { descriptor, identity, base, len, mapped })
    }

    /// Where it is mapped in this process, for as long as this is not dropped, as far as it was
    /// [reached](SharedMemory::reach); the first 16 MiB always are.
    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Makes sure that the bytes from `begin` to before `end` are mapped in this process.
    ///
    /// # Errors
    /// The limit of address space (`RLIMIT_AS`); something else is where they would have to be; there are
    /// not so many bytes.
    #[inline]
    pub fn reach(&self, begin: usize, end: usize) -> io::Result<()> {
        if end > self.len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        (begin / PART..end.div_ceil(PART))
            .try_for_each(|part| if self.is_mapped(part) { Ok(()) } else { self.map_part(part) })
    }

    /// Whether the bytes from `begin` to before `end` are mapped already, as far as is known.
    pub fn is_reached(&self, begin: usize, end: usize) -> bool {
        end <= self.len && (begin / PART..end.div_ceil(PART)).all(|part| self.is_mapped(part))
    }

    #[inline]
    fn is_mapped(&self, part: usize) -> bool {
        self.mapped[part / 64].load(Ordering::Acquire) & 1 << (part % 64) != 0
    }

    #[cold]
    fn map_part(&self, part: usize) -> io::Result<()> {
        let (offset, len) = self.bounds(part);
        let file = self.descriptor()?;
        // SAFETY: the parts lie there as in the file, from the base on.
        let mapped = unsafe { os::map_part(file, self.base, offset, len) };
        if let Err(error) = mapped {
            // Another thread was faster; or had just mapped it when this process was forked.
            let is_there = error.kind() == io::ErrorKind::AlreadyExists
                && os::is_mapped(file, self.base.as_ptr() as usize + offset);
            if !is_there {
                return Err(error);
            }
        }
        self.mapped[part / 64].fetch_or(1 << (part % 64), Ordering::AcqRel);
        Ok(())
    }

    /// Where a part begins, and how long it is.
    fn bounds(&self, part: usize) -> (usize, usize) {
        (part * PART, PART.min(self.len - part * PART))
    }

    /// So many words from that byte on, which the processes that have it share.
    ///
    /// # Errors
    /// As of [`SharedMemory::reach`]; they do not begin at a multiple of their size.
    #[inline]
    pub fn words(&self, begin: usize, count: usize) -> io::Result<&[AtomicU64]> {
        let end = begin.saturating_add(count.saturating_mul(size_of::<AtomicU64>()));
        if !begin.is_multiple_of(align_of::<AtomicU64>()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.reach(begin, end)?;
        // SAFETY: it is mapped, aligned as pages are, and stays as long as this; any bytes are atomics, and
        // who changes them otherwise meanwhile breaks what `base` asks for.
        Ok(unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(begin).cast(), count) })
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// By which other processes can map it.
    ///
    /// # Errors
    /// `EBADF`: the program has closed it, perhaps to open something else.
    pub fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        let file = self.descriptor.as_fd();
        if os::file_identity(file)? == self.identity { Ok(file) } else { Err(os::bad_descriptor()) }
    }

    /// Makes sure that these bytes can be touched: without it a page that the system has no memory
    /// for ends the process with `SIGBUS`.
    ///
    /// # Errors
    /// No memory left; the program has closed the descriptor.
    pub fn commit(&self, offset: usize, len: usize) -> io::Result<()> {
        os::allocate(self.descriptor()?, offset as u64, len as u64)
    }

    /// Gives the whole pages among these bytes back; they are zero afterwards.
    ///
    /// # Errors
    /// The program has closed the descriptor; then they are as they were.
    pub fn discard(&self, offset: usize, len: usize) -> io::Result<()> {
        const PAGE: usize = 4096;
        let begin = offset.next_multiple_of(PAGE);
        let end = (offset + len) / PAGE * PAGE;
        if begin < end {
            os::punch(self.descriptor()?, begin as u64, (end - begin) as u64)?;
        }
        Ok(())
    }

    /// How many bytes of memory it takes at present.
    pub fn resident(&self) -> u64 {
        self.descriptor().map_or(0, os::allocated_bytes)
    }
}

/// Whether so many bytes are the same here and there.
///
/// # Safety
/// They can be read. If somebody writes there meanwhile it is of what was there at some time.
pub unsafe fn is_equal(here: *const u8, there: *const u8, len: usize) -> bool {
    // SAFETY: the caller's.
    unsafe { os::is_equal(here, there, len) }
}

/// The limit of this process, as the system names it, that lets no file grow beyond so many bytes;
/// `None` if there is none.
pub fn file_size_limit() -> Option<u64> {
    os::file_size_limit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached_is_where_it_would_have_been_mapped_at_once() {
        let memory = SharedMemory::create("test", 1 << 32).expect("sparse");
        let far = (1 << 30) + 5000;
        memory.commit(far, 1).expect("a page");
        std::thread::scope(|scope| {
            for begin in [PART, far - 3 * PART, far, far] {
                let memory = &memory;
                scope.spawn(move || memory.reach(begin, far + 1).expect("there is room"));
            }
        });
        // SAFETY: reached, committed, and ours alone.
        unsafe { memory.base().add(far).write(7) };
        let again = memory.descriptor().expect("open").try_clone_to_owned().expect("one more");
        let again = SharedMemory::map(again).expect("sparse");
        again.reach(far, far + 1).expect("there is room");
        // SAFETY: as above.
        assert_eq!(unsafe { again.base().add(far).read() }, 7);
        assert!(again.is_reached(far, far + 1) && again.is_reached(0, PART));
        assert!(!again.is_mapped(1), "nothing else");
        assert!(!again.is_reached(0, far) && !again.is_reached(far, (1 << 32) + 1));
        assert!(memory.reach(0, (1 << 32) + 1).is_err());
    }

    #[test]
    fn what_was_mapped_already_is_found() {
        let memory = SharedMemory::create("test", 1 << 30).expect("sparse");
        memory.reach(0, 1 << 30).expect("there is room");
        // As in a process that was forked in the middle.
        memory.mapped[0].store(1, Ordering::Relaxed);
        memory.reach(0, 1 << 30).expect("it is there");
    }

    #[test]
    fn what_is_somebody_elses_is_left_alone() {
        let memory = SharedMemory::create("test", 4 * PART).expect("sparse");
        let other = SharedMemory::create("other", PART).expect("sparse");
        // SAFETY: nothing is mapped there yet.
        unsafe { os::map_part(other.descriptor().expect("open"), memory.base(), PART, PART) }
            .expect("a hole");
        assert!(memory.reach(PART, PART + 1).is_err());
        memory.reach(2 * PART, 3 * PART).expect("a hole");
    }

    #[test]
    fn discarded_pages_are_zero_and_take_no_memory() {
        let memory = SharedMemory::create("test", 1 << 20).expect("small");
        memory.commit(0, 1 << 20).expect("small");
        assert_eq!(memory.resident(), 1 << 20);
        // SAFETY: committed, and ours alone.
        unsafe { memory.base().add(8192).write(1) };
        memory.discard(100, (1 << 20) - 100).expect("a file in memory");
        assert_eq!(memory.resident(), 4096);
        // SAFETY: as above.
        assert_eq!(unsafe { memory.base().add(8192).read() }, 0);
    }
}
