//! Output that nobody has read yet: in memory up to a bound, the rest in a file without a name.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags};

/// Room of a new piece of memory, unless more comes at once.
const PIECE: usize = 4096;

/// How much is taken from the file at a time.
const FETCH: usize = 256 << 10;

/// A queue of bytes. What is in memory comes before what is in the file.
#[derive(Debug)]
pub(crate) struct Spool {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first piece has been read.
    taken: usize,
    /// Number of unread bytes in the pieces.
    held: usize,
    bound: usize,
    overflow: Option<Overflow>,
}

/// Invariant: `read < written`, else there is none.
#[derive(Debug)]
struct Overflow {
    file: File,
    read: u64,
    written: u64,
}

impl Spool {
    /// An empty one, that keeps up to `bound` bytes in memory.
    pub(crate) fn new(bound: usize) -> Spool {
        Spool { pieces: VecDeque::new(), taken: 0, held: 0, bound, overflow: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held == 0 && self.overflow.is_none()
    }

    /// Number of unread bytes.
    pub(crate) fn len(&self) -> u64 {
        let outside = self.overflow.as_ref().map_or(0, |file| file.written - file.read);
        self.held as u64 + outside
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// There is no room in the file system for temporary files.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.overflow.is_none() && self.held + bytes.len() <= self.bound {
            self.keep(bytes);
            return Ok(());
        }
        let overflow = match &mut self.overflow {
            Some(overflow) => overflow,
            none => none.insert(Overflow { file: nameless()?, read: 0, written: 0 }),
        };
        let written = overflow.file.write_all_at(bytes, overflow.written);
        if written.is_ok() {
            overflow.written += bytes.len() as u64;
        } else if overflow.read == overflow.written {
            self.overflow = None;
        }
        written
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.held += bytes.len();
        if let Some(last) = self.pieces.back_mut()
            && last.capacity() - last.len() >= bytes.len()
        {
            last.extend_from_slice(bytes);
            return;
        }
        let mut piece = Vec::with_capacity(bytes.len().max(PIECE));
        piece.extend_from_slice(bytes);
        self.pieces.push_back(piece);
    }

    /// Takes bytes into `room`, as many as there are and fit; returns their number.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn take(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            if self.held == 0 {
                self.fetch()?;
            }
            let Some(first) = self.pieces.front() else { break };
            let unread = first.get(self.taken..).unwrap_or_default();
            let count = unread.len().min(rest.len());
            for (place, byte) in rest.iter_mut().zip(unread) {
                *place = *byte;
            }
            filled += count;
            self.held -= count;
            self.taken += count;
            if self.taken == first.len() {
                self.pieces.pop_front();
                self.taken = 0;
            }
        }
        Ok(filled)
    }

    /// Takes the next part of the file into memory, which is empty.
    fn fetch(&mut self) -> io::Result<()> {
        let Some(overflow) = &mut self.overflow else { return Ok(()) };
        let size = (overflow.written - overflow.read).min(FETCH as u64);
        let mut piece = vec![0; size as usize];
        overflow.file.read_exact_at(&mut piece, overflow.read)?;
        overflow.read += size;
        if overflow.read == overflow.written {
            self.overflow = None;
        }
        self.held = piece.len();
        self.pieces.push_back(piece);
        Ok(())
    }
}

/// A file in the folder for temporary ones that has no name there.
fn nameless() -> io::Result<File> {
    let folder = std::env::temp_dir();
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::EXCL;
    match rustix::fs::open(&folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // Some file systems cannot do that: memory that the system may swap out is left.
        Err(_) => {
            let flags = rustix::fs::MemfdFlags::CLOEXEC;
            Ok(rustix::fs::memfd_create("manyhands-ssh", flags)?.into())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

    use super::*;

    fn drain(spool: &mut Spool, at_a_time: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut room = vec![0; at_a_time];
        loop {
            let count = spool.take(&mut room).unwrap();
            if count == 0 {
                return all;
            }
            all.extend_from_slice(&room[..count]);
        }
    }

    #[test]
    fn what_goes_in_comes_out_in_order_whatever_the_bound() {
        for bound in [0, 1, 100, 5000, 1 << 20] {
            let mut spool = Spool::new(bound);
            let mut expected = Vec::new();
            let mut got = Vec::new();
            for round in 0..50_usize {
                let bytes: Vec<u8> = (0..round * 37).map(|at| (at * 7 + round) as u8).collect();
                spool.push(&bytes).unwrap();
                expected.extend_from_slice(&bytes);
                let mut room = vec![0; round * 20];
                let count = spool.take(&mut room).unwrap();
                got.extend_from_slice(&room[..count]);
                assert_eq!(spool.len(), (expected.len() - got.len()) as u64);
            }
            got.extend(drain(&mut spool, 333));
            assert!(got == expected, "bound {bound}");
            assert!(spool.is_empty());
        }
    }

    #[test]
    fn memory_stays_below_the_bound_and_the_file_goes_when_it_was_read() {
        let mut spool = Spool::new(10_000);
        for _ in 0..100 {
            spool.push(&[1; 1000]).unwrap();
        }
        assert!(spool.held <= 10_000);
        assert_eq!(spool.len(), 100_000);
        assert_eq!(drain(&mut spool, 4096).len(), 100_000);
        assert!(spool.overflow.is_none());
    }
}
