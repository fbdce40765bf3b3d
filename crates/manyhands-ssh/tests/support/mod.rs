//! An OpenSSH server of a test's own.
#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use manyhands_ssh::{Authentication, Options, PrivateKey, Session};
use manyhands_sync::{Limit, Patient};

const SSHD: &str = "/usr/sbin/sshd";

/// How long one call may take, so that a test fails rather than hangs.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A moment by which a call has to be done.
pub fn soon() -> Limit {
    Limit::after(LIMIT)
}

/// Waits until something is so, for things that nothing tells of.
///
/// # Panics
/// It is not so in time.
pub fn wait_until(condition: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "it was not so after {LIMIT:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A folder that goes with its value.
pub struct Folder(pub PathBuf);

impl Folder {
    /// An empty one that nobody else may enter.
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("manyhands-ssh-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server on the loopback interface; dropping it ends it and all of its connections.
pub struct Server {
    child: Child,
    pub port: u16,
    pub folder: Folder,
}

/// Makes a key in the folder, and returns its path.
pub fn make_key(folder: &Path, name: &str, kind: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let status = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", "test", "-f"])
        .arg(&path)
        .arg("-t")
        .args(kind)
        .status()
        .expect("ssh-keygen has to be installed: apt-get install openssh-client");
    assert!(status.success());
    path
}

impl Server {
    /// Starts one that has host keys of all types, accepts the key `user` in its folder, and has these further lines in its
    /// configuration.
    pub fn start(lines: &[&str]) -> Server {
        assert!(
            Path::new(SSHD).exists(),
            "these tests need an OpenSSH server: apt-get install openssh-server"
        );
        // What the server insists on, though it is of no use here.
        let _ = fs::DirBuilder::new().recursive(true).mode(0o755).create("/run/sshd");
        let folder = Folder::new();
        let path = &folder.0;
        let mut config = String::new();
        for (name, kind) in [
            ("host_ed25519", vec!["ed25519"]),
            ("host_ecdsa256", vec!["ecdsa", "-b", "256"]),
            ("host_ecdsa384", vec!["ecdsa", "-b", "384"]),
            ("host_ecdsa521", vec!["ecdsa", "-b", "521"]),
            ("host_rsa", vec!["rsa", "-b", "2048"]),
        ] {
            let key = make_key(path, name, &kind);
            writeln!(config, "HostKey {}", key.display()).unwrap();
        }
        make_key(path, "user", &["ed25519"]);
        fs::copy(path.join("user.pub"), path.join("authorized")).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        writeln!(config, "ListenAddress 127.0.0.1:{port}").unwrap();
        writeln!(config, "AuthorizedKeysFile {}", path.join("authorized").display()).unwrap();
        // The user's own files, which a shell would read, are not the tests' business.
        writeln!(config, "SetEnv HOME={}", path.display()).unwrap();
        writeln!(config, "PidFile {}", path.join("pid").display()).unwrap();
        for line in [
            "StrictModes no",
            "UsePAM no",
            "PermitRootLogin yes",
            "MaxStartups 200",
            "LogLevel VERBOSE",
        ] {
            if !lines.iter().any(|given| given.split(' ').next() == line.split(' ').next()) {
                writeln!(config, "{line}").unwrap();
            }
        }
        for line in lines {
            writeln!(config, "{line}").unwrap();
        }
        let config_path = path.join("config");
        fs::write(&config_path, config).unwrap();
        let log = File::create(path.join("log")).unwrap();
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(&config_path)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Server { child, port, folder };
        server.await_answer();
        server
    }

    fn await_answer(&mut self) {
        let end = Instant::now() + LIMIT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "no server: {}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }

    /// A file of the server's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// The key of that file.
    pub fn key(&self, name: &str) -> Arc<PrivateKey> {
        Arc::new(PrivateKey::from_openssh(fs::read(self.path(name)).unwrap()).unwrap())
    }

    /// Lets users with that key in.
    pub fn authorize(&self, name: &str) {
        let mut keys = fs::read(self.path("authorized")).unwrap();
        keys.extend(fs::read(self.path(&format!("{name}.pub"))).unwrap());
        fs::write(self.path("authorized"), keys).unwrap();
        fs::set_permissions(self.path("authorized"), PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// A connection that is not authenticated.
    pub fn connect(&self, options: &Options) -> Session {
        Session::connect("127.0.0.1", self.port, options, &Patient, soon())
            .unwrap_or_else(|stop| panic!("{stop:?}\n{}", self.log()))
    }

    /// An authenticated connection.
    pub fn login(&self) -> Session {
        self.login_with(&Options::default())
    }

    pub fn login_with(&self, options: &Options) -> Session {
        let session = self.connect(options);
        let key = self.key("user");
        let outcome = session.auth_key(&user(), &key, None, &Patient, soon()).unwrap();
        assert_eq!(outcome, Authentication::Success, "{}", self.log());
        session
    }

    /// The processes that serve connections.
    pub fn connections(&self) -> Vec<u32> {
        children(self.child.id())
    }

    /// All processes below the server.
    pub fn tree(&self) -> Vec<u32> {
        let mut all = Vec::new();
        let mut next = self.connections();
        while let Some(process) = next.pop() {
            all.push(process);
            next.extend(children(process));
        }
        all
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in self.tree() {
            signal("KILL", process);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who the tests run as.
pub fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn children(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name, which may have anything in it, is in brackets; the parent comes second after it.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if parent == Some(process.to_string().as_str()) {
            found.push(number);
        }
    }
    found
}

pub fn signal(name: &str, process: u32) {
    let mut command = Command::new("kill");
    let _ = command.arg(format!("-{name}")).arg(process.to_string()).stderr(Stdio::null()).status();
}
