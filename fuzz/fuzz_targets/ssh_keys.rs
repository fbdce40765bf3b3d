#![no_main]

use libfuzzer_sys::fuzz_target;
use manyhands_sshkeys::{AuthorizedKey, Certificate, PrivateKey, PublicKey};

fuzz_target!(|bytes: &[u8]| {
    let _ = PublicKey::from_blob(bytes);
    let _ = Certificate::from_blob(bytes);
    let _ = PrivateKey::read(bytes, None);
    let _ = AuthorizedKey::read(&String::from_utf8_lossy(bytes));
});
