//! What the roles do that hold, wait for, and hand on locks and the like.

use std::sync::atomic::{AtomicU64, Ordering};

use manyhands_shm::{
    Acquired, Barrier, Condition, Event, Handle, Kind, Limit, Lock, Patient, RLock, Semaphore,
    Shared,
};

use crate::roles::Role;

/// Two numbers that are the same whenever nobody has the lock, and how often somebody inherited it.
#[repr(C)]
struct Pair {
    first: AtomicU64,
    second: AtomicU64,
    inherited: AtomicU64,
}

// SAFETY: atomics.
unsafe impl Shared for Pair {}

impl Pair {
    /// Under the lock: adds one to both, after putting them right if somebody died in between.
    fn step(&self, acquired: Acquired) {
        let Pair { first, second, inherited } = self;
        if let Acquired::Inherited(_) = acquired {
            inherited.fetch_add(1, Ordering::Relaxed);
            // Half done, or done.
            let done = first.load(Ordering::Relaxed);
            assert!(done - second.load(Ordering::Relaxed) <= 1);
            second.store(done, Ordering::Relaxed);
        }
        assert_ne!(acquired, Acquired::No, "there was no limit");
        let done = first.load(Ordering::Relaxed);
        assert_eq!(done, second.load(Ordering::Relaxed), "two have the lock");
        first.store(done + 1, Ordering::Relaxed);
        second.store(done + 1, Ordering::Relaxed);
    }
}

/// What lies in the kitchen, and how often something was done.
#[repr(C)]
struct Counts {
    /// Cooked and not eaten; written under the kitchen's lock.
    meals: AtomicU64,
    inherited: AtomicU64,
    eaten: AtomicU64,
    released: AtomicU64,
    acquired: AtomicU64,
    seen: AtomicU64,
    met: AtomicU64,
}

// SAFETY: atomics.
unsafe impl Shared for Counts {}

/// What everything came to.
pub struct Closing {
    pub inherited: u64,
    pub acquired: u64,
    pub seen: u64,
    pub eaten: u64,
    pub met: u64,
}

pub struct Floor {
    lock: Handle<Lock>,
    locked: Handle<Pair>,
    rlock: Handle<RLock>,
    owned: Handle<Pair>,
    semaphore: Handle<Semaphore>,
    flag: Handle<Event>,
    kitchen: Handle<Lock>,
    meal: Handle<Condition>,
    counts: Handle<Counts>,
    barrier: Barrier,
}

fn count(word: &AtomicU64) {
    word.fetch_add(1, Ordering::Relaxed);
}

impl Floor {
    pub fn new() -> Floor {
        let floor = Floor {
            lock: Handle::new(Kind::Lock).unwrap(),
            locked: Handle::new(Kind::Plain).unwrap(),
            rlock: Handle::new(Kind::RLock).unwrap(),
            owned: Handle::new(Kind::Plain).unwrap(),
            semaphore: Handle::new(Kind::Semaphore).unwrap(),
            flag: Handle::new(Kind::Event).unwrap(),
            kitchen: Handle::new(Kind::Lock).unwrap(),
            meal: Handle::new(Kind::Condition).unwrap(),
            counts: Handle::new(Kind::Plain).unwrap(),
            barrier: Barrier::new(2).unwrap(),
        };
        floor.semaphore.set_up(0, Semaphore::MAX);
        floor
    }

    /// Plays a role until that is over.
    pub fn play(&self, role: Role, over: &Event) {
        while !over.is_set() {
            match role {
                Role::Holder => {
                    self.locked.step(self.lock.acquire());
                    self.lock.release().unwrap();
                }
                Role::Owner => {
                    let acquired = self.rlock.acquire();
                    assert_eq!(self.rlock.acquire(), Acquired::Yes);
                    assert_eq!(self.rlock.count(), 2);
                    self.owned.step(acquired);
                    self.rlock.release().unwrap();
                    self.rlock.release().unwrap();
                }
                Role::Releaser => {
                    if self.semaphore.value() < 20 {
                        count(&self.counts.released);
                        self.semaphore.release().unwrap();
                    } else {
                        std::thread::yield_now();
                    }
                }
                Role::Acquirer => {
                    self.semaphore.acquire();
                    count(&self.counts.acquired);
                }
                Role::Setter => {
                    self.flag.set();
                    std::thread::yield_now();
                }
                Role::Watcher => {
                    self.flag.wait();
                    count(&self.counts.seen);
                    self.flag.clear();
                    if over.is_set() {
                        // Whoever waits is to see that.
                        self.flag.set();
                    }
                }
                Role::Cook => self.cook(),
                Role::Guest => self.eat(over),
                Role::Dancer => {
                    if self.barrier.wait().is_ok() {
                        count(&self.counts.met);
                    } else {
                        assert!(over.is_set(), "nobody else breaks it");
                    }
                }
                _ => unreachable!("played elsewhere"),
            }
        }
    }

    /// Takes the kitchen's lock. From a dead one it takes his duty, too: he may have cooked, and not
    /// come to tell anybody.
    fn enter(&self) {
        if let Acquired::Inherited(_) = self.kitchen.acquire() {
            count(&self.counts.inherited);
            self.meal.notify_all();
        }
    }

    fn cook(&self) {
        self.enter();
        let meals = self.counts.meals.load(Ordering::Relaxed);
        if meals < 3 {
            self.counts.meals.store(meals + 1, Ordering::Relaxed);
            self.meal.notify(1);
        }
        self.kitchen.release().unwrap();
        if meals >= 3 {
            std::thread::yield_now();
        }
    }

    fn eat(&self, over: &Event) {
        self.enter();
        loop {
            let meals = self.counts.meals.load(Ordering::Relaxed);
            if over.is_set() {
                break;
            }
            if meals > 0 {
                self.counts.meals.store(meals - 1, Ordering::Relaxed);
                count(&self.counts.eaten);
                break;
            }
            let mut waiting = self.meal.enlist().unwrap();
            self.kitchen.release().unwrap();
            let Ok(noticed) = waiting.wait_with(&Patient, Limit::Forever);
            assert!(noticed);
            self.enter();
        }
        self.kitchen.release().unwrap();
    }

    /// Lets everybody see that it is over.
    pub fn end(&self) {
        self.enter();
        self.meal.notify_all();
        self.kitchen.release().unwrap();
        self.flag.set();
        self.barrier.abort();
        for _ in 0..100 {
            self.semaphore.release().unwrap();
        }
    }

    /// Everything is in order, and nobody waits any more.
    pub fn close(&self) -> Closing {
        self.locked.step(self.lock.acquire());
        self.owned.step(self.rlock.acquire());
        assert_eq!(self.rlock.count(), 1);
        assert_eq!(self.meal.waiters(), 0);
        assert_eq!(self.barrier.waiting(), 0);
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let counts = &self.counts;
        let (released, left) = (get(&counts.released) + 100, u64::from(self.semaphore.value()));
        assert!(get(&counts.acquired) + left <= released, "acquired more often than released");
        Closing {
            inherited: get(&self.locked.inherited)
                + get(&self.owned.inherited)
                + get(&counts.inherited),
            acquired: get(&counts.acquired),
            seen: get(&counts.seen),
            eaten: get(&counts.eaten),
            met: get(&counts.met),
        }
    }
}
