//! A server in a thread, and a client as simple as can be.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use manyhands_manager::pickle::{Message, Plain, Writer};
use manyhands_manager::server::{Server, Settings, Type};
use manyhands_wire::{Address, Connection, connect};

pub const KEY: &[u8] = b"a key";

/// Longer than anything here should ever take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The methods of a queue.
const QUEUE: [&str; 5] = ["put", "get", "qsize", "task_done", "join"];

/// A server that serves until it is dropped.
pub struct Served {
    pub server: Arc<Server>,
    pub address: Address,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.stop();
    }
}

fn types() -> HashMap<String, Type> {
    let kinds: [(&str, &[&str]); 4] = [
        ("Queue", &QUEUE),
        ("list", &["append", "__len__", "__getitem__"]),
        ("dict", &["__setitem__", "__getitem__", "__iter__", "__len__"]),
        ("Lock", &["acquire", "release"]),
    ];
    kinds
        .into_iter()
        .map(|(name, exposed)| {
            let exposed = exposed.iter().map(|&name| name.to_owned()).collect();
            (name.to_owned(), Type { kind: name.to_owned(), exposed })
        })
        .collect()
}

pub fn settings() -> Settings {
    Settings {
        handshake: Duration::from_millis(300),
        resume: Duration::from_millis(300),
        longest_message: 1 << 30,
        ..Settings::new(KEY)
    }
}

/// A server over TCP: it cannot tell which process a client is.
pub fn serve() -> Served {
    serve_with(settings())
}

pub fn serve_with(settings: Settings) -> Served {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    let address = Address::Tcp(listener.local_addr().expect("is bound"));
    let server = Server::new(OwnedFd::from(listener), settings, types(), None).expect("is made");
    let server = Arc::new(server);
    Server::start(&server).expect("starts");
    Served { server, address }
}

/// A server over a Unix socket: it knows the process of each client.
pub fn serve_locally(name: &str) -> Served {
    let name = format!("manyhands-test-{}-{name}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("is a name");
    let listener = UnixListener::bind_addr(&address).expect("binds");
    let address = Address::Abstract(name.into_bytes());
    let descriptor = OwnedFd::from(listener);
    let server = Server::new(descriptor, settings(), types(), None).expect("is made");
    let server = Arc::new(server);
    Server::start(&server).expect("starts");
    Served { server, address }
}

/// A request, as CPython's clients make it.
pub fn request(ident: Option<&str>, method: &str, args: &[Plain], number: Option<i64>) -> Vec<u8> {
    request_with(ident, method, args, &[], number)
}

pub fn request_with(
    ident: Option<&str>,
    method: &str,
    args: &[Plain],
    kwargs: &[(&str, Plain)],
    number: Option<i64>,
) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.tuple(|writer| {
        match ident {
            Some(ident) => writer.str(ident),
            None => writer.none(),
        }
        writer.str(method);
        writer.tuple(|writer| args.iter().for_each(|argument| writer.plain(argument)));
        writer.dict(|writer| {
            for (name, value) in kwargs {
                writer.str(name);
                writer.plain(value);
            }
        });
        if let Some(number) = number {
            writer.int(number);
        }
    });
    writer.finish().concat()
}

/// An answer: its kind, and the rest as it was sent.
#[derive(Debug)]
pub struct Answer {
    pub kind: String,
    message: Message,
}

impl Answer {
    pub fn of(bytes: Vec<u8>) -> Answer {
        let message = Message::scan(Bytes::from(bytes)).expect("is a pickle");
        let kind = message.root().tuple().expect("is a tuple")[0].str().expect("has a kind");
        let kind = kind.to_owned();
        Answer { kind, message }
    }

    pub fn value(&self) -> Plain {
        assert_eq!(self.kind, "#RETURN", "{:?}", self.message.root().plain());
        self.message.root().tuple().expect("is a tuple")[1].plain().expect("is plain")
    }

    /// Module and name of the exception that was raised.
    pub fn raised(&self) -> (String, String) {
        assert_eq!(self.kind, "#ERROR");
        let exception = self.message.root().tuple().expect("is a tuple")[1];
        let (class, _, _) = exception.reduced().expect("is made by a call");
        let (module, name) = class.global().expect("is a class");
        (module.to_owned(), name.to_owned())
    }

    pub fn text(&self) -> String {
        assert_eq!(self.kind, "#TRACEBACK");
        self.message.root().tuple().expect("is a tuple")[1].str().expect("is a str").to_owned()
    }

    /// The notes that only clients of ours get.
    pub fn notes(&self) -> Option<Plain> {
        self.message.root().tuple().expect("is a tuple").get(2).and_then(|notes| notes.plain())
    }
}

pub fn str(text: &str) -> Plain {
    Plain::Str(text.into())
}

pub fn int(value: i64) -> Plain {
    Plain::Int(manyhands_manager::pickle::Integer::Small(value))
}

/// One connection, as one thread of a client has it.
pub struct Client {
    pub connection: Connection,
}

impl Client {
    /// Connects without taking a seat.
    pub fn connect(served: &Served) -> Client {
        Client { connection: connect(&served.address, Some(KEY)).expect("connects") }
    }

    /// Connects as CPython's proxies do.
    pub fn new(served: &Served) -> Client {
        let client = Client::connect(served);
        let answer = client.ask(&request(None, "accept_connection", &[str("a thread")], None));
        assert!(matches!(answer.value(), Plain::None));
        client
    }

    /// Connects as ours do; returns what the server says of itself, too.
    pub fn ours(served: &Served, more: &[(&str, Plain)]) -> (Client, HashMap<String, Plain>) {
        let client = Client::connect(served);
        let mut kwargs = vec![("name", str("a thread"))];
        kwargs.extend_from_slice(more);
        let answer =
            client.ask(&request_with(None, "accept_connection", &[], &kwargs, None)).value();
        let Plain::Dict(pairs) = answer else { panic!("no dict: {answer:?}") };
        let said = pairs
            .into_iter()
            .map(|(key, value)| match key {
                Plain::Str(key) => (key.into_string(), value),
                other => panic!("no name: {other:?}"),
            })
            .collect();
        (client, said)
    }

    pub fn send(&self, request: &[u8]) {
        self.connection.send(request).expect("sends");
    }

    pub fn receive(&self) -> Answer {
        assert!(self.connection.poll(Some(PATIENCE)).expect("polls"), "no answer");
        Answer::of(self.connection.receive().expect("an answer comes"))
    }

    /// Whether the server hangs up.
    pub fn is_hung_up_on(&self) -> bool {
        self.connection.poll(Some(PATIENCE)).expect("polls") && self.connection.receive().is_err()
    }

    pub fn ask(&self, request: &[u8]) -> Answer {
        self.send(request);
        self.receive()
    }

    pub fn call(&self, ident: &str, method: &str, args: &[Plain]) -> Answer {
        self.ask(&request(Some(ident), method, args, None))
    }
}

/// Has an object made; its identity.
pub fn create(served: &Served, typeid: &str, args: &[Plain]) -> String {
    let all: Vec<Plain> = std::iter::once(str(typeid)).chain(args.iter().cloned()).collect();
    let answer = Client::connect(served).ask(&request(None, "create", &all, None));
    let Plain::Tuple(parts) = answer.value() else { panic!("no tuple") };
    match parts.first() {
        Some(Plain::Str(ident)) => ident.to_string(),
        other => panic!("no identity: {other:?}"),
    }
}
