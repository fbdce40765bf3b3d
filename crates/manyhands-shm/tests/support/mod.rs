//! Processes of tests: forked, waited for, killed; and a watch over all of them.
#![allow(dead_code, reason = "no test program needs all of it")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use manyhands_shm::{Deadline, Patient, Pause, Semaphore};

/// One test at a time: they count what the arena holds, and fork.
static ALONE: Mutex<()> = Mutex::new(());

/// Rises with each process that is forked or ends: something goes on.
static PROGRESS: AtomicU64 = AtomicU64::new(0);

/// What goes on, in case that it does not.
static DOING: Mutex<String> = Mutex::new(String::new());

/// How long nothing may happen before the test is taken for hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for the turn of this test, and has somebody look whether it goes on.
pub fn alone() -> MutexGuard<'static, ()> {
    let turn = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    watch();
    turn
}

/// Has somebody look whether the tests go on, and end them all if they do not.
pub fn watch() {
    static WATCHDOG: Once = Once::new();

    WATCHDOG.call_once(|| {
        std::thread::spawn(|| {
            let mut before = 0;
            loop {
                std::thread::sleep(PATIENCE);
                let now = PROGRESS.load(Ordering::Relaxed);
                if now == before {
                    let doing = DOING.lock().unwrap_or_else(PoisonError::into_inner);
                    eprintln!("nothing has happened for {PATIENCE:?}: {doing}");
                    std::process::abort();
                }
                before = now;
            }
        });
    });
    going_on();
}

/// Tells the watchdog that something has happened.
pub fn going_on() {
    PROGRESS.fetch_add(1, Ordering::Relaxed);
}

/// What the watchdog reports should this be the last that is heard.
pub fn doing(what: impl FnOnce() -> String) {
    *DOING.lock().unwrap_or_else(PoisonError::into_inner) = what();
    going_on();
}

/// Runs it in a forked child, and returns the child's number; the child ends by the exit code, and
/// with this process.
pub fn fork(child: impl FnOnce() -> i32) -> i32 {
    let parent = std::process::id();
    fork_outliving(|| {
        // SAFETY: says to the kernel what is to become of this process.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        // SAFETY: asks for a number.
        if unsafe { libc::getppid() }.cast_unsigned() != parent {
            std::process::abort();
        }
        child()
    })
}

/// As [`fork`], but the child may outlive this process.
pub fn fork_outliving(child: impl FnOnce() -> i32) -> i32 {
    going_on();
    // SAFETY: the child does nothing that threads of the parent could have left half done, but
    // allocate, which the C library sees to.
    match unsafe { libc::fork() } {
        0 => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(101);
            // SAFETY: ends this process.
            unsafe { libc::_exit(code) }
        }
        pid => {
            assert!(pid > 0, "fork");
            manyhands_shm::forked(Some(pid.cast_unsigned()));
            pid
        }
    }
}

/// How a child ended: its exit code, or the negative number of the signal.
pub fn reap(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: a child of ours.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    going_on();
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
}

/// As [`reap`], and tells the arena.
pub fn wait(pid: i32) -> i32 {
    let ended = reap(pid);
    manyhands_shm::child_died(pid.cast_unsigned());
    ended
}

pub fn kill(pid: i32) {
    // SAFETY: a child of ours that was not waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Grandchildren whose parents die become children of this process.
pub fn adopt_orphans() {
    // SAFETY: says to the kernel what is to become of orphans.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }, 0);
}

/// Waits for all children that there are.
pub fn reap_all() {
    // SAFETY: any child of ours.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {
        going_on();
    }
}

/// Says so whenever it begins to wait.
pub struct Tells<'a>(pub &'a Semaphore);

impl Pause for Tells<'_> {
    type Error = Infallible;

    fn pause(&self, word: &AtomicU32, expected: u32, until: Deadline) -> Result<(), Infallible> {
        self.0.release().expect("it has no bound");
        Patient.pause(word, expected, until)
    }
}

pub fn reach(word: &AtomicU32, value: u32) {
    while word.load(Ordering::Acquire) < value {
        std::thread::yield_now();
    }
}
