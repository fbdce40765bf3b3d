//! Connections between threads: messages, ends, signals, authentication.

use std::cell::Cell;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use manyhands_sys::descriptor::{Descriptor, Room, wait_readable};
use manyhands_sys::process;
use manyhands_wire::authentication::{self, AuthenticationError, Digest};
use manyhands_wire::stream::{self, Gate};
use manyhands_wire::{
    Address, ConnectError, Connection, Listener, Malformed, ReceiveError, SendError, connect, pair,
};
use watched::watched;

#[path = "../../manyhands-sync/tests/primitives/watched.rs"]
mod watched;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|number| (number * 31 + number / 256) as u8).collect()
}

#[test]
fn messages_of_all_sizes() {
    watched(|| {
        let (here, there) = pair().unwrap();
        std::thread::scope(|scope| {
            let sizes = [0, 1, 4, 4096, 32768, 32769, 1 << 20, (1 << 20) + 1, 9_000_000];
            let there = &there;
            scope.spawn(move || {
                for size in sizes {
                    let message = there.receive().unwrap();
                    assert_eq!(message.len(), size);
                    there.send(&message).unwrap();
                }
            });
            for size in sizes {
                let message = bytes(size);
                here.send(&message).unwrap();
                assert!(here.receive().unwrap() == message, "{size}");
            }
        });
    });
}

#[test]
fn messages_of_many_parts() {
    watched(|| {
        let (here, there) = pair().unwrap();
        for count in [0, 1, 2, 3, 4, 5, 3000] {
            let parts: Vec<Vec<u8>> = (0..count).map(|number| bytes(number % 7)).collect();
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            stream::send(Descriptor::of(&here), &slices, &stream::Plain).unwrap();
            assert_eq!(there.receive().unwrap(), parts.concat());
        }
    });
}

#[test]
fn a_closed_end() {
    watched(|| {
        let (here, there) = pair().unwrap();
        here.send(b"last").unwrap();
        drop(here);
        assert!(there.poll(None).unwrap());
        assert_eq!(there.receive().unwrap(), b"last");
        assert!(matches!(there.receive(), Err(ReceiveError::End)));
        match there.send(b"nobody") {
            Err(SendError::System(error)) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_end_in_the_middle() {
    watched(|| {
        for (sent, torn) in [(&b"\0\0"[..], true), (b"\0\0\0\x05", false), (b"\0\0\0\x05abc", true)]
        {
            let (mut raw, socket) = UnixStream::pair().unwrap();
            raw.write_all(sent).unwrap();
            drop(raw);
            let error = Connection::from(OwnedFd::from(socket)).receive().unwrap_err();
            assert_eq!(matches!(error, ReceiveError::Torn), torn, "{sent:?}: {error}");
            assert_eq!(matches!(error, ReceiveError::End), !torn, "{sent:?}: {error}");
        }
    });
}

#[test]
fn a_header_that_lies_takes_no_memory() {
    watched(|| {
        let (mut raw, socket) = UnixStream::pair().unwrap();
        raw.write_all(&[0xff; 4]).unwrap();
        raw.write_all(&(1_u64 << 60).to_be_bytes()).unwrap();
        raw.write_all(&bytes(1000)).unwrap();
        drop(raw);
        let error = Connection::from(OwnedFd::from(socket)).receive().unwrap_err();
        assert!(matches!(error, ReceiveError::Torn), "{error}");
    });
}

#[test]
fn the_one_answer_that_was_asked_for() {
    watched(|| {
        let (mut raw, socket) = UnixStream::pair().unwrap();
        let from = Descriptor::of(&socket);
        let receive = |memory: &mut [u8]| {
            let (length, begun) = stream::receive_begun(from, memory, &stream::Plain)?;
            Ok::<_, ReceiveError>((length, begun.to_vec()))
        };
        let mut memory = [0; 16];
        raw.write_all(b"\0\0\0\x05whole").unwrap();
        assert_eq!(receive(&mut memory).unwrap(), (5, b"whole".to_vec()));
        // The rest of a longer one stays where it is.
        raw.write_all(b"\0\0\0\x10much is to follo").unwrap();
        assert_eq!(receive(&mut memory).unwrap(), (16, b"much is to f".to_vec()));
        let mut rest = [0; 4];
        stream::fill(from, &mut Room::from(&mut rest[..]), &stream::Plain).unwrap();
        assert_eq!(&rest, b"ollo");
        raw.write_all(b"\xff\xff\xff\xff\0\0\0\0").unwrap();
        let wide = std::thread::scope(|scope| {
            scope.spawn(|| raw.write_all(b"\0\0\0\x01x").unwrap());
            receive(&mut memory).unwrap()
        });
        // What comes of it later is read when it has come.
        assert_eq!(wide.0, 1);
        if wide.1.is_empty() {
            stream::fill(from, &mut Room::from(&mut rest[..1]), &stream::Plain).unwrap();
        }
        raw.write_all(b"\0\0\0\x01xy").unwrap();
        let error = receive(&mut memory).unwrap_err();
        assert!(matches!(error, ReceiveError::Malformed(Malformed::Unasked)), "{error}");
        raw.write_all(b"\0\0").unwrap();
        drop(raw);
        assert!(matches!(receive(&mut memory), Err(ReceiveError::Torn)));
        assert!(matches!(receive(&mut memory), Err(ReceiveError::End)));
    });
}

#[test]
fn a_limit() {
    watched(|| {
        let (here, there) = pair().unwrap();
        here.send(b"ten bytes!").unwrap();
        here.send(b"eleven byte").unwrap();
        assert_eq!(there.receive_at_most(10).unwrap(), b"ten bytes!");
        let error = there.receive_at_most(10).unwrap_err();
        assert!(
            matches!(error, ReceiveError::Malformed(Malformed::TooLong { length: 11, limit: 10 })),
            "{error}"
        );
    });
}

#[test]
fn polling() {
    watched(|| {
        let (here, there) = pair().unwrap();
        assert!(!there.poll(Some(Duration::ZERO)).unwrap());
        assert!(!there.poll(Some(Duration::from_millis(5))).unwrap());
        here.send(b"").unwrap();
        assert!(there.poll(Some(Duration::ZERO)).unwrap());
        assert!(there.poll(Some(Duration::MAX)).unwrap());
    });
}

/// Gives up at the n-th time that it is asked, and has calls come back soon.
struct Nervous(Cell<u32>);

impl Gate for Nervous {
    type Error = &'static str;

    const IS_DEAR: bool = true;

    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_millis(1))
    }

    fn outside<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        call()
    }

    fn interrupted(&self) -> Result<(), &'static str> {
        self.0.set(self.0.get() - 1);
        if self.0.get() == 0 { Err("enough") } else { Ok(()) }
    }
}

#[test]
fn a_gate_gives_up() {
    watched(|| {
        let (here, there) = pair().unwrap();
        let there = Descriptor::of(&there);
        match stream::receive_length(there, None, &Nervous(Cell::new(3))) {
            Err(ReceiveError::Interrupted(why)) => assert_eq!(why, "enough"),
            other => panic!("{other:?}"),
        }
        here.send(b"message").unwrap();
        let gate = Nervous(Cell::new(3));
        assert_eq!(stream::receive_length(there, None, &gate).unwrap(), 7);
        let mut message = [0; 7];
        stream::fill(there, &mut Room::from(message.as_mut_slice()), &gate).unwrap();
        assert_eq!(&message, b"message");
    });
}

#[test]
fn a_pipe_is_as_good_as_a_socket() {
    watched(|| {
        let (reader, writer) = std::io::pipe().unwrap();
        let (reader, writer) = (Connection::from(OwnedFd::from(reader)), OwnedFd::from(writer));
        let gate = Nervous(Cell::new(u32::MAX));
        std::thread::scope(|scope| {
            let writer = Descriptor::of(&writer);
            assert!(!writer.is_socket());
            scope.spawn(move || {
                let gate = Nervous(Cell::new(u32::MAX));
                for size in [10, 30_000, 300_000] {
                    stream::send(writer, &[&bytes(size)], &gate).unwrap();
                }
            });
            let reader = Descriptor::of(&reader.as_fd());
            for size in [10, 30_000, 300_000] {
                assert_eq!(stream::receive_length(reader, None, &gate).unwrap(), size as u64);
                let mut message = vec![0; size];
                stream::fill(reader, &mut Room::from(message.as_mut_slice()), &gate).unwrap();
                assert!(message == bytes(size));
            }
        });
    });
}

fn addresses(name: &str) -> [Address; 3] {
    let unique = format!("manyhands-{}-{name}", std::process::id());
    [
        Address::localhost(),
        Address::unix(std::env::temp_dir().join(&unique).to_str().unwrap().as_bytes()),
        Address::unix(format!("\0{unique}").as_bytes()),
    ]
}

#[test]
fn listeners_and_clients_with_and_without_a_key() {
    watched(|| {
        for address in addresses("listeners") {
            for key in [None, Some(&b""[..]), Some(b"key")] {
                let listener = Listener::bind(&address, key).unwrap();
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        let connection = connect(listener.address(), key).unwrap();
                        connection.send(&connection.receive().unwrap()).unwrap();
                    });
                    let connection = listener.accept().unwrap();
                    connection.send(b"there and back").unwrap();
                    assert_eq!(connection.receive().unwrap(), b"there and back");
                });
            }
            if let Address::Path(path) = &address {
                assert!(!path.exists());
            }
        }
    });
}

#[test]
fn a_forked_child_leaves_the_socket_to_its_parent() {
    let path = std::env::temp_dir().join(format!("manyhands-wire-forked-{}", std::process::id()));
    let address = Address::Path(path.clone());
    let mut listener = Some(Listener::bind(&address, None).unwrap());
    match process::fork().unwrap() {
        None => {
            listener.take();
            process::exit(0)
        }
        Some(child) => {
            let child = process::open(child).unwrap();
            let timeout = Some(Duration::from_secs(60));
            assert_eq!(wait_readable(&[child.as_raw_fd()], &mut [false], timeout).unwrap(), 1);
            let ended = process::wait(child.as_fd(), process::Waiting::Reap).unwrap();
            assert_eq!(ended.map(|ended| ended.how), Some(process::Ending::Exited(0)));
        }
    }
    assert!(path.exists());
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_wrong_key_is_refused_on_both_sides() {
    watched(|| {
        let listener = Listener::bind(&Address::localhost(), Some(b"right")).unwrap();
        std::thread::scope(|scope| {
            let client = scope.spawn(|| connect(listener.address(), Some(b"wrong")).unwrap_err());
            let refused = listener.accept().unwrap_err();
            assert_eq!(refused.to_string(), "digest received was wrong");
            assert_eq!(client.join().unwrap().to_string(), "digest sent was rejected");
            // The next one is welcome.
            let client = scope.spawn(|| connect(listener.address(), Some(b"right")).unwrap());
            listener.accept().unwrap();
            client.join().unwrap();
        });
    });
}

#[test]
fn a_client_that_goes_away_in_the_handshake() {
    watched(|| {
        let listener = Listener::bind(&Address::localhost(), Some(b"key")).unwrap();
        drop(connect(listener.address(), None).unwrap());
        assert!(matches!(
            listener.accept().unwrap_err(),
            ConnectError::Receive(_) | ConnectError::Send(_)
        ));
    });
}

/// Known answers, computed by another implementation (CPython 3.12's hmac).
#[test]
fn responses_are_those_of_others() {
    let message = b"is-twenty-bytes-long";
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let response = authentication::create_response(b"supadupasecretkey", message).unwrap();
    assert_eq!(hex(&response), "f08c5aa7ef61fc426b5b135fd8a223ae");
    let named = [b"{sha256}", &message[..]].concat();
    let response = authentication::create_response(b"supadupasecretkey", &named).unwrap();
    assert_eq!(
        hex(&response),
        format!(
            "{}{}",
            hex(b"{sha256}"),
            "0ed2bf5258efb96604b831848a9212d31f7468b3fc6fc61af1ebe84f08349e47"
        )
    );
}

#[test]
fn every_digest_is_answered_and_verified() {
    for name in ["md5", "sha256", "sha384", "sha3_256", "sha3_384"] {
        let digest = Digest::named(name.as_bytes()).unwrap();
        assert_eq!(digest.name(), name);
        let challenge = authentication::challenge(digest).unwrap();
        let again = authentication::challenge(digest).unwrap();
        assert!(challenge.len() == name.len() + 42 && challenge != again);
        let response = authentication::create_response(b"key", &challenge).unwrap();
        authentication::verify_response(b"key", &challenge, &response).unwrap();
        assert_eq!(
            authentication::verify_response(b"other", &challenge, &response),
            Err(AuthenticationError::WrongResponse)
        );
        let short = &response[..response.len() - 1];
        assert!(authentication::verify_response(b"key", &challenge, short).is_err());
        // A response to another digest's challenge is none to this: no downgrade.
        let weaker = [b"{md5}", &challenge[name.len() + 2..]].concat();
        let response = authentication::create_response(b"key", &weaker).unwrap();
        let verified = authentication::verify_response(b"key", &challenge, &response);
        assert_eq!(verified.is_ok(), name == "md5");
    }
}

#[test]
fn what_is_no_challenge_is_told_so() {
    let told = |message: &[u8]| authentication::read_challenge(message).unwrap_err().to_string();
    assert_eq!(told(b"some'thing"), r"Protocol error, expected challenge: message=b'some\'thing'");
    assert_eq!(told(b"#CHALLENGE#short"), "challenge too short: 5 bytes");
    assert!(authentication::create_response(b"key", b"{sha1}0123456789012345678901").is_err());
    assert!(authentication::create_response(b"key", b"{unfinished").is_err());
}
