//! Whose turn it is.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use crate::outside::Outside;
use crate::pulse::Pulse;
use crate::readiness::{Direction, Readiness, Registration};
use crate::slots::{Key, Slot, Slots, Wake};
use crate::timers::Timers;

/// After how many turns readiness and time are looked at.
const TURNS: u32 = 64;

/// How many events one look brings.
const EVENTS: usize = 256;

/// The token of wake-ups by other threads; no descriptor's, as that has a number below 2^32 in its lower half.
const WOKEN: Token = Token(usize::MAX);

/// Whose turn [`Hub::next`] says it is.
#[derive(Debug)]
pub enum Turn<T> {
    /// A slot's that was woken; it stays until [`Hub::end`].
    Slot(Key),
    /// A job's, which was posted.
    Job(T),
}

#[derive(Debug)]
struct Poller {
    poll: Poll,
    events: Events,
}

/// The run queue, those who wait, timers and readiness of one thread's green threads.
///
/// `T` is what the caller switches to or calls: it is only kept.
#[derive(Debug)]
pub struct Hub<T> {
    slots: Slots<T>,
    ready: VecDeque<Turn<T>>,
    timers: Timers,
    readiness: Readiness,
    /// Nothing after [`close`](Self::close).
    system: Option<System>,
    /// Away while somebody naps with it.
    poller: Option<Poller>,
    /// Who is to be woken by those who may not touch this.
    outside: Arc<Outside>,
    pulse: Arc<Pulse>,
    turns: u32,
    keeping: usize,
}

#[derive(Debug)]
struct System {
    registry: mio::Registry,
    waker: Arc<Waker>,
}

/// Sleep until something happens, to be taken outside of whatever keeps other threads from the hub.
#[derive(Debug)]
pub struct Nap {
    poller: Poller,
    until: Option<Instant>,
}

impl Nap {
    /// Sleeps, at most so long if that is said.
    ///
    /// # Errors
    /// Of kind `Interrupted` if a signal came.
    pub fn sleep(&mut self, at_most: Option<Duration>) -> io::Result<()> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        // The system's clock for this has milliseconds: rounded up, so that the nap does not end before the timer's time.
        let left = left.map(|left| left + Duration::from_micros(999));
        let timeout = match (left, at_most) {
            (Some(left), Some(most)) => Some(left.min(most)),
            (left, most) => left.or(most),
        };
        self.poller.poll.poll(&mut self.poller.events, timeout)
    }
}

impl<T> Hub<T> {
    /// A hub for whom nobody waits.
    ///
    /// # Errors
    /// Those of making a poller: no descriptor is left.
    pub fn new() -> io::Result<Self> {
        let (poller, system) = open()?;
        Ok(Hub {
            slots: Slots::new(),
            ready: VecDeque::new(),
            timers: Timers::default(),
            readiness: Readiness::default(),
            system: Some(system),
            poller: Some(poller),
            outside: Arc::default(),
            pulse: Arc::default(),
            turns: 0,
            keeping: 0,
        })
    }

    /// Gives back the descriptors; gives what had a turn or waited. All keys are void, and what is still asked of it is
    /// refused or does nothing, until it is [opened](Self::open) for other users.
    pub fn close(&mut self) -> Vec<T> {
        let ready = std::mem::take(&mut self.ready);
        let jobs = ready.into_iter().filter_map(|turn| match turn {
            Turn::Job(job) => Some(job),
            Turn::Slot(_) => None,
        });
        let mut left: Vec<T> = jobs.collect();
        let keys: Vec<Key> = self.slots.iter().map(|(key, _)| key).collect();
        left.extend(keys.into_iter().filter_map(|key| self.end(key)).map(|(what, _)| what));
        self.timers = Timers::default();
        self.readiness = Readiness::default();
        (self.system, self.poller) = (None, None);
        self.outside.take();
        self.pulse.rest();
        left
    }

    /// Makes a closed one usable again.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn open(&mut self) -> io::Result<()> {
        let (poller, system) = open()?;
        (self.poller, self.system) = (Some(poller), Some(system));
        Ok(())
    }

    /// What wakes those who wait here from anywhere.
    #[must_use]
    pub fn outside(&self) -> Arc<Outside> {
        Arc::clone(&self.outside)
    }

    /// What tells other threads whether this goes on.
    #[must_use]
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Whether it is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.system.is_none()
    }

    /// Gives a turn to a job, after those who have one already.
    #[inline]
    pub fn post(&mut self, job: T) {
        self.ready.push_back(Turn::Job(job));
        self.end_nap();
    }

    /// Takes a place to wait in. `keeps` says whether the hub may not end meanwhile, see [`nap`](Self::nap).
    #[inline]
    pub fn wait(&mut self, what: T, keeps: bool) -> Key {
        self.keeping += usize::from(keeps);
        self.slots.insert(Slot { what, woken: None, timer: None, keeps })
    }

    /// Says anew whether the hub may not end while this waits.
    pub fn keep(&mut self, key: Key, keeps: bool) {
        if let Some(slot) = self.slots.get_mut(key)
            && slot.keeps != keeps
        {
            slot.keeps = keeps;
            if slot.woken.is_none() {
                self.keeping = if keeps { self.keeping + 1 } else { self.keeping - 1 };
            }
        }
    }

    /// Gives it a turn. False if it is not waiting: woken already, or gone.
    #[inline]
    pub fn wake(&mut self, key: Key, why: Wake) -> bool {
        let woken = self.awaken(key, why);
        if woken {
            self.end_nap();
        }
        woken
    }

    #[inline]
    fn awaken(&mut self, key: Key, why: Wake) -> bool {
        let Some(slot) = self.slots.get_mut(key) else { return false };
        if slot.woken.is_some() {
            return false;
        }
        slot.woken = Some(why);
        self.keeping -= usize::from(slot.keeps);
        if slot.timer.take().is_some() && why != Wake::TimedOut {
            self.cancel_timer();
        }
        self.ready.push_back(Turn::Slot(key));
        true
    }

    /// Why it was woken; `None` while it waits, and if it is gone.
    #[inline]
    #[must_use]
    pub fn woken(&self, key: Key) -> Option<Wake> {
        self.slots.get(key)?.woken
    }

    /// What waits there.
    #[inline]
    #[must_use]
    pub fn what(&self, key: Key) -> Option<&T> {
        self.slots.get(key).map(|slot| &slot.what)
    }

    /// Frees the place. Gives what was there, and why it was woken if it was; if its turn had not come yet, that is void.
    #[inline]
    pub fn end(&mut self, key: Key) -> Option<(T, Option<Wake>)> {
        let slot = self.slots.remove(key)?;
        if slot.woken.is_none() {
            self.keeping -= usize::from(slot.keeps);
            if slot.timer.is_some() {
                self.cancel_timer();
            }
        }
        Some((slot.what, slot.woken))
    }

    /// Lets one that was woken, and whose turn has come, wait again.
    pub fn again(&mut self, key: Key) {
        if let Some(slot) = self.slots.get_mut(key)
            && slot.woken.take().is_some()
        {
            self.keeping += usize::from(slot.keeps);
        }
    }

    /// Wakes it at that time, instead of at another that was said before.
    pub fn wake_at(&mut self, key: Key, deadline: Instant) {
        let number = self.timers.set(deadline, key);
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.woken.is_none()) else {
            return self.cancel_timer();
        };
        if slot.timer.replace(number).is_some() {
            self.cancel_timer();
        }
    }

    /// Takes back that it is woken at some time.
    pub fn forget_time(&mut self, key: Key) {
        if self.slots.get_mut(key).is_some_and(|slot| slot.timer.take().is_some()) {
            self.cancel_timer();
        }
    }

    #[cold]
    fn cancel_timer(&mut self) {
        let slots = &self.slots;
        self.timers.cancel(|key, number| counts(slots, key, number));
    }

    /// Wakes it when the descriptor is ready. At once if that always is, such as a file.
    ///
    /// # Errors
    /// The descriptor is none.
    pub fn wake_when(
        &mut self,
        key: Key,
        fd: RawFd,
        direction: Direction,
        registration: Registration,
    ) -> io::Result<()> {
        let system = self.system.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        if !self.readiness.arm(&system.registry, fd, direction, registration, key)? {
            self.awaken(key, Wake::Ready);
        }
        Ok(())
    }

    /// Takes back that it is woken when the descriptor is ready; needed if it was not.
    pub fn forget_wait(&mut self, key: Key, fd: RawFd) {
        self.readiness.disarm(fd, key);
    }

    /// To be called before a descriptor is closed: those who wait for it are woken with [`Wake::Closed`].
    pub fn forget(&mut self, fd: RawFd) {
        let Some(system) = &self.system else { return };
        let mut keys = Vec::new();
        self.readiness.forget(&system.registry, fd, |key| keys.push(key));
        for key in keys {
            self.wake(key, Wake::Closed);
        }
    }

    /// Whose turn it is; `None` if it is nobody's now.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "no iterator: there may be more later")]
    pub fn next(&mut self) -> Option<Turn<T>> {
        self.pulse.beat();
        self.turns += 1;
        if self.turns >= TURNS {
            self.look();
        } else if self.outside.any() {
            self.take_letters();
        }
        loop {
            match self.ready.pop_front()? {
                // Who has gone before its turn came has none.
                Turn::Slot(key) if self.woken(key).is_none() => {}
                turn => return Some(turn),
            }
        }
    }

    /// Gives a turn back, so that it is the next one.
    pub fn give_back(&mut self, turn: Turn<T>) {
        self.ready.push_front(turn);
    }

    /// How many have a turn, including those who have gone meanwhile.
    #[must_use]
    pub fn due(&self) -> usize {
        self.ready.len()
    }

    /// How many places are taken.
    #[must_use]
    pub fn places(&self) -> usize {
        self.slots.len()
    }

    /// How many wait such that the hub may not end.
    #[must_use]
    pub fn keeping(&self) -> usize {
        self.keeping
    }

    /// Those who wait or have been woken.
    pub fn all(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().map(|(key, slot)| (key, &slot.what))
    }

    /// Looks at readiness and time without waiting.
    #[cold]
    pub fn look(&mut self) {
        self.turns = 0;
        if let Some(mut poller) = self.poller.take() {
            // What comes is dispatched; if the look fails the next one will see it.
            let _ = poller.poll.poll(&mut poller.events, Some(Duration::ZERO));
            self.dispatch(poller);
        }
        if self.outside.any() {
            self.take_letters();
        }
        self.expire();
    }

    #[cold]
    fn take_letters(&mut self) {
        for key in self.outside.take() {
            self.awaken(key, Wake::Notified);
        }
    }

    /// What to sleep with if it is nobody's turn. `None` if nobody waits who keeps the hub, or somebody naps already.
    pub fn nap(&mut self) -> Option<Nap> {
        if self.keeping == 0 {
            return None;
        }
        let slots = &self.slots;
        let until = self.timers.first(|key, number| counts(slots, key, number));
        let poller = self.poller.take()?;
        if let Some(system) = &self.system {
            self.outside.nap(&system.waker);
        }
        self.pulse.rest();
        Some(Nap { poller, until })
    }

    /// Takes what the nap has brought.
    pub fn wake_up(&mut self, nap: Nap) {
        self.turns = 0;
        if self.is_closed() {
            return; // meanwhile, by another thread
        }
        self.dispatch(nap.poller);
        self.take_letters();
        self.expire();
    }

    fn dispatch(&mut self, poller: Poller) {
        let mut keys = Vec::new();
        for event in &poller.events {
            if event.token() != WOKEN {
                self.readiness.dispatch(event, |key| keys.push(key));
            }
        }
        for key in keys {
            self.awaken(key, Wake::Ready);
        }
        self.poller = Some(poller);
    }

    fn expire(&mut self) {
        if self.timers.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some((key, number)) = self.timers.pop_due(now) {
            if counts(&self.slots, key, number) {
                self.awaken(key, Wake::TimedOut);
            } else {
                self.timers.passed_over();
            }
        }
    }

    #[inline]
    fn end_nap(&self) {
        if self.poller.is_none()
            && let Some(system) = &self.system
        {
            // Its only failure is that the counter is full: then it is awake already.
            let _ = system.waker.wake();
        }
    }

    /// To be called in a forked child, which shares its parent's poller: gives it its own. All who wait go on waiting.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn forked(&mut self) -> io::Result<()> {
        self.open()?;
        self.outside.forked();
        if let Some(system) = &self.system {
            self.readiness.move_to(&system.registry);
        }
        Ok(())
    }
}

fn counts<T>(slots: &Slots<T>, key: Key, number: u64) -> bool {
    slots.get(key).is_some_and(|slot| slot.timer == Some(number))
}

fn open() -> io::Result<(Poller, System)> {
    let poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    let waker = Arc::new(Waker::new(&registry, WOKEN)?);
    Ok((Poller { poll, events: Events::with_capacity(EVENTS) }, System { registry, waker }))
}
