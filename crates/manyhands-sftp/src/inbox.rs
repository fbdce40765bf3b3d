//! Where answers wait for who asked.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use manyhands_sync::{
    Deadline, Gate, Limit, Parked, Protected, Waitable, Waiter, Waits, Wakes, block,
};
use manyhands_watch::Kind;

use crate::errors::{Ended, Error, Interruption};
use crate::packet::Reply;

/// How threads wait for answers: see [`manyhands_sync::Gate`].
pub type Patience = dyn Gate<Error = Interruption> + Send + Sync;

/// The patience of who waits as long as it takes, or until the deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Gate for Plain {
    type Error = Interruption;

    fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Deadline>) -> Result<bool, Interruption> {
        loop {
            match waiter.park(deadline) {
                Parked::Notified => return Ok(true),
                Parked::TimedOut => return Ok(false),
                Parked::Interrupted => {}
            }
        }
    }
}

/// The patience of who may be told to stop by another thread, which is noticed within 20 ms.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<std::sync::atomic::AtomicBool>);

/// A [`Cancel`] was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operation was cancelled")]
pub struct Cancelled;

impl Cancel {
    /// All that waits with this, or will, gives up.
    pub fn cancel(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Gate for Cancel {
    type Error = Interruption;

    fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Deadline>) -> Result<bool, Interruption> {
        loop {
            if self.is_cancelled() {
                return Err(Box::new(Cancelled));
            }
            let look = Deadline::after(Duration::from_millis(20));
            let until = deadline.map_or(look, |deadline| deadline.min(look));
            if waiter.park(Some(until)) == Parked::Notified {
                return Ok(true);
            }
            if deadline.is_some_and(Deadline::has_passed) {
                return Ok(false);
            }
        }
    }
}

struct Through<'a>(&'a Patience);

impl Gate for Through<'_> {
    type Error = Interruption;

    fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Deadline>) -> Result<bool, Interruption> {
        self.0.wait(waiter, deadline)
    }
}

/// The answers to the requests of one who waits: each with the mark that the request was given.
pub(crate) struct Inbox(Mutex<State>);

struct State {
    waits: Waits<1>,
    arrived: VecDeque<(u64, Reply)>,
    ended: Option<Ended>,
}

impl Waitable<1> for State {
    fn kind(&self) -> Kind {
        Kind::Future
    }

    fn waits(&mut self) -> &mut Waits<1> {
        &mut self.waits
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Inbox")
    }
}

impl Inbox {
    pub(crate) fn new() -> Arc<Inbox> {
        let state = State { waits: Waits::default(), arrived: VecDeque::new(), ended: None };
        Arc::new(Inbox(Mutex::new(state)))
    }

    pub(crate) fn put(&self, mark: u64, reply: Reply) {
        let mut wakes = Wakes::default();
        self.0.with(|state| {
            state.arrived.push_back((mark, reply));
            state.waits.wake_one(0, &mut wakes);
        });
        wakes.send_from_outside();
    }

    /// There will be no more answers than those that are here.
    pub(crate) fn end(&self, reason: &Ended) {
        let mut wakes = Wakes::default();
        self.0.with(|state| {
            state.ended = Some(reason.clone());
            state.waits.wake_all(0, &mut wakes);
        });
        wakes.send_from_outside();
    }

    /// An answer that is here.
    pub(crate) fn try_take(&self) -> Option<(u64, Reply)> {
        self.0.with(|state| state.arrived.pop_front())
    }

    /// The next answer.
    pub(crate) fn take(
        &self,
        patience: &Patience,
        timeout: Option<Duration>,
    ) -> Result<(u64, Reply), Error> {
        let limit = timeout.map_or(Limit::Forever, Limit::after);
        let taken = block(&self.0, 0, "SFTP reply", &Through(patience), limit, |state, _| {
            match (state.arrived.pop_front(), &state.ended) {
                (Some(arrived), _) => Some(Ok(arrived)),
                (None, Some(ended)) => Some(Err(Error::Ended(ended.clone()))),
                (None, None) => None,
            }
        });
        match taken {
            Ok(Some(taken)) => taken,
            Ok(None) => Err(Error::TimedOut),
            Err(interruption) => Err(Error::Interrupted(interruption)),
        }
    }
}
