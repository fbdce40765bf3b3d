//! What there is to do until one is killed.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use manyhands_shm::{
    Event, GetError, Handle, Kind, Limit, Message, Patient, Piece, Plain, PutError, Queue,
};

use crate::Random;
use crate::floor::{Closing, Floor};
use crate::ledger::{Ledger, MESSAGES, Pages};
use crate::support::fork;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Producer,
    Consumer,
    /// Gets, but not for long at a time.
    Impatient,
    /// Waits for a message that never comes.
    Waiter,
    /// Has a lock all the time, and writes under it.
    Holder,
    /// Makes things, and drops them.
    Maker,
    /// Has children that put.
    Parent,
    /// Puts with one thread, and gets with another.
    Both,
    /// Has an rlock twice, and writes under it.
    Owner,
    /// Releases a semaphore, or waits for it.
    Releaser,
    Acquirer,
    /// Sets an event, or waits for it and clears it.
    Setter,
    Watcher,
    /// Cooks under a condition's lock and notifies, or waits for something to eat.
    Cook,
    Guest,
    /// Meets another one at a barrier.
    Dancer,
}

pub const ROLES: [Role; 16] = [
    Role::Producer,
    Role::Consumer,
    Role::Impatient,
    Role::Waiter,
    Role::Holder,
    Role::Maker,
    Role::Parent,
    Role::Both,
    Role::Owner,
    Role::Releaser,
    Role::Acquirer,
    Role::Setter,
    Role::Watcher,
    Role::Cook,
    Role::Guest,
    Role::Dancer,
];

/// Where a round is played.
pub struct Stage {
    pub queue: Queue,
    silent: Queue,
    over: Handle<Event>,
    floor: Floor,
    pages: Pages,
}

impl Stage {
    pub fn new(maxsize: u32) -> Stage {
        Stage {
            queue: Queue::new(maxsize).unwrap(),
            silent: Queue::new(0).unwrap(),
            over: Handle::new(Kind::Event).unwrap(),
            floor: Floor::new(),
            pages: Pages::new(),
        }
    }

    /// Plays a role to the end of the round; the exit code.
    pub fn play(&self, role: Role, mut random: Random) -> i32 {
        match role {
            Role::Producer => self.produce(&mut random, MESSAGES),
            Role::Consumer => self.consume(|| Limit::Forever),
            Role::Impatient => self.consume(|| Limit::after(Duration::from_micros(200))),
            Role::Waiter => {
                let none = self.silent.get(&Patient, &mut Vec::new(), Limit::Forever);
                assert!(matches!(none, Err(GetError::ShutDown)));
            }
            Role::Maker => self.make(&mut random),
            Role::Parent => self.beget(&mut random),
            Role::Both => std::thread::scope(|scope| {
                scope.spawn(|| self.consume(|| Limit::Forever));
                self.produce(&mut random, MESSAGES);
            }),
            _ => self.floor.play(role, &self.over),
        }
        0
    }

    fn produce(&self, random: &mut Random, count: u32) {
        let who = self.pages.fresh();
        let page = self.pages.page(who);
        for number in 0..count {
            while self.queue.len().unwrap() > 3000 && !self.over.is_set() {
                std::thread::yield_now();
            }
            let size = match random.below(200) {
                0 => 300_000,
                1..10 => 3000 + random.below(20_000) as usize,
                _ => random.below(120) as usize,
            };
            let bytes = message(who, number, 8 + size);
            let (head, tail) = bytes.split_at(8);
            let pieces = [Piece { start: tail.as_ptr(), len: tail.len(), writable: false }];
            let message = if size > 100_000 {
                // SAFETY: the bytes live on.
                unsafe { Message::with_pieces(head, &pieces) }
            } else {
                Message::of(&bytes)
            };
            page.begun.store(number + 1, Ordering::Release);
            match self.queue.put(&Patient, message, Limit::Forever) {
                Ok(()) => page.put.store(number + 1, Ordering::Relaxed),
                Err(PutError::ShutDown) => {
                    page.begun.store(number, Ordering::Relaxed);
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
        if count == MESSAGES {
            self.over.wait();
        }
    }

    fn consume(&self, limit: impl Fn() -> Limit) {
        let page = self.pages.page(self.pages.fresh());
        let mut last = HashMap::new();
        let mut scratch = Vec::new();
        loop {
            page.asked.fetch_add(1, Ordering::Relaxed);
            let got = self.queue.get(&Patient, &mut scratch, limit());
            let ended = matches!(got, Err(GetError::ShutDown));
            match got {
                Ok(None) => self.look(&scratch, &mut last),
                Ok(Some(parcel)) => {
                    let mut bytes = parcel.head().to_vec();
                    for piece in parcel.pieces() {
                        // SAFETY: the parcel lives on.
                        let piece = unsafe { std::slice::from_raw_parts(piece.start, piece.len) };
                        bytes.extend_from_slice(piece);
                    }
                    self.look(&bytes, &mut last);
                }
                Err(GetError::Empty | GetError::ShutDown) => {}
                Err(error) => panic!("{error}"),
            }
            page.answered.fetch_add(1, Ordering::Relaxed);
            if ended {
                return;
            }
        }
    }

    fn look(&self, bytes: &[u8], last: &mut HashMap<u32, u32>) {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (who, number) = (word(0), word(4));
        self.pages.note(who, number);
        assert!(bytes == message(who, number, bytes.len()), "{number} of {who} is torn");
        let before = last.insert(who, number);
        assert!(before < Some(number), "{number} of {who} after {before:?}");
    }

    fn make(&self, random: &mut Random) {
        let mut kept = Vec::new();
        while !self.over.is_set() {
            let size = 1 << random.below(18);
            let block = Handle::<Plain>::with_tail(Kind::Plain, size).unwrap();
            let (start, len) = block.tail();
            // SAFETY: the block is ours.
            let bytes = unsafe { std::slice::from_raw_parts_mut(start, len) };
            assert!(bytes.iter().all(|&byte| byte == 0), "not zero");
            bytes.fill(0xa5);
            let queue = Queue::new(0).unwrap();
            queue.put(&Patient, Message::of(&bytes[..len.min(9000)]), Limit::Never).unwrap();
            kept.push((block, queue));
            if kept.len() > 10 {
                kept.swap_remove(random.below(10) as usize);
            }
        }
    }

    fn beget(&self, random: &mut Random) {
        while !self.over.is_set() && self.pages.has_many() {
            let seed = random.next();
            let child = fork(|| {
                self.produce(&mut Random(seed | 1), 1 + (seed >> 40) as u32 % 20);
                0
            });
            let mut status = 0;
            // SAFETY: a child of ours.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0, "a grandchild has failed");
            manyhands_shm::child_died(child.cast_unsigned());
        }
        self.over.wait();
    }

    /// Tells everybody that the round is over.
    pub fn end(&self) {
        self.over.set();
        self.queue.shut_down(false).unwrap();
        self.silent.shut_down(false).unwrap();
        self.floor.end();
    }

    /// Gets what is left.
    pub fn drain(&self) {
        self.consume(|| Limit::Never);
    }

    pub fn balance(&self) -> Ledger {
        self.pages.balance()
    }

    /// What came of the locks and the rest; looks whether all of it is in order.
    pub fn closing(&self) -> Closing {
        self.floor.close()
    }
}

fn message(who: u32, number: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![(who * 31 + number) as u8; len];
    bytes[..4].copy_from_slice(&who.to_le_bytes());
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    bytes
}
