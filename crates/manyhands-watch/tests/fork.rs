//! The registry in processes that were really forked.
#![cfg(not(miri))]
#![expect(unsafe_code, reason = "fork(2) and waitpid(2) have no safe form")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use manyhands_watch::{Kind, Seen, Subject, snapshot};

/// Whether all is well in a forked child.
fn in_child(is_well: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child does nothing but what these tests show, and ends with `_exit`. Other
    // threads may hold the C library's locks, which the C library knows.
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

fn seen(id: u64) -> Option<Seen> {
    snapshot().into_iter().find(|seen| seen.id == id)
}

#[test]
fn a_child_has_the_objects_but_not_the_threads_of_its_parent() {
    let subject = Subject::register(Kind::Lock);
    let mine = subject.begin_wait("acquire", false, None);
    thread::scope(|scope| {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let subject = &subject;
        scope.spawn(move || {
            let _waiting = subject.begin_wait("acquire", false, None);
            ready.send(()).expect("the test listens");
            let _ = ends.recv();
        });
        is_ready.recv().expect("it starts");
        assert!(seen(subject.id()).is_some_and(|seen| seen.waiters.len() == 2));
        assert!(in_child(|| {
            // The thread that forked is still there, and whether it still waits is its affair.
            let waiters = seen(subject.id()).map(|seen| seen.waiters);
            waiters.is_some_and(|waiters| {
                waiters.len() == 1
                    && waiters[0].thread == manyhands_sys::thread::ThreadId::current()
            })
        }));
        drop(end);
    });
    drop(mine);
}

#[test]
fn a_child_never_finds_the_registry_locked() {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    drop(Subject::register(Kind::Queue));
                }
            });
        }
        for _ in 0..50 {
            let well = in_child(|| {
                let subject = Subject::register(Kind::Event);
                seen(subject.id()).is_some()
            });
            assert!(well);
        }
        over.store(true, Ordering::Relaxed);
    });
}
