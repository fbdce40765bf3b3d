//! Connections that break, through a relay that cuts them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use manyhands_manager::client::{CallError, Client};
use manyhands_wire::Address;

use crate::calls::{KEY, Served};

/// Passes on what comes, until it is told to cut.
struct Relay {
    address: SocketAddr,
    pairs: Arc<Mutex<Vec<[TcpStream; 2]>>>,
    target: Arc<Mutex<SocketAddr>>,
}

fn tcp(address: &Address) -> SocketAddr {
    match address {
        Address::Tcp(address) => *address,
        other => panic!("no TCP: {other:?}"),
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}

impl Relay {
    fn new(served: &Served) -> Relay {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound");
        let pairs: Arc<Mutex<Vec<[TcpStream; 2]>>> = Arc::default();
        let target = Arc::new(Mutex::new(tcp(served.address())));
        let (kept, aim) = (Arc::clone(&pairs), Arc::clone(&target));
        thread::spawn(move || {
            for one in listener.incoming() {
                let Ok(one) = one else { return };
                let Ok(other) = TcpStream::connect(*aim.lock().expect("whole")) else { continue };
                let _ = (one.set_nodelay(true), other.set_nodelay(true));
                let copy = |stream: &TcpStream| stream.try_clone().expect("is copied");
                pass_on(copy(&one), copy(&other));
                pass_on(copy(&other), copy(&one));
                kept.lock().expect("whole").push([one, other]);
            }
        });
        Relay { address, pairs, target }
    }

    /// Cuts all connections that there are.
    fn cut(&self) {
        for stream in self.pairs.lock().expect("whole").drain(..).flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn client(&self) -> Client {
        Client::connect(&Address::Tcp(self.address), KEY).expect("connects")
    }
}

#[test]
fn no_item_is_lost_or_doubled_by_broken_connections() {
    let served = Served::new();
    let relay = Arc::new(Relay::new(&served));
    let client = relay.client();
    let tasks = client.queue("tasks").expect("is shared");
    let cutter = Arc::clone(&relay);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let cuts = thread::spawn(move || {
        let mut cuts = 0;
        while stopped.recv_timeout(Duration::from_millis(7)).is_err() {
            cutter.cut();
            cuts += 1;
        }
        cuts
    });
    let mut taken = Vec::new();
    for number in 0..150 {
        tasks.put(2 * number).expect("is put");
        tasks.put(2 * number + 1).expect("is put");
        for _ in 0..2 {
            taken.push(i64::try_from(tasks.get().expect("is taken")).expect("is an int"));
        }
        thread::sleep(Duration::from_micros(500));
    }
    stop.send(()).expect("is heard");
    assert!(cuts.join().expect("ends") > 0);
    assert_eq!(taken, (0..300).collect::<Vec<i64>>());
    assert_eq!(tasks.len().expect("is there"), 0);
}

#[test]
fn a_wait_goes_on_over_the_next_connection() {
    let served = Served::new();
    let relay = Relay::new(&served);
    let client = relay.client();
    let tasks = client.queue("tasks").expect("is shared");
    let getter = thread::spawn(move || tasks.get());
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(20));
        relay.cut();
    }
    let direct = served.client();
    direct.queue("tasks").expect("is shared").put("late").expect("is put");
    let item = getter.join().expect("ends").expect("is taken");
    assert!(item.equals(&"late".into()));
}

#[test]
fn what_was_let_go_of_while_a_connection_broke_is_not_kept() {
    let served = Served::new();
    let relay = Relay::new(&served);
    let client = relay.client();
    let kept = client.create("list", &[]).expect("is made");
    for round in 0..20 {
        let objects: Vec<_> =
            (0..5).map(|_| client.create("list", &[]).expect("is made")).collect();
        for (place, object) in objects.into_iter().enumerate() {
            if place == round % 5 {
                relay.cut();
            }
            drop(object);
        }
        kept.call("append", &[1.into()]).expect("is there");
    }
    served.has_objects(1);
    assert!(kept.call("__len__", &[]).is_ok_and(|length| length.equals(&20.into())));
}

#[test]
fn another_server_is_not_taken_for_the_one_before() {
    let served = Served::new();
    let relay = Relay::new(&served);
    let client = relay.client();
    let list = client.create("list", &[]).expect("is made");
    let other = Served::new();
    *relay.target.lock().expect("whole") = tcp(other.address());
    relay.cut();
    match list.call("append", &[1.into()]) {
        Err(CallError::Lost { method, .. }) => assert_eq!(method, "append"),
        unexpected => panic!("{unexpected:?}"),
    }
    assert!(matches!(list.call("append", &[1.into()]), Err(CallError::Gone)));
    // The client goes on with the new one.
    let tasks = client.queue("tasks").expect("is shared");
    tasks.put("new").expect("is put");
    drop(list);
    assert_eq!(other.client().queue("tasks").expect("is shared").len().expect("is there"), 1);
}

#[test]
fn a_server_that_is_gone_for_good_is_lost() {
    let path = std::env::temp_dir().join(format!("manyhands-lost-{}", std::process::id()));
    let served = Served::at(&Address::Path(path));
    let client = served.client();
    let tasks = client.queue("tasks").expect("is shared");
    let getter = thread::spawn(move || tasks.get());
    drop(served);
    match getter.join().expect("ends") {
        Err(CallError::Lost { method, .. }) => assert_eq!(method, "get"),
        other => panic!("{other:?}"),
    }
    let again = client.create("list", &[]);
    assert!(matches!(again, Err(CallError::Lost { was_sent: false, .. })), "{again:?}");
}
