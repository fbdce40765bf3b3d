//! Clients over a Unix socket, whose requests are looked at before they are taken out of the kernel.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use manyhands_manager::pickle::{Message, Plain};
use manyhands_wire::Connection;

use crate::common::{Client, PATIENCE, Served, create, int, request, serve_locally};

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("is short");
    [&length.to_be_bytes(), message].concat()
}

/// A stock client, to be written to byte by byte.
fn stream(served: &Served) -> UnixStream {
    let stream = UnixStream::from(OwnedFd::from(Client::new(served).connection));
    stream.set_read_timeout(Some(PATIENCE)).expect("can be set");
    stream
}

fn append(list: &str, value: Plain) -> Vec<u8> {
    framed(&request(Some(list), "append", &[value], None))
}

#[test]
fn requests_in_pieces_and_many_at_once_are_answered_in_order() {
    let served = serve_locally("pieces");
    let list = create(&served, "list", &[]);
    let mut stream = stream(&served);
    let large = vec![7; 40_000];
    let mut all: Vec<u8> = (0..20).flat_map(|number| append(&list, int(number))).collect();
    all.extend(append(&list, Plain::Bytes(large.clone().into())));
    all.extend(append(&list, int(21)));
    // Of whatever lengths, headers are cut as well as messages, and some pieces have several.
    for (at, piece) in all.chunks(23).enumerate() {
        stream.write_all(piece).expect("sends");
        if at % 7 == 0 {
            std::thread::yield_now();
        }
    }
    stream.write_all(&framed(&request(Some(&list), "__len__", &[], None))).expect("sends");
    let connection = Connection::from(OwnedFd::from(stream));
    for _ in 0..22 {
        let answer = Message::scan(connection.receive().expect("is answered").into());
        let answer = answer.expect("is a pickle").root().plain().expect("is plain");
        assert!(matches!(&answer, Plain::Tuple(parts) if matches!(parts[1], Plain::None)));
    }
    let client = Client { connection };
    assert!(client.receive().value().equals(&int(22)));
    for at in 0..20 {
        assert!(client.call(&list, "__getitem__", &[int(at)]).value().equals(&int(at)));
    }
    let value = client.call(&list, "__getitem__", &[int(20)]).value();
    assert!(value.equals(&Plain::Bytes(large.into())));
}

#[test]
fn who_is_hung_up_on_sees_an_end_and_no_error() {
    let served = serve_locally("end");
    let mut stream = stream(&served);
    // A length that none has.
    stream.write_all(&[0xff, 0xff, 0xff, 0xfe]).expect("sends");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("is an end");
    assert!(rest.is_empty());
}
