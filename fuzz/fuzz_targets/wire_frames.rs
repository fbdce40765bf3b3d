//! Any bytes, in pieces of any size: a connection neither panics nor takes memory for what has not
//! come, and it says the same however the bytes are cut.
#![no_main]

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use libfuzzer_sys::fuzz_target;
use manyhands_wire::{Connection, ReceiveError};

/// The messages, and how it ends after them.
fn receive<'a>(
    pieces: impl Iterator<Item = &'a [u8]> + Send,
    limit: u64,
) -> (Vec<Vec<u8>>, String) {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for piece in pieces {
                // Who reads may have given up.
                let _ = writer.write_all(piece);
                std::thread::yield_now();
            }
        });
        let connection = Connection::from(OwnedFd::from(reader));
        let mut messages = Vec::new();
        loop {
            match connection.receive_at_most(limit) {
                Ok(message) => messages.push(message),
                Err(ReceiveError::System(error)) => panic!("{error}"),
                Err(end) => return (messages, end.to_string()),
            }
        }
    })
}

fuzz_target!(|input: (u8, Option<u16>, &[u8])| {
    let (step, limit, bytes) = input;
    let limit = limit.map_or(u64::MAX, u64::from);
    let whole = receive(std::iter::once(bytes), limit);
    assert_eq!(whole, receive(bytes.chunks(usize::from(step) + 1), limit));
    assert!(whole.0.iter().map(Vec::len).sum::<usize>() <= bytes.len());
});
