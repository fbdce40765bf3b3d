//! Files that `ssh-keygen` and `openssl` write, and files of ours that they read.

use std::path::{Path, PathBuf};
use std::process::Command;

use manyhands_sshkeys::{AuthorizedKey, Certificate, CertificateKind};
use manyhands_sshkeys::{Curve, Error, KeyType, PrivateKey};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sshkeys-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The public key as `ssh-keygen` sees a file.
fn public(path: &Path, passphrase: &str) -> AuthorizedKey {
    let line = run("ssh-keygen", &["-y", "-P", passphrase, "-f", text(path)]);
    AuthorizedKey::read(&line).unwrap().unwrap()
}

const TYPES: [(&str, &str); 5] =
    [("rsa", "2048"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("ed25519", "256")];

fn check(key: &PrivateKey, path: &Path, passphrase: &str) {
    assert_eq!(*key.public(), public(path, passphrase).key);
    let signature = key.sign(b"data", None).unwrap();
    assert!(key.public().verify(b"data", &signature));
    assert!(!key.public().verify(b"other", &signature));
}

#[test]
fn what_ssh_keygen_writes_is_read_in_all_its_forms() {
    let folder = Folder::new("keygen");
    for (kind, bits) in TYPES {
        for form in ["RFC4716", "PEM", "PKCS8"] {
            for passphrase in ["", "secret words"] {
                let path = folder.file(&format!("{kind}{bits}{form}{}", passphrase.len()));
                let file = text(&path);
                let mut arguments = vec!["-q", "-t", kind, "-b", bits, "-N", passphrase];
                arguments.extend(["-m", form, "-f", file, "-C", "a comment"]);
                run("ssh-keygen", &arguments);
                let content = std::fs::read(&path).unwrap();
                if !passphrase.is_empty() {
                    let none = PrivateKey::read(&content, None).unwrap_err();
                    assert_eq!(none, Error::Encrypted, "{file}");
                    let wrong = PrivateKey::read(&content, Some(b"wrong")).unwrap_err();
                    assert_eq!(wrong, Error::WrongPassphrase, "{file}");
                }
                let key = PrivateKey::read(&content, Some(passphrase.as_bytes())).unwrap();
                check(&key, &path, passphrase);
                let shown = run("ssh-keygen", &["-l", "-f", file]);
                assert!(shown.contains(&key.public().fingerprint()));
            }
        }
    }
}

#[test]
fn ciphers_of_old_pem_and_of_openssh_are_read() {
    let folder = Folder::new("ciphers");
    let plain = folder.file("plain");
    run("ssh-keygen", &["-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", text(&plain)]);
    for cipher in ["-des3", "-aes128", "-aes192", "-aes256"] {
        let path = folder.file(cipher);
        let (from, to) = (text(&plain), text(&path));
        let arguments = ["rsa", "-in", from, "-out", to, "-traditional", cipher];
        run("openssl", &[&arguments[..], &["-passout", "pass:secret"]].concat());
        let content = std::fs::read(&path).unwrap();
        let key = PrivateKey::read(&content, Some(b"secret")).unwrap();
        check(&key, &plain, "");
    }
    for cipher in ["aes128-ctr", "aes192-cbc", "aes256-cbc", "3des-cbc"] {
        let path = folder.file(cipher);
        let arguments = ["-q", "-t", "ed25519", "-Z", cipher, "-N", "secret", "-f", text(&path)];
        run("ssh-keygen", &arguments);
        let content = std::fs::read(&path).unwrap();
        let key = PrivateKey::read(&content, Some(b"secret")).unwrap();
        check(&key, &path, "secret");
    }
    let path = folder.file("gcm");
    let arguments = ["-q", "-t", "ed25519", "-Z", "aes256-gcm@openssh.com", "-N", "secret"];
    run("ssh-keygen", &[&arguments[..], &["-f", text(&path)]].concat());
    let refused = PrivateKey::read(&std::fs::read(&path).unwrap(), Some(b"secret")).unwrap_err();
    assert_eq!(refused.to_string(), "unknown private key cipher \"aes256-gcm@openssh.com\"");
}

#[test]
fn ssh_keygen_reads_what_is_written_here() {
    let folder = Folder::new("written");
    let types = [
        KeyType::Rsa(2048),
        KeyType::Ecdsa(Curve::P256),
        KeyType::Ecdsa(Curve::P384),
        KeyType::Ecdsa(Curve::P521),
        KeyType::Ed25519,
    ];
    for key_type in types {
        let key = PrivateKey::generate(key_type).unwrap();
        for passphrase in ["", "secret"] {
            let given = Some(passphrase.as_bytes()).filter(|given| !given.is_empty());
            let forms = [key.to_openssh(given), key.to_pem(given), key.to_pkcs8(given)];
            for (form, written) in forms.into_iter().enumerate() {
                let written = written.unwrap();
                let again = PrivateKey::read(written.as_bytes(), given).unwrap();
                assert_eq!(again.public(), key.public());
                // ssh-keygen of some versions does not take Ed25519 as PKCS#8.
                if (key_type, form) == (KeyType::Ed25519, 2) {
                    continue;
                }
                let path = folder.file("key");
                std::fs::remove_file(&path).ok();
                std::fs::write(&path, &written).unwrap();
                run("chmod", &["600", text(&path)]);
                check(&key, &path, passphrase);
            }
        }
    }
}

#[test]
fn a_certificate_says_what_its_authority_wrote() {
    let folder = Folder::new("certificate");
    let (authority, user) = (folder.file("authority"), folder.file("user"));
    for path in [&authority, &user] {
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(path)]);
    }
    let arguments = ["-q", "-s", text(&authority), "-I", "a name", "-n", "root,guest", "-z", "7"];
    run("ssh-keygen", &[&arguments[..], &["-O", "force-command=date", text(&user)]].concat());
    let line = std::fs::read_to_string(folder.file("user-cert.pub")).unwrap();
    let key = public(&user, "").key;
    let encoded = line.split(' ').nth(1).unwrap();
    let blob = run("sh", &["-c", &format!("echo {encoded} | base64 -d | od -An -v -tx1")]);
    let blob: Vec<u8> =
        blob.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let certificate = Certificate::from_blob(&blob).unwrap();
    assert_eq!(certificate.key, key);
    assert_eq!(certificate.authority, public(&authority, "").key);
    assert_eq!(certificate.principals, ["root", "guest"]);
    assert_eq!((certificate.serial, certificate.kind), (7, CertificateKind::User));
    assert_eq!(certificate.id, "a name");
    let forced = ("force-command".to_owned(), b"date".to_vec());
    assert_eq!(certificate.critical_options, [forced]);
    assert!(certificate.is_signed());
    assert!(certificate.holds_at(1_800_000_000));
    assert_eq!(certificate.to_blob(), blob);
    let mut forged = blob.clone();
    let serial = forged.windows(8).position(|bytes| bytes == 7_u64.to_be_bytes()).unwrap();
    forged[serial + 7] = 8;
    assert!(!Certificate::from_blob(&forged).unwrap().is_signed());
}

#[test]
fn options_of_a_line_may_have_white_space_in_quotes() {
    let key = PrivateKey::generate(KeyType::Ed25519).unwrap();
    let plain = AuthorizedKey::read(&format!("{} x@y", line(&key))).unwrap().unwrap();
    assert_eq!((plain.options.as_str(), plain.comment.as_str()), ("", "x@y"));
    let with = format!(r#"no-pty,command="echo \"a b\"" {} x y"#, line(&key));
    let read = AuthorizedKey::read(&with).unwrap().unwrap();
    assert_eq!(read.options, r#"no-pty,command="echo \"a b\"""#);
    assert_eq!(read.to_string(), with);
    assert_eq!(AuthorizedKey::read("# a comment").unwrap(), None);
    assert!(AuthorizedKey::read("ssh-ed25519").is_err());
}

fn line(key: &PrivateKey) -> String {
    let folder = Folder::new("line");
    let path = folder.file("key");
    std::fs::write(&path, key.to_openssh(None).unwrap()).unwrap();
    run("chmod", &["600", text(&path)]);
    run("ssh-keygen", &["-y", "-f", text(&path)]).trim().to_owned()
}

#[test]
fn a_key_of_an_unusual_size_signs_too() {
    let key = PrivateKey::generate(KeyType::Rsa(1024)).unwrap();
    for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
        let signature = key.sign(b"data", Some(algorithm)).unwrap();
        assert!(key.public().verify(b"data", &signature));
    }
    assert!(key.sign(b"data", Some("ssh-rsa")).is_err());
    assert!(PrivateKey::generate(KeyType::Rsa(17)).is_err());
}
