//! Whatever bytes there are, reading them ends in a key or an error.

use manyhands_sshkeys::{AuthorizedKey, Certificate, KeyType, PrivateKey, PublicKey};
use proptest::prelude::*;
use std::sync::LazyLock;

static WRITTEN: LazyLock<Vec<String>> = LazyLock::new(|| {
    let key = PrivateKey::generate(KeyType::Ed25519).unwrap();
    let other = PrivateKey::generate(KeyType::Rsa(1024)).unwrap();
    vec![
        key.to_openssh(None).unwrap(),
        key.to_pkcs8(None).unwrap(),
        other.to_pem(None).unwrap(),
        other.to_pem(Some(b"secret")).unwrap(),
        other.to_openssh(None).unwrap(),
    ]
});

proptest! {
    #[test]
    fn bytes_are_no_reason_to_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = PublicKey::from_blob(&bytes);
        let _ = Certificate::from_blob(&bytes);
        let _ = PrivateKey::read(&bytes, None);
        let _ = AuthorizedKey::read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn damaged_files_are_errors_or_keys(
        which in 0..5_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut file = WRITTEN[which].clone().into_bytes();
        let at = at.index(file.len());
        if cut {
            file.truncate(at);
        } else {
            file[at] = byte;
        }
        if let Ok(key) = PrivateKey::read(&file, Some(b"secret")) {
            let _ = key.sign(b"data", None);
        }
    }
}
