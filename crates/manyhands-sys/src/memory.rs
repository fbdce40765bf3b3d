//! Memory that processes share: anonymous, sparse, mapped once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use crate::os;

/// A memory file of no name, mapped whole. Pages come into being when they are committed or
/// touched, and go back to the system when they are discarded. Forked children have it, too.
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
}

// SAFETY: it is an address range; who writes what into it is the business of those who use the
// pointer.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: who uses the pointer beyond the life of this breaks what `base` asks for.
        unsafe { os::unmap(self.base, self.len) };
    }
}

impl SharedMemory {
    /// A new one of `len` bytes, all zero.
    ///
    /// # Errors
    /// The limits of descriptors (`RLIMIT_NOFILE`), address space (`RLIMIT_AS`), file size
    /// (`RLIMIT_FSIZE`), or memory.
    pub fn create(name: &str, len: usize) -> io::Result<SharedMemory> {
        let descriptor = os::create_memory_file(name, len)?;
        let base = os::map_shared(descriptor.as_fd(), len)?;
        Ok(SharedMemory { descriptor, base, len })
    }

    /// That behind a descriptor, which may come from another process.
    ///
    /// # Errors
    /// The descriptor is none of memory; the limit of address space.
    pub fn map(descriptor: OwnedFd) -> io::Result<SharedMemory> {
        let len = os::file_size(descriptor.as_fd())?;
        let base = os::map_shared(descriptor.as_fd(), len)?;
        Ok(SharedMemory { descriptor, base, len })
    }

    /// Where it is mapped in this process, for as long as this is not dropped.
    pub fn base(&self) -> NonNull<u8> {
        self.base
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
