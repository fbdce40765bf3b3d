//! Processes of Rust programs: their ends, their signals, their parents' ends.

use std::io::{PipeReader, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use manyhands_process::{ExitStatus, Process, ignored_signals, spawn};
use manyhands_sys::process::signal_bit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const PATIENCE: Duration = Duration::from_secs(60);

fn sleep() -> i32 {
    loop {
        thread::park();
    }
}

/// Waits until there is something to read, or nobody is left who could write.
fn await_word(pipe: &PipeReader) {
    let limit = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    let polled = poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&limit));
    assert_eq!(polled, Ok(1), "nothing was heard for {PATIENCE:?}");
}

fn folder_of(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

#[test]
fn the_status_is_what_the_function_returns() {
    for status in [0, 3, 255] {
        let process = Process::fork(move || status).expect("a process");
        assert_eq!(process.join(Some(PATIENCE)), Some(ExitStatus::Exited(status)));
        assert_eq!(process.exit_status(), Some(ExitStatus::Exited(status)));
        assert!(!process.is_alive());
    }
}

#[test]
fn a_panic_is_a_status() {
    let process = Process::fork(|| {
        std::panic::set_hook(Box::new(|_| {}));
        panic!("as asked")
    });
    assert_eq!(process.expect("a process").join(Some(PATIENCE)), Some(ExitStatus::Exited(101)));
}

#[test]
fn a_process_can_be_ended() {
    type End = fn(&Process);

    let ends = [(Process::terminate as End, 15), (Process::interrupt, 2), (Process::kill, 9)];
    for (end, signal) in ends {
        // A shell's background job ignores SIGINT, and so do its children.
        if signal == 2 && ignored_signals().is_none_or(|set| set & signal_bit(2) != 0) {
            continue;
        }
        let process = Process::fork(sleep).expect("a process");
        assert_eq!(process.join(Some(Duration::ZERO)), None);
        assert!(process.is_alive());
        end(&process);
        assert_eq!(process.join(Some(PATIENCE)), Some(ExitStatus::Killed(signal)));
        // Nobody gets that.
        end(&process);
    }
}

#[test]
fn many_threads_may_wait_for_one_process() {
    let process = Process::fork(sleep).expect("a process");
    let barrier = Barrier::new(5);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                assert_eq!(process.join(Some(PATIENCE)), Some(ExitStatus::Killed(9)));
            });
        }
        barrier.wait();
        process.kill();
    });
}

#[test]
fn who_is_never_waited_for_is_no_zombie() {
    let processes: Vec<Process> =
        (0..20).map(|_| Process::fork(|| 7).expect("a process")).collect();
    let mut left: Vec<u32> = processes.iter().map(Process::id).collect();
    for _ in 0..60_000 {
        left.retain(|&pid| folder_of(pid).exists());
        if left.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    assert!(left.is_empty(), "{left:?}");
    assert!(processes.iter().all(|one| one.exit_status() == Some(ExitStatus::Exited(7))));
}

/// Starts a process that has a daemon, or an orphan to be; kills it; tells whether the child of the
/// child has ended after it.
fn ends_with_its_parent(by_main: bool, daemon: bool) -> bool {
    let (mut numbers, mut tell) = std::io::pipe().expect("a pipe");
    let (mut end, keep) = std::io::pipe().expect("a pipe");
    let parent = Process::fork(|| {
        drop(end.try_clone());
        let mut start = || {
            let child = || {
                drop(keep.try_clone());
                sleep()
            };
            let inner = if daemon { Process::fork_daemon(child) } else { Process::fork(child) };
            let number = inner.expect("a process").id();
            tell.write_all(&number.to_ne_bytes()).expect("a reader");
        };
        if by_main {
            start();
        } else {
            thread::scope(|scope| scope.spawn(start).join().expect("no panic"));
        }
        sleep()
    })
    .expect("a process");
    await_word(&numbers);
    let mut number = [0; 4];
    numbers.read_exact(&mut number).expect("a writer");
    let child = manyhands_sys::process::open(u32::from_ne_bytes(number)).expect("it lives");
    parent.kill();
    assert_eq!(parent.join(Some(PATIENCE)), Some(ExitStatus::Killed(9)));
    drop(keep);
    if !daemon {
        manyhands_sys::process::send_signal(std::os::fd::AsFd::as_fd(&child), 9)
            .expect("it lives on");
    }
    // The pipe ends when all have ended that had it.
    await_word(&end);
    assert_eq!(end.read(&mut [0; 1]).expect("a pipe"), 0);
    daemon
}

#[test]
fn a_daemon_dies_with_its_parent() {
    assert!(ends_with_its_parent(true, true));
    assert!(ends_with_its_parent(false, true));
}

#[test]
fn others_do_not() {
    assert!(!ends_with_its_parent(true, false));
}

#[test]
fn a_program_can_be_run() {
    let child = spawn(c"/bin/sh", &[c"sh", c"-c", c"exit 3"], &[]).expect("a shell");
    assert_eq!(child.wait(None), manyhands_process::Waited::Ended(ExitStatus::Exited(3)));
    let error = spawn(c"/nowhere", &[c"nowhere"], &[]).expect_err("there is none");
    assert!(error.to_string().starts_with("cannot run /nowhere: No such file"), "{error}");
}
