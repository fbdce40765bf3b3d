//! Children that must not outlive their parent.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use manyhands_sys::{fork, process, thread};
use rustix::event::{PollFd, PollFlags, poll};

const STACK: usize = 64 << 10;

/// How long a parent's end may go unnoticed in a program that has closed the guard's descriptor.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How the names of our threads begin.
pub(crate) const NAME: &str = "manyhands";

/// How many native threads of ours there are, and, in the upper half, in which [`fork::epoch`].
static HELPERS: AtomicU64 = AtomicU64::new(0);

/// Counts a native thread of ours, as long as it lives.
pub(crate) struct Helper(());

impl Helper {
    pub(crate) fn new() -> Helper {
        let epoch = u64::from(fork::epoch()) << 32;
        let counted = HELPERS.load(Ordering::Relaxed);
        let forked = counted & !0xffff_ffff != epoch;
        if forked {
            // Those were the parent's. In a child that has but one thread as yet.
            let _ = HELPERS.compare_exchange(counted, epoch, Ordering::Relaxed, Ordering::Relaxed);
        }
        HELPERS.fetch_add(1, Ordering::Relaxed);
        Helper(())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        HELPERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many threads this process has, without the engine's own, of which no program knows; 0 if that
/// cannot be told.
///
/// ```
/// assert!(manyhands_process::program_threads() >= 1);
/// ```
pub fn program_threads() -> usize {
    let all = process::threads();
    let counted = HELPERS.load(Ordering::Relaxed);
    let here = counted >> 32 == u64::from(fork::epoch());
    let helpers = if here { (counted & 0xffff_ffff) as usize } else { 0 };
    if all.saturating_sub(helpers) <= 1 {
        return all.saturating_sub(helpers);
    }
    // One that is about to end is not counted any more, but has its name.
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return all - helpers };
    let names = tasks.filter_map(|task| std::fs::read(task.ok()?.path().join("comm")).ok());
    names.filter(|name| !name.starts_with(NAME.as_bytes())).count()
}

/// What a child that must not outlive its parent needs to know, noted before it is born.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    parent: u32,
    /// The starter is its process's first thread, which lives as long as the process.
    by_main: bool,
}

impl Guard {
    /// A guard for children of this process that this thread starts.
    pub fn here() -> Guard {
        Guard { parent: std::process::id(), by_main: thread::is_main() }
    }

    /// A guard for children that the process of that number starts, with its main thread or not.
    pub fn new(parent: u32, by_main: bool) -> Guard {
        Guard { parent, by_main }
    }

    /// Called in the child: from now on it dies with its parent, however that dies. `sentinel` is the
    /// parent's descriptor.
    ///
    /// # Errors
    /// The limits of threads and of descriptors.
    pub fn stand(self, sentinel: &OwnedFd) -> io::Result<()> {
        if self.by_main {
            // Means the thread that started the child: right only where that is the main one.
            process::die_with_starter()?;
            if process::parent() != self.parent {
                end();
            }
            return Ok(());
        }
        let sentinel = sentinel.try_clone()?;
        let helper = Helper::new();
        let blocked = process::set_blocked_signals(u64::MAX);
        let thread = std::thread::Builder::new().name(format!("{NAME}-guard")).stack_size(STACK);
        let spawned = thread.spawn(move || {
            let _helper = helper;
            loop {
                let _ = poll(&mut [PollFd::new(&sentinel, PollFlags::IN)], None);
                if process::parent() != self.parent {
                    end();
                }
                // The program has closed the descriptor, or has something else behind its number.
                std::thread::sleep(LOOK_AGAIN);
            }
        });
        process::set_blocked_signals(blocked);
        spawned.map(drop)
    }
}

/// Ends this process as the kernel would.
fn end() -> ! {
    let me = process::open(std::process::id());
    if let Ok(me) = me {
        let _ = process::send_signal(std::os::fd::AsFd::as_fd(&me), process::KILL);
    }
    process::exit(255)
}
