//! A kitchen in a process of its own, behind a connection as Python's `multiprocessing.Pipe` makes
//! them: orders go in, buns come out, and who closes his end has finished.
//!
//! `cargo run -p manyhands --example pipe`

use std::error::Error;
use std::time::Duration;

use manyhands::process::{ExitStatus, Process};
use manyhands::wire::{Connection, ReceiveError, pair};

const ORDERS: [&str; 4] = ["pork", "red bean", "custard", "leek and egg"];

/// Steams what is ordered until nobody orders any more.
fn kitchen(counter: &Connection) -> Result<u32, Box<dyn Error>> {
    let mut steamed = 0;
    loop {
        let order = match counter.receive() {
            Ok(order) => String::from_utf8(order)?,
            Err(ReceiveError::End) => return Ok(steamed),
            Err(error) => return Err(error.into()),
        };
        counter.send(format!("a bun with {order}").as_bytes())?;
        steamed += 1;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (guests, counter) = pair()?;
    // What the child needs it borrows; what it does not it has to close: its copy of the guests' end
    // would keep the connection open.
    let mut ours = Some(guests);
    let process = Process::fork_daemon(|| {
        drop(ours.take());
        match kitchen(&counter) {
            Ok(steamed) => i32::try_from(steamed).unwrap_or(-1),
            Err(error) => {
                eprintln!("the kitchen: {error}");
                -1
            }
        }
    })?;
    drop(counter);

    let guests = ours.ok_or("the child has taken its own copy only")?;
    for order in ORDERS {
        guests.send(order.as_bytes())?;
    }
    for order in ORDERS {
        assert!(guests.poll(Some(Duration::from_secs(60)))?, "the kitchen is asleep");
        let bun = String::from_utf8(guests.receive()?)?;
        println!("{bun}");
        assert!(bun.ends_with(order), "that was not ordered");
    }
    drop(guests);
    assert_eq!(process.join(None), Some(ExitStatus::Exited(ORDERS.len() as i32)));
    println!("The kitchen has closed.");
    Ok(())
}
