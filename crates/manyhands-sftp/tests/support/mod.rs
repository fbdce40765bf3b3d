//! A server, and a folder for it.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use manyhands_sftp::{Client, stream};

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(120);

const PLACES: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
];

/// OpenSSH's server as a child.
pub fn spawn(arguments: &[&str]) -> Child {
    let Some(server) = PLACES.iter().find(|place| Path::new(place).exists()) else {
        panic!("these tests need OpenSSH's sftp-server: apt-get install openssh-sftp-server");
    };
    Command::new(server)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A server, a session with it, a folder. All go when this does.
pub struct Served {
    pub client: Client,
    pub folder: Folder,
    pub child: Child,
}

pub fn serve() -> Served {
    serve_with(&[])
}

pub fn serve_with(arguments: &[&str]) -> Served {
    let mut child = spawn(arguments);
    let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let client = stream::connect(reader, writer).unwrap().with_timeout(Some(LONG));
    Served { client, folder: Folder::new(), child }
}

impl Served {
    /// The path of a name in the folder, as the server wants it.
    pub fn path(&self, name: impl AsRef<[u8]>) -> Vec<u8> {
        self.folder.path(name).as_os_str().as_bytes().to_vec()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.client.close();
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}

/// A folder that is removed with what is in it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("manyhands-sftp-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    pub fn path(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.0.join(std::ffi::OsStr::from_bytes(name.as_ref()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Bytes that are different wherever one looks.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}

/// A progress that nobody looks at.
pub fn silent(_: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
