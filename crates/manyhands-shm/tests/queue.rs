//! The queue between processes.
#![expect(unsafe_code, reason = "processes are forked and killed")]

mod support;

use std::time::Duration;

use manyhands_shm::{
    DoneError, GetError, Handle, Kind, Limit, Message, Patient, Piece, PutError, Queue, Semaphore,
    arena,
};

use support::{Tells, alone, fork, kill, wait};

fn put(queue: &Queue, bytes: &[u8]) {
    queue.put(&Patient, Message::of(bytes), Limit::Forever).unwrap();
}

fn get(queue: &Queue, limit: Limit) -> Option<Vec<u8>> {
    let mut scratch = Vec::new();
    match queue.get(&Patient, &mut scratch, limit) {
        Ok(None) => Some(scratch),
        Ok(Some(parcel)) => Some(parcel.head().to_vec()),
        Err(GetError::Empty) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn messages_of_all_sizes_come_in_their_order_and_leave_nothing() {
    let _alone = alone();
    let before = arena().unwrap().statistics().unwrap();
    let queue = Queue::new(0).unwrap();
    let message = |size: usize| (0..size).map(|index| (index * 7 + size) as u8).collect::<Vec<_>>();
    let sizes: Vec<usize> =
        (0..300).chain([1 << 10, 4095, 4096, 4097, 1 << 16, 3 << 20]).chain(0..5000).collect();
    for &size in &sizes {
        put(&queue, &message(size));
    }
    assert_eq!(queue.len().unwrap(), sizes.len());
    for &size in &sizes {
        assert!(get(&queue, Limit::Never) == Some(message(size)), "of {size} bytes");
    }
    assert!(queue.is_empty().unwrap() && get(&queue, Limit::Never).is_none());
    drop(queue);
    assert_eq!(arena().unwrap().statistics().unwrap().blocks, before.blocks);
}

#[test]
fn what_was_put_can_be_taken_back_until_somebody_has_it() {
    let _alone = alone();
    let before = arena().unwrap().statistics().unwrap();
    let queue = Queue::new(0).unwrap();
    let message =
        |number: usize| vec![number as u8; if number.is_multiple_of(3) { 9000 } else { number }];
    let put = |number: usize| {
        queue.put_in_turn(&Patient, Message::of(&message(number)), Limit::Never).unwrap()
    };
    // Over several segments.
    let turns: Vec<_> = (0..900).map(put).collect();
    for number in 0..100 {
        assert!(get(&queue, Limit::Never) == Some(message(number)));
    }
    let is_back = |number: usize| (100..900).contains(&number) && number % 7 < 3;
    for number in (0..900).rev() {
        if number % 7 < 3 {
            assert_eq!(queue.retract(turns[number]).unwrap(), is_back(number), "{number}");
        }
    }
    assert_eq!(queue.len().unwrap(), 800, "they count until those before them are gone");
    // Once more is the same.
    assert!(queue.retract(turns[105]).unwrap() && !queue.has_gone(turns[105]).unwrap());
    for number in (100..900).filter(|&number| !is_back(number)) {
        assert!(get(&queue, Limit::Never) == Some(message(number)), "{number}");
        assert!(!queue.retract(turns[number]).unwrap());
    }
    assert!(get(&queue, Limit::Never).is_none());
    assert!(queue.is_empty().unwrap());
    assert_eq!(queue.lost(), 0);
    drop(queue);
    assert_eq!(arena().unwrap().statistics().unwrap().blocks, before.blocks);
}

#[test]
fn pieces_are_there_until_their_parcel_is_dropped() {
    let _alone = alone();
    let queue = Queue::new(0).unwrap();
    let before = arena().unwrap().statistics().unwrap().blocks;
    let (one, two) = (vec![1_u8; 100_000], vec![2_u8; 77]);
    let piece =
        |bytes: &Vec<u8>, writable| Piece { start: bytes.as_ptr(), len: bytes.len(), writable };
    let pieces = [piece(&one, false), piece(&two, true)];
    // SAFETY: the vectors live on.
    let message = unsafe { Message::with_pieces(b"head", &pieces) };
    queue.put(&Patient, message, Limit::Never).unwrap();
    let parcel = queue.get(&Patient, &mut Vec::new(), Limit::Never).unwrap().unwrap();
    assert_eq!(parcel.head(), b"head");
    let got = parcel.pieces();
    assert_eq!(got.iter().map(|piece| piece.writable).collect::<Vec<_>>(), [false, true]);
    for (piece, bytes) in got.iter().zip([&one, &two]) {
        assert_eq!(piece.start as usize % 64, 0);
        // SAFETY: the parcel lives on.
        assert_eq!(unsafe { std::slice::from_raw_parts(piece.start, piece.len) }, &bytes[..]);
    }
    assert_eq!(arena().unwrap().statistics().unwrap().blocks, before + 1);
    drop(parcel);
    assert_eq!(arena().unwrap().statistics().unwrap().blocks, before);
}

#[test]
fn a_bounded_one_is_full_and_waits() {
    let _alone = alone();
    let queue = Queue::new(2).unwrap();
    put(&queue, b"1");
    put(&queue, b"2");
    assert!(queue.is_full().unwrap());
    let soon = || Limit::after(Duration::from_millis(20));
    for limit in [Limit::Never, soon()] {
        let full = queue.put(&Patient, Message::of(b"3"), limit);
        assert!(matches!(full, Err(PutError::Full)));
    }
    let child = fork(|| {
        put(&queue, b"3");
        put(&queue, b"4");
        0
    });
    for expected in [b"1", b"2", b"3", b"4"] {
        assert_eq!(get(&queue, Limit::Forever).as_deref(), Some(&expected[..]));
    }
    assert_eq!(wait(child), 0);
    assert!(get(&queue, soon()).is_none());
}

#[test]
fn shut_down_tells_who_waits() {
    let _alone = alone();
    let queue = Queue::new(0).unwrap();
    let waits = Handle::<Semaphore>::new(Kind::Semaphore).unwrap();
    waits.set_up(0, Semaphore::MAX);
    let child = fork(|| {
        let ended = queue.get(&Tells(&waits), &mut Vec::new(), Limit::Forever);
        i32::from(!matches!(ended, Err(GetError::ShutDown)))
    });
    waits.acquire();
    queue.shut_down(false).unwrap();
    assert_eq!(wait(child), 0);
    let put = queue.put(&Patient, Message::of(b"no"), Limit::Never);
    assert!(matches!(put, Err(PutError::ShutDown)));
}

#[test]
fn tasks_are_counted() {
    let _alone = alone();
    let queue = Queue::new(0).unwrap();
    assert!(matches!(queue.task_done(), Err(DoneError::TooMany)));
    put(&queue, b"1");
    put(&queue, b"2");
    assert!(!queue.join(&Patient, Limit::after(Duration::from_millis(5))).unwrap());
    let child = fork(|| {
        for _ in 0..2 {
            get(&queue, Limit::Never).unwrap();
            queue.task_done().unwrap();
        }
        0
    });
    assert!(queue.join(&Patient, Limit::Forever).unwrap());
    assert_eq!(wait(child), 0);
    assert!(matches!(queue.task_done(), Err(DoneError::TooMany)));
    put(&queue, b"3");
    queue.shut_down(true).unwrap();
    assert_eq!(queue.unfinished().unwrap(), 0);
}

#[test]
fn many_processes_lose_nothing_and_each_producer_keeps_its_order() {
    const PRODUCERS: usize = 4;
    const CONSUMERS: usize = 3;
    const EACH: u32 = 20_000;
    let _alone = alone();
    for maxsize in [0, 5] {
        let before = arena().unwrap().statistics().unwrap();
        let queue = Queue::new(maxsize).unwrap();
        let results = Queue::new(0).unwrap();
        let mut children = Vec::new();
        for producer in 0..PRODUCERS as u8 {
            children.push(fork(|| {
                for number in 0..EACH {
                    let mut message = vec![producer; 5 + number as usize % 40];
                    if number % 500 == 0 {
                        message.resize(10_000, producer);
                    }
                    message[1..5].copy_from_slice(&number.to_le_bytes());
                    put(&queue, &message);
                }
                0
            }));
        }
        for _ in 0..CONSUMERS {
            children.push(fork(|| {
                let mut last = [None; PRODUCERS];
                let mut count = 0_u32;
                loop {
                    let message = get(&queue, Limit::Forever).unwrap();
                    if message.is_empty() {
                        break;
                    }
                    let number = u32::from_le_bytes(message[1..5].try_into().unwrap());
                    let last = &mut last[usize::from(message[0])];
                    assert!(*last < Some(number), "{last:?} before {number}");
                    assert!(message[5..].iter().all(|&byte| byte == message[0]));
                    *last = Some(number);
                    count += 1;
                }
                put(&results, &count.to_le_bytes());
                0
            }));
        }
        for child in children.drain(..PRODUCERS) {
            assert_eq!(wait(child), 0);
        }
        for _ in 0..CONSUMERS {
            put(&queue, b"");
        }
        let total: u32 = (0..CONSUMERS)
            .map(|_| {
                let count = get(&results, Limit::Forever).unwrap();
                u32::from_le_bytes(count.try_into().unwrap())
            })
            .sum();
        assert_eq!(total, PRODUCERS as u32 * EACH);
        for child in children {
            assert_eq!(wait(child), 0);
        }
        assert_eq!(queue.lost(), 0);
        drop((queue, results));
        let after = arena().unwrap().statistics().unwrap();
        assert_eq!((after.blocks, after.lingering), (before.blocks, before.lingering));
    }
}

#[test]
fn killed_producers_and_consumers_harm_nobody() {
    let _alone = alone();
    let before = arena().unwrap().statistics().unwrap();
    let queue = Queue::new(0).unwrap();
    let message = |number: u32| {
        let mut message = vec![number as u8; if number.is_multiple_of(9) { 6000 } else { 60 }];
        message[..4].copy_from_slice(&number.to_le_bytes());
        message
    };
    let check = |bytes: &[u8]| {
        let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        assert!(bytes == message(number), "torn");
        number
    };
    for round in 0..120 {
        let producer = fork(|| {
            for number in 0.. {
                put(&queue, &message(number));
                if queue.len().unwrap() > 2000 {
                    std::thread::yield_now();
                }
            }
            0
        });
        let consumer = fork(|| {
            loop {
                check(&get(&queue, Limit::Forever).unwrap());
            }
        });
        std::thread::sleep(Duration::from_micros(500 + 97 * round));
        let (first, second) =
            if round % 2 == 0 { (producer, consumer) } else { (consumer, producer) };
        kill(first);
        wait(first);
        std::thread::sleep(Duration::from_micros(100));
        kill(second);
        wait(second);
        let mut last = None;
        while let Some(bytes) = get(&queue, Limit::Never) {
            let number = check(&bytes);
            assert!(last < Some(number));
            last = Some(number);
        }
        assert!(queue.is_empty().unwrap());
    }
    drop(queue);
    let after = arena().unwrap().statistics().unwrap();
    assert_eq!((after.blocks, after.lingering), (before.blocks, before.lingering));
}

#[test]
fn what_one_thread_gets_is_not_released_by_the_thread_that_put_it() {
    const MESSAGES: u32 = 3000;
    let _alone = alone();
    let queue = Queue::new(4).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..MESSAGES {
                put(&queue, &vec![number as u8; 20_000]);
            }
        });
        for number in 0..MESSAGES {
            let parcel = queue.get(&Patient, &mut Vec::new(), Limit::Forever).unwrap().unwrap();
            std::thread::yield_now();
            assert!(parcel.head().iter().all(|&byte| byte == number as u8), "torn");
        }
    });
}
