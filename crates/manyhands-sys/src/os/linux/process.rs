//! clone(2), waitid(2), pidfd_open(2), prctl(2), posix_spawn(3), sigaction(2).

use std::ffi::{CStr, c_char, c_int, c_long};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::process::{Ended, Ending, HigherLimit, Program, Waiting};

pub(crate) const INTERRUPT: i32 = libc::SIGINT;
pub(crate) const KILL: i32 = libc::SIGKILL;
pub(crate) const TERMINATE: i32 = libc::SIGTERM;

pub(crate) type Disposition = libc::sigaction;

fn checked(result: c_int) -> io::Result<c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn number(pid: c_long) -> io::Result<Option<u32>> {
    match pid {
        0 => Ok(None),
        pid => u32::try_from(pid).map(Some).map_err(|_| io::Error::last_os_error()),
    }
}

pub(crate) fn fork() -> io::Result<Option<u32>> {
    // SAFETY: the copy has its own memory, in which nothing changes but by its only thread.
    number(c_long::from(unsafe { libc::fork() }))
}

/// Where the C library keeps the kernel's number of the calling thread.
fn place_of_thread_number() -> io::Result<*mut i32> {
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    let mut place: *mut i32 = ptr::null_mut();
    // SAFETY: PR_GET_TID_ADDRESS writes a pointer to where the argument says.
    let told = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut place) } == 0;
    if told && !place.is_null() {
        // SAFETY: the kernel writes to that place when the thread ends, so it is the thread's own,
        // aligned memory. (On musl another thing is there, and the comparison fails.)
        if unsafe { place.read_volatile() } == own {
            return Ok(place);
        }
    } else if cfg!(target_env = "gnu") {
        // A kernel without that call. The number is in glibc's structure of the thread.
        // SAFETY: pthread_self is the structure's address, and it is larger than what is read.
        let structure = unsafe { libc::pthread_self() } as *mut i32;
        let mut found = (0..256).filter_map(|word| {
            // SAFETY: as above.
            let place = unsafe { structure.add(word) };
            // SAFETY: as above.
            (unsafe { place.read_volatile() } == own).then_some(place)
        });
        if let (Some(place), None) = (found.next(), found.next()) {
            return Ok(place);
        }
    }
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

pub(crate) fn fork_sibling() -> io::Result<Option<u32>> {
    if threads() != 1 {
        return Err(io::Error::other("a process with several threads has no safe copy"));
    }
    let place = place_of_thread_number()?;
    let (mut robust, mut length): (*mut libc::c_void, usize) = (ptr::null_mut(), 0);
    // SAFETY: the call writes the list's address and size.
    unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut robust, &raw mut length) };
    let flags =
        libc::CLONE_PARENT | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with no stack given this is a fork. The kernel writes the
    // copy's thread number to `place`, in the copy; systems differ in which of the last two
    // arguments says so, and the other one is not looked at. There is no other thread that could hold
    // a lock of the C library's.
    let pid = unsafe { libc::syscall(libc::SYS_clone, c_long::from(flags), 0, 0, place, place) };
    if pid == 0 {
        if !robust.is_null() {
            // SAFETY: it is this thread's list, of which the kernel forgets the address in a copy.
            unsafe { libc::syscall(libc::SYS_set_robust_list, robust, length) };
        }
        crate::fork::mark_forked();
    }
    number(pid)
}

pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: it has no preconditions.
    unsafe { libc::_exit(status) }
}

pub(crate) fn at_exit(function: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the function lives as long as the process, which is all that is asked.
    match unsafe { libc::atexit(function) } {
        0 => Ok(()),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

fn pid_of(pid: u32) -> io::Result<Pid> {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

pub(crate) fn open_process(pid: u32) -> io::Result<OwnedFd> {
    Ok(rustix::process::pidfd_open(pid_of(pid)?, PidfdFlags::empty())?)
}

pub(crate) fn wait_process(child: BorrowedFd<'_>, what: Waiting) -> io::Result<Option<Ended>> {
    let mut options = libc::WEXITED | libc::WNOHANG;
    if what == Waiting::Look {
        options |= libc::WNOWAIT;
    }
    let mut status = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call takes numbers, and fills in what has room for that. The C library's own has no
    // place for the usage, which the kernel's is that of the child alone.
    let (status, usage) = unsafe {
        let result = libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            child.as_raw_fd(),
            status.as_mut_ptr(),
            options,
            usage.as_mut_ptr(),
        );
        checked(result as c_int)?;
        (status.assume_init(), usage.assume_init())
    };
    // SAFETY: the fields of a child's end, which are 0 where there was none.
    let (pid, number) = unsafe { (status.si_pid(), status.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let how = match status.si_code {
        libc::CLD_EXITED => Ending::Exited(number),
        _ => Ending::Killed(number),
    };
    Ok(Some(Ended { how, peak_memory: usage.ru_maxrss.cast_unsigned() << 10 }))
}

pub(crate) fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: the call takes numbers, and a null pointer for no further information.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(crate) fn is_pending(process: u32, signal: i32) -> bool {
    is_in_set(process, "ShdPnd:", signal)
}

pub(crate) fn is_blocked(process: u32, signal: i32) -> bool {
    is_in_set(process, "SigBlk:", signal)
}

/// Whether a set of signals of a process, as `/proc` names it, has that one.
fn is_in_set(process: u32, name: &str, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix(name));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(signal - 1).ok().and_then(|bit| set.checked_shr(bit)).unwrap_or(0) & 1 == 1
}

pub(crate) fn die_with_starter() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

pub(crate) fn parent_id() -> u32 {
    rustix::process::getppid().map_or(0, |parent| parent.as_raw_nonzero().get().unsigned_abs())
}

pub(crate) fn threads() -> usize {
    // A folder has a link for its name, one for its own `.`, and one for each folder's `..` in it.
    let links = rustix::fs::stat("/proc/self/task").map_or(0, |status| status.st_nlink);
    usize::try_from(links).unwrap_or(0).saturating_sub(2)
}

pub(crate) fn scheduling() -> io::Result<(i32, i32)> {
    let mut priority: c_int = 0;
    // The C library's functions are not there on musl.
    // SAFETY: the first call takes a number; the second writes a structure of one integer.
    let (policy, told) = unsafe {
        (
            libc::syscall(libc::SYS_sched_getscheduler, 0),
            libc::syscall(libc::SYS_sched_getparam, 0, &raw mut priority),
        )
    };
    match (c_int::try_from(policy), told) {
        (Ok(policy @ 0..), 0) => Ok((policy, priority)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn to_set(signals: u64) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set, to which sigaddset adds valid numbers.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in (1..=64).filter(|&signal| signals & crate::process::signal_bit(signal) != 0) {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

fn from_set(set: &libc::sigset_t) -> u64 {
    // SAFETY: the set is initialised.
    let has = |signal: &i32| unsafe { libc::sigismember(set, *signal) } == 1;
    (1..=64).filter(has).fold(0, |bits, signal| bits | crate::process::signal_bit(signal))
}

pub(crate) fn blocked_signals() -> u64 {
    let mut before = MaybeUninit::uninit();
    // SAFETY: with no new set the call only writes the old one.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), before.as_mut_ptr());
        from_set(&before.assume_init())
    }
}

pub(crate) fn set_blocked_signals(signals: u64) -> u64 {
    let set = to_set(signals);
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are valid for the call, which writes the old one.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, before.as_mut_ptr());
        from_set(&before.assume_init())
    }
}

pub(crate) fn ignore_signal(signal: i32) -> io::Result<Disposition> {
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: an all-zero sigaction is valid; SIG_IGN is no function.
    unsafe {
        let mut ignore: libc::sigaction = std::mem::zeroed();
        ignore.sa_sigaction = libc::SIG_IGN;
        checked(libc::sigaction(signal, &raw const ignore, before.as_mut_ptr()))?;
        Ok(before.assume_init())
    }
}

pub(crate) fn restore_signal(signal: i32, before: &Disposition) -> io::Result<()> {
    // SAFETY: it is what the system gave us.
    checked(unsafe { libc::sigaction(signal, before, ptr::null_mut()) }).map(drop)
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

pub(crate) fn environment() -> Vec<u8> {
    let mut block = Vec::with_capacity(4096);
    // SAFETY: `environ` is null or an array of strings that ends with a null pointer; that nobody
    // changes it is asked of the caller.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            block.extend_from_slice(CStr::from_ptr(*entry).to_bytes_with_nul());
            entry = entry.add(1);
        }
    }
    block
}

pub(crate) fn copy_to(descriptor: BorrowedFd<'_>, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: what had the number is closed, which the caller answers for; dup2 tells if the number is
    // none.
    checked(unsafe { libc::dup2(descriptor.as_raw_fd(), number) })?;
    // SAFETY: it was just made.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

pub(crate) type DescriptorLimit = Rlimit;

/// Makes the number possible; returns the limit as it was, if it had to be changed.
pub(crate) fn raise_descriptor_limit(number: RawFd) -> Option<DescriptorLimit> {
    let before = getrlimit(Resource::Nofile);
    let needed = u64::try_from(number).map_or(0, |number| number + 1);
    if before.current.is_none_or(|limit| limit >= needed) {
        return None;
    }
    let maximum = before.maximum.map(|maximum| maximum.max(needed));
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).ok().map(|()| before)
}

pub(crate) fn restore_descriptor_limit(limit: DescriptorLimit) {
    let _ = setrlimit(Resource::Nofile, limit);
}

pub(crate) type DataLimit = Rlimit;

/// Allows so many bytes of data more than there are; returns the limit as it was.
pub(crate) fn cap_data(more: u64) -> io::Result<DataLimit> {
    let before = getrlimit(Resource::Data);
    let limit = data_size()?.saturating_add(more);
    let current = before.current.map_or(limit, |current| current.min(limit));
    setrlimit(Resource::Data, Rlimit { current: Some(current), maximum: before.maximum })?;
    Ok(before)
}

pub(crate) fn restore_data_limit(limit: DataLimit) {
    let _ = setrlimit(Resource::Data, limit);
}

/// As the limit counts it, but for the stack, which is counted, too.
fn data_size() -> io::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: Option<u64> = statm.split(' ').nth(5).and_then(|pages| pages.parse().ok());
    let pages = pages.ok_or_else(|| io::Error::other("/proc/self/statm is not as expected"))?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// posix_spawn's list of what to do with descriptors.
struct Actions(Box<libc::posix_spawn_file_actions_t>);

impl Actions {
    fn new() -> io::Result<Actions> {
        let mut actions = Box::new(MaybeUninit::uninit());
        // SAFETY: the call initialises it.
        error(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: it was initialised.
        Ok(Actions(unsafe { actions.assume_init() }))
    }

    fn copy(&mut self, from: RawFd, to: RawFd) -> io::Result<()> {
        // SAFETY: it was initialised.
        error(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut *self.0, from, to) })
    }

    fn null(&mut self, descriptor: RawFd) -> io::Result<()> {
        // SAFETY: it was initialised; the path is copied.
        error(unsafe {
            libc::posix_spawn_file_actions_addopen(
                &raw mut *self.0,
                descriptor,
                c"/dev/null".as_ptr(),
                libc::O_RDWR,
                0,
            )
        })
    }

    fn close(&mut self, descriptor: RawFd) -> io::Result<()> {
        // SAFETY: it was initialised.
        error(unsafe { libc::posix_spawn_file_actions_addclose(&raw mut *self.0, descriptor) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: it was initialised, and is not used any more.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut *self.0) };
    }
}

struct Attributes(Box<libc::posix_spawnattr_t>);

impl Attributes {
    fn new(blocked: u64) -> io::Result<Attributes> {
        let mut attributes = Box::new(MaybeUninit::uninit());
        // SAFETY: the call initialises it.
        error(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: it was initialised.
        let mut attributes = Attributes(unsafe { attributes.assume_init() });
        let set = to_set(blocked);
        // SAFETY: it was initialised; the set is copied.
        unsafe {
            error(libc::posix_spawnattr_setsigmask(&raw mut *attributes.0, &raw const set))?;
            let flags = libc::POSIX_SPAWN_SETSIGMASK as libc::c_short;
            error(libc::posix_spawnattr_setflags(&raw mut *attributes.0, flags))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: it was initialised, and is not used any more.
        unsafe { libc::posix_spawnattr_destroy(&raw mut *self.0) };
    }
}

/// The spawn functions return the number of an error.
fn error(number: c_int) -> io::Result<()> {
    if number == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(number)) }
}

/// The descriptors, from the fourth on, that a new program would inherit.
fn inheritable() -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers
        .filter(|&number: &RawFd| {
            // SAFETY: F_GETFD takes any number, and tells if it is no descriptor.
            let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
            number > 2 && flags != -1 && flags & libc::FD_CLOEXEC == 0
        })
        .collect()
}

/// A copy of a descriptor, by a number that is nobody's target.
fn copy_apart(from: RawFd, targets: &[(RawFd, RawFd)]) -> io::Result<OwnedFd> {
    let mut least = 3;
    loop {
        // SAFETY: it takes numbers, and tells if they are none.
        let number = checked(unsafe { libc::fcntl(from, libc::F_DUPFD_CLOEXEC, least) })?;
        // SAFETY: it was just made.
        let copy = unsafe { OwnedFd::from_raw_fd(number) };
        if targets.iter().all(|&(_, to)| to != number) {
            return Ok(copy);
        }
        // Not beyond all targets at once: that could be beyond the limit.
        least = number + 1;
    }
}

pub(crate) fn spawn(program: &Program<'_>) -> io::Result<u32> {
    let mut actions = Actions::new()?;
    for (number, _) in (0..).zip(program.null).filter(|(_, is_null)| *is_null) {
        actions.null(number)?;
    }
    let unwanted = inheritable();
    let numbers = program.descriptors.iter().map(|&(_, to)| to).chain(unwanted.iter().copied());
    let _limit = HigherLimit::up_to(numbers.max().unwrap_or(-1));
    // They are there until this returns.
    let mut copies = Vec::new();
    for &(from, to) in program.descriptors {
        if from == to {
            // To copy one onto itself has it inherited, but not by glibc before 2.29.
            let copy = copy_apart(from, program.descriptors)?;
            actions.copy(copy.as_raw_fd(), to)?;
            copies.push(copy);
        } else {
            actions.copy(from, to)?;
        }
    }
    for unwanted in unwanted {
        if program.descriptors.iter().all(|&(_, to)| to != unwanted) {
            match actions.close(unwanted) {
                // Numbers above RLIMIT_NOFILE, which was higher when they were opened, are refused.
                Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
                closed => closed?,
            }
        }
    }
    let attributes = Attributes::new(program.blocked)?;
    let mut arguments: Vec<*mut c_char> =
        program.arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    arguments.push(ptr::null_mut());
    let mut pid = 0;
    // SAFETY: all is initialised and outlives the call; the arrays end with null pointers, and what
    // they point to is not written to.
    error(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.path.as_ptr(),
            &raw const *actions.0,
            &raw const *attributes.0,
            arguments.as_ptr(),
            environ.cast::<*mut c_char>(),
        )
    })?;
    Ok(pid.unsigned_abs())
}
