//! The one thread on which all connections of a process run.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::thread;
use std::time::Duration;

use manyhands_sync::Wakes;
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
    let runtime = Builder::new_current_thread().enable_all().on_thread_park(pause).build()?;
    let handle = runtime.handle().clone();
    // Signals are for the program's own threads.
    let blocked = process::set_blocked_signals(u64::MAX);
    let started = thread::Builder::new().name("manyhands-ssh".to_owned()).spawn(move || {
        NEWS.set(Some(News::default()));
        runtime.block_on(std::future::pending::<()>());
    });
    process::set_blocked_signals(blocked);
    started?;
    shared.0 = Some(handle.clone());
    Ok(handle)
}

/// How many bytes may arrive before those are woken who wait for them.
const LOT: usize = 256 << 10;

/// How many bytes are so many that more will follow.
const STREAM: usize = 16 << 10;

/// How long the thread leaves a stream to itself.
const PAUSE: Duration = Duration::from_micros(100);

/// What has arrived since the thread last had nothing to do.
#[derive(Default)]
struct News {
    bytes: usize,
    untold: usize,
    wakes: Vec<Wakes>,
}

thread_local! {
    /// Only the runtime's thread has some.
    static NEWS: RefCell<Option<News>> = const { RefCell::new(None) };
}

/// Wakes those who wait for `bytes` that have arrived when the thread has taken all that is there: in a stream each packet
/// would wake somebody otherwise, who has hardly gone to sleep.
pub(crate) fn wake_soon(wakes: Wakes, bytes: usize) {
    NEWS.with_borrow_mut(|news| {
        let Some(news) = news else { return wakes.send() };
        news.bytes += bytes;
        news.untold += bytes;
        if !wakes.is_empty() {
            news.wakes.push(wakes);
        }
        if news.untold >= LOT {
            news.tell();
        }
    });
}

impl News {
    fn tell(&mut self) {
        self.untold = 0;
        self.wakes.drain(..).for_each(Wakes::send);
    }
}

/// What the thread does when it has nothing to do. In a stream it sleeps for a while whatever comes: what arrives is taken in larger
/// lots then, and the server does not have to wake it for each packet.
fn pause() {
    let bytes = NEWS.with_borrow_mut(|news| {
        news.as_mut().map_or(0, |news| {
            news.tell();
            mem::take(&mut news.bytes)
        })
    });
    if bytes >= STREAM {
        thread::sleep(PAUSE);
    }
}
