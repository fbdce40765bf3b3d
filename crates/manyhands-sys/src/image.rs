//! A process's own copy of a part of memory that processes share, made page by page where it is written.

use std::io;
use std::ptr::NonNull;

use crate::memory::SharedMemory;
use crate::os;

/// A range of a [`SharedMemory`] as this process alone has it: what it writes there nobody else sees, and
/// only the pages that it writes to are copied. The others are those of the file, so whoever made the file's
/// contents has to leave them as they are. Forked children have a copy of it.
///
/// ```
/// use manyhands_sys::image::PrivateImage;
/// use manyhands_sys::memory::SharedMemory;
///
/// let memory = SharedMemory::create("example", 1 << 20)?;
/// memory.commit(0, 4096)?;
/// let image = PrivateImage::of(&memory, 100, 8)?;
/// // SAFETY: the first page exists, and nobody else uses it or the image.
/// unsafe {
///     memory.base().add(100).write(7);
///     assert_eq!(image.start().read(), 7);
///     image.start().write(8);
///     assert_eq!(memory.base().add(100).read(), 7);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
/// mmap(2), `MAP_PRIVATE`; proc_pid_pagemap(5).
#[derive(Debug)]
pub struct PrivateImage {
    /// Of the whole pages.
    base: NonNull<u8>,
    whole: usize,
    /// Where among them it begins, and how long it is.
    offset: usize,
    len: usize,
}

// SAFETY: an address range that belongs to no thread; who writes what into it is the business of those
// who use the pointer.
unsafe impl Send for PrivateImage {}
// SAFETY: as above.
unsafe impl Sync for PrivateImage {}

impl PrivateImage {
    /// That of `len` bytes from `begin` on.
    ///
    /// # Errors
    /// The limits of address space (`RLIMIT_AS`) and data (`RLIMIT_DATA`); the program has closed the
    /// descriptor; there are not so many bytes.
    pub fn of(memory: &SharedMemory, begin: usize, len: usize) -> io::Result<PrivateImage> {
        let end = begin.checked_add(len).filter(|&end| end <= memory.len());
        let end = end.ok_or(io::ErrorKind::InvalidInput)?;
        let page = os::page_size();
        let first = begin / page * page;
        let whole = (end - first).next_multiple_of(page).max(page);
        let base = os::map_private(memory.descriptor()?, first, whole)?;
        Ok(PrivateImage { base, whole, offset: begin - first, len })
    }

    /// Its first byte; good until this is dropped.
    pub fn start(&self) -> *mut u8 {
        // SAFETY: within what is mapped.
        unsafe { self.base.as_ptr().add(self.offset) }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it is certain that nothing was written to it: then it is as good as a new one.
    pub fn is_untouched(&self) -> bool {
        os::has_no_copied_pages(self.base.as_ptr() as usize, self.whole)
    }
}

impl Drop for PrivateImage {
    fn drop(&mut self) {
        // SAFETY: who uses the pointer beyond the life of this breaks what `start` asks for.
        unsafe { os::unmap(self.base, self.whole) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_an_image_is_seen_there_alone_and_noticed() {
        let memory = SharedMemory::create("test", 1 << 20).expect("small");
        memory.commit(0, 1 << 20).expect("small");
        let (begin, len) = (5000, 300_000);
        // SAFETY: committed, and ours alone.
        unsafe { memory.base().add(begin).write_bytes(1, len) };
        let images = [0, 1].map(|_| PrivateImage::of(&memory, begin, len).expect("there is room"));
        let byte = |image: &PrivateImage, index| {
            assert!(index < image.len());
            // SAFETY: within the image.
            unsafe { image.start().add(index).read() }
        };
        assert!(images.iter().all(|image| byte(image, 0) == 1 && byte(image, len - 1) == 1));
        assert!(images.iter().all(PrivateImage::is_untouched), "only read");
        // SAFETY: within the image.
        unsafe { images[0].start().add(len - 1).write(2) };
        assert!(!images[0].is_untouched() && images[1].is_untouched());
        assert_eq!((byte(&images[0], len - 1), byte(&images[1], len - 1)), (2, 1));
        // SAFETY: committed, and ours alone.
        assert_eq!(unsafe { memory.base().add(begin + len - 1).read() }, 1);
    }

    #[test]
    fn there_is_no_image_of_what_is_not_there() {
        let memory = SharedMemory::create("test", 1 << 20).expect("small");
        assert!(PrivateImage::of(&memory, 1 << 20, 1).is_err());
        assert!(PrivateImage::of(&memory, 1, usize::MAX).is_err());
    }
}
