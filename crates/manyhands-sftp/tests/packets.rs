//! Packets there and back; and whatever else may come.

use bytes::Bytes;
use manyhands_sftp::packet::{
    Name, OpenFlags, Packet, Reply, Request, Splitter, Status, StatusCode,
};
use manyhands_sftp::{Attributes, Malformed};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn string() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn attributes() -> impl Strategy<Value = Attributes> {
    (
        option::of(any::<u64>()),
        option::of(any::<(u32, u32)>()),
        option::of(any::<u32>()),
        option::of(any::<(u32, u32)>()),
        vec((string(), string()), 0..3),
    )
        .prop_map(|(size, owner, mode, times, extended)| Attributes {
            size,
            owner,
            mode,
            times,
            extended,
        })
}

fn request() -> impl Strategy<Value = Request> {
    let fields = (string(), string(), any::<u64>(), any::<u32>(), attributes());
    (0..19, fields).prop_map(|(kind, (path, other, offset, length, attributes))| {
        let handle = path.clone();
        match kind {
            0 => Request::Open { path, flags: OpenFlags(length), attributes },
            1 => Request::Close { handle },
            2 => Request::Read { handle, offset, length },
            3 => Request::Write { handle, offset, data: other },
            4 => Request::LStat { path },
            5 => Request::FStat { handle },
            6 => Request::SetStat { path, attributes },
            7 => Request::FSetStat { handle, attributes },
            8 => Request::OpenDirectory { path },
            9 => Request::ReadDirectory { handle },
            10 => Request::Remove { path },
            11 => Request::MakeDirectory { path, attributes },
            12 => Request::RemoveDirectory { path },
            13 => Request::RealPath { path },
            14 => Request::Stat { path },
            15 => Request::Rename { from: path, to: other },
            16 => Request::ReadLink { path },
            17 => Request::SymLink { target: path, path: other },
            _ => Request::Extended { name: path, fields: other },
        }
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    let name = (string(), string(), attributes()).prop_map(|(name, long_name, attributes)| Name {
        name,
        long_name,
        attributes,
    });
    prop_oneof![
        (any::<u32>(), string(), string()).prop_map(|(code, message, language)| {
            Reply::Status(Status { code: StatusCode(code), message, language })
        }),
        string().prop_map(Reply::Handle),
        string().prop_map(Reply::Data),
        vec(name, 0..5).prop_map(Reply::Names),
        attributes().prop_map(Reply::Attributes),
        string().prop_map(Reply::Extended),
    ]
}

/// The packets of a stream that comes in pieces of these lengths.
fn split(stream: &[u8], lengths: &[usize]) -> Result<Vec<Bytes>, Malformed> {
    let mut splitter = Splitter::default();
    let mut packets = Vec::new();
    let mut rest = stream;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at((*length).min(rest.len()));
        splitter.feed(piece, |packet| {
            packets.push(packet);
            Ok(())
        })?;
        rest = later;
    }
    Ok(packets)
}

proptest! {
    #[test]
    fn requests_are_read_as_they_were_written(requests in vec((any::<u32>(), request()), 1..6), lengths in vec(1_usize..50, 1..5)) {
        let mut stream = Vec::new();
        for (id, request) in &requests {
            stream.extend(request.encode().finish(*id).unwrap());
        }
        let packets = split(&stream, &lengths).unwrap();
        let read: Vec<_> = packets.into_iter().map(|packet| Request::decode(packet).unwrap()).collect();
        prop_assert_eq!(read, requests);
    }

    #[test]
    fn replies_are_read_as_they_were_written(replies in vec((any::<u32>(), reply()), 1..6), lengths in vec(1_usize..50, 1..5)) {
        let mut stream = Vec::new();
        for (id, reply) in &replies {
            stream.extend(reply.encode(*id));
        }
        let packets = split(&stream, &lengths).unwrap();
        let read: Vec<_> = packets.into_iter().map(|packet| Reply::decode(packet).unwrap()).collect();
        prop_assert_eq!(read, replies);
    }

    #[test]
    fn a_packet_that_is_cut_or_goes_on_is_refused(reply in reply(), cut in 0_usize..30) {
        let whole = Bytes::from(reply.encode(7)).slice(4..);
        let keep = whole.len().saturating_sub(cut + 1).max(1);
        let longer = Bytes::from([&whole[..], b"x"].concat());
        // A status may end early, and the fields of an extension anywhere.
        if !matches!(reply, Reply::Status(_) | Reply::Extended(_)) {
            prop_assert!(Reply::decode(whole.slice(..keep)).is_err());
        }
        if !matches!(reply, Reply::Extended(_)) {
            prop_assert!(Reply::decode(longer).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), kind in any::<u8>(), known in 0_usize..7) {
        let known = [kind, 101, 102, 103, 104, 105, 201][known];
        let packet = Bytes::from([&[known][..], &bytes].concat());
        drop(Reply::decode(packet.clone()));
        drop(Request::decode(packet));
        drop(split(&bytes, &[3, 1, 50]));
    }

    #[test]
    fn a_write_that_is_filled_in_place_is_a_write(data in vec(any::<u8>(), 0..100), more in 0_usize..50, offset in any::<u64>()) {
        let (packet, length) = Packet::write(b"handle", offset, data.len() + more, |room| {
            room[..data.len()].copy_from_slice(&data);
            Ok::<_, ()>(data.len())
        }).unwrap();
        prop_assert_eq!(length, data.len());
        let handle = Bytes::from_static(b"handle");
        let request = Request::Write { handle, offset, data: data.into() };
        prop_assert_eq!(packet.finish(3), request.encode().finish(3));
    }
}

#[test]
fn lengths_that_lie_cost_no_memory() {
    // A name that would have 4 GiB, and as many names as that.
    let handle = Bytes::from_static(b"\x66\0\0\0\x01\xff\xff\xff\xffabc");
    assert_eq!(Reply::decode(handle), Err(Malformed::Short));
    let names = Bytes::from_static(b"\x68\0\0\0\x01\xff\xff\xff\xff");
    assert_eq!(Reply::decode(names), Err(Malformed::Short));
    let packet = split(b"\xff\xff\xff\xff", &[9]);
    let limit = Splitter::LIMIT;
    assert_eq!(packet, Err(Malformed::TooLong { length: u32::MAX, limit }));
    assert_eq!(split(b"\0\0\0\0", &[9]), Err(Malformed::Empty));
}

#[test]
fn attributes_of_unknown_kinds_are_refused() {
    let packet = Bytes::from_static(b"\x69\0\0\0\x01\0\0\x01\0");
    assert_eq!(Reply::decode(packet), Err(Malformed::Flags(0x100)));
}

#[test]
fn a_status_of_an_old_server_is_read() {
    let (id, reply) = Reply::decode(Bytes::from_static(b"\x65\0\0\0\x09\0\0\0\x02")).unwrap();
    let Reply::Status(status) = reply else { panic!("{reply:?}") };
    assert_eq!((id, status.code), (9, StatusCode::NO_SUCH_FILE));
    assert_eq!(status.to_string(), "No such file");
}

#[test]
fn modes_of_python_are_flags() {
    let all =
        |flags: &[OpenFlags]| flags.iter().fold(OpenFlags::default(), |all, flag| all | *flag);
    let (read, write, create) = (OpenFlags::READ, OpenFlags::WRITE, OpenFlags::CREATE);
    for (mode, flags) in [
        ("r", all(&[read])),
        ("rb", all(&[read])),
        ("r+", all(&[read, write])),
        ("w", all(&[write, create, OpenFlags::TRUNCATE])),
        ("a+", all(&[read, write, create, OpenFlags::APPEND])),
        ("wx", all(&[write, create, OpenFlags::TRUNCATE, OpenFlags::EXCLUSIVE])),
    ] {
        assert_eq!(OpenFlags::from_mode(mode), flags, "{mode}");
    }
}
