//! What a process has from its parent besides memory and descriptors.
//!
//! A child from a zygote is to be as if the program itself had started it: what the program has
//! changed since the zygote began is carried over (`Inherited`); where that is not possible the
//! zygote is of no use any more (`Identity`).

use std::fmt::Write as _;
use std::{fs, io};

use manyhands_sys::process;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

const RESOURCES: [Resource; 16] = [
    Resource::As,
    Resource::Core,
    Resource::Cpu,
    Resource::Data,
    Resource::Fsize,
    Resource::Locks,
    Resource::Memlock,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Nofile,
    Resource::Nproc,
    Resource::Rss,
    Resource::Rtprio,
    Resource::Rttime,
    Resource::Sigpending,
    Resource::Stack,
];

/// Lines of /proc/PID/status that say what a process may do, and to which group and session it
/// belongs.
const IDENTITY: [&str; 14] = [
    "Uid",
    "Gid",
    "Groups",
    "NSpgid",
    "NSsid",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
    "Speculation_Store_Bypass",
];

const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid_for_children", "user", "uts"];

/// What can be carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inherited {
    pub(crate) umask: u32,
    /// The signals that are ignored, as a set of [`process::signal_bit`].
    pub(crate) ignored: u64,
    nice: i32,
    limits: [(u64, u64); 16],
    /// The processors on which the starting thread may run, a bit each; none if that cannot be told,
    /// as in a system with more of them than these.
    processors: [u64; 16],
}

/// What cannot: it has to be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity(String);

/// The surroundings of the calling thread.
///
/// # Errors
/// The system does not tell them; limits of memory and descriptors.
pub(crate) fn here() -> io::Result<(Inherited, Identity)> {
    let status = fs::read_to_string("/proc/thread-self/status").map_err(|error| {
        // That is not an error of the file that is to be run.
        if error.kind() == io::ErrorKind::NotFound {
            io::Error::new(io::ErrorKind::Unsupported, "there is no /proc")
        } else {
            error
        }
    })?;
    let mut identity = String::with_capacity(512);
    let (mut mask, mut ignored) = (None, None);
    for line in status.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim_start();
        match name {
            "Umask" => mask = u32::from_str_radix(value, 8).ok(),
            "SigIgn" => ignored = u64::from_str_radix(value, 16).ok(),
            name if IDENTITY.contains(&name) => {
                let _ = writeln!(identity, "{name} {value}");
            }
            _ => {}
        }
    }
    for namespace in NAMESPACES {
        // It names the namespace, and to follow it takes three times as long.
        if let Ok(name) = rustix::fs::readlink(format!("/proc/self/ns/{namespace}"), Vec::new()) {
            let _ = writeln!(identity, "{}", name.to_string_lossy());
        }
    }
    let root = rustix::fs::stat("/")?;
    let _ = writeln!(identity, "root {} {}", root.st_dev, root.st_ino);
    for file in ["/proc/thread-self/cgroup", "/proc/self/oom_score_adj"] {
        if let Ok(text) = fs::read_to_string(file) {
            let _ = writeln!(identity, "{file} {text}");
        }
    }
    let _ = writeln!(identity, "scheduling {:?}", process::scheduling().ok());
    let processors = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    let inherited = Inherited {
        umask: mask.ok_or(io::ErrorKind::Unsupported)?,
        ignored: ignored.ok_or(io::ErrorKind::Unsupported)?,
        nice: getpriority_process(None)?,
        limits: RESOURCES.map(|resource| {
            let limit = getrlimit(resource);
            (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
        }),
        processors: std::array::from_fn(|word| {
            (0..64)
                .filter(|bit| has(&processors, word * 64 + bit))
                .fold(0, |set, bit| set | 1 << bit)
        }),
    };
    Ok((inherited, Identity(identity)))
}

fn has(processors: &CpuSet, number: usize) -> bool {
    number < CpuSet::MAX_CPU && processors.is_set(number)
}

impl Inherited {
    /// Makes these the surroundings of this process, except for `ignored`, of which the program
    /// has to know. What the system refuses stays as it is.
    pub(crate) fn apply(&self) {
        umask(Mode::from_raw_mode(self.umask));
        for (resource, (current, maximum)) in RESOURCES.into_iter().zip(self.limits) {
            let some = |limit| (limit != u64::MAX).then_some(limit);
            let wanted = Rlimit { current: some(current), maximum: some(maximum) };
            if getrlimit(resource) != wanted {
                let _ = setrlimit(resource, wanted);
            }
        }
        let mut processors = CpuSet::new();
        for number in
            (0..CpuSet::MAX_CPU.min(1024)).filter(|n| self.processors[n / 64] >> (n % 64) & 1 == 1)
        {
            processors.set(number);
        }
        let is_known = processors != CpuSet::new();
        if is_known && sched_getaffinity(None).is_ok_and(|now| now != processors) {
            let _ = sched_setaffinity(None, &processors);
        }
        if getpriority_process(None).is_ok_and(|now| now != self.nice) {
            let _ = setpriority_process(None, self.nice);
        }
    }

    pub(crate) fn to_words(&self) -> Vec<u64> {
        let mut words = vec![u64::from(self.umask), self.ignored, self.nice as u64];
        words.extend(self.limits.iter().flat_map(|&(current, maximum)| [current, maximum]));
        words.extend(self.processors);
        words
    }

    pub(crate) fn from_words(words: &[u64]) -> Option<Inherited> {
        let (&[umask, ignored, nice], rest) = words.split_first_chunk::<3>()?;
        let (limits, processors) = rest.split_at_checked(32)?;
        let mut pairs = limits.chunks_exact(2);
        Some(Inherited {
            umask: u32::try_from(umask).ok()?,
            ignored,
            nice: nice as i32,
            limits: std::array::from_fn(|_| match pairs.next() {
                Some(&[current, maximum]) => (current, maximum),
                _ => (u64::MAX, u64::MAX),
            }),
            processors: processors.try_into().ok()?,
        })
    }
}

/// The entries of an environment that begin in one of these ways.
pub(crate) fn selected(block: &[u8], beginnings: &[&str]) -> Vec<u8> {
    let mut entries: Vec<&[u8]> = block
        .split(|&byte| byte == 0)
        .filter(|entry| beginnings.iter().any(|one| entry.starts_with(one.as_bytes())))
        .collect();
    entries.sort_unstable();
    entries.join(&0)
}

/// The signals that this process ignores, as a set of [`process::signal_bit`]; `None` where the system
/// does not tell.
pub fn ignored_signals() -> Option<u64> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExitStatus, Process};

    #[test]
    fn who_is_to_be_killed_first_is_somebody_else() {
        let file = "/proc/self/oom_score_adj";
        let process = Process::fork(|| {
            let same = [(); 2].map(|()| here().expect("/proc").1);
            assert_eq!(same[0], same[1]);
            let score: i32 =
                fs::read_to_string(file).expect("/proc").trim().parse().expect("a number");
            // More is always allowed.
            fs::write(file, (score + 1).min(1000).to_string()).expect("/proc");
            assert!(score == 1000 || here().expect("/proc").1 != same[0]);
            0
        });
        assert_eq!(process.expect("a process").join(None), Some(ExitStatus::Exited(0)));
    }

    #[test]
    fn unknown_processors_are_left_alone() {
        let process = Process::fork(|| {
            let (mut inherited, _) = here().expect("/proc");
            inherited.processors = [0; 16];
            let before = sched_getaffinity(None);
            let words = inherited.to_words();
            assert_eq!(Inherited::from_words(&words), Some(inherited.clone()));
            inherited.apply();
            i32::from(sched_getaffinity(None) != before)
        });
        assert_eq!(process.expect("a process").join(None), Some(ExitStatus::Exited(0)));
    }
}
