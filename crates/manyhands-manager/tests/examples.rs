//! The examples, as programs of their own.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use manyhands_manager::client::Client;
use manyhands_manager::pickle::Plain;
use manyhands_wire::Address;

const KEY: &str = "a key of the examples";

/// A program of `cargo test`, which builds examples next to the tests' folder.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("has a path");
    let folder = test.ancestors().nth(2).map(PathBuf::from).expect("is in a folder");
    let path = folder.join("examples").join(name);
    assert!(
        path.exists(),
        "{name} is built by `cargo test` without `--test`, or by `cargo build --examples`"
    );
    let mut command = Command::new(path);
    command.env("TASK_KEY", KEY).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn finished(mut child: Child) -> String {
    drop(child.stdin.take());
    let mut text = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut text).expect("is text");
    }
    assert!(child.wait().expect("ends").success(), "{text}");
    text
}

/// What a Python program does that has work for workers.
const PROGRAM: &str = r#"
import sys
from multiprocessing.managers import BaseManager

class Queues(BaseManager):
    pass

Queues.register("tasks")
Queues.register("results")
manager = Queues(("127.0.0.1", int(sys.argv[1])), sys.argv[2].encode())
manager.connect()
tasks, results = manager.tasks(), manager.results()
for number in range(20):
    tasks.put(("square", number))
tasks.put(("shout", "well done"))
tasks.join()
found = {results.get()[1:] for _ in range(21)}
assert found == {(n, n * n) for n in range(20)} | {("well done", "WELL DONE")}, found
tasks.shutdown() if hasattr(tasks, "shutdown") else tasks._callmethod("shutdown")
"#;

#[test]
fn workers_in_rust_do_what_others_put() {
    let mut server = example("task_server").spawn().expect("the example is built");
    let out = server.stdout.take().expect("is piped");
    let mut address = String::new();
    BufReader::new(out).read_line(&mut address).expect("prints its address");
    let address = address.trim();
    let workers: Vec<Child> = (0..2)
        .map(|_| example("task_worker").arg(address).spawn().expect("the example is built"))
        .collect();
    let port = address.rsplit(':').next().expect("has a port");
    let python = Command::new("python3").args(["-c", PROGRAM, port, KEY]).status();
    let number = if let Ok(status) = python {
        assert!(status.success());
        21
    } else {
        let address = Address::Tcp(address.parse().expect("is an address"));
        let client = Client::connect(&address, KEY.as_bytes()).expect("connects");
        let tasks = client.queue("tasks").expect("is shared");
        tasks.put(("shout", "well done")).expect("is put");
        tasks.join().expect("is done");
        let result = client.queue("results").and_then(|results| results.get()).expect("is there");
        assert!(result.equals(&Plain::from(("shout", "well done", "WELL DONE"))));
        tasks.shut_down().expect("is there");
        1
    };
    let done: u32 = workers
        .into_iter()
        .map(|worker| {
            let text = finished(worker);
            text.split(' ').next().and_then(|word| word.parse::<u32>().ok()).expect("counts")
        })
        .sum();
    assert_eq!(done, number);
    finished(server);
}
