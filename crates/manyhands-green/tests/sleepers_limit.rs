//! Too many who sleep in the place of others: by itself, as the limit is the process's.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use manyhands_green::sleep_for;
use manyhands_sys::futex;
use manyhands_sys::time::Deadline;

#[test]
fn there_are_only_so_many() {
    let word = AtomicU32::new(0);
    let errands: Vec<_> = (0..100)
        .map(|_| {
            let (told, news) = channel();
            let until = Deadline::after(Duration::from_secs(60));
            let address = (&raw const word).addr();
            (sleep_for(address, 0, until, move || told.send(()).unwrap()), news)
        })
        .collect();
    assert!(errands.iter().any(|(errand, _)| errand.is_none()));
    word.store(1, Ordering::Release);
    futex::wake_shared(&word, u32::MAX);
    for (errand, news) in errands {
        assert_eq!(news.recv().is_ok(), errand.is_some());
    }
}
