//! The thread that sees to the workers of a pool of processes: it waits for them to end, settles what
//! they have left, starts others.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use manyhands_pool::{Buried, Lead};
use manyhands_process::{Child, ExitStatus, Waited};
use manyhands_shm::{Deadline, Limit, Patient};
use manyhands_sys::process::{KILL, TERMINATE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::{BuildError, Ended, PoolError};
use super::processes::{Phase, Processes, Tag};
use super::slot::locked;
use super::worker::Order;

/// After how long results are taken that nobody waits for.
const UNATTENDED: Duration = Duration::from_millis(300);

/// How long a worker's call may stay undecided.
const UNDECIDED: Duration = Duration::from_millis(5);

/// How long a follower sleeps before it looks whether it can have the lead.
const TURN: Duration = Duration::from_millis(50);

/// How long workers have to end when they were asked to.
const MERCY: Duration = Duration::from_secs(1);

/// A worker.
pub(super) struct Running {
    child: Arc<Child>,
    seat: usize,
}

impl Processes {
    /// Starts as many workers as are missing.
    pub(super) fn start_workers(&self) -> Result<(), BuildError> {
        while locked(&self.workers).len() < self.count {
            let Some(seat) = self.pool.hire() else { return Ok(()) };
            let started = start_worker(self.pool.reference(), seat);
            match started {
                Ok(child) => locked(&self.workers).push(Running { child, seat }),
                Err(why) => {
                    self.pool.release(seat);
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    /// What the thread does.
    pub(super) fn supervise(&self) {
        let mut dead = Vec::new();
        let mut dismissed = false;
        loop {
            match self.phase() {
                Phase::Ended => break,
                Phase::Closed if self.pool.pending() == 0 && !dismissed => {
                    // Not before: a call whose worker dies may have to be done again.
                    dismissed = true;
                    if let Err(why) = self.pool.close() {
                        self.give_up(&why.to_string());
                        break;
                    }
                }
                Phase::Running | Phase::Closed => {}
            }
            if dismissed && dead.is_empty() && locked(&self.workers).is_empty() {
                break;
            }
            let wait = if dead.is_empty() { UNATTENDED } else { UNDECIDED };
            let found = self.dead_workers(wait);
            if found.is_empty() && self.pool.pending() > 0 {
                self.drain_unattended();
            }
            dead.extend(found);
            if !dead.is_empty() {
                dead = self.bury(dead);
            }
            if !dismissed && self.phase() != Phase::Ended {
                self.replace_workers();
            }
        }
        locked(&self.workers).append(&mut dead);
        self.end_workers();
    }

    fn replace_workers(&self) {
        if let Err(why) = self.start_workers()
            && locked(&self.workers).is_empty()
        {
            self.give_up(&format!("there is no worker any more, and {why}"));
        }
        // While there are others, that is tried again later.
    }

    /// Takes the results that are there, if nobody else does: they may be large.
    fn drain_unattended(&self) {
        if let Some(lead) = self.pool.try_lead()
            && let Err(why) = self.drain(&lead)
        {
            drop(lead);
            self.give_up(&why.to_string());
        }
    }

    /// Waits for workers that have ended, or for the alarm.
    fn dead_workers(&self, wait: Duration) -> Vec<Running> {
        let children: Vec<_> =
            locked(&self.workers).iter().map(|worker| Arc::clone(&worker.child)).collect();
        let mut polled = vec![PollFd::new(&self.alarm, PollFlags::IN)];
        polled.extend(
            children
                .iter()
                .map(|child| PollFd::from_borrowed_fd(child.descriptor(), PollFlags::IN)),
        );
        let wait =
            Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() };
        let _ = poll(&mut polled, Some(&wait));
        if !polled[0].revents().is_empty() {
            let _ = rustix::io::read(&self.alarm, &mut [0_u8; 8]);
        }
        let ended = polled[1..].iter().map(|polled| !polled.revents().is_empty());
        let mut ended = ended.collect::<Vec<_>>().into_iter();
        // Nobody else adds workers, or removes them.
        locked(&self.workers).extract_if(.., |_| ended.next().unwrap_or(false)).collect()
    }

    /// The lead, which whoever has it gives up; `None` when the pool has ended.
    fn take_lead(&self) -> Option<Lead<'_>> {
        self.wanted.store(true, Ordering::Release);
        let lead = loop {
            if self.phase() == Phase::Ended {
                break None;
            }
            if let Some(lead) = self.pool.try_lead() {
                break Some(lead);
            }
            // Without memory for it, who leads comes back with the next result.
            let _ = self.pool.nudge();
            let until = Limit::Until(Deadline::after(TURN));
            let Ok(()) = self.pool.follow(&Patient, until, || self.phase() == Phase::Ended);
        };
        self.wanted.store(false, Ordering::Release);
        self.pool.tell();
        lead
    }

    /// Settles what dead workers have left. Those come back of whom it cannot be told yet.
    fn bury(&self, dead: Vec<Running>) -> Vec<Running> {
        let Some(lead) = self.take_lead() else { return dead };
        let (mut undecided, mut lost, mut hopeless) = (Vec::new(), Vec::new(), None);
        for worker in dead {
            let Some(status) = worker.child.status() else {
                // Its end is told to somebody first who traces it.
                undecided.push(worker);
                continue;
            };
            let buried = self.pool.bury(&lead, worker.seat, || self.drain(&lead));
            match buried {
                Ok(Buried::Unsure) => undecided.push(worker),
                Ok(Buried::Settled { lost: tag, was_ready }) => {
                    lost.extend(tag.map(|tag| (tag, worker.child.id(), status)));
                    let was_killed = matches!(status, ExitStatus::Killed(_));
                    if !self.fitness.note(was_ready, was_killed) {
                        hopeless = Some(unfit(worker.child.id(), status));
                    }
                }
                Err(why) => hopeless = Some(why.to_string()),
            }
        }
        drop(lead);
        for (tag, pid, status) in lost {
            self.lose(tag, pid, status);
        }
        if let Some(why) = hopeless {
            self.give_up(&why);
        }
        undecided
    }

    fn lose(&self, tag: Tag, pid: u32, status: ExitStatus) {
        if let Some(tag) = self.retry(tag) {
            let task = tag.task;
            self.deliver(tag, Err(PoolError::WorkerDied { task, pid, status }));
            self.nudge();
        }
    }

    /// Ends all workers: those that do nothing have ended, as there is nothing to do any more.
    pub(super) fn end_workers(&self) {
        let workers = std::mem::take(&mut *locked(&self.workers));
        for worker in &workers {
            let _ = worker.child.send_signal(TERMINATE);
        }
        let until = Deadline::after(MERCY);
        for worker in &workers {
            if !has_ended(&worker.child, Some(until)) {
                let _ = worker.child.send_signal(KILL);
                has_ended(&worker.child, None);
            }
        }
    }
}

fn has_ended(child: &Child, until: Option<Deadline>) -> bool {
    loop {
        match child.wait(until) {
            Waited::Ended(_) => return true,
            Waited::TimedOut => return false,
            Waited::Interrupted => {}
        }
    }
}

fn unfit(pid: u32, status: ExitStatus) -> String {
    format!(
        "its workers end before they take a call; the last, process {pid}, {}. They are this program, \
         started again: does its main() come to manyhands::init()?",
        Ended(status)
    )
}

/// Starts this program again, as a worker.
fn start_worker(board: manyhands_shm::Reference, seat: usize) -> Result<Arc<Child>, BuildError> {
    manyhands_process::set_death_hook(manyhands_shm::child_died);
    let ticket = manyhands_shm::reserve_child()?;
    let arena = ticket.arena().descriptor()?;
    let order = Order {
        arena: arena.as_fd().as_raw_fd(),
        ticket: ticket.number(),
        board,
        seat,
        parent: std::process::id(),
        by_main: manyhands_sys::thread::is_main(),
    };
    // Without zeros: it came from the system, or there is none.
    let name = std::env::args_os().next().and_then(|name| CString::new(name.into_vec()).ok());
    let (name, order) = (name.unwrap_or_default(), order.to_argument());
    // That file is this program also when it was replaced, or removed.
    let child =
        manyhands_process::spawn(c"/proc/self/exe", &[&name, &order], &[arena.as_raw_fd()])?;
    ticket.started(child.id());
    Ok(child)
}
