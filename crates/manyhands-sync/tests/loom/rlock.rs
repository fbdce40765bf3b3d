//! Models of [`RLock`].

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use manyhands_sync::{Limit, Patient, RLock};

use crate::{GivesUp, TimesOut, end, model, some_time, start};

/// A lock, and how many threads are inside.
#[derive(Default)]
struct Room {
    lock: RLock,
    inside: AtomicUsize,
}

impl Room {
    fn visit(&self) {
        self.lock.acquire();
        self.lock.acquire();
        assert_eq!(self.inside.load(Ordering::Relaxed), 0);
        self.inside.store(1, Ordering::Relaxed);
        self.lock.release().expect("it is owned");
        assert!(self.lock.is_owned());
        self.inside.store(0, Ordering::Relaxed);
        self.lock.release().expect("it is owned");
    }
}

#[test]
fn its_owner_comes_in_again_and_others_wait() {
    model(2, || {
        let room = Arc::new(Room::default());
        let others = [(); 2].map(|()| start(&room, Room::visit));
        room.visit();
        others.into_iter().for_each(end);
        assert_eq!(room.lock.holder(), None);
    });
}

#[test]
fn what_was_given_up_wholly_comes_back_as_often() {
    model(3, || {
        let room = Arc::new(Room::default());
        room.lock.acquire();
        room.lock.acquire();
        let other = start(&room, Room::visit);
        let saved = room.lock.release_all().expect("it is owned");
        assert_eq!(room.lock.acquire_saved(&Patient, Limit::Forever, saved), Ok(true));
        assert_eq!(room.lock.holder(), Some(saved));
        room.lock.release_all().expect("it is owned");
        end(other);
    });
}

#[test]
fn who_times_out_or_gives_up_takes_no_wake_up_along() {
    model(3, || {
        let room = Arc::new(Room::default());
        room.lock.acquire();
        let hasty = start(&room, |room| {
            let Ok(first) = room.lock.acquire_with(&TimesOut, some_time());
            let second = room.lock.acquire_with(&GivesUp, Limit::Forever).is_ok();
            for _ in 0..u8::from(first) + u8::from(second) {
                room.lock.release().expect("it is owned");
            }
        });
        let patient = start(&room, Room::visit);
        room.lock.release().expect("it is owned");
        end(hasty);
        end(patient);
        assert_eq!(room.lock.holder(), None);
    });
}
