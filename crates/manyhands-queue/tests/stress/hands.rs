//! Many threads that do random things in rounds, under a watchdog.

use std::process::abort;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use manyhands_sync::{Deadline, Gate, Limit, Parked, Patient, Waiter};
use manyhands_watch::snapshot;

use crate::TESTS;

/// How many threads a round has.
pub const HANDS: u64 = if cfg!(miri) { 4 } else { 16 };

/// How often a thread does its thing in a round.
pub const TIMES: u64 = if cfg!(miri) { 5 } else { 100 };

/// Much longer than a round takes; miri is slow, and has a clock of its own.
const LONGEST: Duration = Duration::from_secs(if cfg!(miri) { 36_000 } else { 120 });

/// Runs rounds for this test's part of `MANYHANDS_STRESS_SECONDS` (5, if it is not set), at least
/// one.
pub fn stress(round: impl Fn(u64) + Send + 'static) {
    let seconds = std::env::var("MANYHANDS_STRESS_SECONDS").ok();
    let seconds = seconds.map_or(5.0, |seconds| seconds.parse().expect("a number of seconds"));
    let seconds = if cfg!(miri) { 0.0 } else { seconds / TESTS };
    let begun = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut seed = if cfg!(miri) { 1 } else { now.as_micros() as u64 };
    let (next, seeds) = channel();
    let (done, rounds) = channel();
    let runner = thread::spawn(move || {
        for seed in seeds {
            round(seed);
            done.send(()).expect("the watchdog listens");
        }
    });
    loop {
        next.send(seed).expect("the runner listens");
        match rounds.recv_timeout(LONGEST) {
            Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("the round of seed {seed} failed"),
            Err(RecvTimeoutError::Timeout) => {
                eprintln!("the round of seed {seed} hangs; who waits:\n{:#?}", snapshot());
                abort();
            }
        }
        seed += HANDS + 1;
        if begun.elapsed().as_secs_f64() >= seconds {
            break;
        }
    }
    drop(next);
    runner.join().expect("it ends well");
}

/// Runs `work` in that many threads, each with a die and its number.
pub fn in_threads(count: u64, seed: u64, work: impl Fn(&mut Die, u64) + Sync) {
    thread::scope(|scope| {
        for number in 0..count {
            let work = &work;
            scope.spawn(move || work(&mut Die::new(seed + number), number));
        }
    });
}

/// A source of random numbers (xorshift64*).
pub struct Die(u64);

impl Die {
    pub fn new(seed: u64) -> Die {
        Die(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.below(200))
    }

    /// One of the ways to wait.
    pub fn manner(&mut self) -> (Manner, Limit) {
        match self.below(5) {
            0 => (Manner::Patient, Limit::Never),
            1 => (Manner::Patient, Limit::after(self.moment())),
            2 => (Manner::GivesUp(self.moment()), Limit::Forever),
            _ => (Manner::Patient, Limit::Forever),
        }
    }

    /// Lets other threads go first, now and then.
    pub fn dawdle(&mut self) {
        if self.below(4) == 0 {
            thread::yield_now();
        }
    }
}

/// A way to wait.
#[derive(Clone, Copy)]
pub enum Manner {
    Patient,
    /// Gives up after a moment.
    GivesUp(Duration),
}

/// The wait was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp;

impl Gate for Manner {
    type Error = GivenUp;

    fn wait(&self, waiter: &Arc<Waiter>, until: Option<Deadline>) -> Result<bool, GivenUp> {
        match *self {
            Manner::Patient => Ok(Patient.wait(waiter, until).unwrap_or(false)),
            Manner::GivesUp(after) => match waiter.park(Some(Deadline::after(after))) {
                Parked::Notified => Ok(true),
                _ => Err(GivenUp),
            },
        }
    }
}
