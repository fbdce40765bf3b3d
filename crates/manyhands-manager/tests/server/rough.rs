//! What badly behaved ones get, and that nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use manyhands_manager::pickle::Plain;
use manyhands_manager::server::Settings;
use manyhands_wire::{Address, connect};

use crate::common::{Client, KEY, PATIENCE, Served, create, int, request, serve, serve_with, str};

fn stream(served: &Served) -> TcpStream {
    let Address::Tcp(address) = served.address else { panic!("no TCP") };
    let stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("can be set");
    stream
}

/// Everything until the server hangs up.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // It may hang up with something of ours unread, which is an error of its own kind.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

fn still_serves(served: &Served) {
    let list = create(served, "list", &[]);
    let answer = Client::new(served).call(&list, "__len__", &[]);
    assert!(answer.value().equals(&int(0)));
}

#[test]
fn a_wrong_key_is_refused() {
    let served = serve();
    assert!(connect(&served.address, Some(b"another key")).is_err());
    still_serves(&served);
}

#[test]
fn who_says_nothing_is_hung_up_on() {
    let served = serve();
    let said = rest(stream(&served));
    assert!(said[4..].starts_with(b"#CHALLENGE#"));
    still_serves(&served);
}

#[test]
fn who_speaks_ever_so_slowly_is_hung_up_on() {
    let served = serve();
    let mut stream = stream(&served);
    let mut sent = 0;
    // A response of 20 bytes, one by one, would take longer than is given.
    while stream.write_all(&[0]).is_ok() && sent < 1000 {
        sent += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(sent < 1000);
    still_serves(&served);
}

#[test]
fn long_or_nonsensical_messages_before_authentication_are_not_read() {
    for header in [[0x7f, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0xfe], [0, 0, 1, 1], [0xff; 4]] {
        let served = serve();
        let mut stream = stream(&served);
        stream.write_all(&header).expect("sends");
        // What is wide says its length in what follows.
        let _ = stream.write_all(&[0x7f; 8]);
        rest(stream);
        still_serves(&served);
    }
}

#[test]
fn too_long_a_request_is_not_read() {
    let served = serve_with(Settings { longest_message: 1000, ..Settings::new(KEY) });
    let list = create(&served, "list", &[]);
    let client = Client::new(&served);
    client.send(&request(Some(&list), "append", &[Plain::Bytes(vec![0; 2000].into())], None));
    assert!(client.is_hung_up_on());
    still_serves(&served);
}

#[test]
fn a_request_that_is_none_gets_an_error_and_the_next_one_an_answer() {
    let served = serve();
    let list = create(&served, "list", &[]);
    let client = Client::new(&served);
    for nonsense in [&b""[..], b"nonsense", b"\x80\x04N.", b"\x80\x04)."] {
        assert!(client.ask(nonsense).text().contains("cannot read"), "{nonsense:?}");
    }
    assert!(client.call(&list, "__len__", &[]).value().equals(&int(0)));
}

#[test]
fn a_connection_cut_in_the_middle_of_a_message_harms_nobody() {
    let served = serve();
    let list = create(&served, "list", &[]);
    let client = Client::new(&served);
    let request = request(Some(&list), "append", &[Plain::Bytes(vec![0; 100_000].into())], None);
    let socket: std::os::fd::OwnedFd = client.connection.into();
    let mut stream = TcpStream::from(socket);
    stream.write_all(&(request.len() as u32).to_be_bytes()).expect("sends");
    stream.write_all(&request[..50_000]).expect("sends");
    drop(stream);
    let answer = Client::new(&served).call(&list, "__len__", &[]);
    assert!(answer.value().equals(&int(0)));
}

#[test]
fn what_a_dead_client_waited_for_goes_to_the_next() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let dead = Client::new(&served);
    dead.send(&request(Some(&queue), "get", &[], None));
    drop(dead);
    let client = Client::new(&served);
    // It was seen to be gone before this one came: events come in their order.
    client.call(&queue, "put", &[str("kept")]).value();
    assert!(client.call(&queue, "get", &[]).value().equals(&str("kept")));
}

#[test]
fn what_a_dead_client_got_does_not_come_again() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let client = Client::new(&served);
    // More than fits into the kernel at once.
    let large = Plain::Bytes(vec![7; 16 << 20].into());
    for _ in 0..3 {
        client.call(&queue, "put", std::slice::from_ref(&large)).value();
        let dead = Client::new(&served);
        assert!(dead.call(&queue, "get", &[]).value().equals(&large));
        drop(dead);
        let soon = [Plain::Bool(true), Plain::Float(0.05)];
        assert_eq!(client.call(&queue, "get", &soon).raised().1, "Empty");
    }
}

#[test]
fn who_does_not_read_his_answers_is_not_served_any_further() {
    let served = serve();
    let list = create(&served, "list", &[]);
    let greedy = Client::new(&served);
    greedy.call(&list, "append", &[Plain::Bytes(vec![0; 10_000_000].into())]).value();
    for _ in 0..100 {
        greedy.send(&request(Some(&list), "__getitem__", &[int(0)], None));
    }
    still_serves(&served);
    for _ in 0..100 {
        assert!(
            matches!(greedy.receive().value(), Plain::Bytes(bytes) if bytes.len() == 10_000_000)
        );
    }
}

#[test]
fn many_who_only_connect_do_not_keep_others_out() {
    let served = serve();
    let idle: Vec<TcpStream> = (0..200).map(|_| stream(&served)).collect();
    still_serves(&served);
    drop(idle);
    still_serves(&served);
}
