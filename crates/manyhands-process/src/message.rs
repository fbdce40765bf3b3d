//! What a program sends to its zygote to get a child, and what it hears.
//!
//! ```text
//! program ◀── Announcement ── spare             by the zygote's socket: there is a copy of the zygote
//!                                               that waits for an order
//! program ── Order, descriptors ──▶ spare       by the same, which all copies share: one datagram; the
//!                                               contents in a memfd if they are many
//! program ◀── Answer ── spare, zygote           by a socket of the order's own; its end without an
//!                                               answer says that there is no child
//! ```
//! Descriptors: the answering socket, those of the first three that the program has, the memfd if the
//! contents are in one, the arena's if there is one, the program's.

use std::os::fd::RawFd;

use crate::surroundings::Inherited;

/// The first word of an order: also tells versions apart.
const MAGIC: u64 = 0x4d68_7a79_676f_7401;

/// How many descriptors a child can get from its parent by way of a zygote.
///
/// The kernel passes 253 in a message; some are our own.
pub const MOST_DESCRIPTORS: usize = 253 - 6;

/// Contents up to this size are in the datagram itself.
pub(crate) const INLINE: usize = 48 << 10;

/// Room for any order's datagram.
pub(crate) const DATAGRAM: usize = INLINE + 4096;

/// Everything about a child but its descriptors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Which of the first three descriptors the program has.
    pub(crate) standard: [bool; 3],
    /// The child has to die with its parent.
    pub(crate) guarded: bool,
    /// What the child joins the arena with.
    pub(crate) ticket: Option<u64>,
    /// The signals that the child blocks.
    pub(crate) blocked: u64,
    /// What has changed since the zygote began.
    pub(crate) inherited: Option<Inherited>,
    /// The numbers that the program's descriptors get; -1 for any.
    pub(crate) targets: Vec<RawFd>,
    /// How many bytes of the contents are the environment, if it has changed; the rest is the payload.
    pub(crate) environment: Option<u64>,
    /// How many bytes the contents have.
    pub(crate) contents: u64,
    pub(crate) in_memory_file: bool,
}

impl Order {
    /// The order's words, to be followed by its contents if they are not in a memfd.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let flags = [
            self.standard[0],
            self.standard[1],
            self.standard[2],
            self.guarded,
            self.ticket.is_some(),
            self.inherited.is_some(),
            self.environment.is_some(),
            self.in_memory_file,
        ];
        let flags = flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u64::from(flag));
        let inherited = self.inherited.as_ref().map_or_else(Vec::new, Inherited::to_words);
        let mut words = vec![
            MAGIC,
            flags,
            self.ticket.unwrap_or(0),
            self.blocked,
            self.environment.unwrap_or(0),
            self.contents,
            inherited.len() as u64,
            self.targets.len() as u64,
        ];
        words.extend(inherited);
        words.extend(self.targets.iter().map(|&target| i64::from(target) as u64));
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// The order and the rest of the datagram.
    pub(crate) fn decode(datagram: &[u8]) -> Option<(Order, &[u8])> {
        let (head, rest) = take_words(datagram, 8)?;
        let &[magic, flags, ticket, blocked, environment, contents, inherited, targets] =
            head.as_slice()
        else {
            return None;
        };
        if magic != MAGIC {
            return None;
        }
        let (inherited, rest) = take_words(rest, usize::try_from(inherited).ok()?)?;
        let (targets, rest) = take_words(rest, usize::try_from(targets).ok()?)?;
        let flag = |bit: u32| flags >> bit & 1 == 1;
        let order = Order {
            standard: [flag(0), flag(1), flag(2)],
            guarded: flag(3),
            ticket: flag(4).then_some(ticket),
            blocked,
            inherited: if flag(5) { Some(Inherited::from_words(&inherited)?) } else { None },
            targets: targets.iter().map(|&word| word as i64 as RawFd).collect(),
            environment: flag(6).then_some(environment),
            contents,
            in_memory_file: flag(7),
        };
        Some((order, rest))
    }

    /// How many descriptors go with it.
    pub(crate) fn descriptors(&self) -> usize {
        1 + self.standard.iter().filter(|&&has| has).count()
            + usize::from(self.in_memory_file)
            + usize::from(self.ticket.is_some())
            + self.targets.len()
    }
}

fn take_words(bytes: &[u8], count: usize) -> Option<(Vec<u64>, &[u8])> {
    let (words, rest) = bytes.split_at_checked(count.checked_mul(8)?)?;
    let words = words.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    Some((words, rest))
}

/// What becomes of a copy of the zygote that waits: the how many-th it is, from 1, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announcement {
    /// It is there, and says so itself.
    Waits { count: u32, pid: u32 },
    /// It has ended without having been asked for; the zygote says so.
    Died { count: u32, pid: u32 },
}

impl Announcement {
    pub(crate) fn encode(self) -> [u8; 8] {
        let (kind, count, pid) = match self {
            Announcement::Waits { count, pid } => (0, count, pid),
            Announcement::Died { count, pid } => (1, count, pid),
        };
        (kind << 63 | u64::from(count & 0x7fff_ffff) << 32 | u64::from(pid)).to_ne_bytes()
    }

    pub(crate) fn decode(bytes: [u8; 8]) -> Announcement {
        let word = u64::from_ne_bytes(bytes);
        let (count, pid) = ((word >> 32) as u32 & 0x7fff_ffff, word as u32);
        match word >> 63 {
            0 => Announcement::Waits { count, pid },
            _ => Announcement::Died { count, pid },
        }
    }
}

/// What comes of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There is a child, of that number.
    Born(u32),
    /// There is none, for that reason of the system's.
    Failed(i32),
}

impl Answer {
    pub(crate) fn encode(self) -> [u8; 8] {
        let (kind, number) = match self {
            Answer::Born(pid) => (1, pid),
            Answer::Failed(error) => (2, error as u32),
        };
        (kind << 32 | u64::from(number)).to_ne_bytes()
    }

    pub(crate) fn decode(bytes: [u8; 8]) -> Option<Answer> {
        let word = u64::from_ne_bytes(bytes);
        match word >> 32 {
            1 => Some(Answer::Born(word as u32)),
            2 => Some(Answer::Failed(word as u32 as i32)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_arrives_as_it_was_sent() {
        let (inherited, _) = crate::surroundings::here().expect("/proc is there");
        for inherited in [None, Some(inherited)] {
            let order = Order {
                standard: [true, false, true],
                guarded: true,
                ticket: Some(u64::MAX),
                blocked: 7,
                inherited,
                targets: vec![-1, 5, 3],
                environment: Some(0),
                contents: 3,
                in_memory_file: false,
            };
            let mut datagram = order.encode();
            datagram.extend(b"abc");
            assert!(datagram.len() < DATAGRAM - INLINE);
            assert_eq!(Order::decode(&datagram), Some((order.clone(), &b"abc"[..])));
            assert_eq!(order.descriptors(), 7);
        }
    }

    #[test]
    fn what_is_no_order_is_refused() {
        assert_eq!(Order::decode(b""), None);
        assert_eq!(Order::decode(&[0; 256]), None);
        let whole = Order { targets: vec![1, 2, 3], ..Order::default() }.encode();
        for length in 0..whole.len() {
            assert_eq!(Order::decode(&whole[..length]), None);
        }
    }

    #[test]
    fn an_announcement_arrives_as_it_was_sent() {
        let (count, pid) = (0x7fff_ffff, 1 << 22);
        for announcement in [Announcement::Waits { count, pid }, Announcement::Died { count, pid }]
        {
            assert_eq!(Announcement::decode(announcement.encode()), announcement);
        }
    }

    #[test]
    fn an_answer_arrives_as_it_was_sent() {
        for answer in [Answer::Born(1 << 22), Answer::Failed(11)] {
            assert_eq!(Answer::decode(answer.encode()), Some(answer));
        }
        assert_eq!(Answer::decode([0; 8]), None);
    }
}
