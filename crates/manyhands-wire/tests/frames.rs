//! The decoder, against any bytes in any pieces.

use manyhands_wire::{Connection, Decoder, Header, Malformed, Prefix, ReceiveError};
use proptest::prelude::*;

/// Decodes bytes that come in pieces that end at these places.
fn decode(bytes: &[u8], ends: &[usize], limit: u64) -> (Vec<Vec<u8>>, Result<(), Malformed>) {
    let mut ends: Vec<usize> = ends.iter().map(|end| end % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut decoder = Decoder::new(limit);
    let (mut messages, mut start) = (Vec::new(), 0);
    for end in ends {
        let mut piece = &bytes[start..end];
        start = end;
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
        assert!(piece.is_empty(), "it stopped before the input ended");
    }
    (messages, Ok(()))
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
        let whole = decode(&bytes, &[], limit);
        prop_assert_eq!(&whole, &decode(&bytes, &ends, limit));
        for message in &whole.0 {
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
        prop_assert_eq!(decode(&bytes, &[], u64::MAX), decode(&bytes, &ends, u64::MAX));
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
        let (decoded, result) = decode(&bytes, &ends, 200);
        prop_assert_eq!(result, Ok(()));
        let expected: Vec<Vec<u8>> = messages.into_iter().map(|(message, _)| message).collect();
        prop_assert_eq!(decoded, expected);
    }

    #[test]
    fn a_connection_and_the_decoder_say_the_same(
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0..60),
    ) {
        let (messages, result) = decode(&bytes, &[], 40);
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, &bytes).unwrap();
        drop(writer);
        let connection = Connection::from(std::os::fd::OwnedFd::from(reader));
        for message in messages {
            prop_assert_eq!(connection.receive_at_most(40).unwrap(), message);
        }
        match (result, connection.receive_at_most(40)) {
            (Err(expected), Err(ReceiveError::Malformed(error))) => {
                prop_assert_eq!(error, expected);
            }
            (Ok(()), Err(ReceiveError::End | ReceiveError::Torn)) => {}
            (expected, got) => prop_assert!(false, "{expected:?}, {got:?}"),
        }
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
