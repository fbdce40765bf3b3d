//! Books about messages, in shared memory: who has put which, who has got which.

use std::sync::atomic::{AtomicU32, Ordering};

use manyhands_shm::{
    GetError, Handle, Kind, Limit, Message, Patient, Piece, Plain, PutError, Queue, Shared,
};

use crate::{Deaths, size};

/// Who puts: the survivor, and those who die.
pub const SURVIVOR: usize = 0;
pub const FIRST: usize = 1;
pub const SECOND: usize = 2;

const MOST: usize = 64;

/// A message's bytes: who, number, and a pattern of both.
const HEADER: usize = 8;

#[repr(C)]
struct Page {
    /// How many puts were begun, and ended well.
    begun: AtomicU32,
    put: AtomicU32,
    /// How many gets were begun, and ended in any way.
    asked: AtomicU32,
    answered: AtomicU32,
    /// The number after that of the last message that came from here.
    next: AtomicU32,
    /// How often each message came out.
    seen: [AtomicU32; MOST],
}

#[repr(C)]
pub struct Pages([Page; 3]);

// SAFETY: atomics.
unsafe impl Shared for Pages {}

/// A queue, and what is known of it.
pub struct Books {
    pub queue: Queue,
    pages: Handle<Pages>,
    /// How many blocks there were when all this was new.
    blocks: u64,
}

/// How a message is put.
#[derive(Clone, Copy)]
pub enum Form {
    Bytes(usize),
    Pieces(usize),
}

impl Books {
    pub fn new(maxsize: u32) -> Books {
        let queue = Queue::new(maxsize).unwrap();
        let pages = Handle::new(Kind::Plain).unwrap();
        Books { queue, pages, blocks: size().0 }
    }

    fn page(&self, who: usize) -> &Page {
        &self.pages.0[who]
    }

    /// Puts the next message of that one; false if the queue is full or shut down.
    pub fn put(&self, who: usize, form: Form, limit: Limit) -> bool {
        let page = self.page(who);
        let number = page.begun.load(Ordering::Relaxed);
        assert!((number as usize) < MOST, "room for more messages is needed");
        let size = HEADER
            + match form {
                Form::Bytes(size) | Form::Pieces(size) => size,
            };
        let bytes = message(who, number, size);
        page.begun.store(number + 1, Ordering::Relaxed);
        let put = match form {
            Form::Bytes(_) => self.queue.put(&Patient, Message::of(&bytes), limit),
            Form::Pieces(_) => {
                let (head, piece) = bytes.split_at(HEADER);
                let pieces = [Piece { start: piece.as_ptr(), len: piece.len(), writable: false }];
                // SAFETY: the bytes live on.
                let message = unsafe { Message::with_pieces(head, &pieces) };
                self.queue.put(&Patient, message, limit)
            }
        };
        match put {
            Ok(()) => page.put.store(number + 1, Ordering::Relaxed),
            Err(PutError::Full | PutError::ShutDown) => {
                page.begun.store(number, Ordering::Relaxed);
                return false;
            }
            Err(error) => panic!("{error}"),
        }
        true
    }

    /// Gets a message and looks at it; false if there is none.
    pub fn get(&self, who: usize, limit: Limit) -> bool {
        let page = self.page(who);
        page.asked.fetch_add(1, Ordering::Relaxed);
        let mut scratch = Vec::new();
        let got = match self.queue.get(&Patient, &mut scratch, limit) {
            Ok(None) => Some(scratch),
            Ok(Some(parcel)) => {
                let mut bytes = parcel.head().to_vec();
                for piece in parcel.pieces() {
                    // SAFETY: the parcel lives on.
                    bytes.extend(unsafe { std::slice::from_raw_parts(piece.start, piece.len) });
                }
                Some(bytes)
            }
            Err(GetError::Empty | GetError::ShutDown) => None,
            Err(error) => panic!("{error}"),
        };
        if let Some(bytes) = &got {
            self.note(bytes);
        }
        page.answered.fetch_add(1, Ordering::Relaxed);
        got.is_some()
    }

    fn note(&self, bytes: &[u8]) {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (who, number) = (word(0) as usize, word(4));
        assert!(who < 3, "a message of nobody");
        assert!(bytes == message(who, number, bytes.len()), "a torn message");
        let page = self.page(who);
        assert!(number < page.begun.load(Ordering::Relaxed), "it was never put");
        let expected = page.next.swap(number + 1, Ordering::Relaxed);
        assert!(number >= expected, "{who} put {number} before {expected}");
        assert_eq!(page.seen[number as usize].fetch_add(1, Ordering::Relaxed), 0, "came twice");
    }

    pub fn drain(&self) {
        while self.get(SURVIVOR, Limit::Never) {}
    }

    /// Uses the queue, finds it in order and empty, and balances the books.
    pub fn check(&self, puts_first: bool, deaths: Deaths) {
        let shut = self.queue.is_shut();
        if puts_first && !shut {
            self.put(SURVIVOR, Form::Bytes(20), Limit::Never);
        }
        self.drain();
        let squatters = squat();
        if !shut {
            for form in [Form::Bytes(3), Form::Bytes(9000), Form::Pieces(100)] {
                assert!(self.put(SURVIVOR, form, Limit::Never));
                assert!(self.get(SURVIVOR, Limit::Never));
            }
            if self.queue.maxsize() == 0 {
                // More than a segment holds.
                for _ in 0..12 {
                    assert!(self.put(SURVIVOR, Form::Bytes(4000), Limit::Never));
                }
                assert_eq!(self.queue.len().unwrap(), 12);
                self.drain();
            }
        }
        assert!(self.queue.is_empty().unwrap());
        drop(squatters);
        // What the dead had put aside for the queue is not the queue's for as long as it lives.
        assert_eq!(size().0, self.blocks, "blocks, while the queue is still there");
        self.balance(deaths);
    }

    fn balance(&self, deaths: Deaths) {
        let mut missing = 0;
        let mut excused = 0;
        for page in &self.pages.0 {
            let (begun, put) = (&page.begun, &page.put);
            let (begun, put) = (begun.load(Ordering::Relaxed), put.load(Ordering::Relaxed));
            assert!(begun - put <= 1);
            for (number, seen) in page.seen.iter().enumerate() {
                let seen = seen.load(Ordering::Relaxed);
                assert!(seen <= u32::from((number as u32) < begun));
                missing += u32::from(seen == 0 && (number as u32) < put);
            }
            let (asked, answered) = (&page.asked, &page.answered);
            excused += asked.load(Ordering::Relaxed) - answered.load(Ordering::Relaxed);
        }
        assert!(missing <= excused, "{missing} missing, {excused} died while they got one");
        assert!(excused <= deaths);
        let lost = self.queue.lost();
        assert!(lost <= u64::from(deaths), "{lost} counted as lost, of {deaths} dead ones");
    }
}

/// Takes what segments were freed, and fills them: nobody may rely on what was there.
fn squat() -> Vec<Handle<Plain>> {
    [20_000, 20_000, 40_000, 40_000]
        .map(|size| {
            let block = Handle::<Plain>::with_tail(Kind::Plain, size).unwrap();
            let (start, len) = block.tail();
            // SAFETY: the block is ours.
            unsafe { start.write_bytes(0xff, len) };
            block
        })
        .into()
}

fn message(who: usize, number: u32, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..len).map(|index| (index as u32 * 7 + number * 31 + who as u32) as u8).collect();
    bytes[..4].copy_from_slice(&(who as u32).to_le_bytes());
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    bytes
}
