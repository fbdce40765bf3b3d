//! Python's `heapq` on pickled items.
//!
//! The same comparisons as there, in the same places, so that items that are equal, or that have no order (nan), come out as
//! they do there. All comparisons of an operation are made before anything is moved: where one cannot be made here, the
//! heap is as it was.

use crate::objects::arguments::{Found, GIVE};
use crate::pickle::{Payload, Plain};

/// A heap, the least first.
#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: Vec<Entry>,
}

/// Decoded, if it is plain.
pub(super) type Entry = (Option<Plain>, Payload);

fn is_less(a: Option<&Entry>, b: Option<&Entry>) -> Found<bool> {
    let (a, b) = (a.ok_or(GIVE)?.0.as_ref(), b.ok_or(GIVE)?.0.as_ref());
    a.ok_or(GIVE)?.is_less(b.ok_or(GIVE)?).ok_or(GIVE)
}

impl Heap {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Payload> {
        self.entries.iter().map(|(_, item)| item)
    }

    #[doc(alias = "heapq.heappush")]
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), Entry> {
        // The way up: the places that get their parents' entries.
        let mut at = self.entries.len();
        let mut path = Vec::new();
        while at > 0 {
            let parent = (at - 1) / 2;
            match is_less(Some(&entry), self.entries.get(parent)) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => return Err(entry),
            }
            path.push(parent);
            at = parent;
        }
        let mut at = self.entries.len();
        self.entries.push(entry);
        for parent in path {
            self.entries.swap(at, parent);
            at = parent;
        }
        Ok(())
    }

    #[doc(alias = "heapq.heappop")]
    pub(super) fn pop(&mut self) -> Found<Option<Payload>> {
        let Some(last) = self.entries.len().checked_sub(1) else { return Ok(None) };
        // The last entry takes the place of the first: down to a leaf along the lesser children...
        let mut path = vec![0];
        let mut at = 0;
        while 2 * at + 1 < last {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let goes_right =
                right < last && !is_less(self.entries.get(left), self.entries.get(right))?;
            at = if goes_right { right } else { left };
            path.push(at);
        }
        // ... and up again, as long as it is less than the entry that moved up.
        while let [.., moved] = path.as_slice()
            && path.len() > 1
            && is_less(self.entries.get(last), self.entries.get(*moved))?
        {
            path.pop();
        }
        // Moves the first to the end of the path, the others up, and takes the first's place with the last.
        for pair in path.windows(2) {
            if let [above, below] = pair {
                self.entries.swap(*above, *below);
            }
        }
        let end = path.last().copied().unwrap_or(0);
        Ok(Some(self.entries.swap_remove(end).1))
    }

    /// Puts one back. If it cannot be compared here it stands at the end, where the next operation finds it.
    pub(super) fn put_back(&mut self, item: Payload) {
        if let Err(entry) = self.push((item.plain(), item)) {
            self.entries.push(entry);
        }
    }
}
