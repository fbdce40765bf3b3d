//! A line of those who wait for something, and of those who only want to be told.

use std::collections::VecDeque;

/// Who can be woken, once.
pub trait Wakeable: PartialEq {
    /// Gives it a turn; false if it waits no longer.
    fn wake(&self) -> bool;
}

#[derive(Debug)]
enum Place<T, L> {
    Waiter(T),
    Link(L),
}

/// Waiters, who are woken, and links, which are called, in the order in which they came.
///
/// Who is woken leaves the line and is *on its way* until it reports with [`arrive`](Line::arrive), or is
/// killed, which its user reports in the same manner: so never more are on their way than there is something for, and
/// what one does not take goes to the next as soon as [`advance`](Line::advance) is called again.
///
/// Links are called by a job of the caller's, one at a time. While there is one, nobody behind a link is woken by
/// anybody else: that keeps the order.
///
/// ```
/// use manyhands_green::{Line, Wakeable};
/// # #[derive(PartialEq)]
/// # struct Nobody;
/// # impl Wakeable for Nobody {
/// #     fn wake(&self) -> bool { true }
/// # }
///
/// let mut line: Line<Nobody, &str> = Line::new();
/// line.enter(Nobody);
/// line.link("call me");
/// assert!(!line.advance(u64::MAX, 1)); // one is woken, and there was something for one
/// line.arrive();
/// assert!(line.advance(u64::MAX, 1)); // now there has to be a job
/// assert_eq!(line.next_link(u64::MAX, 1), Some("call me"));
/// assert_eq!(line.next_link(u64::MAX, 1), None);
/// line.end_links();
/// ```
#[derive(Debug)]
pub struct Line<T, L> {
    /// Each with its number, which grows; 0 of one that came back to the front.
    places: VecDeque<(u64, Place<T, L>)>,
    next: u64,
    on_their_way: usize,
    /// Whether there is a job that calls links.
    linking: bool,
}

impl<T, L> Default for Line<T, L> {
    fn default() -> Self {
        Line::new()
    }
}

impl<T, L> Line<T, L> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Line { places: VecDeque::new(), next: 1, on_their_way: 0, linking: false }
    }

    /// How many are in it.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nobody is in it.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of the next who comes; all who are in line have lower ones.
    #[inline]
    #[must_use]
    pub fn number(&self) -> u64 {
        self.next
    }

    /// Whether somebody was woken, or a link is about to be called, and has not gone on yet.
    #[inline]
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.on_their_way > 0 || self.linking
    }

    /// How many were woken and have not gone on yet.
    #[inline]
    #[must_use]
    pub fn on_their_way(&self) -> usize {
        self.on_their_way
    }

    /// Goes to the end of the line.
    #[inline]
    pub fn enter(&mut self, waiter: T) {
        self.push(Place::Waiter(waiter));
    }

    /// Comes back to its front, as there was nothing left when it arrived.
    #[inline]
    pub fn come_back(&mut self, waiter: T) {
        self.places.push_front((0, Place::Waiter(waiter)));
    }

    /// Puts a link at the end of the line.
    pub fn link(&mut self, link: L) {
        self.push(Place::Link(link));
    }

    #[inline]
    fn push(&mut self, place: Place<T, L>) {
        self.places.push_back((self.next, place));
        self.next += 1;
    }

    /// The links, with their numbers.
    pub fn links(&self) -> impl Iterator<Item = (u64, &L)> {
        self.places.iter().filter_map(|(number, place)| match place {
            Place::Link(link) => Some((*number, link)),
            Place::Waiter(_) => None,
        })
    }

    /// Takes the link of that number out, if it is still in line.
    pub fn unlink(&mut self, number: u64) -> Option<L> {
        let at = self
            .places
            .iter()
            .position(|(other, place)| *other == number && matches!(place, Place::Link(_)))?;
        match self.places.remove(at)? {
            (_, Place::Link(link)) => Some(link),
            (_, Place::Waiter(_)) => None,
        }
    }

    /// Takes all links out.
    pub fn take_links(&mut self) -> Vec<L> {
        let mut links = Vec::new();
        for (number, place) in std::mem::take(&mut self.places) {
            match place {
                Place::Link(link) => links.push(link),
                waiter @ Place::Waiter(_) => self.places.push_back((number, waiter)),
            }
        }
        links
    }

    /// Reports that one who was woken goes on, or never will.
    #[inline]
    pub fn arrive(&mut self) {
        self.on_their_way = self.on_their_way.saturating_sub(1);
    }

    /// Takes the first out if that is a link, has a number below `until`, and there is something for it.
    pub fn next_link(&mut self, until: u64, most: usize) -> Option<L> {
        match self.places.front()? {
            (number, Place::Link(_)) if *number < until && self.on_their_way < most => {}
            _ => return None,
        }
        match self.places.pop_front()? {
            (_, Place::Link(link)) => Some(link),
            (_, Place::Waiter(_)) => None,
        }
    }

    /// The job that called links is done; [`advance`](Line::advance) says whether there has to be another.
    pub fn end_links(&mut self) {
        self.linking = false;
    }

    /// Forgets who was on its way, and keeps only waiters that `stays` is true of: in a forked child, where they may not be.
    pub fn forked(&mut self, mut stays: impl FnMut(&T) -> bool) {
        self.on_their_way = 0;
        self.linking = false;
        self.places.retain(|(_, place)| match place {
            Place::Waiter(waiter) => stays(waiter),
            Place::Link(_) => true,
        });
    }
}

impl<T: Wakeable, L> Line<T, L> {
    /// Leaves the line; false if it was not in it. Those who leave are mostly near one of its ends.
    pub fn leave(&mut self, waiter: &T) -> bool {
        let is_it = |place: Option<&(u64, Place<T, L>)>| matches!(place, Some((_, Place::Waiter(other))) if other == waiter);
        let last = self.places.len().wrapping_sub(1);
        for offset in 0..self.places.len().div_ceil(2) {
            for at in [offset, last - offset] {
                if is_it(self.places.get(at)) {
                    self.places.remove(at);
                    return true;
                }
            }
        }
        false
    }

    /// Wakes one out of its turn, if it is still in line: what it came for was done for it.
    #[inline]
    pub fn call_out(&mut self, waiter: &T) {
        if self.leave(waiter) {
            self.on_their_way += usize::from(waiter.wake());
        }
    }

    /// Wakes waiters in their order, those with numbers below `until`, as long as fewer than `most` are on their way. True if
    /// a link's turn has come: the caller has to see to a job that calls links. It is not said again before
    /// [`end_links`](Line::end_links).
    #[inline]
    #[must_use]
    pub fn advance(&mut self, until: u64, most: usize) -> bool {
        while self.on_their_way < most {
            match self.places.front() {
                Some((number, Place::Waiter(waiter))) if *number < until => {
                    self.on_their_way += usize::from(waiter.wake());
                    self.places.pop_front();
                }
                Some((number, Place::Link(_))) if *number < until => {
                    return !std::mem::replace(&mut self.linking, true);
                }
                _ => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
