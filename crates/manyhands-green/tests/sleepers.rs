//! Threads that sleep on words in the place of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use manyhands_green::{Errand, sleep_for};
use manyhands_sys::futex::{self, Sleep};
use manyhands_sys::time::Deadline;

const LONG: Duration = Duration::from_secs(60);

fn send(word: &Arc<AtomicU32>, time: Duration) -> (Option<Errand>, Receiver<()>) {
    let (told, news) = channel();
    let address = Arc::as_ptr(word).addr();
    let errand = sleep_for(address, 0, Deadline::after(time), move || {
        // Whoever is gone does not listen.
        let _ = told.send(());
    });
    (errand, news)
}

#[test]
fn it_is_told_of_a_wake_of_a_change_and_of_the_end_of_the_time() {
    let word = Arc::new(AtomicU32::new(0));
    let (errand, news) = send(&word, Duration::from_millis(5));
    assert_eq!(news.recv(), Ok(()));
    drop(errand);
    let (errand, news) = send(&word, LONG);
    word.store(1, Ordering::Release);
    futex::wake_shared(&word, 1);
    assert_eq!(news.recv(), Ok(()));
    drop(errand);
    let (errand, news) = send(&word, LONG);
    assert_eq!(news.recv(), Ok(()), "it has another value already");
    drop(errand);
}

#[test]
fn a_wake_for_one_who_is_gone_goes_to_the_next() {
    for _ in 0..100 {
        let word = Arc::new(AtomicU32::new(0));
        let (errand, news) = send(&word, LONG);
        assert!(errand.is_some());
        let other = Arc::clone(&word);
        let sleeper = std::thread::spawn(move || {
            let until = Deadline::after(LONG);
            while other.load(Ordering::Acquire) == 0 {
                let slept = futex::wait_shared(&other, 0, Some(until));
                assert_ne!(slept, Sleep::TimedOut, "the wake is lost");
            }
        });
        drop(errand);
        // Whichever of the two sleeps first.
        word.store(1, Ordering::Release);
        futex::wake_shared(&word, 1);
        sleeper.join().unwrap();
        futex::wake_shared(&word, u32::MAX);
        assert!(news.recv().is_err(), "nobody is told for one who is gone");
    }
}

#[test]
fn memory_that_is_gone_does_no_harm() {
    let (told, news) = channel();
    let errand = sleep_for(4, 0, Deadline::after(LONG), move || told.send(()).unwrap());
    assert!(errand.is_some());
    assert_eq!(news.recv(), Ok(()));
}
