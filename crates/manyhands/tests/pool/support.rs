//! What tests of pools need.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use manyhands::Pool;
use manyhands::pool::Kind;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, getppid, kill_process};

/// A test that takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What is counted before it takes that long.
pub static TURNS: AtomicU32 = AtomicU32::new(0);

pub fn go_on() {
    TURNS.fetch_add(1, Ordering::Relaxed);
}

pub fn pool(kind: Kind, workers: usize) -> Pool {
    Pool::builder().kind(kind).workers(workers).build().unwrap()
}

pub fn until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The numbers of the children of this process.
pub fn children() -> Vec<u32> {
    let me = std::process::id();
    let processes = fs::read_dir("/proc").unwrap();
    let numbers =
        processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|&number| parent_of(number) == Some(me)).collect()
}

fn parent_of(number: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    status.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process has ended, or is as good as that.
pub fn is_gone(number: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    status.is_empty() || status.contains(") Z")
}

pub fn send(number: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(number.cast_signed()).unwrap(), signal);
}

/// A file that is not there, and is removed in the end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Scratch(std::env::temp_dir().join(format!("manyhands-{}-{count}", std::process::id())))
    }

    /// A gate: who opens it for reading waits until it is opened for writing, and the other way
    /// round.
    pub fn gate() -> Scratch {
        let gate = Scratch::new();
        mknodat(CWD, &gate.0, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        gate
    }

    /// Lets somebody through who waits at the gate, or will.
    pub fn open(&self) {
        fs::OpenOptions::new().write(true).open(&self.0).unwrap();
    }

    pub fn path(&self) -> String {
        self.0.to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// By which workers of a process know that they have to end before they begin.
pub fn doom(parent: u32) -> Scratch {
    Scratch(std::env::temp_dir().join(format!("manyhands-doom-{parent}")))
}

pub fn is_doomed() -> bool {
    let is_worker =
        std::env::args().nth(1).is_some_and(|argument| argument.starts_with("--manyhands-worker="));
    let parent = getppid().map_or(0, |parent| parent.as_raw_nonzero().get().cast_unsigned());
    is_worker && {
        let doom = doom(parent);
        let is_there = doom.0.exists();
        // It is the parent's to remove.
        std::mem::forget(doom);
        is_there
    }
}
