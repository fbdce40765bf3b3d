//! What programs do to the arena without knowing of it.
#![expect(unsafe_code, reason = "processes are forked, and descriptors closed")]

mod support;

use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use manyhands_shm::{
    Handle, Kind, Limit, Message, Original, Patient, PutError, Queue, Reference, Shared, arena,
    forked, give_up_reserved, hand_over_to_parent, prepare_for_forks, reserve_for_fork,
};

use support::{alone, fork, going_on, kill, wait};

#[repr(C)]
#[derive(Default)]
struct Word(AtomicU64);

// SAFETY: an atomic.
unsafe impl Shared for Word {}

#[test]
fn files_that_take_the_descriptors_number_are_not_touched() {
    let _alone = alone();
    let queue = Queue::new(0).unwrap();
    let child = fork(|| {
        let number = arena().unwrap().descriptor().unwrap().as_raw_fd();
        let file = tempfile();
        // SAFETY: closes what this process has not opened, as some programs do at their beginning.
        assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
        let message = vec![7; 32 << 20];
        let Err(PutError::Arena(error)) = queue.put(&Patient, Message::of(&message), Limit::Never)
        else {
            return 1;
        };
        assert!(error.to_string().contains("has closed the descriptor"), "{error}");
        assert_eq!(error.os_error(), Some(libc::EBADF));
        assert_eq!(file.metadata().unwrap().len(), 0);
        // What needs no more memory goes on.
        queue.put(&Patient, Message::of(b"small"), Limit::Never).unwrap();
        0
    });
    assert_eq!(wait(child), 0);
    assert_eq!(queue.len().unwrap(), 1);
}

/// A file of no name.
fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("manyhands-test-{}", std::process::id()));
    let file = std::fs::File::create_new(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

#[test]
fn a_fork_that_failed_does_not_bury_an_earlier_child() {
    let _alone = alone();
    let there = Handle::<Word>::new(Kind::Plain).unwrap();
    let before = arena().unwrap().statistics().unwrap().participants;
    // SAFETY: the child only waits to be killed.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: ends this process should nobody do.
        unsafe { libc::alarm(60) };
        there.0.store(1, Ordering::Release);
        loop {
            std::thread::park();
        }
    }
    // Nobody has told of that one; and the next has failed before it began.
    prepare_for_forks();
    forked(None);
    while there.0.load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(arena().unwrap().statistics().unwrap().participants, before + 1);
    kill(child);
    wait(child);
    assert_eq!(arena().unwrap().statistics().unwrap().participants, before);
}

#[test]
fn a_place_for_a_fork_that_is_not_made_is_given_back() {
    let _alone = alone();
    let statistics = || arena().unwrap().statistics().unwrap();
    let before = statistics();
    for give_up in [give_up_reserved, || forked(None)] {
        let early = Original::of(&[1; 10_000]).unwrap();
        reserve_for_fork();
        assert_eq!(statistics().participants, before.participants + 1);
        let late = Original::of(&[2; 10_000]).unwrap();
        give_up();
        assert_eq!(statistics().participants, before.participants);
        // What the child was to have nobody has.
        drop((early, late));
        assert_eq!(statistics().blocks, before.blocks);
    }
    // A fork that nobody has announced has no other's place.
    reserve_for_fork();
    give_up_reserved();
    let child = fork(|| i32::from(statistics().participants != before.participants + 1));
    assert_eq!(wait(child), 0);
    assert_eq!(statistics().participants, before.participants);
}

#[test]
fn what_is_handed_over_outlives_its_maker() {
    let _alone = alone();
    let (there, here) =
        (Handle::<Word>::new(Kind::Plain).unwrap(), &arena().unwrap().statistics().unwrap());
    let child = fork(|| {
        let made = Handle::<Word>::new(Kind::Lock).unwrap();
        made.0.store(7, Ordering::Relaxed);
        hand_over_to_parent().unwrap();
        there.0.store(made.reference().block, Ordering::Release);
        std::mem::forget(made);
        0
    });
    assert_eq!(wait(child), 0);
    assert_eq!(arena().unwrap().statistics().unwrap().blocks, here.blocks + 1);
    let reference =
        Reference { arena: arena().unwrap().id(), block: there.0.load(Ordering::Acquire) };
    let made = Handle::<Word>::open(reference, Kind::Lock).unwrap();
    assert_eq!(made.0.load(Ordering::Relaxed), 7);
    drop(made);
    assert_eq!(arena().unwrap().statistics().unwrap().blocks, here.blocks);
}

#[test]
fn what_was_put_before_the_queue_was_shut_down_is_got() {
    let _alone = alone();
    for round in 0..500 {
        let queue = Queue::new(0).unwrap();
        let (begun, put) = (AtomicBool::new(false), AtomicU64::new(0));
        let got = std::thread::scope(|scope| {
            scope.spawn(|| {
                while queue.put(&Patient, Message::of(b"x"), Limit::Never).is_ok() {
                    put.fetch_add(1, Ordering::Relaxed);
                    begun.store(true, Ordering::Release);
                }
            });
            let getter = scope.spawn(|| {
                let mut got = 0;
                while queue.get(&Patient, &mut Vec::new(), Limit::Forever).is_ok() {
                    got += 1;
                }
                got
            });
            while !begun.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            queue.shut_down(false).unwrap();
            getter.join().unwrap()
        });
        assert_eq!(got, put.into_inner(), "round {round}");
        assert!(queue.is_empty().unwrap());
        going_on();
    }
}

#[test]
fn where_there_is_no_address_space_an_error_says_so() {
    let _alone = alone();
    let child = fork(|| {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let arena = maps.lines().rfind(|line| line.contains("/memfd:manyhands")).unwrap();
        let end = arena.split(['-', ' ']).nth(1).unwrap();
        let end = std::ptr::without_provenance_mut(usize::from_str_radix(end, 16).unwrap());
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: nothing is mapped there yet, in this process.
        assert_eq!(unsafe { libc::mmap(end, 4096, libc::PROT_NONE, flags, -1, 0) }, end);
        let mut made = Vec::new();
        loop {
            match Handle::<Word>::new(Kind::Plain) {
                Ok(word) => made.push(word),
                Err(error) => {
                    assert!(error.to_string().contains("no address space left"), "{error}");
                    return 0;
                }
            }
        }
    });
    assert_eq!(wait(child), 0);
}
