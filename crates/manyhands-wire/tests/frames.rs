//! What a connection makes of any bytes in any pieces.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::thread;

use manyhands_sys::descriptor::{pipe, socket_pair};
use manyhands_wire::{Connection, Header, Malformed, Prefix, ReceiveError};
use proptest::prelude::*;

/// How what is received ends.
#[derive(Debug, PartialEq)]
enum End {
    Clean,
    Torn,
    Malformed(Malformed),
}

/// Receives bytes that come by a pipe or a socket, in pieces that end at these places.
fn receive(
    bytes: &[u8],
    ends: &[usize],
    limit: u64,
    (reader, writer): (OwnedFd, OwnedFd),
) -> (Vec<Vec<u8>>, End) {
    let mut ends: Vec<usize> = ends.iter().map(|end| end % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut writer, mut start) = (File::from(writer), 0);
            for end in ends {
                // Who reads may have given up.
                let _ = writer.write_all(&bytes[start..end]);
                start = end;
                thread::yield_now();
            }
        });
        let connection = Connection::from(reader);
        let mut messages = Vec::new();
        loop {
            match connection.receive_at_most(limit) {
                Ok(message) => messages.push(message),
                Err(ReceiveError::End) => return (messages, End::Clean),
                Err(ReceiveError::Torn) => return (messages, End::Torn),
                Err(ReceiveError::Malformed(error)) => return (messages, End::Malformed(error)),
                Err(other) => panic!("{other:?}"),
            }
        }
    })
}

/// Receives them in one piece, and in these, in both ways; that it is the same, and what it is.
fn receive_anyhow(bytes: &[u8], ends: &[usize], limit: u64) -> (Vec<Vec<u8>>, End) {
    let whole = receive(bytes, &[], limit, pipe().unwrap());
    assert_eq!(whole, receive(bytes, ends, limit, pipe().unwrap()));
    assert_eq!(whole, receive(bytes, ends, limit, socket_pair().unwrap()));
    whole
}

fn frame(message: &[u8]) -> Vec<u8> {
    [Header::of(message.len() as u64).as_bytes(), message].concat()
}

/// The same message behind a header of twelve bytes, which nobody forbids.
fn wide_frame(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_be_bytes();
    [&[0xff; 4][..], &length, message].concat()
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        ends in prop::collection::vec(any::<usize>(), 0..20),
        limit in prop_oneof![Just(u64::MAX), 0..400_u64],
    ) {
        for message in receive_anyhow(&bytes, &ends, limit).0 {
            prop_assert!(message.len() as u64 <= limit && message.len() <= bytes.len());
        }
    }

    #[test]
    fn headers_that_lie_do_no_harm(
        length in any::<u64>(),
        rest in prop::collection::vec(any::<u8>(), 0..100),
        ends in prop::collection::vec(any::<usize>(), 0..5),
    ) {
        let mut bytes = vec![0xff; 4];
        bytes.extend(length.to_be_bytes());
        bytes.extend(&rest);
        receive_anyhow(&bytes, &ends, u64::MAX);
    }

    #[test]
    fn messages_come_out_as_they_went_in(
        messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), any::<bool>()), 0..20),
        ends in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let bytes: Vec<u8> = messages
            .iter()
            .flat_map(|(message, wide)| if *wide { wide_frame(message) } else { frame(message) })
            .collect();
        let (received, end) = receive_anyhow(&bytes, &ends, 200);
        prop_assert_eq!(end, End::Clean);
        let expected: Vec<Vec<u8>> = messages.into_iter().map(|(message, _)| message).collect();
        prop_assert_eq!(received, expected);
    }
}

#[test]
fn headers_at_the_border_of_2_gib() {
    assert_eq!(Header::of(0x7fff_ffff).as_bytes(), [0x7f, 0xff, 0xff, 0xff]);
    let wide = Header::of(0x8000_0000);
    assert_eq!(wide.as_bytes(), [255, 255, 255, 255, 0, 0, 0, 0, 0x80, 0, 0, 0]);
    assert_eq!(Header::of(u64::MAX).as_bytes(), [255; 12]);
    assert_eq!(Prefix::parse([0x7f, 255, 255, 255]), Ok(Prefix::Length(0x7fff_ffff)));
    assert_eq!(Prefix::parse([255; 4]), Ok(Prefix::Wide));
    assert_eq!(Prefix::parse([0x80, 0, 0, 0]), Err(Malformed::Negative(i32::MIN)));
    assert_eq!(Prefix::parse([255, 255, 255, 254]), Err(Malformed::Negative(-2)));
}
