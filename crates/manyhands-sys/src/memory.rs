//! Memory that processes share: anonymous, sparse, mapped once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::os;

/// So much is mapped at first, and at least so much at a time later.
const FIRST_PART: usize = 64 << 20;
const LEAST_PART: usize = 2 << 20;

/// A memory file of no name. Pages come into being when they are committed or touched, and go back
/// to the system when they are discarded. Forked children have it, too.
///
/// It may be far larger than what is used of it: only its beginning is mapped at first, and more of it
/// in the same place when it is to be reached, so it takes little of a process's `RLIMIT_AS`.
///
/// ```
/// use manyhands_sys::memory::SharedMemory;
///
/// let memory = SharedMemory::create("example", 1 << 20)?;
/// memory.commit(0, 4096)?;
/// // SAFETY: the first page exists, and nobody else uses it.
/// unsafe { memory.base().write(7) };
/// let again = SharedMemory::map(memory.descriptor().try_clone_to_owned()?)?;
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
    base: NonNull<u8>,
    len: usize,
    /// How many bytes from the beginning are mapped. It only grows.
    mapped: AtomicUsize,
}

// SAFETY: it is an address range; who writes what into it is the business of those who use the
// pointer.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: who uses the pointer beyond the life of this breaks what `base` asks for.
        unsafe { os::unmap(self.base, *self.mapped.get_mut()) };
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
        let mapped = len.min(FIRST_PART);
        let base = os::map_beginning(descriptor.as_fd(), mapped, len)?;
        Ok(SharedMemory { descriptor, base, len, mapped: AtomicUsize::new(mapped) })
    }

    /// Where it is mapped in this process, for as long as this is not dropped, as far as it was
    /// [reached](SharedMemory::reach); the first 64 MiB always are.
    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Makes sure that the bytes before `end` are mapped in this process.
    ///
    /// # Errors
    /// The limit of address space (`RLIMIT_AS`); something else is where it would have to be mapped; there
    /// are not so many bytes.
    #[inline]
    pub fn reach(&self, end: usize) -> io::Result<()> {
        if end <= self.mapped.load(Ordering::Acquire) { Ok(()) } else { self.map_until(end) }
    }

    #[cold]
    fn map_until(&self, end: usize) -> io::Result<()> {
        if end > self.len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        loop {
            let mapped = self.mapped.load(Ordering::Acquire);
            if end <= mapped {
                return Ok(());
            }
            let generous = end.max(2 * mapped).min(self.len);
            let frugal = end.next_multiple_of(LEAST_PART).min(self.len);
            let map = |until| -> io::Result<usize> {
                // SAFETY: so much is mapped.
                unsafe { os::map_more(self.descriptor(), self.base, mapped, until - mapped) }?;
                Ok(until)
            };
            let until = match map(generous) {
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => map(frugal),
                result => result,
            };
            let until = match until {
                // Another thread was faster; or had just mapped it when this process was forked.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let base = self.base.as_ptr() as usize;
                    let end = os::mapping_end(self.descriptor(), base + mapped);
                    end.map(|end| end - base).ok_or(error)
                }
                result => result,
            };
            self.mapped.fetch_max(until?, Ordering::AcqRel);
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

    /// By which other processes can map it.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Makes sure that these bytes can be touched: without it a page that the system has no memory
    /// for ends the process with `SIGBUS`.
    ///
    /// # Errors
    /// No memory left.
    pub fn commit(&self, offset: usize, len: usize) -> io::Result<()> {
        os::allocate(self.descriptor.as_fd(), offset as u64, len as u64)
    }

    /// Gives the whole pages among these bytes back; they are zero afterwards.
    pub fn discard(&self, offset: usize, len: usize) {
        const PAGE: usize = 4096;
        let begin = offset.next_multiple_of(PAGE);
        let end = (offset + len) / PAGE * PAGE;
        if begin < end {
            os::punch(self.descriptor.as_fd(), begin as u64, (end - begin) as u64);
        }
    }

    /// How many bytes of memory it takes at present.
    pub fn resident(&self) -> u64 {
        os::allocated_bytes(self.descriptor.as_fd())
    }
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
            for end in [FIRST_PART, FIRST_PART + 1, far + 1, far + 1] {
                let memory = &memory;
                scope.spawn(move || memory.reach(end).expect("there is room"));
            }
        });
        // SAFETY: reached, committed, and ours alone.
        unsafe { memory.base().add(far).write(7) };
        let again = SharedMemory::map(memory.descriptor().try_clone_to_owned().expect("one more"))
            .expect("sparse");
        again.reach(far + 1).expect("there is room");
        // SAFETY: as above.
        assert_eq!(unsafe { again.base().add(far).read() }, 7);
        assert!(memory.reach((1 << 32) + 1).is_err());
    }

    #[test]
    fn what_was_mapped_already_is_found() {
        let memory = SharedMemory::create("test", 1 << 30).expect("sparse");
        memory.reach(1 << 29).expect("there is room");
        // As in a process that was forked in the middle.
        memory.mapped.store(FIRST_PART, Ordering::Relaxed);
        memory.reach(1 << 30).expect("it goes on after it");
    }

    #[test]
    fn discarded_pages_are_zero_and_take_no_memory() {
        let memory = SharedMemory::create("test", 1 << 20).expect("small");
        memory.commit(0, 1 << 20).expect("small");
        assert_eq!(memory.resident(), 1 << 20);
        // SAFETY: committed, and ours alone.
        unsafe { memory.base().add(8192).write(1) };
        memory.discard(100, (1 << 20) - 100);
        assert_eq!(memory.resident(), 4096);
        // SAFETY: as above.
        assert_eq!(unsafe { memory.base().add(8192).read() }, 0);
    }
}
