//! Any bytes, in pieces of any size: packets of SFTP are read or refused, the same however they are cut, and what was read
//! is written as what it was read from.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use manyhands_sftp::packet::{Reply, Request, Splitter};

/// The packets, and how it ended.
fn split(bytes: &[u8], step: usize) -> (Vec<Bytes>, Option<String>) {
    let mut splitter = Splitter::default();
    let mut packets = Vec::new();
    for piece in bytes.chunks(step) {
        let fed = splitter.feed(piece, |packet| {
            packets.push(packet);
            Ok(())
        });
        if let Err(malformed) = fed {
            return (packets, Some(malformed.to_string()));
        }
    }
    (packets, None)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let whole = split(bytes, usize::MAX);
    assert_eq!(whole, split(bytes, usize::from(step) + 1));
    let (packets, _) = whole;
    for packet in packets.into_iter().chain([Bytes::copy_from_slice(bytes)]) {
        if let Ok((id, reply)) = Reply::decode(packet.clone()) {
            let written = Bytes::from(reply.encode(id)).slice(4..);
            assert_eq!(Reply::decode(written), Ok((id, reply)));
        }
        if let Ok((id, request)) = Request::decode(packet) {
            let written = request.encode().finish(id).map(|packet| Bytes::from(packet).slice(4..));
            assert_eq!(written.map(Request::decode), Some(Ok((id, request))));
        }
    }
});
