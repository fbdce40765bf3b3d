//! A pool of processes, on this side: calls go out, and who waits for an outcome takes what comes.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use manyhands_pool::{Fitness, Lead, TASK, Taken, What};
use manyhands_shm::{ArenaError, GetError, Limit, Parcel, Patient};
use manyhands_sys::fork;
use rustix::event::{EventfdFlags, eventfd};

use super::error::{BuildError, PoolError};
use super::slot::{Outcome, Slot, Value, locked};
use super::supervise::Running;
use super::worker::{ARGUMENTS, DONE, HEAD, PANICKED, UNKNOWN};

/// More than so many bytes of messages of calls without an outcome make who submits wait.
const MOST_BYTES: usize = 256 << 20;

/// What is remembered of a call that was submitted.
pub(super) struct Tag {
    pub(super) slot: Arc<Slot>,
    pub(super) task: &'static str,
    /// How many times it may be done again, and its message for that.
    retries: u32,
    message: Vec<u8>,
    bytes: usize,
}

/// How far a pool has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// It takes calls.
    Running,
    /// It takes none, and does those that it has.
    Closed,
    /// It does nothing any more.
    Ended,
}

/// A pool of processes.
pub(super) struct Processes {
    pub(super) pool: manyhands_pool::Pool<Tag>,
    /// The [`fork::epoch`] of the process whose pool it is.
    epoch: u32,
    pub(super) count: usize,
    phase: AtomicU8,
    /// Why no call can be done.
    broken: Mutex<Option<String>>,
    /// Of the messages of calls without an outcome.
    bytes: AtomicUsize,
    /// The supervisor wants the lead.
    pub(super) wanted: AtomicBool,
    /// Wakes the supervisor.
    pub(super) alarm: OwnedFd,
    pub(super) workers: Mutex<Vec<Running>>,
    pub(super) fitness: Fitness,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl Processes {
    pub(super) fn start(count: usize) -> Result<Arc<Processes>, BuildError> {
        // One seat more for each, as a dead worker's is kept until it is buried.
        let seats = u32::try_from(count).unwrap_or(u32::MAX / 2).saturating_mul(2);
        let alarm = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| BuildError::Thread(error.into()))?;
        let this = Arc::new(Processes {
            pool: manyhands_pool::Pool::new(seats)?,
            epoch: fork::epoch(),
            count,
            phase: AtomicU8::new(Phase::Running as u8),
            broken: Mutex::new(None),
            bytes: AtomicUsize::new(0),
            wanted: AtomicBool::new(false),
            alarm,
            workers: Mutex::new(Vec::new()),
            fitness: Fitness::default(),
            supervisor: Mutex::new(None),
        });
        let started = this.start_workers().and_then(|()| {
            let supervised = Arc::clone(&this);
            let thread = std::thread::Builder::new().name("manyhands-pool".to_owned());
            *locked(&this.supervisor) = Some(thread.spawn(move || supervised.supervise())?);
            Ok(())
        });
        if let Err(why) = started {
            this.set_phase(Phase::Ended);
            this.end_workers();
            return Err(why);
        }
        Ok(this)
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Closed,
            _ => Phase::Ended,
        }
    }

    fn set_phase(&self, phase: Phase) {
        // There is no way back.
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    fn is_own(&self) -> bool {
        self.epoch == fork::epoch()
    }

    /// Wakes the supervisor.
    fn ring(&self) {
        let _ = rustix::io::write(&self.alarm, &1_u64.to_ne_bytes());
    }

    /// Why no call is taken.
    fn refusal(&self) -> Option<PoolError> {
        if !self.is_own() {
            return Some(PoolError::Foreign);
        }
        match (&*locked(&self.broken), self.phase()) {
            (Some(why), _) => Some(PoolError::Broken(why.clone())),
            (None, Phase::Running) => None,
            (None, Phase::Closed | Phase::Ended) => Some(PoolError::Closed),
        }
    }

    /// Sends a call, whose message begins with room for its number; waits while too much is under way.
    pub(super) fn submit(
        &self,
        slot: &Arc<Slot>,
        task: &'static str,
        retries: u32,
        message: Vec<u8>,
    ) -> Result<(), PoolError> {
        let is_full = || self.bytes.load(Ordering::Relaxed) > MOST_BYTES;
        if is_full() {
            self.advance(Limit::Forever, &|| !is_full() || self.phase() == Phase::Ended);
        }
        self.refusal().map_or(Ok(()), Err)?;
        self.send(Arc::clone(slot), task, retries, message).map_err(|why| {
            // It may have ended meanwhile.
            self.refusal().unwrap_or(why)
        })
    }

    fn send(
        &self,
        slot: Arc<Slot>,
        task: &'static str,
        retries: u32,
        mut message: Vec<u8>,
    ) -> Result<(), PoolError> {
        let kept = if retries > 0 { message.clone() } else { Vec::new() };
        let bytes = message.len();
        let tag = Tag { slot: Arc::clone(&slot), task, retries, message: kept, bytes };
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        #[expect(unsafe_code, reason = "a promise about pieces, of which there are none")]
        // SAFETY: see there.
        let sent = unsafe { self.pool.submit(&Patient, tag, &mut message, &[]) };
        match sent {
            Ok(number) => {
                slot.set_task(number);
                Ok(())
            }
            Err(why) => {
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                Err(match why {
                    manyhands_pool::SubmitError::Closed => PoolError::Closed,
                    manyhands_pool::SubmitError::Arena(why) => PoolError::Arena(why),
                    manyhands_pool::SubmitError::GivenUp(never) => match never {},
                })
            }
        }
    }

    /// Has a call done again whose worker has died; its tag comes back if it has been tried enough.
    pub(super) fn retry(&self, tag: Tag) -> Option<Tag> {
        if tag.retries == 0 || self.phase() == Phase::Ended {
            return Some(tag);
        }
        let Tag { slot, task, retries, message, bytes } = tag;
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if let Err(why) = self.send(Arc::clone(&slot), task, retries - 1, message) {
            slot.settle(Err(match self.refusal() {
                // It has ended meanwhile.
                Some(PoolError::Closed) => PoolError::Terminated { task },
                refusal => refusal.unwrap_or(why),
            }));
            self.nudge();
        }
        None
    }

    /// Takes a call back that no worker has taken.
    pub(super) fn cancel(&self, slot: &Slot) -> bool {
        if !self.is_own() {
            return false;
        }
        let Ok(Some(tag)) = self.pool.retract(slot.task()) else { return false };
        let task = tag.task;
        self.deliver(tag, Err(PoolError::Cancelled { task }));
        self.nudge();
        true
    }

    /// Waits until `is_over`, at most until the limit, and brings outcomes where they belong meanwhile.
    pub(super) fn advance(&self, limit: Limit, is_over: &dyn Fn() -> bool) -> bool {
        loop {
            if is_over() || !self.is_own() {
                return is_over();
            }
            if self.wanted.load(Ordering::Acquire) {
                // The supervisor comes as soon as it can.
                let Ok(()) = self.pool.follow(&Patient, limit, is_over);
                std::thread::yield_now();
            } else if let Some(lead) = self.pool.try_lead() {
                self.lead(&lead, limit, is_over);
                drop(lead);
                if is_over() {
                    return true;
                }
            } else if limit != Limit::Never {
                let Ok(()) = self.pool.follow(&Patient, limit, is_over);
            }
            match limit {
                Limit::Never => return is_over(),
                Limit::Until(deadline) if deadline.has_passed() => return is_over(),
                Limit::Until(_) | Limit::Forever => {}
            }
        }
    }

    /// Takes results until it is over, the limit has come, or the supervisor wants to.
    fn lead(&self, lead: &Lead<'_>, limit: Limit, is_over: &dyn Fn() -> bool) {
        let mut scratch = Vec::new();
        while !is_over() && !self.wanted.load(Ordering::Acquire) {
            match self.pool.take(lead, &Patient, &mut scratch, limit) {
                Ok(taken) => self.sort(taken, &scratch),
                Err(GetError::Empty | GetError::ShutDown) => return,
                Err(GetError::Arena(why)) => return self.give_up(&why.to_string()),
                Err(GetError::GivenUp(never)) => match never {},
            }
        }
    }

    /// Takes all results that are there now.
    pub(super) fn drain(&self, lead: &Lead<'_>) -> Result<(), ArenaError> {
        let mut scratch = Vec::new();
        for _ in 0..self.pool.waiting()? {
            match self.pool.take(lead, &Patient, &mut scratch, Limit::Never) {
                Ok(taken) => self.sort(taken, &scratch),
                Err(GetError::Empty | GetError::ShutDown) => break,
                Err(GetError::Arena(why)) => return Err(why),
                Err(GetError::GivenUp(never)) => match never {},
            }
        }
        Ok(())
    }

    /// Brings what was taken where it belongs. It is read by who wants it.
    fn sort(&self, taken: Taken<Tag>, scratch: &[u8]) {
        let Taken { what: What::Result(tag), parcel } = taken else { return };
        let head = parcel.as_ref().map_or(scratch, Parcel::head);
        let task = tag.task;
        let text = || String::from_utf8_lossy(head.get(HEAD..).unwrap_or_default()).into_owned();
        let outcome = match head.get(TASK) {
            Some(&DONE) => Ok(match parcel {
                None => Value::Bytes(scratch.to_vec(), HEAD),
                Some(parcel) => Value::Parcel(parcel, HEAD),
            }),
            Some(&PANICKED) => Err(PoolError::Panicked { task, message: text() }),
            Some(&ARGUMENTS) => Err(PoolError::Arguments { task, reason: text() }),
            Some(&UNKNOWN) => Err(PoolError::Unknown { task }),
            _ => Err(PoolError::Result { task, reason: text() }),
        };
        self.deliver(tag, outcome);
    }

    pub(super) fn deliver(&self, tag: Tag, outcome: Outcome) {
        self.bytes.fetch_sub(tag.bytes, Ordering::Relaxed);
        tag.slot.settle(outcome);
        self.pool.tell();
        if self.phase() == Phase::Closed && self.pool.pending() == 0 {
            self.ring();
        }
    }

    /// Has all who wait look again, also who leads.
    pub(super) fn nudge(&self) {
        // Without memory for it they look by themselves, if later.
        let _ = self.pool.nudge();
        self.pool.tell();
    }

    /// No call can be done any more, for that reason.
    pub(super) fn give_up(&self, why: &str) {
        locked(&self.broken).get_or_insert_with(|| why.to_owned());
        self.end(&|_| PoolError::Broken(why.to_owned()));
    }

    /// Has all calls without an outcome fail.
    fn end(&self, error: &dyn Fn(&'static str) -> PoolError) {
        self.set_phase(Phase::Ended);
        // What cannot be emptied, for want of address space, is forgotten all the same.
        let (tags, _) = self.pool.abandon();
        for tag in tags {
            let error = error(tag.task);
            self.deliver(tag, Err(error));
        }
        self.ring();
        self.nudge();
    }

    pub(super) fn close(&self) {
        if self.is_own() {
            self.set_phase(Phase::Closed);
            self.ring();
        }
    }

    pub(super) fn terminate(&self) {
        if self.is_own() {
            self.end(&|task| PoolError::Terminated { task });
            self.wait_for_supervisor();
        }
    }

    /// Waits until all calls have an outcome, and the workers of a closed pool have ended.
    pub(super) fn join(&self) {
        if self.is_own() {
            self.advance(Limit::Forever, &|| self.pool.pending() == 0);
            self.wait_for_supervisor();
        }
    }

    fn wait_for_supervisor(&self) {
        let mut supervisor = locked(&self.supervisor);
        // Somebody else may have waited for it.
        if let Some(thread) = supervisor.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Processes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Processes").field("pool", &self.pool).finish_non_exhaustive()
    }
}
