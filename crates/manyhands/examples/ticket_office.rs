//! Many sellers, each a process, sell the tickets for one concert, and one seller's process is killed
//! in the middle of it: not one ticket too many is sold, no seat twice, and nobody waits for the dead.
//!
//! `cargo run -p manyhands --example ticket_office`

use std::error::Error;

use manyhands::process::bytemuck::{Pod, Zeroable};
use manyhands::process::{Barrier, Event, ExitStatus, Lock, Process, Queue};
use serde::{Deserialize, Serialize};

const SELLERS: [&str; 5] = ["Amara", "Bo", "Carmen", "Dmitri", "Eun-ji"];
const SEATS: usize = 3000;
const CENTS: u64 = 4250;

/// Whose who never says what he sold: it belongs to the seller who is killed.
const KILLED: usize = 2;

/// What all sellers see, and change.
#[derive(Clone, Copy)]
#[repr(C)]
struct Office {
    /// The next free seat.
    next: u64,
    cents: u64,
    /// Who sold the seat: the seller's number, and one more.
    sold: [u8; SEATS],
}

// Plain numbers, one after the other without gaps (3000 is a multiple of 8); zero is an office that has
// sold nothing.
#[expect(unsafe_code, reason = "what a derive macro of bytemuck would write")]
// SAFETY: as above.
unsafe impl Zeroable for Office {}
#[expect(unsafe_code, reason = "what a derive macro of bytemuck would write")]
// SAFETY: as above.
unsafe impl Pod for Office {}

/// What a seller reports.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    seller: usize,
    tickets: u64,
    found_abandoned: u64,
}

/// Sells one ticket; `None` if all are sold.
fn sell(office: &Lock<Office>, seller: usize, report: &mut Report) -> Option<()> {
    let mut office = office.lock();
    if office.is_abandoned() {
        // A seller was killed in here. The list of seats is what counts: put the rest right by it.
        let next = office.sold.iter().take_while(|&&who| who != 0).count() as u64;
        (office.next, office.cents) = (next, next * CENTS);
        office.repaired();
        report.found_abandoned += 1;
    }
    let seat = usize::try_from(office.next).ok().filter(|&seat| seat < SEATS)?;
    assert_eq!(office.sold[seat], 0, "seat {seat} is sold already");
    office.sold[seat] = seller as u8 + 1;
    office.cents += CENTS;
    office.next += 1;
    report.tickets += 1;
    Some(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let office = Lock::new(Office { next: 0, cents: 0, sold: [0; SEATS] })?;
    let reports = Queue::<Report>::new(0)?;
    let ready = Barrier::new(SELLERS.len() as u32)?;
    let in_the_middle = Event::new()?;

    let sellers = (0..SELLERS.len())
        .map(|seller| {
            Process::fork_daemon(|| {
                let mut report = Report { seller, tickets: 0, found_abandoned: 0 };
                ready.wait().expect("all come");
                if seller == KILLED {
                    // Sells a few, takes the office, writes half of the next one down, and never
                    // comes to the end of it.
                    for _ in 0..50 {
                        sell(&office, seller, &mut report);
                    }
                    let mut office = office.lock();
                    office.cents += CENTS;
                    in_the_middle.set();
                    loop {
                        std::thread::park();
                    }
                }
                while sell(&office, seller, &mut report).is_some() {
                    std::thread::yield_now();
                }
                reports.put(&report).expect("there is memory");
                0
            })
        })
        .collect::<Result<Vec<_>, _>>()?;

    in_the_middle.wait();
    println!("{} has the office, and is killed.", SELLERS[KILLED]);
    sellers[KILLED].kill();

    let mut total = 0;
    for (seller, process) in sellers.iter().enumerate() {
        let ended = process.join(None);
        if seller == KILLED {
            assert_eq!(ended, Some(ExitStatus::Killed(9)));
        } else {
            assert_eq!(ended, Some(ExitStatus::Exited(0)));
            let Report { seller, tickets, found_abandoned } = reports.get()?;
            total += tickets;
            let note = if found_abandoned > 0 { ", and put the office in order" } else { "" };
            println!("{:8} sold {tickets} tickets{note}", SELLERS[seller]);
        }
    }
    let office = office.lock();
    let by_the_dead = office.sold.iter().filter(|&&who| usize::from(who) == KILLED + 1).count();
    println!("{:8} sold {by_the_dead} tickets before", SELLERS[KILLED]);
    assert_eq!(total as usize + by_the_dead, SEATS, "a ticket too many, or too few");
    assert_eq!((office.next, office.cents), (SEATS as u64, SEATS as u64 * CENTS));
    println!("{SEATS} seats, {SEATS} tickets, {} in the till.", office.cents / 100);
    Ok(())
}
