//! Any bytes, and any opcodes that obey the rules: what a manager is sent is scanned or refused, and whatever is cut out of
//! it, is by itself and joined with others what it was.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/manyhands-manager/tests/pickles/exercise.rs"]
mod exercise;

fuzz_target!(|input: (bool, &[u8])| {
    let (raw, bytes) = input;
    let result = if raw {
        exercise::exercise(bytes)
    } else {
        exercise::exercise(&exercise::pickle_of(bytes))
    };
    // Refusing it is right, too.
    drop(result);
});
