//! What the crate says about forks, in processes that were really forked.
#![cfg(not(miri))]
#![expect(unsafe_code, reason = "fork(2) and waitpid(2) have no safe form")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use manyhands_sys::fork::{ForkMutex, OwnDescriptor, Protected, epoch, register, survived};
use manyhands_sys::process::{is_blocked, is_pending, set_blocked_signals, signal_bit};
use manyhands_sys::thread::{ThreadId, is_main};

/// Whether all is well in a forked child.
fn in_child(is_well: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child does nothing but what these tests show, and ends with `_exit`. Other
    // threads of the test harness may hold the C library's locks, which the C library knows.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child == 0 {
        // SAFETY: these end the process: at once, or when it hangs.
        unsafe {
            libc::alarm(30);
            libc::_exit(if is_well() { 0 } else { 1 });
        }
    }
    let mut status = 0;
    // SAFETY: the child is ours, and `status` is valid for the call.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    status == 0
}

#[test]
fn the_epoch_is_another_in_each_generation() {
    let here = epoch();
    assert_eq!(epoch(), here);
    assert!(in_child(|| {
        let there = epoch();
        there != here && epoch() == there && in_child(|| epoch() != here && epoch() != there)
    }));
    assert_eq!(epoch(), here);
}

#[test]
fn a_signal_is_pending_until_it_is_handled() {
    assert!(in_child(|| {
        let me = std::process::id();
        let is_asked = || is_pending(me, libc::SIGCHLD);
        let before = set_blocked_signals(signal_bit(libc::SIGCHLD));
        // SAFETY: a signal that is ignored unless somebody handles it.
        unsafe { libc::kill(me.cast_signed(), libc::SIGCHLD) };
        let was_asked = is_asked() && !is_pending(me, libc::SIGCHLD + 1);
        let was_blocked = is_blocked(me, libc::SIGCHLD) && !is_blocked(me, libc::SIGCHLD + 1);
        set_blocked_signals(before);
        was_asked && was_blocked && !is_asked() && !is_blocked(me, libc::SIGCHLD)
    }));
}

#[test]
fn only_the_thread_that_forks_survives() {
    let me = ThreadId::current();
    let since = epoch();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || {
        ready.send(ThreadId::current()).expect("the test listens");
        let _ = ends.recv();
    });
    let other_id = is_ready.recv().expect("it starts");
    assert!(survived(me, since) && survived(other_id, since));
    assert!(in_child(|| survived(me, since) && !survived(other_id, since)));
    assert!(in_child(|| in_child(|| survived(me, since) && !survived(other_id, since))));
    drop(end);
    other.join().expect("it ends well");
}

#[test]
fn a_thread_born_between_two_forks_is_not_taken_for_one_that_was_there_before() {
    let me = ThreadId::current();
    let since = epoch();
    assert!(in_child(|| {
        let between = epoch();
        thread::spawn(move || {
            let born = ThreadId::current();
            in_child(|| survived(born, between) && !survived(born, since) && !survived(me, since))
        })
        .join()
        .is_ok_and(|well| well)
    }));
}

#[test]
fn who_forks_is_the_main_thread_of_the_child() {
    // The harness runs tests in threads of their own.
    assert!(thread::spawn(|| !is_main() && in_child(is_main)).join().expect("it ends well"));
}

static TRACE: AtomicU32 = AtomicU32::new(0);

fn trace(digit: u32) {
    TRACE.store(TRACE.load(Ordering::Relaxed) * 10 + digit, Ordering::Relaxed);
}

extern "C" fn before() {
    trace(1);
}

extern "C" fn after_in_parent() {
    trace(2);
}

extern "C" fn after_in_child() {
    trace(3);
}

#[test]
fn registered_functions_run_around_a_fork() {
    // In a child of its own, where no other test forks.
    assert!(in_child(|| {
        register(before, after_in_parent, after_in_child).is_ok()
            && in_child(|| TRACE.load(Ordering::Relaxed) == 13)
            && TRACE.load(Ordering::Relaxed) == 12
    }));
}

/// How many forks lie between its first process and this one.
struct Generation(u32);

static GENERATION: ForkMutex<Generation> = ForkMutex::new(Generation(0));

impl Protected for Generation {
    fn mutex() -> &'static ForkMutex<Generation> {
        &GENERATION
    }

    fn in_child(&mut self) {
        self.0 += 1;
    }
}

#[test]
fn a_child_never_finds_a_fork_mutex_locked() {
    let over = AtomicBool::new(false);
    GENERATION.prepare();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    drop(GENERATION.lock());
                }
            });
        }
        for _ in 0..50 {
            assert!(in_child(|| {
                GENERATION.lock().0 == 1 && in_child(|| GENERATION.lock().0 == 2)
            }));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(GENERATION.lock().0, 0);
}

/// Forks when its thread ends.
struct ForksAtEnd;

impl Drop for ForksAtEnd {
    fn drop(&mut self) {
        assert!(in_child(|| GENERATION.lock().0 == 1));
        drop(GENERATION.lock());
    }
}

thread_local! {
    static FORKS_AT_END: ForksAtEnd = const { ForksAtEnd };
}

#[test]
fn a_thread_may_fork_while_it_ends() {
    GENERATION.prepare();
    thread::spawn(|| FORKS_AT_END.with(|_| {})).join().expect("it ends well");
}

static LATE: ForkMutex<Late> = ForkMutex::new(Late);

struct Late;

impl Protected for Late {
    fn mutex() -> &'static ForkMutex<Late> {
        &LATE
    }
}

static FORKING: AtomicBool = AtomicBool::new(false);

extern "C" fn linger() {
    FORKING.store(true, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(20));
}

extern "C" fn nothing() {}

#[test]
fn a_fork_mutex_may_be_prepared_while_another_thread_forks() {
    // In a child of its own, where no other test forks.
    assert!(in_child(|| {
        register(linger, nothing, nothing).expect("some memory");
        thread::scope(|scope| {
            scope.spawn(|| {
                while !FORKING.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
                LATE.prepare();
            });
            in_child(|| {
                drop(LATE.lock());
                in_child(|| {
                    drop(LATE.lock());
                    true
                })
            })
        })
    }));
}

#[test]
fn a_child_leaves_open_what_its_parent_has_opened() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let number = std::os::fd::AsRawFd::as_raw_fd(&reader);
    let is_open = || std::fs::exists(format!("/proc/self/fd/{number}")).expect("/proc");
    let mut own = Some(OwnDescriptor::from(std::os::fd::OwnedFd::from(reader)));
    assert!(in_child(|| {
        own.take();
        is_open()
    }));
    drop((own.take(), writer));
}
