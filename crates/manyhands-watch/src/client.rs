//! Asking other processes what they are doing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

use manyhands_sys::liveness;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

use crate::local;
use crate::state::Process;

/// How long a process has to answer. It answers at once unless it is stopped.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a process is sent.
pub(crate) const WITH_STACKS: &[u8] = b"state stacks\n";
pub(crate) const WITHOUT_STACKS: &[u8] = b"state\n";

/// Why a process cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such process, or no longer.
    #[error("there is no process {0}")]
    Gone(u32),
    /// It cannot be asked.
    #[error(
        "process {0} cannot be asked: it does not run on Manyhands, or nothing of it has waited for \
         a second yet (start it with `manyhands run`)"
    )]
    NotOurs(u32),
    /// It is of another user.
    #[error("process {0} belongs to another user: ask as that user, or as root")]
    NotYours(u32),
    /// It is there, but does not answer.
    #[error("process {pid} does not answer: {reason}")]
    Silent {
        /// Which process.
        pid: u32,
        /// What is known about the reason.
        reason: String,
    },
}

/// The address at which a process answers: its number, and when it was started, so that it is no
/// other's who gets the number later.
pub(crate) fn address(pid: u32) -> Option<SocketAddr> {
    let name = format!("manyhands-{pid}-{}", started(pid)?);
    SocketAddr::from_abstract_name(name).ok()
}

/// When a process was started, in ticks of the kernel.
fn started(pid: u32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

/// The fields of a process's `stat` after its name.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// What one process tells of itself.
///
/// # Errors
/// There is none, it is not ours, it does not answer.
pub fn ask(pid: u32, stacks: bool) -> Result<Process, Error> {
    let address = address(pid).ok_or(Error::Gone(pid))?;
    if is_stopped(pid) {
        return Err(Error::Silent { pid, reason: STOPPED.to_owned() });
    }
    let stream = UnixStream::connect_addr(&address).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Error::NotYours(pid),
        _ if stat(pid).is_none() => Error::Gone(pid),
        _ => Error::NotOurs(pid),
    })?;
    let reason = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if is_stopped(pid) => {
            STOPPED.to_owned()
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("nothing has come for {} s", PATIENCE.as_secs())
        }
        _ => error.to_string(),
    };
    let silent = |reason: String| Error::Silent { pid, reason };
    let peer = socket_peercred(&stream).map_err(|error| silent(error.to_string()))?;
    if peer.pid.as_raw_nonzero().get() as u32 != pid {
        return Err(Error::NotOurs(pid));
    }
    let me = geteuid();
    let is_ours = me.is_root() || me == peer.uid;
    let exchange = |mut stream: UnixStream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(if stacks { WITH_STACKS } else { WITHOUT_STACKS })?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange(stream).map_err(|error| silent(reason(error)))?;
    if answer.is_empty() && !is_ours {
        return Err(Error::NotYours(pid));
    }
    serde_json::from_slice(&answer).map_err(|error| silent(format!("it said nonsense: {error}")))
}

const STOPPED: &str = "it is stopped";

fn is_stopped(pid: u32) -> bool {
    matches!(state(pid), Some('T' | 't'))
}

fn state(pid: u32) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// What a process and all its descendants tell of themselves, the process first. Of one that does not
/// answer, `silent` says why; those that have nothing to do with Manyhands are among them.
///
/// # Errors
/// The first does not answer.
pub fn tree(pid: u32, stacks: bool) -> Result<Vec<Process>, Error> {
    Ok(tree_of(ask(pid, stacks)?, stacks))
}

/// Those that a process belongs to, and what it shares memory with.
pub(crate) fn tree_of(first: Process, stacks: bool) -> Vec<Process> {
    let (me, pid) = (liveness::process_id(), first.pid);
    let mut processes = vec![first];
    let mut known: BTreeSet<u32> = [me, pid].into();
    let mut left: Vec<u32> = descendants(pid);
    loop {
        for pid in std::mem::take(&mut left) {
            if known.insert(pid) {
                processes.push(ask(pid, stacks).unwrap_or_else(|error| Process {
                    pid,
                    parent: parent(pid).unwrap_or(0),
                    command: local::command(pid),
                    silent: Some(error.to_string()),
                    ..Process::default()
                }));
            }
        }
        let sharing = processes.iter().flat_map(|process| process.shares_with.iter().copied());
        left.extend(sharing.filter(|pid| !known.contains(pid)));
        if left.is_empty() {
            break;
        }
    }
    processes.retain(|process| process.silent.is_none() || is_running(process.pid));
    processes
}

/// Tells a process something that is not answered.
pub(crate) fn tell(pid: u32, what: &[u8]) {
    if let Some(mut stream) =
        address(pid).and_then(|address| UnixStream::connect_addr(&address).ok())
    {
        let _ = stream.write_all(what);
    }
}

fn is_running(pid: u32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// The topmost of a process and those it descends from that are of the same program and can be asked,
/// without a gap.
pub(crate) fn root(pid: u32, is_of_program: impl Fn(u32) -> bool) -> u32 {
    let mut root = pid;
    while let Some(parent) = parent(root)
        && parent > 1
        && is_of_program(parent)
        && is_asked(parent)
    {
        root = parent;
    }
    root
}

/// The programs of this user that can be asked, and their commands: not the children of such.
pub fn programs() -> Vec<(u32, String)> {
    let mut found: BTreeMap<u32, String> = BTreeMap::new();
    for name in addresses() {
        if let Some(pid) = name.strip_prefix("@manyhands-")
            && let Some(pid) = pid.split('-').next().and_then(|pid| pid.parse().ok())
            && is_asked(pid)
            && root(pid, |_| true) == pid
        {
            found.insert(pid, local::command(pid).join(" "));
        }
    }
    found.into_iter().collect()
}

fn addresses() -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    text.lines().filter_map(|line| line.split_whitespace().nth(7)).map(str::to_owned).collect()
}

fn is_asked(pid: u32) -> bool {
    address(pid).is_some_and(|address| UnixStream::connect_addr(&address).is_ok())
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// The descendants of a process, parents first.
fn descendants(root: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in entries.flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            && let Some(parent) = parent(pid)
            && is_running(pid)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut left = vec![root];
    while let Some(next) = left.pop() {
        for &child in children.get(&next).into_iter().flatten() {
            found.push(child);
            left.push(child);
        }
    }
    found
}
