//! memfd_create(2), mmap(2), fallocate(2), get_robust_list(2), /proc.

use std::ffi::c_void;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::time::Duration;

use rustix::fs::{
    Access, FallocateFlags, MemfdFlags, access, fallocate, fstat, ftruncate, memfd_create,
};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use rustix::process::{Pid, Resource, getrlimit, test_kill_process};
use rustix::time::{ClockId, clock_gettime};

/// What takes so short that a program that is interrupted all the time still gets it done.
const LEAST_PIECE: u64 = 64 << 10;

pub(crate) fn create_memory_file(name: &str, len: usize) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC)?;
    ftruncate(&file, len as u64)?;
    Ok(file)
}

/// Maps the beginning of a file, where there are as many bytes of room as can be: that much address
/// space is taken, and given back. What asks for address space gets it from the far end.
pub(crate) fn map_beginning(
    file: BorrowedFd<'_>,
    first: usize,
    mut room: usize,
) -> io::Result<NonNull<u8>> {
    let base = loop {
        // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
        match unsafe { map_file(file, std::ptr::null_mut(), 0, room, MapFlags::empty()) } {
            Err(rustix::io::Errno::NOMEM) if room > first => room = (room / 2).max(first),
            result => break result?,
        }
    };
    if room > first {
        // SAFETY: that part was just mapped, and nobody has used it.
        let _ = unsafe { munmap(base.byte_add(first), room - first) };
    }
    NonNull::new(base.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// Maps a part of a file; `AlreadyExists` if something is where it has to be.
///
/// # Safety
/// The file is mapped at `base`, or `base + offset` is no address of anything else.
pub(crate) unsafe fn map_part(
    file: BorrowedFd<'_>,
    base: NonNull<u8>,
    offset: usize,
    len: usize,
) -> io::Result<()> {
    let wanted = base.as_ptr().cast::<c_void>().wrapping_byte_add(offset);
    // SAFETY: it fails if there is another mapping.
    let got = unsafe { map_file(file, wanted, offset, len, MapFlags::FIXED_NOREPLACE)? };
    if got == wanted {
        return Ok(());
    }
    // A system that does not know the flag takes the address for a wish.
    // SAFETY: just mapped, and used by nobody.
    let _ = unsafe { munmap(got, len) };
    Err(io::ErrorKind::AlreadyExists.into())
}

/// # Safety
/// As of mmap(2): with `MapFlags::FIXED` what was there is gone.
unsafe fn map_file(
    file: BorrowedFd<'_>,
    address: *mut c_void,
    offset: usize,
    len: usize,
    flags: MapFlags,
) -> Result<*mut c_void, rustix::io::Errno> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::SHARED | MapFlags::NORESERVE | flags;
    // SAFETY: the caller's.
    let base = unsafe { mmap(address, len, access, flags, file, offset as u64)? };
    // A core dump need not have it; where the advice is unknown nothing is lost.
    // SAFETY: the range was just mapped, and the advice changes no contents.
    let _ = unsafe { madvise(base, len, Advice::LinuxDontDump) };
    Ok(base)
}

/// Maps a part of a file for this process alone: what it writes there goes to copies of the pages.
pub(crate) fn map_private(
    file: BorrowedFd<'_>,
    offset: usize,
    len: usize,
) -> io::Result<NonNull<u8>> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
    let base = unsafe { mmap(std::ptr::null_mut(), len, access, flags, file, offset as u64)? };
    NonNull::new(base.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// # Safety
/// So many bytes can be read here and there.
pub(crate) unsafe fn is_equal(here: *const u8, there: *const u8, len: usize) -> bool {
    // SAFETY: the caller's. Not by way of slices, as others may write there.
    unsafe { libc::memcmp(here.cast(), there.cast(), len) == 0 }
}

pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// Whether it is certain that no page of a private mapping, which begins there, has been copied.
pub(crate) fn has_no_copied_pages(address: usize, len: usize) -> bool {
    const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    const OF_FILE: u64 = 1 << 61;
    // A page of the file is present as such, or not there at all; what is neither is a copy, which may
    // have been swapped out.
    let is_of_file = |entry: u64| match entry & (PRESENT | SWAPPED) {
        PRESENT => entry & OF_FILE != 0,
        other => other == 0,
    };
    let Ok(pagemap) = std::fs::File::open("/proc/self/pagemap") else { return false };
    let mut entries = [0; 4096];
    let mut begin = address / page_size() * 8;
    let end = begin + len.div_ceil(page_size()) * 8;
    while begin < end {
        let piece = &mut entries[..(end - begin).min(4096)];
        if pagemap.read_exact_at(piece, begin as u64).is_err() {
            return false;
        }
        let mut numbers =
            piece.chunks_exact(8).map(|bytes| bytes.try_into().map_or(SWAPPED, u64::from_ne_bytes));
        if !numbers.all(is_of_file) {
            return false;
        }
        begin += piece.len();
    }
    true
}

/// Whether that file is mapped at an address.
pub(crate) fn is_mapped(file: BorrowedFd<'_>, address: usize) -> bool {
    let Ok(status) = fstat(file) else { return false };
    let inode = status.st_ino.to_string();
    std::fs::read_to_string("/proc/self/maps").is_ok_and(|maps| {
        maps.lines().any(|line| {
            // begin-end access offset device inode path
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let [range, _, _, _, in_maps, path, ..] = fields[..] else { return false };
            let bounds = range.split_once('-').map(|(begin, end)| {
                (usize::from_str_radix(begin, 16), usize::from_str_radix(end, 16))
            });
            in_maps == inode
                && path.starts_with("/memfd:")
                && matches!(bounds, Some((Ok(begin), Ok(end))) if (begin..end).contains(&address))
        })
    })
}

/// # Safety
/// The range is mapped, and nobody uses it any more.
pub(crate) unsafe fn unmap(base: NonNull<u8>, len: usize) {
    // SAFETY: the caller's.
    let _ = unsafe { munmap(base.as_ptr().cast(), len) };
}

pub(crate) fn file_size(file: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(usize::try_from(fstat(file)?.st_size).unwrap_or(0))
}

pub(crate) fn allocated_bytes(file: BorrowedFd<'_>) -> u64 {
    fstat(file).map_or(0, |status| u64::try_from(status.st_blocks).unwrap_or(0) * 512)
}

pub(crate) fn allocate(file: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    // What a signal interrupts is undone: where signals keep coming, a long piece never ends.
    let (mut done, mut piece) = (0, len);
    while done < len {
        let next = piece.min(len - done);
        match fallocate(file, FallocateFlags::empty(), offset + done, next) {
            Ok(()) => done += next,
            Err(rustix::io::Errno::INTR) => piece = (next / 2).max(LEAST_PIECE),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(crate) fn punch(file: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, offset, len)?)
}

/// By which a file is told from others: its device and number.
pub(crate) fn file_identity(file: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let status = fstat(file)?;
    Ok((status.st_dev, status.st_ino))
}

pub(crate) fn bad_descriptor() -> io::Error {
    rustix::io::Errno::BADF.into()
}

pub(crate) fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

pub(crate) fn kernel_thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()
}

pub(crate) fn process_id() -> u32 {
    rustix::process::getpid().as_raw_nonzero().get().cast_unsigned()
}

/// Ends the calling process as a kill from outside does.
#[cfg(feature = "steps")]
pub(crate) fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

pub(crate) fn boot_now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Whether a process of that number exists, be it a zombie.
pub(crate) fn process_exists(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// What the system tells of a process, or of one of its threads.
pub(crate) enum TaskStatus {
    /// Whether it has ended, and nobody has waited for it yet; the time of its start in clock ticks.
    There(bool, u64),
    /// It does not exist.
    Gone,
    /// Nobody can tell: there is no /proc, no descriptor left to read it with.
    Unknown,
}

/// The state and the time of start of a process or of one of its threads.
pub(crate) fn task_status(pid: u32, thread: Option<u32>) -> TaskStatus {
    let text = match thread {
        None => std::fs::read(format!("/proc/{pid}/stat")),
        Some(thread) => std::fs::read(format!("/proc/{pid}/task/{thread}/stat")),
    };
    match text {
        Ok(text) => parse_status(&text).map_or(TaskStatus::Unknown, |status| {
            // A process has not ended with its first thread: others may go on, or be about to see
            // that they are killed.
            let has_ended = matches!(status.state, b'Z' | b'X' | b'x')
                && (thread.is_some() || status.threads <= 1);
            TaskStatus::There(has_ended, status.started)
        }),
        Err(error) => match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::SRCH) => TaskStatus::Gone,
            Some(rustix::io::Errno::NOENT) if access("/proc/self/stat", Access::EXISTS).is_ok() => {
                TaskStatus::Gone
            }
            _ => TaskStatus::Unknown,
        },
    }
}

struct Status {
    state: u8,
    threads: u64,
    started: u64,
}

fn parse_status(text: &[u8]) -> Option<Status> {
    // The second field, a name in parentheses, may contain anything.
    let after = &text[text.iter().rposition(|&byte| byte == b')')? + 1..];
    let mut fields = after.split(|&byte| byte == b' ').filter(|field| !field.is_empty());
    let state = *fields.next()?.first()?;
    let mut number = |skip| std::str::from_utf8(fields.nth(skip)?).ok()?.parse().ok();
    // The 20th field and the 22nd.
    Some(Status { state, threads: number(16)?, started: number(1)? })
}

pub(crate) fn clock_ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// The head of the calling thread's list of robust locks, and the offset of a lock's word in an
/// entry.
pub(crate) fn robust_list() -> (*mut RobustListHead, isize) {
    let mut head: *mut RobustListHead = std::ptr::null_mut();
    let mut len: libc::size_t = 0;
    // SAFETY: thread 0 is the calling one, whose head and its length are written to the two.
    let error = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut len) };
    if error == 0 && !head.is_null() {
        // SAFETY: the C library registered it for this thread; it lives as long as the thread.
        return (head, unsafe { (*head).futex_offset });
    }
    // A C library that registers only when the first robust lock is taken, and then again: ours
    // does until then. It has to live as long as the thread, to its last instruction.
    let head = Box::leak(Box::new(RobustListHead {
        list: std::ptr::null_mut(),
        futex_offset: 0,
        list_op_pending: std::ptr::null_mut(),
    }));
    head.list = (&raw mut *head).cast();
    // SAFETY: the head is never freed.
    unsafe {
        libc::syscall(libc::SYS_set_robust_list, &raw mut *head, size_of::<RobustListHead>());
    }
    (head, 0)
}

/// `struct robust_list_head` of the kernel.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct RobustListHead {
    list: *mut libc::c_void,
    futex_offset: isize,
    pub(crate) list_op_pending: *mut libc::c_void,
}
