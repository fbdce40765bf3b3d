//! Keeps two queues, `tasks` and `results`, for programs in Rust and Python.
//!
//! `cargo run -p manyhands-manager --example task_server [HOST:PORT]`; the key is in the environment variable
//! `TASK_KEY`. Ends when its standard input does. From Python:
//!
//! ```python
//! class Queues(multiprocessing.managers.BaseManager):
//!     pass
//!
//! Queues.register("tasks")
//! manager = Queues((host, port), key)
//! manager.connect()
//! manager.tasks().put(("square", 7))
//! ```

use std::error::Error;
use std::io::{Read, stdin};

use manyhands_manager::server::Server;
use manyhands_wire::Address;

fn main() -> Result<(), Box<dyn Error>> {
    let address = match std::env::args().nth(1) {
        Some(text) => Address::Tcp(text.parse()?),
        None => Address::localhost(),
    };
    let key = std::env::var("TASK_KEY").map_err(|_| "put a key into TASK_KEY")?;
    let server = Server::bind(&address, key.as_bytes())?;
    // What a worker took that dies before it says task_done is given to another.
    server.share_plain("tasks", "Queue", &[], &[("ack", true.into())])?;
    server.share_plain("results", "Queue", &[], &[])?;
    if let Some(Address::Tcp(address)) = server.address() {
        println!("{address}");
    }
    Server::start(&server)?;
    stdin().read_to_end(&mut Vec::new())?;
    server.stop();
    Ok(())
}
