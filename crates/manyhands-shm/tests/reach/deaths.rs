//! A process dies at each step of what it does out of the reach of others. One of those comes first: all
//! that he does works or fails as it should, and whoever has room finds everything in order.

use std::sync::atomic::{AtomicU32, Ordering};

use manyhands_shm::{
    GetError, Handle, Kind, Limit, Message, Patient, Plain, PutError, Queue, Shared,
};
use manyhands_sys::step::die_at;

use crate::scene::{Narrow, blocks, go_far, is_the_limit, semaphore, stage};
use crate::support::{doing, fork, reap, wait};

/// What is known of messages: whether they were put, and how often they came.
#[repr(C)]
struct Ledger {
    put: [AtomicU32; 40],
    seen: [AtomicU32; 40],
    /// Gets that were begun, and ended.
    asked: AtomicU32,
    answered: AtomicU32,
}

// SAFETY: atomics.
unsafe impl Shared for Ledger {}

struct Scene {
    queue: Queue,
    ledger: Handle<Ledger>,
    /// How many blocks there were when all this was new.
    blocks: u64,
}

impl Scene {
    fn new() -> Scene {
        let queue = Queue::new(0).unwrap();
        let ledger = Handle::new(Kind::Plain).unwrap();
        Scene { queue, ledger, blocks: blocks() }
    }

    /// Puts a message; false if it cannot be reached where to.
    fn put(&self, number: u8, len: usize) -> bool {
        let put = self.queue.put(&Patient, Message::of(&vec![number; len]), Limit::Never);
        match put {
            Ok(()) => self.ledger.put[usize::from(number)].store(1, Ordering::Relaxed),
            Err(PutError::Arena(error)) => {
                is_the_limit(error);
                return false;
            }
            Err(error) => panic!("{error}"),
        }
        true
    }

    /// Gets a message, and looks at it; false if there is none, none that can be reached.
    fn get(&self) -> bool {
        let mut bytes = Vec::new();
        self.ledger.asked.fetch_add(1, Ordering::Relaxed);
        let got = match self.queue.get(&Patient, &mut bytes, Limit::Never) {
            Ok(parcel) => {
                if let Some(parcel) = parcel {
                    bytes.extend_from_slice(parcel.head());
                }
                assert!(bytes.iter().all(|&byte| byte == bytes[0]), "torn");
                self.ledger.seen[usize::from(bytes[0])].fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(GetError::Empty) => false,
            Err(GetError::Arena(error)) => {
                is_the_limit(error);
                false
            }
            Err(error) => panic!("{error}"),
        };
        self.ledger.answered.fetch_add(1, Ordering::Relaxed);
        got
    }

    /// All that were put have come, once; but one that somebody died with.
    fn balance(&self) {
        while self.get() {}
        assert_eq!(self.queue.len().unwrap(), 0);
        let word = |word: &AtomicU32| word.load(Ordering::Relaxed);
        let mut missing = 0;
        for (number, (put, seen)) in self.ledger.put.iter().zip(&self.ledger.seen).enumerate() {
            assert!(word(seen) <= 1, "{number} came twice");
            missing += u32::from(word(put) > word(seen));
        }
        assert!(missing <= word(&self.ledger.asked) - word(&self.ledger.answered));
        assert!(self.queue.lost() <= 1);
        assert_eq!(blocks(), self.blocks, "blocks, while the queue is still there");
    }
}

/// Has `act` die at each of its steps, after `ready` and out of reach of who comes then: that one does
/// what it can without room, and again with it.
fn at_every_step<S>(
    name: &str,
    prepare: impl Fn() -> S,
    ready: impl Fn(&S),
    act: impl Fn(&S),
    repair: impl Fn(&S, Room),
    check: impl Fn(&S),
) {
    for n in 1.. {
        let what = format!("{name}, a death at step {n}");
        doing(|| what.clone());
        let survived = stage(|| {
            let before = blocks();
            let (go, scene) = (semaphore(), prepare());
            let limited = fork(|| {
                go.acquire();
                let narrow = Narrow::new();
                repair(&scene, Room::None);
                drop(narrow);
                repair(&scene, Room::Enough);
                0
            });
            let victim = fork(|| {
                let _far = go_far();
                ready(&scene);
                die_at(n);
                act(&scene);
                die_at(0);
                0
            });
            let ended = reap(victim);
            assert!([0, -libc::SIGKILL].contains(&ended), "{what}: {ended}");
            go.release().unwrap();
            assert_eq!(wait(limited), 0, "{what}");
            check(&scene);
            drop((scene, go));
            assert_eq!(blocks(), before, "{what}");
            i32::from(ended == 0)
        });
        if survived {
            assert!(n > 3, "{name} has no steps");
            println!("{name}: {} steps", n - 1);
            return;
        }
    }
}

/// What who repairs has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    None,
    Enough,
}

/// What one process after the other does: one puts first, another gets first.
fn use_queue(scene: &Scene, room: Room, puts_first: bool) {
    let number = if room == Room::None { 30 } else { 31 };
    let put = || {
        let put = scene.put(number, 10);
        assert!(put || room == Room::None, "with room it works");
    };
    if puts_first {
        put();
    }
    match scene.queue.len() {
        Ok(_) => {}
        Err(error) if room == Room::None => is_the_limit(error),
        Err(error) => panic!("{error}"),
    }
    scene.get();
    if !puts_first {
        put();
    }
    assert!(scene.get() || room == Room::None, "what was put is there");
}

#[test]
fn a_queue_that_grows_out_of_reach() {
    for puts_first in [false, true] {
        at_every_step(
            "put out of reach",
            || {
                let scene = Scene::new();
                assert!((0..4).all(|number| scene.put(number, 3900)));
                scene
            },
            |_| {},
            |scene| {
                for (number, len) in [(4, 3900), (5, 20_000), (6, 100)] {
                    assert!(scene.put(number, len));
                }
            },
            |scene, room| use_queue(scene, room, puts_first),
            Scene::balance,
        );
    }
}

#[test]
fn a_queue_whose_front_goes_out_of_reach() {
    for puts_first in [false, true] {
        at_every_step(
            "get out of reach",
            || {
                let scene = Scene::new();
                assert!((0..4).all(|number| scene.put(number, 3900)));
                scene
            },
            |scene| {
                for (number, len) in [(4, 3900), (5, 20_000), (6, 100)] {
                    assert!(scene.put(number, len));
                }
                assert!((0..3).all(|_| scene.get()));
            },
            |scene| assert!((0..3).all(|_| scene.get())),
            |scene, room| use_queue(scene, room, puts_first),
            Scene::balance,
        );
    }
}

#[test]
fn blocks_out_of_reach() {
    let make = |size| Handle::<Plain>::with_tail(Kind::Plain, size);
    at_every_step(
        "blocks out of reach",
        || {
            // Free ones in reach.
            drop([100, 1000, 5000].map(|size| make(size).unwrap()));
        },
        |()| {},
        |()| {
            let made = [100, 1000, 3 << 20].map(|size| make(size).unwrap());
            drop(made);
            drop(make(5000).unwrap());
        },
        |(), room| {
            for size in [100, 1000, 5000, 100_000] {
                match make(size) {
                    Ok(block) => drop(block),
                    Err(error) if room == Room::None => is_the_limit(error),
                    Err(error) => panic!("{error}"),
                }
            }
            match manyhands_shm::arena().unwrap().statistics() {
                Ok(_) => assert!(room == Room::Enough, "it cannot have seen all"),
                Err(error) if room == Room::None => is_the_limit(error),
                Err(error) => panic!("{error}"),
            }
        },
        |()| {
            // What was freed is found again: the large block is not made a second time.
            drop(make(3 << 20).unwrap());
            let resident = manyhands_shm::arena().unwrap().statistics().unwrap().resident;
            assert!(resident < 5 << 20, "{resident} bytes are resident");
        },
    );
}
