//! No zombies: one native thread waits for the ends of all children that nobody waits for.
//!
//! It sleeps on the descriptors of the processes started here, and on the sockets of zygotes, by which
//! it hears of their copies: children that the program starts otherwise are the program's. It begins
//! with the first child and ends some time after the last one has. It is not woken for a child that
//! somebody else waits for.
//!
//! Under the registry's lock: a child is in `watched` from its birth until somebody has reaped it, and
//! only who holds the lock reaps. The lock is held across fork(2), so that a forked child never
//! finds it taken; what it finds in the registry then are its parent's children, which it forgets.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use manyhands_sys::fork::{self, ForkMutex, OwnDescriptor, Protected};
use manyhands_sys::process;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use crate::child::Child;
use crate::guard::{Helper, NAME};
use crate::source::Source;

/// How long the thread stays when it has nothing to do: programs start one child after another.
const LINGER: Duration = Duration::from_millis(100);

/// The events that ask the thread to end, at once, or if it has nothing to do. Then come children.
const STOP: u64 = 0;
const IDLE: u64 = 1;
const FIRST: u64 = 2;

const STACK: usize = 64 << 10;

pub(crate) struct Registry {
    /// The [`fork::epoch`] of the process whose children these are.
    epoch: u32,
    next: u64,
    watched: BTreeMap<u64, Watched>,
    /// Where children come from that nobody has asked for yet.
    sources: BTreeMap<u64, Arc<Source>>,
    thread: Option<Running>,
    /// How many fork, and do not want the thread to be there.
    pauses: u32,
    /// What it waited with before, and will again.
    paused: Option<Arc<Watch>>,
}

struct Watched {
    child: Arc<Child>,
    /// How many threads wait for it; while there are any the reaper need not.
    waiters: usize,
}

struct Running {
    watch: Arc<Watch>,
    handle: JoinHandle<()>,
}

struct Watch {
    epoll: OwnDescriptor,
    stop: OwnDescriptor,
    /// Goes off when the thread may have had nothing to do for a while.
    idle: OwnDescriptor,
}

static REGISTRY: ForkMutex<Registry> = ForkMutex::new(Registry {
    epoch: 0,
    next: FIRST,
    watched: BTreeMap::new(),
    sources: BTreeMap::new(),
    thread: None,
    pauses: 0,
    paused: None,
});

static DEATH_HOOK: OnceLock<fn(u32)> = OnceLock::new();

impl Protected for Registry {
    fn mutex() -> &'static ForkMutex<Registry> {
        &REGISTRY
    }

    /// Closes what the parent's thread waits with, as long as the numbers mean that.
    fn in_child(&mut self) {
        for watch in self.forget_thread() {
            watch.descriptors().into_iter().for_each(|each| _ = process::close(each.as_raw_fd()));
            // The thread, which is not there, has it still; and memory is left alone in a fork.
            std::mem::forget(watch);
        }
    }
}

/// Has forks of this process find the registry free. Done before the first child, but a fork that is
/// under way then finds it taken, so who forks among threads calls this first.
///
/// ```
/// manyhands_process::prepare_for_forks();
/// ```
pub fn prepare_for_forks() {
    REGISTRY.prepare();
}

/// The registry of this process.
pub(crate) fn registry() -> MutexGuard<'static, Registry> {
    let mut registry = REGISTRY.lock();
    if registry.epoch != fork::epoch() {
        registry.epoch = fork::epoch();
        registry.watched = BTreeMap::new();
        registry.sources = BTreeMap::new();
        registry.pauses = 0;
        // Still there in a copy that the C library knows nothing of, and not ours to close any more.
        drop(registry.forget_thread());
    }
    registry
}

/// Sets what is to be called with the number of each child that has ended, before the number can be
/// given to another process. Set once, for all; a second one is not taken.
///
/// ```
/// manyhands_process::set_death_hook(|pid| println!("{pid} has ended"));
/// ```
pub fn set_death_hook(hook: fn(u32)) {
    let _ = DEATH_HOOK.set(hook);
}

pub(crate) fn death_hook() -> Option<fn(u32)> {
    DEATH_HOOK.get().copied()
}

impl Registry {
    /// What the parent's thread waits with, in a forked child, where that thread is not.
    fn forget_thread(&mut self) -> impl Iterator<Item = Arc<Watch>> + use<> {
        let running = self.thread.take().map(|running| {
            // Of a thread that is not there the C library must not be asked anything.
            std::mem::forget(running.handle);
            running.watch
        });
        [running, self.paused.take()].into_iter().flatten()
    }

    /// Sees to it that the child is reaped when it ends.
    pub(crate) fn watch(&mut self, child: Child) -> Arc<Child> {
        let token = self.next;
        self.next += 1;
        let child = Arc::new(child.numbered(token));
        self.watched.insert(token, Watched { child: Arc::clone(&child), waiters: 0 });
        if let Some(running) = &self.thread {
            running.watch.add(&child);
        } else {
            self.run();
        }
        child
    }

    /// Listens to who is at the other end of the source, until nobody is.
    pub(crate) fn listen(&mut self, source: &Arc<Source>) {
        let token = self.next;
        self.next += 1;
        self.sources.insert(token, Arc::clone(source));
        if let Some(running) = &self.thread {
            running.watch.listen(token, source);
        } else {
            self.run();
        }
    }

    fn watch_in_use(&self) -> Option<&Watch> {
        match (&self.thread, &self.paused) {
            (Some(running), _) => Some(&running.watch),
            (None, paused) => paused.as_deref(),
        }
    }

    fn is_idle(&self) -> bool {
        self.watched.is_empty() && self.sources.is_empty()
    }

    /// The child has been reaped.
    pub(crate) fn forget(&mut self, child: &Child) {
        let Some(watched) = self.watched.remove(&child.token()) else { return };
        let Some(watch) = self.watch_in_use() else { return };
        if watched.waiters == 0 {
            watch.remove(child);
        }
        if self.is_idle() {
            watch.wait_for_more();
        }
    }

    /// The calling thread begins to wait for the child.
    pub(crate) fn begin_wait(&mut self, child: &Child) {
        let Some(watched) = self.watched.get_mut(&child.token()) else { return };
        watched.waiters += 1;
        if watched.waiters == 1
            && let Some(watch) = self.watch_in_use()
        {
            watch.remove(child);
        }
    }

    /// It does so no more, without having reaped the child.
    pub(crate) fn end_wait(&mut self, child: &Child) {
        let Some(watched) = self.watched.get_mut(&child.token()) else { return };
        watched.waiters = watched.waiters.saturating_sub(1);
        if watched.waiters == 0
            && let Some(watch) = self.watch_in_use()
        {
            watch.add(child);
        }
    }

    /// Has the thread run. If there can be none, for want of threads or descriptors, children are
    /// reaped by who waits for them, or when there is one again.
    fn run(&mut self) {
        if self.thread.is_some() || self.pauses > 0 || self.is_idle() {
            return;
        }
        let watch = match self.paused.take() {
            Some(watch) => watch,
            None => {
                let Ok(watch) = Watch::new().map(Arc::new) else { return };
                watch
            }
        };
        // Those that it knows already it does not take again.
        for watched in self.watched.values().filter(|watched| watched.waiters == 0) {
            watch.add(&watched.child);
        }
        for (&token, source) in &self.sources {
            watch.listen(token, source);
        }
        watch.wait_for_more();
        let mine = Arc::clone(&watch);
        let helper = Helper::new();
        // Signals are for the program's threads.
        let blocked = process::set_blocked_signals(u64::MAX);
        let thread = std::thread::Builder::new().name(format!("{NAME}-reap")).stack_size(STACK);
        let spawned = thread.spawn(move || {
            let _helper = helper;
            reap(&mine);
        });
        process::set_blocked_signals(blocked);
        self.thread = spawned.ok().map(|handle| Running { watch, handle });
    }
}

impl Watch {
    fn new() -> rustix::io::Result<Watch> {
        let watch = Watch {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?.into(),
            stop: eventfd(0, EventfdFlags::CLOEXEC)?.into(),
            idle: timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?.into(),
        };
        for (event, descriptor) in [(STOP, &watch.stop), (IDLE, &watch.idle)] {
            let event = epoll::EventData::new_u64(event);
            epoll::add(&watch.epoll, descriptor, event, epoll::EventFlags::IN)?;
        }
        Ok(watch)
    }

    fn descriptors(&self) -> [BorrowedFd<'_>; 3] {
        [&self.epoll, &self.stop, &self.idle].map(AsFd::as_fd)
    }

    fn listen(&self, token: u64, source: &Source) {
        let token = epoll::EventData::new_u64(token);
        let _ = epoll::add(&self.epoll, &source.socket, token, epoll::EventFlags::IN);
    }

    fn remove(&self, child: &Child) {
        let _ = epoll::delete(&self.epoll, child.descriptor());
    }

    /// Has the thread look in a while whether it is still needed.
    fn wait_for_more(&self) {
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let linger = Timespec { tv_sec: 0, tv_nsec: LINGER.subsec_nanos().into() };
        let timer = Itimerspec { it_interval: none, it_value: linger };
        let _ = timerfd_settime(&self.idle, TimerfdTimerFlags::empty(), &timer);
    }

    fn add(&self, child: &Child) {
        let token = epoll::EventData::new_u64(child.token());
        let _ = epoll::add(&self.epoll, child.descriptor(), token, epoll::EventFlags::IN);
    }
}

/// What the thread does.
fn reap(watch: &Arc<Watch>) {
    let mut events: Vec<epoll::Event> = Vec::with_capacity(64);
    loop {
        events.clear();
        let buffer = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&watch.epoll, buffer, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => {
                // Somebody has closed it by its number. What has that number next is not ours to close.
                std::mem::forget(Arc::clone(watch));
                registry().end(watch);
                return;
            }
        }
        let mut left = false;
        for event in &events {
            match event.data.u64() {
                STOP => return,
                IDLE => {
                    let _ = rustix::io::read(&watch.idle, &mut [0; 8]);
                    let mut registry = registry();
                    if registry.is_idle() {
                        registry.end(watch);
                        return;
                    }
                }
                token => {
                    let (child, source) = registry().find(token);
                    left |= child.is_some_and(|child| child.status().is_none());
                    // Who is announced there is watched under the registry's lock.
                    if source.is_some_and(|source| !source.listen()) {
                        registry().dry_up(token);
                    }
                }
            }
        }
        if left {
            // Its end is told first to somebody who traces it.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Registry {
    /// The child of that number, if nobody else waits for it; or the source.
    fn find(&self, token: u64) -> (Option<Arc<Child>>, Option<Arc<Source>>) {
        let watched = self.watched.get(&token).filter(|watched| watched.waiters == 0);
        (watched.map(|watched| Arc::clone(&watched.child)), self.sources.get(&token).cloned())
    }

    /// Nobody is at the other end of the source.
    fn dry_up(&mut self, token: u64) {
        let Some(source) = self.sources.remove(&token) else { return };
        let Some(watch) = self.watch_in_use() else { return };
        let _ = epoll::delete(&watch.epoll, &source.socket);
        if self.is_idle() {
            watch.wait_for_more();
        }
    }

    /// The thread that waits with `watch` ends by itself.
    fn end(&mut self, watch: &Arc<Watch>) {
        if self.thread.as_ref().is_some_and(|running| Arc::ptr_eq(&running.watch, watch)) {
            self.thread = None;
        }
    }
}

/// Ends the thread for now, so that a fork finds a process without it. To be followed by
/// [`resume_reaper`], once for each time.
pub fn pause_reaper() {
    let mut registry = registry();
    registry.pauses += 1;
    let Some(running) = registry.thread.take() else { return };
    // What happens to children meanwhile is noted there.
    registry.paused = Some(Arc::clone(&running.watch));
    drop(registry);
    let _ = rustix::io::write(&running.watch.stop, &1_u64.to_ne_bytes());
    let _ = running.handle.join();
    let _ = rustix::io::read(&running.watch.stop, &mut [0; 8]);
}

/// Has the thread run again, if there are children to watch and nobody else has it paused.
pub fn resume_reaper() {
    let mut registry = registry();
    registry.pauses = registry.pauses.saturating_sub(1);
    if registry.pauses == 0 {
        registry.run();
        registry.paused = None;
    }
}
