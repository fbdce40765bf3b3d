//! Whether a hub goes on, as seen from another thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a hub tells of itself. Only the hub's thread writes: so two plain accesses do.
///
/// The lowest bit is set while nobody holds the hub: before its first turn, and while it naps. The others count.
#[derive(Debug)]
pub struct Pulse(AtomicU64);

const RESTS: u64 = 1;

impl Default for Pulse {
    fn default() -> Self {
        Pulse(AtomicU64::new(RESTS))
    }
}

impl Pulse {
    /// It is somebody's turn.
    #[inline]
    pub(crate) fn beat(&self) {
        self.0.store((self.read() | RESTS) + 1, Ordering::Relaxed);
    }

    /// It is nobody's, until the next beat.
    #[inline]
    pub(crate) fn rest(&self) {
        self.0.store(self.read() | RESTS, Ordering::Relaxed);
    }

    #[inline]
    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Notices when one turn of a hub takes too long. It costs the hub nothing: it looks twice in that time.
///
/// ```
/// use std::time::Duration;
///
/// let mut hub = manyhands_green::Hub::new()?;
/// let watchdog = manyhands_green::Watchdog::new(hub.pulse(), Duration::from_millis(20));
/// hub.post("a turn");
/// std::thread::scope(|scope| {
///     let noticed = scope.spawn(|| (watchdog.wait(), watchdog.wait()));
///     hub.next();
///     std::thread::sleep(Duration::from_millis(100));
///     watchdog.stop();
///     let (first, second) = noticed.join().unwrap();
///     assert!(first >= Some(Duration::from_millis(20)));
///     assert_eq!(second, None, "told once of each turn");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Watchdog {
    pulse: Arc<Pulse>,
    limit: Duration,
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug)]
struct State {
    stopped: bool,
    /// The turn that was told of last.
    told: u64,
}

impl Watchdog {
    /// One for the hub of that pulse, and turns longer than `limit`.
    #[must_use]
    pub fn new(pulse: Arc<Pulse>, limit: Duration) -> Self {
        let state = Mutex::new(State { stopped: false, told: RESTS });
        Watchdog { pulse, limit, state, news: Condvar::new() }
    }

    /// Waits until a turn has taken too long, for how long it has been seen so far; `None` when this is
    /// [stopped](Self::stop). It has to be called again soon, or turns are missed.
    pub fn wait(&self) -> Option<Duration> {
        let (mut seen, mut since) = (self.pulse.read(), Instant::now());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.stopped {
            let slept = self.news.wait_timeout(state, self.limit / 2);
            state = slept.unwrap_or_else(PoisonError::into_inner).0;
            let now = self.pulse.read();
            if now != seen || now & RESTS != 0 {
                (seen, since) = (now, Instant::now());
            } else if state.told != now && since.elapsed() >= self.limit {
                state.told = now;
                return Some(since.elapsed());
            }
        }
        None
    }

    /// Whether the turn that [`wait`](Self::wait) told of last is not over yet.
    #[must_use]
    pub fn still(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).told == self.pulse.read()
    }

    /// Has [`wait`](Self::wait) return, now and always.
    pub fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.news.notify_all();
    }
}
