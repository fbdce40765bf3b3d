//! What processes and threads use, as the kernel tells.

use std::fs;
use std::time::Duration;

/// What a process or thread has used up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on processors.
    pub cpu: Duration,
    /// Bytes of memory that it has now; 0 for a thread.
    pub memory: u64,
}

/// Of a process; none if it is gone.
pub fn of_process(pid: u32) -> Option<Usage> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let memory = pages * rustix::param::page_size() as u64;
    Some(Usage { cpu: cpu(&format!("/proc/{pid}/stat"))?, memory })
}

/// Of a thread; none if it is gone.
pub fn of_thread(pid: u32, thread: u32) -> Option<Usage> {
    Some(Usage { cpu: cpu(&format!("/proc/{pid}/task/{thread}/stat"))?, memory: 0 })
}

fn cpu(path: &str) -> Option<Duration> {
    let text = fs::read_to_string(path).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let pid = std::process::id();
        let before = of_process(pid).unwrap();
        assert!(before.memory > 0);
        let mut sum = 0_u64;
        while of_process(pid).unwrap().cpu <= before.cpu {
            sum = (0..100_000).fold(sum, u64::wrapping_add);
        }
        assert!(of_thread(pid, pid).is_some());
        assert_eq!(of_process(4_194_999), None);
    }
}
