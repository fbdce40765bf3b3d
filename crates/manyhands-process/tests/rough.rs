//! Programs that are rough with what the crate has: they close its descriptors, trace its children,
//! pause its thread from several threads.
#![expect(unsafe_code, reason = "alarm(2), prctl(2) and ptrace(2) have no safe form")]

use std::fs::{self, File};
use std::io::{PipeReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use manyhands_process::{ExitStatus, Process, pause_reaper, resume_reaper};
use manyhands_sys::process::{close, threads};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const PATIENCE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(1);

fn sleep() -> i32 {
    loop {
        thread::park();
    }
}

/// Has the system end this process if it hangs.
fn end_in(seconds: u32) {
    // SAFETY: it has no preconditions.
    unsafe { libc::alarm(seconds) };
}

/// Runs what is rough in a process of its own.
fn alone(body: impl FnOnce()) {
    let process = Process::fork(|| {
        end_in(50);
        body();
        0
    })
    .expect("a process");
    assert_eq!(process.join(Some(PATIENCE)), Some(ExitStatus::Exited(0)));
}

/// Waits until there is a byte to read, and reads it.
fn await_word(mut pipe: &PipeReader) {
    let limit = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    let polled = poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&limit));
    assert_eq!(polled, Ok(1), "nothing was heard for {PATIENCE:?}");
    pipe.read_exact(&mut [0]).expect("a writer");
}

fn await_that(mut holds: impl FnMut() -> bool) -> bool {
    (0..20_000).any(|_| {
        thread::sleep(MOMENT);
        holds()
    })
}

/// The descriptors of this process behind which there is that, as the system names it.
fn descriptors(kind: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc");
    let numbers = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let target = fs::read_link(entry.path()).ok()?;
        (target.to_str() == Some(kind)).then(|| entry.file_name().to_str()?.parse().ok())?
    });
    numbers.collect()
}

fn has_thread(name: &str) -> bool {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    let mut names =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.any(|comm| comm.trim() == name)
}

#[test]
fn files_that_a_daemon_opens_stay_its_own() {
    alone(|| {
        // It has the reaper run, with descriptors of its own.
        let sleeper = Process::fork_daemon(sleep).expect("a process");
        let daemon = Process::fork(move || {
            (3..1024).for_each(|number| _ = close(number));
            let files: Vec<File> =
                (0..10).map(|_| File::open("/dev/null").expect("it is there")).collect();
            let is_null = |file: &File| {
                fs::metadata(format!("/proc/self/fd/{}", file.as_raw_fd()))
                    .map(|there| there.rdev())
            };
            let null = fs::metadata("/dev/null").expect("it is there").rdev();
            drop(sleeper);
            let child = Process::fork(|| 3).expect("a process");
            assert_eq!(child.join(Some(PATIENCE)), Some(ExitStatus::Exited(3)));
            assert!(files.iter().all(|file| is_null(file).is_ok_and(|there| there == null)));
            0
        })
        .expect("a process");
        assert_eq!(daemon.join(Some(PATIENCE)), Some(ExitStatus::Exited(0)));
    });
}

#[test]
fn a_guarded_child_may_close_its_descriptors_and_be_stopped() {
    let (tell, go) = (std::io::pipe().expect("a pipe"), std::io::pipe().expect("a pipe"));
    let kept = [tell.1.as_raw_fd(), go.0.as_raw_fd()];
    let body = || {
        end_in(50);
        (3..1024).filter(|number| !kept.contains(number)).for_each(|number| _ = close(number));
        (&tell.1).write_all(b".").expect("a reader");
        await_word(&go.0);
        // Time for the guard to look again.
        thread::sleep(Duration::from_millis(100));
        7
    };
    // Started by the main thread it has no guard of ours.
    let start = || Process::fork_daemon(body).expect("a process");
    let child = thread::scope(|scope| scope.spawn(start).join().expect("no panic"));
    await_word(&tell.0);
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
    };
    child.child().send_signal(libc::SIGSTOP).expect("it lives");
    assert!(await_that(|| state() == Some('T') || child.exit_status().is_some()));
    child.child().send_signal(libc::SIGCONT).expect("it lives");
    (&go.1).write_all(b".").expect("a reader");
    assert_eq!(child.join(Some(PATIENCE)), Some(ExitStatus::Exited(7)));
}

#[test]
fn the_reaper_ends_when_its_descriptors_are_closed() {
    alone(|| {
        let child = Process::fork_daemon(sleep).expect("a process");
        let _other = Process::fork_daemon(sleep).expect("a process");
        assert!(await_that(|| has_thread("manyhands-reap")));
        descriptors("anon_inode:[eventpoll]").into_iter().for_each(|number| _ = close(number));
        child.kill();
        assert!(await_that(|| !has_thread("manyhands-reap")));
        assert_eq!(child.join(Some(PATIENCE)), Some(ExitStatus::Killed(9)));
    });
}

#[test]
fn one_pause_of_two_is_enough() {
    alone(|| {
        let _child = Process::fork_daemon(sleep).expect("a process");
        pause_reaper();
        pause_reaper();
        resume_reaper();
        // One that has ended is counted for a moment longer.
        assert!(await_that(|| threads() == 1));
        resume_reaper();
        assert_eq!(threads(), 2);
    });
}

/// How many descriptors the reaper waits with.
fn watched() -> usize {
    let [epoll] = descriptors("anon_inode:[eventpoll]")[..] else { panic!("one reaper") };
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")).expect("/proc");
    info.lines().filter(|line| line.starts_with("tfd:")).count()
}

#[test]
fn who_ends_during_a_pause_is_not_watched_any_more() {
    alone(|| {
        let _sleeper = Process::fork_daemon(sleep).expect("a process");
        let before = watched();
        let children: Vec<Process> =
            (0..200).map(|_| Process::fork_daemon(sleep).expect("a process")).collect();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    pause_reaper();
                    resume_reaper();
                }
            });
            for child in &children {
                child.kill();
                assert_eq!(child.join(Some(PATIENCE)), Some(ExitStatus::Killed(9)));
            }
            over.store(true, Ordering::Relaxed);
        });
        // The descriptors of those who have ended are open as long as `children` is there.
        assert_eq!(watched(), before);
        drop(children);
    });
}

/// Has another process trace that one, until it is killed itself; `None` if the system does not let it.
fn trace(child: &Process) -> Option<Process> {
    let pid = child.id().cast_signed();
    let (heard, mut tell) = std::io::pipe().expect("a pipe");
    let tracer = Process::fork_daemon(move || {
        end_in(20);
        // SAFETY: it takes two numbers, and here no pointers.
        let traces = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) } == 0;
        tell.write_all(&[u8::from(traces)]).expect("a reader");
        if traces { sleep() } else { 1 }
    })
    .expect("a process");
    let mut answer = [0];
    (&heard).read_exact(&mut answer).expect("the tracer's answer");
    (answer == [1]).then_some(tracer)
}

#[test]
fn the_time_for_a_traced_child_is_limited() {
    alone(|| {
        let (heard, mut tell) = std::io::pipe().expect("a pipe");
        let child = Process::fork_daemon(move || {
            // Where only ancestors may trace. SAFETY: it takes numbers.
            unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
            tell.write_all(b".").expect("a reader");
            sleep()
        })
        .expect("a process");
        await_word(&heard);
        let Some(tracer) = trace(&child) else {
            println!("this system lets nobody trace");
            return;
        };
        child.kill();
        // Its end is told first to the tracer, which does not listen.
        assert_eq!(child.join(Some(Duration::from_millis(50))), None);
        tracer.kill();
        assert_eq!(child.join(Some(PATIENCE)), Some(ExitStatus::Killed(9)));
    });
}
