//! The memory that a copy of a process comes to need, made its own before it does.

use crate::os;

/// Pages one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) begin: usize,
    pub(crate) len: usize,
    /// They were written to, not only read.
    pub(crate) written: bool,
}

/// Which memory a copy of this process had touched when it was asked.
///
/// Copies of one process share its memory, and map its files anew: the first access to each page costs
/// a fault, and the copies of a process that does not change have the same ones. So what one copy has
/// touched the next can have at once, with a system call for each stretch of it.
///
/// ```
/// use manyhands_sys::footprint::Footprint;
///
/// let footprint = Footprint::of_this_process();
/// let received = Footprint::from_bytes(&footprint.to_bytes());
/// received.parts().for_each(|part| part.tread());
/// assert_eq!(received, footprint);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint(Vec<Stretch>);

/// Some of the memory of a [`Footprint`].
#[derive(Debug)]
pub struct Part<'a>(&'a [Stretch]);

impl Part<'_> {
    /// Touches it; called in another copy. What is not there any more is left out, and the contents stay
    /// as they are.
    ///
    /// # References
    /// madvise(2), `MADV_POPULATE_WRITE`.
    pub fn tread(&self) {
        for stretch in self.0 {
            if !os::touch_memory(stretch) {
                return;
            }
        }
    }
}

/// How many stretches are a part.
const PART: usize = 16;

const WORD: usize = size_of::<usize>();

impl Footprint {
    /// Of a copy, called in that: what it has of its own, and what of files it has mapped. Empty where the
    /// system does not tell.
    pub fn of_this_process() -> Footprint {
        Footprint(os::touched_memory().unwrap_or_default())
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// That memory in parts, each of which takes some tens of microseconds.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.0.chunks(PART).map(Part)
    }

    /// For passing it to another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        let words = |stretch: &Stretch| {
            // A length is a multiple of a page's.
            [stretch.begin, stretch.len | usize::from(stretch.written)].map(usize::to_ne_bytes)
        };
        self.0.iter().flat_map(words).flatten().collect()
    }

    /// What was passed; nothing harmful comes of bytes that were not.
    pub fn from_bytes(bytes: &[u8]) -> Footprint {
        let mut words = bytes.as_chunks::<WORD>().0.iter().map(|&word| usize::from_ne_bytes(word));
        let mut stretches = Vec::with_capacity(bytes.len() / (2 * WORD));
        while let (Some(begin), Some(rest)) = (words.next(), words.next()) {
            stretches.push(Stretch { begin, len: rest & !1, written: rest & 1 == 1 });
        }
        Footprint(stretches)
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::os::fd::AsFd;

    use super::*;
    use crate::process::{Ending, Waiting, exit, fork, open, wait};

    const PAGE: usize = 4096;

    /// Runs it in a copy of this process, which ends well if it returns true.
    fn copy_says(body: impl FnOnce() -> bool) -> bool {
        let Some(child) = fork().expect("a process") else { exit(i32::from(!body())) };
        let child = open(child).expect("a descriptor");
        loop {
            crate::descriptor::wait_readable(
                &[std::os::fd::AsRawFd::as_raw_fd(&child)],
                &mut [false],
                None,
            )
            .expect("a descriptor");
            if let Some(ended) = wait(child.as_fd(), Waiting::Reap).expect("a child") {
                return ended.how == Ending::Exited(0);
            }
        }
    }

    fn covers(footprint: &Footprint, address: usize, written: bool) -> bool {
        footprint.0.iter().any(|stretch| {
            stretch.written == written
                && (stretch.begin..stretch.begin + stretch.len).contains(&address)
        })
    }

    #[test]
    fn what_a_copy_has_written_is_told_from_what_it_shares() {
        let mut memory = vec![1_u8; 64 * PAGE];
        let [first, second] = [16, 48].map(|page| memory.as_ptr() as usize + page * PAGE);
        assert!(copy_says(|| {
            black_box(&mut memory)[48 * PAGE] = 2;
            let footprint = Footprint::of_this_process();
            covers(&footprint, second, true) && !covers(&footprint, first, true)
        }));
    }

    #[test]
    fn what_was_trodden_is_a_copy_s_own_and_as_it_was() {
        let mut memory = vec![1_u8; 64 * PAGE];
        memory[16 * PAGE] = 7;
        let begin = (memory.as_ptr() as usize + 16 * PAGE) / PAGE * PAGE;
        let footprint = Footprint(vec![
            // Nothing is mapped there.
            Stretch { begin: PAGE, len: PAGE, written: true },
            Stretch { begin, len: PAGE, written: true },
        ]);
        assert!(copy_says(|| {
            footprint.parts().for_each(|part| part.tread());
            memory[16 * PAGE] == 7 && covers(&Footprint::of_this_process(), begin, true)
        }));
    }
}
