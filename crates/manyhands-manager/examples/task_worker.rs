//! Takes tasks that somebody put into the queue `tasks`, as pairs of a name and an argument, and puts triples of both and
//! the result into `results`, until `tasks` is shut down.
//!
//! `cargo run -p manyhands-manager --example task_worker HOST:PORT`; the key is in the environment variable `TASK_KEY`.
//! The server may be the example `task_server`, `manyhands serve`, or a manager of Python.

use std::error::Error;

use manyhands_manager::client::Client;
use manyhands_manager::pickle::Plain;
use manyhands_wire::Address;

/// What a task comes to; words if it is none that is known here.
fn work(name: &str, argument: &Plain) -> Result<Plain, String> {
    match (name, argument.clone()) {
        ("square", Plain::Float(number)) => Ok((number * number).into()),
        ("square", number) => {
            let number = i64::try_from(number).map_err(|error| error.to_string())?;
            number
                .checked_mul(number)
                .map(Plain::from)
                .ok_or_else(|| format!("{number} is too large"))
        }
        ("shout", text) => {
            let text = String::try_from(text).map_err(|error| error.to_string())?;
            Ok(text.to_uppercase().into())
        }
        (other, _) => Err(format!("{other}: no such task")),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("where is the server? HOST:PORT")?;
    let key = std::env::var("TASK_KEY").map_err(|_| "put a key into TASK_KEY")?;
    let client = Client::connect(&Address::Tcp(address.parse()?), key.as_bytes())?;
    let tasks = client.queue("tasks")?;
    let results = client.queue("results")?;
    let mut done = 0;
    loop {
        let task = match tasks.get() {
            Ok(task) => task,
            Err(error) if error.is_shut_down() => break,
            Err(error) => return Err(error.into()),
        };
        let (name, argument) = task.try_into()?;
        let name = String::try_from(name)?;
        match work(&name, &argument) {
            Ok(result) => results.put((name, argument, result))?,
            Err(words) => eprintln!("{words}"),
        }
        tasks.task_done()?;
        done += 1;
    }
    println!("{done} tasks done");
    Ok(())
}
