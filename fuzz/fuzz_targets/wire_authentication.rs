//! Any bytes as challenge and response: no panic, and nothing but the right response is right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manyhands_wire::authentication::{create_response, read_challenge, verify_response};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (message, response) = input;
    let Ok(challenge) = read_challenge(message) else { return };
    // Two keys of which nobody knows both.
    let right = create_response(b"key", challenge);
    if verify_response(b"key", challenge, response).is_ok() {
        assert!(verify_response(b"another key", challenge, response).is_err());
    }
    if let Ok(right) = right {
        assert!(verify_response(b"key", challenge, &right).is_ok());
    }
});
