//! Any bytes as keys, certificates, files with private keys, and lines of files with public ones: they are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manyhands_sshkeys::{AuthorizedKey, Certificate, PrivateKey, PublicKey};

fuzz_target!(|bytes: &[u8]| {
    let _ = PublicKey::from_blob(bytes);
    let _ = Certificate::from_blob(bytes);
    let _ = PrivateKey::read(bytes, None);
    // Of an old file only: what the others demand of a passphrase may take hours.
    let has = |words: &[u8]| bytes.windows(words.len()).any(|piece| piece == words);
    if has(b"DEK-Info") && !has(b"OPENSSH PRIVATE") && !has(b"ENCRYPTED PRIVATE") {
        let _ = PrivateKey::read(bytes, Some(b"secret"));
    }
    let _ = AuthorizedKey::read(&String::from_utf8_lossy(bytes));
});
