//! The watchdog of tests that start threads.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Much longer than any test takes; miri is slow, and has a clock of its own.
const LONGEST: Duration = Duration::from_secs(if cfg!(miri) { 3600 } else { 60 });

/// Runs a test's body; fails if it hangs.
pub fn watched(body: impl FnOnce() + Send + 'static) {
    let (done, finished) = channel();
    let thread = thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    if finished.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}
