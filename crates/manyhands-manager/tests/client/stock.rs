//! With a server of CPython, if there is a Python.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use manyhands_manager::client::{Answer, CallError, Client};
use manyhands_manager::pickle::Plain;
use manyhands_wire::Address;

/// A server that ends when its standard input does.
const PROGRAM: &str = r#"
import os, queue, sys, threading
from multiprocessing.managers import DictProxy, IteratorProxy, ListProxy, SyncManager

class Odd:
    def give(self):
        return complex(1, 2)

class Manager(SyncManager):
    pass

tasks = queue.Queue()
Manager.register("tasks", lambda: tasks)
Manager.register("Odd", Odd)
server = Manager(("127.0.0.1", 0), b"a key").get_server()
print(server.address[1], flush=True)

def end():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=end, daemon=True).start()
server.serve_forever()
"#;

struct Stock {
    child: Child,
    address: Address,
}

impl Drop for Stock {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn stock() -> Option<Stock> {
    let mut command = Command::new("python3");
    command.args(["-c", PROGRAM]).env_remove("MANYHANDS_RUN");
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        eprintln!("skipped: there is no python3");
        return None;
    };
    let mut line = String::new();
    BufReader::new(child.stdout.take()?).read_line(&mut line).expect("prints its port");
    let port: u16 = line.trim().parse().expect("is a port");
    Some(Stock { child, address: Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port))) })
}

#[test]
fn a_server_of_cpython_is_used_as_ours() {
    let Some(stock) = stock() else { return };
    let client = Client::connect(&stock.address, b"a key").expect("connects");
    assert!(!client.is_resumable());
    let tasks = client.queue("tasks").expect("is shared");
    let other = client.try_clone().expect("connects").queue("tasks").expect("is shared");
    let item: Plain = ("a task", vec![Plain::from(1.5), ().into()], Vec::from(b"bytes")).into();
    tasks.put(item.clone()).expect("is put");
    assert!(other.get().expect("is taken").equals(&item));
    assert!(tasks.get_timeout(Duration::from_millis(5)).expect("is there").is_none());
    tasks.task_done().expect("was put");
    tasks.join().expect("all is done");

    let dict = client.create_with("dict", &[], &[("one", 1.into())]).expect("is made");
    match dict.call("__getitem__", &["two".into()]) {
        Err(CallError::Raised { module, name, .. }) => {
            assert_eq!((module.as_str(), name.as_str()), ("builtins", "KeyError"));
        }
        other => panic!("{other:?}"),
    }
    let Ok(Answer::Object(keys)) = dict.ask("__iter__", &[], &[]) else { panic!("no iterator") };
    assert!(keys.call("__next__", &[]).is_ok_and(|next| next.equals(&"one".into())));
    let odd = client.create("Odd", &[]).expect("is made");
    assert!(matches!(odd.call("give", &[]), Err(CallError::NotPlain { .. })));
    assert!(matches!(odd.call("explode", &[]), Err(CallError::Traceback(_))));
    assert!(matches!(client.create("Stack", &[]), Err(CallError::Traceback(_))));
    let ident = odd.ident().to_owned();
    drop(odd);
    assert!(client.attach(&ident).is_err());
}

#[test]
fn a_server_of_cpython_that_ends_is_lost() {
    let Some(stock) = stock() else { return };
    let client = Client::connect(&stock.address, b"a key").expect("connects");
    let tasks = client.queue("tasks").expect("is shared");
    drop(stock);
    assert!(matches!(tasks.len(), Err(CallError::Lost { .. })));
    assert!(matches!(tasks.len(), Err(CallError::Connect(_))));
}
