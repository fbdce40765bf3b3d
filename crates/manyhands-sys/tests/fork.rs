//! What the crate says about forks, in processes that were really forked.
#![cfg(not(miri))]
#![expect(unsafe_code, reason = "fork(2) and waitpid(2) have no safe form")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use manyhands_sys::fork::{epoch, register, survived};
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
