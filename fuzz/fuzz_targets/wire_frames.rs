//! Any bytes, in pieces of any size: the decoder neither panics nor takes memory for what has not
//! come, and it says the same however the bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manyhands_wire::{Decoder, Malformed};

fn decode<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    limit: u64,
) -> (Vec<Vec<u8>>, Result<(), Malformed>) {
    let mut decoder = Decoder::new(limit);
    let mut messages = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, Ok(()))
}

fuzz_target!(|input: (u8, Option<u16>, &[u8])| {
    let (step, limit, bytes) = input;
    let limit = limit.map_or(u64::MAX, u64::from);
    let whole = decode(std::iter::once(bytes), limit);
    assert_eq!(whole, decode(bytes.chunks(usize::from(step) + 1), limit));
    assert!(whole.0.iter().map(Vec::len).sum::<usize>() <= bytes.len());
});
