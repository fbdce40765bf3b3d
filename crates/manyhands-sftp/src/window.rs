//! How many requests of a transfer are under way at once.

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
