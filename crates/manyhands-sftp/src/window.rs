//! How many requests of a transfer are under way at once.

use std::time::Duration;

/// Data that is under way in one transfer at most.
const BYTES: usize = 16 << 20;

/// Requests that are under way in one transfer at most, whatever their size.
pub(crate) const REQUESTS: usize = 512;

/// Begins narrow, and widens with each answer: it doubles in each round trip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    now: usize,
    most: usize,
}

impl Window {
    /// For requests of `chunk` bytes.
    pub(crate) fn new(first: usize, chunk: u32, most: Option<usize>) -> Window {
        let most = most.unwrap_or_else(|| (BYTES / chunk.max(1) as usize).clamp(64, REQUESTS));
        Window { now: first.clamp(1, most.max(1)), most: most.max(1) }
    }

    pub(crate) fn has_room(self, taken: usize) -> bool {
        taken < self.now
    }

    pub(crate) fn widen(&mut self) {
        self.now = (self.now + 1).min(self.most);
    }
}

/// How many bytes of writes may be under way at once.
///
/// What is under way beyond what the line itself holds lies in the server's buffers. Those of OpenSSH cost more for each byte the fuller
/// they are: with 4 MiB ten times as much as with 512 KiB. So what lies there is kept near that: it is the part of all that is under way
/// that corresponds to the part of the time that a write takes beyond the shortest ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    now: usize,
    shortest: Duration,
}

impl Flow {
    const LEAST: usize = 512 << 10;
    const MOST: usize = 16 << 20;

    pub(crate) fn new() -> Flow {
        Flow { now: Flow::LEAST, shortest: Duration::MAX }
    }

    /// Whether there is room for `length` bytes more than `taken`; always for a single write.
    pub(crate) fn has_room(self, taken: usize, length: usize) -> bool {
        taken == 0 || taken + length <= self.now
    }

    /// A write of `length` bytes took that long, while there were `taken` under way.
    pub(crate) fn learn(&mut self, length: usize, took: Duration, taken: usize) {
        self.shortest = self.shortest.min(took);
        let beyond = 1.0 - self.shortest.as_secs_f64() / took.as_secs_f64().max(1e-9);
        let lying = taken as f64 * beyond;
        if lying > 0.75 * Flow::LEAST as f64 {
            self.now = self.now.saturating_sub(length).max(Flow::LEAST);
        } else if lying < 0.5 * Flow::LEAST as f64 && taken > self.now / 2 {
            self.now = (self.now + length).min(Flow::MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 32 << 10;

    /// What is under way after many writes to a server that takes `bytes_per_second`, that far away.
    fn settled(bytes_per_second: f64, distance: Duration) -> usize {
        let mut flow = Flow::new();
        for number in 0..20_000 {
            let taken = if number == 0 { PIECE } else { flow.now };
            let queued = Duration::from_secs_f64(taken as f64 / bytes_per_second);
            flow.learn(PIECE, distance.max(queued), taken);
        }
        flow.now
    }

    #[test]
    fn a_near_server_has_little_in_its_buffers() {
        let near = settled(400e6, Duration::from_micros(100));
        assert!((512 << 10..600 << 10).contains(&near), "{near}");
    }

    #[test]
    fn a_line_that_holds_much_is_filled() {
        // 100 MB a second for 100 ms are 10 MB.
        let far = settled(100e6, Duration::from_millis(100));
        assert!((10_000_000..12_000_000).contains(&far), "{far}");
        assert_eq!(settled(1e9, Duration::from_millis(100)), Flow::MOST);
    }

    #[test]
    fn who_writes_slowly_learns_nothing() {
        let mut flow = Flow::new();
        for _ in 0..1000 {
            flow.learn(PIECE, Duration::from_millis(1), PIECE);
        }
        assert_eq!(flow.now, Flow::LEAST);
        assert!(flow.has_room(0, 64 << 20));
        assert!(!flow.has_room(1, Flow::LEAST));
    }
}
