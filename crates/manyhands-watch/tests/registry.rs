//! The registry as observers see it, also while much goes on.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use manyhands_sys::thread::ThreadId;
use manyhands_watch::{Kind, Seen, Subject, Waiting, WaitingGuard, snapshot};

fn seen(id: u64) -> Option<Seen> {
    snapshot().into_iter().find(|seen| seen.id == id)
}

#[test]
fn numbers_are_never_used_again() {
    let first = Subject::register(Kind::Lock).id();
    let second = Subject::register(Kind::Lock).id();
    assert!(second > first);
}

#[test]
fn subjects_are_seen_in_the_order_of_registration() {
    let subjects = [Kind::Event, Kind::Lock, Kind::Barrier].map(Subject::register);
    let ids = subjects.each_ref().map(Subject::id);
    let seen: Vec<_> = snapshot().into_iter().filter(|seen| ids.contains(&seen.id)).collect();
    assert_eq!(seen.iter().map(|seen| seen.id).collect::<Vec<_>>(), ids);
    assert_eq!(
        seen.iter().map(|seen| seen.kind).collect::<Vec<_>>(),
        [Kind::Event, Kind::Lock, Kind::Barrier]
    );
}

#[test]
fn a_wait_that_outlives_its_subject_is_not_seen() {
    let subject = Subject::register(Kind::Event);
    let id = subject.id();
    let waiting = subject.begin_wait("wait", false, None);
    drop(subject);
    assert_eq!(seen(id), None);
    drop(waiting);
}

#[test]
fn a_waiter_is_seen_with_its_thread() {
    let subject = Subject::register(Kind::RLock);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _waiting = subject.begin_wait("acquire", false, None);
            let waiters = seen(subject.id()).expect("it is registered").waiters;
            assert_eq!(waiters.len(), 1);
            assert_eq!((waiters[0].thread, waiters[0].operation), (ThreadId::current(), "acquire"));
        });
    });
    assert_eq!(seen(subject.id()).expect("it is registered").waiters, []);
}

#[test]
fn kinds_are_named_like_their_classes() {
    let names = [Kind::BoundedSemaphore, Kind::LifoQueue, Kind::RLock].map(|kind| kind.to_string());
    assert_eq!(names, ["BoundedSemaphore", "LifoQueue", "RLock"]);
}

#[test]
fn a_snapshot_is_whole_whatever_goes_on() {
    let rounds = if cfg!(miri) { 5 } else { 500 };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers = [(); 3].map(|()| {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let subject = Subject::register(Kind::Semaphore);
                    let first = subject.begin_wait("acquire", false, None);
                    let second = subject.begin_wait("acquire", false, None);
                    drop((first, second, subject));
                }
            })
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for seen in snapshot() {
                    assert!(seen.waiters.len() <= 2);
                }
            }
        });
        workers.into_iter().for_each(|worker| worker.join().expect("it ends well"));
        over.store(true, Ordering::Relaxed);
    });
}

fn is_send_and_sync<T: Send + Sync + Debug>() {}

#[test]
fn all_may_be_sent_to_and_used_by_any_thread() {
    is_send_and_sync::<Kind>();
    is_send_and_sync::<Subject>();
    is_send_and_sync::<WaitingGuard>();
    is_send_and_sync::<Seen>();
    is_send_and_sync::<Waiting>();
}
