//! What is called gives what it should, with a server of ours.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use manyhands_manager::client::{Answer, CallError, Client};
use manyhands_manager::pickle::Plain;
use manyhands_manager::server::Server;
use manyhands_wire::Address;

pub const KEY: &[u8] = b"a key";

/// A server that serves until it is dropped.
pub struct Served(pub Arc<Server>);

impl Served {
    pub fn new() -> Served {
        Served::at(&Address::localhost())
    }

    pub fn at(address: &Address) -> Served {
        let server = Server::bind(address, KEY).expect("binds");
        server.share_plain("tasks", "Queue", &[], &[]).expect("is shared");
        Server::start(&server).expect("starts");
        Served(server)
    }

    pub fn address(&self) -> &Address {
        self.0.address().expect("is bound")
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address(), KEY).expect("connects")
    }

    /// Waits until that many objects are referred to.
    pub fn has_objects(&self, number: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.0.number_of_objects() != number {
            assert!(Instant::now() < until, "there are {:?}", self.0.objects());
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[test]
fn what_one_puts_another_gets() {
    let served = Served::new();
    let client = served.client();
    assert!(client.is_resumable());
    let other = client.try_clone().expect("connects");
    let taker = thread::spawn(move || {
        let tasks = other.queue("tasks")?;
        (0..3).map(|_| tasks.get()).collect::<Result<Vec<Plain>, CallError>>()
    });
    let tasks = client.queue("tasks").expect("is shared");
    let items: [Plain; 3] = [
        ("a", 1).into(),
        Plain::Dict(vec![("k".into(), vec![Plain::from(()), true.into()].into())]),
        Vec::from(b"bytes").into(),
    ];
    for item in &items {
        tasks.put(item.clone()).expect("is put");
    }
    let taken = taker.join().expect("ends").expect("are taken");
    assert!(items.iter().zip(&taken).all(|(one, two)| one.equals(two)), "{taken:?}");
    for _ in 0..3 {
        tasks.task_done().expect("was put");
    }
    tasks.join().expect("all is done");
    assert!(tasks.task_done().is_err_and(|error| error.is_raised("ValueError")));
}

#[test]
fn a_queue_is_waited_for_and_shut_down() {
    let served = Served::new();
    let client = served.client();
    let queue = client.queue("Queue").expect("is made");
    assert!(queue.get_timeout(Duration::from_millis(5)).expect("is there").is_none());
    queue.put(1.5).expect("is put");
    assert_eq!(queue.len().expect("is there"), 1);
    assert!(!queue.is_empty().expect("is there"));
    queue.shut_down().expect("is there");
    let item = queue.get_timeout(Duration::from_secs(60)).expect("is there");
    assert!(item.is_some_and(|item| item.equals(&1.5.into())));
    assert!(queue.get().is_err_and(|error| error.is_shut_down()));
    assert!(queue.put(()).is_err_and(|error| error.is_shut_down()));
}

#[test]
fn every_usual_type_has_its_usual_methods() {
    let served = Served::new();
    let client = served.client();
    let array: [Plain; 2] = ["i".into(), vec![Plain::from(1)].into()];
    let value: [Plain; 2] = ["i".into(), 5.into()];
    let kinds: [(&str, &[Plain], &str, &[Plain]); 13] = [
        ("Queue", &[], "qsize", &[]),
        ("JoinableQueue", &[], "empty", &[]),
        ("list", &[], "append", &[Plain::None]),
        ("dict", &[], "keys", &[]),
        ("set", &[], "add", &[Plain::None]),
        ("Value", &value, "get", &[]),
        ("Array", &array, "__len__", &[]),
        ("Lock", &[], "acquire", &[]),
        ("RLock", &[], "acquire", &[]),
        ("Semaphore", &[], "acquire", &[]),
        ("Condition", &[], "acquire", &[]),
        ("Event", &[], "set", &[]),
        ("Barrier", &value[1..], "abort", &[]),
    ];
    for (kind, args, method, given) in kinds {
        let object = client.create(kind, args).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(object.methods(), manyhands_manager::objects::methods(kind));
        object.call(method, given).unwrap_or_else(|error| panic!("{kind}.{method}: {error}"));
    }
}

#[test]
fn what_cannot_be_done_is_told() {
    let served = Served::new();
    let client = served.client();
    let dict = client.create("dict", &[]).expect("is made");
    match dict.call("__getitem__", &["a".into()]) {
        Err(CallError::Raised { module, name, args }) => {
            assert_eq!((module.as_str(), name.as_str()), ("builtins", "KeyError"));
            assert!(args.len() == 1 && args[0].equals(&"a".into()));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(dict.call("explode", &[]), Err(CallError::Traceback(_))));
    assert!(matches!(client.create("Stack", &[]), Err(CallError::Traceback(_))));
    assert!(matches!(client.attach("nobody's"), Err(CallError::Traceback(_))));
    assert!(matches!(
        Client::connect(served.address(), b"another key"),
        Err(CallError::Connect(_))
    ));
    // The connection is as good as before.
    dict.call("__setitem__", &["a".into(), 1.into()]).expect("is there");
}

#[test]
fn a_method_may_return_another_object() {
    let served = Served::new();
    let client = served.client();
    let dict =
        client.create_with("dict", &[], &[("one", 1.into()), ("two", 2.into())]).expect("is made");
    let Ok(Answer::Object(keys)) = dict.ask("__iter__", &[], &[]) else { panic!("no iterator") };
    for key in ["one", "two"] {
        assert!(keys.call("__next__", &[]).is_ok_and(|next| next.equals(&key.into())));
    }
    assert!(keys.call("__next__", &[]).is_err_and(|error| error.is_raised("StopIteration")));
    assert!(matches!(dict.call("__iter__", &[]), Err(CallError::NotPlain { .. })));
    served.has_objects(2);
}

#[test]
fn the_server_keeps_an_object_for_as_long_as_somebody_uses_it() {
    let served = Served::new();
    let client = served.client();
    let list = client.create("list", &[]).expect("is made");
    let other = served.client();
    let again = other.attach(list.ident()).expect("is there");
    assert_eq!(again.ident(), list.ident());
    drop(list);
    drop(client);
    again.call("append", &[1.into()]).expect("is there");
    served.has_objects(1);
    drop(again);
    served.has_objects(0);
}

#[test]
fn an_object_may_be_let_go_of_while_its_connection_waits() {
    let served = Served::new();
    let client = served.client();
    let list = client.create("list", &[]).expect("is made");
    let queue = client.queue("tasks").expect("is shared");
    let getter = thread::spawn(move || queue.get());
    served.has_objects(2);
    drop(list);
    let other = served.client();
    other.queue("tasks").expect("is shared").put(1).expect("is put");
    getter.join().expect("ends").expect("is taken");
    served.has_objects(0);
}

#[test]
fn a_socket_in_the_file_system_is_gone_with_its_server() {
    let path = std::env::temp_dir().join(format!("manyhands-client-{}", std::process::id()));
    let served = Served::at(&Address::Path(path.clone()));
    let client = served.client();
    client.queue("tasks").expect("is shared").put("here").expect("is put");
    assert!(path.exists());
    drop(client);
    drop(served);
    let until = Instant::now() + Duration::from_secs(60);
    // Its thread has a share in it.
    while path.exists() {
        assert!(Instant::now() < until, "the socket is left behind");
        thread::sleep(Duration::from_millis(2));
    }
}
