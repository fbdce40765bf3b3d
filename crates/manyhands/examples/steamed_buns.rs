//! Cooks steam buns, guests eat them, and the counter between them holds only a few.
//!
//! `cargo run -p manyhands --example steamed_buns`

use std::thread;

use manyhands::queue::FifoQueue;
use manyhands::sync::{Barrier, Event, Lock};
use manyhands::watch::snapshot;

const COOKS: [&str; 3] = ["Ah Hua", "Berta", "Chidi"];
const GUESTS: [&str; 4] = ["Dora", "Emeka", "Fen", "Gustav"];
const FILLINGS: [&str; 4] = ["pork", "red bean", "custard", "leek and egg"];
const BUNS_OF_EACH: usize = 200;
const ROOM: usize = 8;

struct Bun {
    filling: &'static str,
    cook: &'static str,
}

fn main() {
    let counter = FifoQueue::<Bun>::new(ROOM);
    let open = Event::new();
    let ready = Barrier::new(COOKS.len() + GUESTS.len() + 1);
    let one_speaks = Lock::new();
    let say = |words: String| {
        let _turn = one_speaks.hold();
        println!("{words}");
    };

    let eaten: usize = thread::scope(|scope| {
        let guests = GUESTS.map(|guest| {
            let (counter, open, ready, say) = (&counter, &open, &ready, &say);
            scope.spawn(move || {
                ready.wait().expect("nobody leaves before");
                open.wait();
                let mut eaten = 0;
                let mut last: Option<Bun> = None;
                // An error says that the counter is closed and empty.
                while let Ok(bun) = counter.get() {
                    eaten += 1;
                    last = Some(bun);
                    counter.task_done().expect("it was taken from the counter");
                }
                let last =
                    last.map_or("none".into(), |bun| format!("{} by {}", bun.filling, bun.cook));
                say(format!("{guest:8} ate {eaten} buns; the last one: {last}"));
                eaten
            })
        });
        let cooks = COOKS.map(|cook| {
            let (counter, ready, say) = (&counter, &ready, &say);
            scope.spawn(move || {
                ready.wait().expect("nobody leaves before");
                for filling in FILLINGS.into_iter().cycle().take(BUNS_OF_EACH) {
                    // Waits while the counter is full.
                    counter.put(Bun { filling, cook }).expect("the counter is open");
                }
                say(format!("{cook:8} steamed {BUNS_OF_EACH} buns"));
            })
        });

        ready.wait().expect("nobody leaves before");
        while !(counter.is_full() && waiting("put") == COOKS.len()) {
            thread::yield_now();
        }
        say(format!("The counter is full, {} cooks wait. We open.", waiting("put")));
        open.set();
        cooks.into_iter().for_each(|cook| cook.join().expect("cooks do not panic"));
        counter.join();
        say("All is eaten. We close.".to_owned());
        counter.shutdown();
        guests.map(|guest| guest.join().expect("guests do not panic")).iter().sum()
    });

    assert_eq!(eaten, COOKS.len() * BUNS_OF_EACH, "a bun was lost, or eaten twice");
    println!("{eaten} buns, none lost, none eaten twice.");
}

/// How many threads wait in that operation, for anything.
fn waiting(operation: &str) -> usize {
    let objects = snapshot();
    let waiters = objects.iter().flat_map(|seen| &seen.waiters);
    waiters.filter(|waiter| waiter.operation == operation).count()
}
