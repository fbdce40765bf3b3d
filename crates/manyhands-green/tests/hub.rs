//! A hub by itself: whose turn it is, after what.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use manyhands_green::{Direction, Hub, Key, Registration, Turn, Wake};

fn hub() -> Hub<&'static str> {
    Hub::new().unwrap()
}

/// The next turn, slept for if need be; panics if nobody can come.
fn next<T>(hub: &mut Hub<T>) -> Turn<T> {
    loop {
        if let Some(turn) = hub.next() {
            return turn;
        }
        let mut nap = hub.nap().expect("nobody can come any more");
        nap.sleep(None).unwrap();
        hub.wake_up(nap);
    }
}

fn slot<T: std::fmt::Debug>(turn: Turn<T>) -> Key {
    match turn {
        Turn::Slot(key) => key,
        Turn::Job(job) => panic!("a job: {job:?}"),
    }
}

#[test]
fn turns_are_first_come_first_served() {
    let mut hub = hub();
    let (first, second) = (hub.wait("first", false), hub.wait("second", false));
    hub.post("job");
    assert!(hub.wake(second, Wake::Notified));
    assert!(hub.wake(first, Wake::Notified));
    assert!(matches!(hub.next(), Some(Turn::Job("job"))));
    assert_eq!(slot(hub.next().unwrap()), second);
    assert_eq!(slot(hub.next().unwrap()), first);
    assert!(hub.next().is_none());
}

#[test]
fn a_turn_that_is_given_back_is_the_next() {
    let mut hub = hub();
    hub.post("first");
    hub.post("second");
    let first = hub.next().unwrap();
    hub.give_back(first);
    assert!(matches!(hub.next(), Some(Turn::Job("first"))));
}

#[test]
fn who_was_woken_is_not_woken_again_and_remembers_why() {
    let mut hub = hub();
    let key = hub.wait("it", true);
    assert!(hub.wake(key, Wake::Closed));
    assert!(!hub.wake(key, Wake::Notified));
    assert_eq!(hub.woken(key), Some(Wake::Closed));
    assert_eq!(hub.end(key), Some(("it", Some(Wake::Closed))));
    assert_eq!(hub.end(key), None);
}

#[test]
fn who_has_gone_before_its_turn_has_none() {
    let mut hub = hub();
    let key = hub.wait("it", false);
    hub.wake(key, Wake::Notified);
    hub.end(key);
    let other = hub.wait("other", false);
    assert!(hub.next().is_none());
    assert_eq!(hub.woken(key), None);
    assert_eq!(hub.woken(other), None);
    assert!(!hub.wake(key, Wake::Notified), "the key is void though its place is used again");
}

#[test]
fn only_who_keeps_the_hub_is_waited_for() {
    let mut hub = hub();
    let key = hub.wait("it", false);
    hub.wake_at(key, Instant::now() + Duration::from_secs(100));
    assert!(hub.nap().is_none());
    hub.keep(key, true);
    assert_eq!(hub.keeping(), 1);
    let nap = hub.nap().unwrap();
    assert!(hub.nap().is_none(), "somebody naps already");
    hub.wake_up(nap);
    hub.wake(key, Wake::Notified);
    assert_eq!(hub.keeping(), 0);
    hub.again(key);
    assert_eq!(hub.keeping(), 1);
    hub.end(key);
    assert_eq!(hub.keeping(), 0);
}

#[test]
fn times_come_in_their_order() {
    let mut hub = hub();
    let now = Instant::now();
    let late = hub.wait("late", true);
    hub.wake_at(late, now + Duration::from_millis(20));
    let early = hub.wait("early", true);
    hub.wake_at(early, now + Duration::from_millis(5));
    let past = hub.wait("past", true);
    hub.wake_at(past, now.checked_sub(Duration::from_millis(1)).unwrap());
    for expected in [past, early, late] {
        assert_eq!(slot(next(&mut hub)), expected);
        assert_eq!(hub.end(expected).unwrap().1, Some(Wake::TimedOut));
    }
    assert!(now.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_later_time_takes_the_place_of_an_earlier_one() {
    let mut hub = hub();
    let key = hub.wait("it", true);
    let begun = Instant::now();
    hub.wake_at(key, begun);
    hub.wake_at(key, begun + Duration::from_millis(10));
    assert_eq!(slot(next(&mut hub)), key);
    assert!(begun.elapsed() >= Duration::from_millis(10));
    hub.again(key);
    hub.wake_at(key, begun);
    hub.forget_time(key);
    hub.look();
    assert!(hub.next().is_none());
}

#[test]
fn times_of_those_who_have_gone_do_not_pile_up() {
    let mut hub = hub();
    for _ in 0..100_000 {
        let key = hub.wait("it", true);
        hub.wake_at(key, Instant::now() + Duration::from_secs(1000));
        hub.end(key);
    }
    assert_eq!(hub.places(), 0);
    assert!(format!("{hub:?}").len() < 20_000, "cancelled timers are kept");
}

#[test]
fn readiness_wakes_who_waits_for_it() {
    for registration in [Registration::Kept, Registration::Passing] {
        let mut hub = hub();
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        for round in 0..3 {
            let key = hub.wait("reads", true);
            hub.wake_when(key, fd, Direction::Read, registration).unwrap();
            hub.look();
            assert!(hub.next().is_none(), "{registration:?}, round {round}");
            theirs.write_all(b"x").unwrap();
            assert_eq!(slot(next(&mut hub)), key);
            assert_eq!(hub.end(key).unwrap().1, Some(Wake::Ready));
            ours.read_exact(&mut [0]).unwrap();
        }
    }
}

#[test]
fn a_passing_wait_sees_what_is_ready_already() {
    let mut hub = hub();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"x").unwrap();
    for _ in 0..3 {
        let key = hub.wait("reads", true);
        hub.wake_when(key, ours.as_raw_fd(), Direction::Read, Registration::Passing).unwrap();
        assert_eq!(slot(next(&mut hub)), key);
        hub.end(key);
    }
}

#[test]
fn several_may_wait_for_one_descriptor() {
    let mut hub = hub();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let keys: Vec<Key> = (0..3).map(|_| hub.wait("reads", true)).collect();
    for key in &keys {
        hub.wake_when(*key, ours.as_raw_fd(), Direction::Read, Registration::Passing).unwrap();
    }
    let writes = hub.wait("writes", true);
    hub.wake_when(writes, ours.as_raw_fd(), Direction::Write, Registration::Passing).unwrap();
    assert_eq!(slot(next(&mut hub)), writes);
    hub.end(writes);
    assert!(hub.next().is_none());
    hub.forget_wait(keys[1], ours.as_raw_fd());
    theirs.write_all(b"x").unwrap();
    assert_eq!(slot(next(&mut hub)), keys[0]);
    assert_eq!(slot(next(&mut hub)), keys[2]);
    assert_eq!(hub.woken(keys[1]), None);
}

#[test]
fn who_waits_for_what_is_closed_is_told() {
    let mut hub = hub();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let key = hub.wait("reads", true);
    hub.wake_when(key, ours.as_raw_fd(), Direction::Read, Registration::Kept).unwrap();
    hub.forget(ours.as_raw_fd());
    drop(ours);
    assert_eq!(slot(next(&mut hub)), key);
    assert_eq!(hub.woken(key), Some(Wake::Closed));
}

#[test]
fn a_number_that_is_used_again_is_another_descriptor() {
    let mut hub = hub();
    for forgets in [true, false] {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        let key = hub.wait("reads", true);
        hub.wake_when(key, fd, Direction::Read, Registration::Passing).unwrap();
        theirs.write_all(b"x").unwrap();
        if forgets {
            hub.forget(fd);
        }
        hub.end(key);
        hub.forget_wait(key, fd);
        // Closed behind the hub's back if it was not told.
        drop((ours, theirs));
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(ours.as_raw_fd(), fd);
        let key = hub.wait("reads", true);
        hub.wake_when(key, fd, Direction::Read, Registration::Passing).unwrap();
        hub.look();
        assert!(hub.next().is_none());
        theirs.write_all(b"x").unwrap();
        assert_eq!(slot(next(&mut hub)), key);
        hub.end(key);
        hub.forget(fd);
    }
}

#[test]
fn a_file_is_always_ready_and_no_descriptor_an_error() {
    let mut hub = hub();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let key = hub.wait("reads", true);
    hub.wake_when(key, file.as_raw_fd(), Direction::Read, Registration::Passing).unwrap();
    assert_eq!(hub.woken(key), Some(Wake::Ready));
    let key = hub.wait("none", false);
    let error = hub.wake_when(key, -1, Direction::Read, Registration::Passing).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(9));
    assert!(hub.wake_when(key, 999_999, Direction::Read, Registration::Passing).is_err());
}

#[test]
fn others_end_a_nap() {
    let hub = std::sync::Arc::new(std::sync::Mutex::new(hub()));
    let key = hub.lock().unwrap().wait("it", true);
    let mut nap = hub.lock().unwrap().nap().unwrap();
    let waker = std::thread::spawn({
        let hub = hub.clone();
        move || hub.lock().unwrap().wake(key, Wake::Notified)
    });
    nap.sleep(None).unwrap();
    hub.lock().unwrap().wake_up(nap);
    assert!(waker.join().unwrap());
    assert_eq!(slot(hub.lock().unwrap().next().unwrap()), key);
}

#[test]
fn those_who_wake_each_other_starve_nobody() {
    let mut hub = hub();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let reads = hub.wait("reads", true);
    hub.wake_when(reads, ours.as_raw_fd(), Direction::Read, Registration::Kept).unwrap();
    let time = hub.wait("time", true);
    hub.wake_at(time, Instant::now());
    theirs.write_all(b"x").unwrap();
    hub.post("busy");
    let mut seen = Vec::new();
    for _ in 0..1000 {
        match hub.next().unwrap() {
            Turn::Job(_) => hub.post("busy"),
            Turn::Slot(key) => seen.push(key),
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [reads, time]);
}

#[test]
fn a_closed_hub_gives_all_back_and_can_be_opened() {
    let mut hub = hub();
    let key = hub.wait("waits", true);
    hub.post("job");
    let mut left = hub.close();
    left.sort_unstable();
    assert_eq!(left, ["job", "waits"]);
    assert!(hub.is_closed() && hub.next().is_none() && hub.nap().is_none());
    assert!(!hub.wake(key, Wake::Notified));
    hub.open().unwrap();
    let again = hub.wait("again", true);
    assert_ne!(again, key);
    hub.wake(again, Wake::Notified);
    assert_eq!(slot(next(&mut hub)), again);
}

#[test]
fn threads_wake_from_outside_whether_the_hub_naps_or_not() {
    const WAKERS: usize = 4;
    const ROUNDS: usize = 500;
    let mut hub = hub();
    let outside = hub.outside();
    let wakers: Vec<_> = (0..WAKERS)
        .map(|_| {
            let outside = std::sync::Arc::clone(&outside);
            let (send, receive) = std::sync::mpsc::channel::<Key>();
            let thread = std::thread::spawn(move || {
                let mut woken = Vec::new();
                for key in receive {
                    outside.wake(key);
                    woken.push(key);
                }
                woken
            });
            (send, thread)
        })
        .collect();
    for _ in 0..ROUNDS {
        let mut waiting: Vec<Key> = wakers
            .iter()
            .map(|(send, _)| {
                let key = hub.wait("it", true);
                send.send(key).unwrap();
                key
            })
            .collect();
        while !waiting.is_empty() {
            let key = slot(next(&mut hub));
            assert_eq!(hub.woken(key), Some(Wake::Notified));
            assert!(hub.end(key).is_some());
            waiting.retain(|other| *other != key);
        }
    }
    assert_eq!(hub.keeping(), 0);
    for (send, thread) in wakers {
        drop(send);
        assert_eq!(thread.join().unwrap().len(), ROUNDS);
    }
}

#[test]
fn a_wake_from_outside_for_one_who_is_gone_or_woken_does_nothing() {
    let mut hub = hub();
    let outside = hub.outside();
    let (gone, woken) = (hub.wait("gone", false), hub.wait("woken", true));
    hub.end(gone);
    hub.wake(woken, Wake::Closed);
    outside.wake(gone);
    outside.wake(woken);
    assert_eq!(slot(hub.next().unwrap()), woken);
    assert_eq!(hub.woken(woken), Some(Wake::Closed));
    assert!(hub.next().is_none());
}

#[test]
fn what_was_to_be_woken_before_a_fork_is_not_in_the_child() {
    let mut hub = hub();
    let outside = hub.outside();
    let (before, after) = (hub.wait("before", true), hub.wait("after", true));
    outside.wake(before);
    hub.forked().unwrap();
    assert!(hub.next().is_none());
    outside.wake(after);
    assert_eq!(slot(next(&mut hub)), after);
}

#[test]
fn a_hub_that_naps_or_changes_turns_is_not_held() {
    let mut hub = hub();
    let limit = Duration::from_millis(300);
    let watchdog = manyhands_green::Watchdog::new(hub.pulse(), limit);
    std::thread::scope(|scope| {
        let noticed = scope.spawn(|| watchdog.wait());
        hub.wait("somebody who keeps it", true);
        assert!(hub.next().is_none());
        let mut nap = hub.nap().unwrap();
        nap.sleep(Some(limit * 2)).unwrap();
        hub.wake_up(nap);
        for _ in 0..200 {
            hub.post("a short turn");
            assert!(hub.next().is_some());
            std::thread::sleep(Duration::from_millis(3));
        }
        watchdog.stop();
        assert_eq!(noticed.join().unwrap(), None);
    });
    assert!(!watchdog.still());
}
