//! The one thread on which all connections of a process run.

use std::io;
use std::mem;
use std::thread;

use manyhands_sys::fork::{ForkMutex, Protected};
use manyhands_sys::process;
use tokio::runtime::{Builder, Handle};

/// The runtime, once it is needed. The thread that drives it lives as long as the process.
struct Shared(Option<Handle>);

static SHARED: ForkMutex<Shared> = ForkMutex::new(Shared(None));

impl Protected for Shared {
    fn mutex() -> &'static ForkMutex<Shared> {
        &SHARED
    }

    fn in_child(&mut self) {
        // Its thread is not there, and its locks are as that left them: it must not even be dropped.
        mem::forget(self.0.take());
    }
}

/// The runtime of this process.
///
/// # Errors
/// The system has no thread or descriptor for it.
pub(crate) fn handle() -> io::Result<Handle> {
    let mut shared = SHARED.lock();
    if let Some(handle) = &shared.0 {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    // Signals are for the program's own threads.
    let blocked = process::set_blocked_signals(u64::MAX);
    let started = thread::Builder::new()
        .name("manyhands-ssh".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()));
    process::set_blocked_signals(blocked);
    started?;
    shared.0 = Some(handle.clone());
    Ok(handle)
}
