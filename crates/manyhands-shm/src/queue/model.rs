//! What loom looks at of a queue: ring and bells, without an arena around them. Putting and getting go
//! as in `put.rs` and `get.rs`, in one segment that never grows.

#[path = "bell.rs"]
mod bell;
#[expect(dead_code, reason = "what goes with blocks of the arena")]
#[path = "ring.rs"]
mod ring;

use std::cell::UnsafeCell;

use bell::Bell;
use loom::sync::Mutex;
use ring::{Record, Segment};

use crate::wait::next_look;
use crate::{Limit, Patient};

/// So few that records of two units come to the end of the ring soon.
const UNITS: usize = 4;

/// A queue of a few numbers.
#[repr(C, align(64))]
pub struct ModelQueue {
    /// How many it takes; there is room for two in any case.
    places: u32,
    segment: Segment,
    records: UnsafeCell<[u128; UNITS]>,
    not_empty: Bell,
    not_full: Bell,
    put_lock: Mutex<()>,
    get_lock: Mutex<()>,
}

// SAFETY: the records are written and read as `Segment` says.
unsafe impl Sync for ModelQueue {}
// SAFETY: as above.
unsafe impl Send for ModelQueue {}

impl ModelQueue {
    /// An empty one for so many, one or two.
    pub fn new(places: u32) -> ModelQueue {
        let queue = ModelQueue {
            places,
            segment: Segment::default(),
            records: UnsafeCell::new([0; UNITS]),
            not_empty: Bell::default(),
            not_full: Bell::default(),
            put_lock: Mutex::new(()),
            get_lock: Mutex::new(()),
        };
        queue.segment.open(UNITS * size_of::<u128>());
        queue
    }

    fn len(&self) -> u32 {
        let got = self.segment.head().count;
        self.segment.tail().count.wrapping_sub(got)
    }

    /// Puts a number, in a record of one unit or, if it is odd, of two.
    pub fn put(&self, number: u8) {
        let bytes = [number; 20];
        let record = Record::Inline(&bytes[..if number % 2 == 0 { 1 } else { 20 }]);
        let mut slept = false;
        loop {
            let lock = self.put_lock.lock().expect("no model panics in here");
            if self.len() == self.places {
                let armed = self.not_full.arm();
                let is_stuck = self.len() == self.places;
                drop(lock);
                if is_stuck {
                    slept = true;
                    let Ok(()) = self.not_full.sleep(armed, &Patient, next_look(Limit::Forever));
                }
                continue;
            }
            let room = self.segment.room(record).expect("what was there is gone");
            self.segment.write(&room, record);
            self.segment.commit(&room);
            drop(lock);
            self.not_empty.ring();
            if slept && self.len() < self.places {
                self.not_full.ring();
            }
            return;
        }
    }

    /// Takes the oldest number.
    pub fn get(&self) -> u8 {
        let mut slept = false;
        loop {
            let lock = self.get_lock.lock().expect("no model panics in here");
            let Some((record, head)) = self.segment.oldest() else {
                drop(lock);
                let armed = self.not_empty.arm();
                if self.len() == 0 {
                    slept = true;
                    let Ok(()) = self.not_empty.sleep(armed, &Patient, next_look(Limit::Forever));
                }
                continue;
            };
            let Record::Inline(bytes) = record else { panic!("none such was put") };
            let number = bytes[0];
            assert!(bytes.iter().all(|&byte| byte == number), "torn");
            self.segment.consume(head);
            drop(lock);
            self.not_full.ring();
            if slept && self.len() != 0 {
                self.not_empty.ring();
            }
            return number;
        }
    }
}
