//! How the server's thread waits for what happens.

use std::io;
use std::time::{Duration, Instant};

use manyhands_sync::Habit;
use mio::{Events, Poll, Token};

/// How many of the last events are remembered.
const MEMORY: usize = 16;

/// What the thread has learned of its waits.
#[derive(Debug)]
pub(super) struct Wait {
    habit: Habit,
    /// Whom the last events were of.
    recent: [Option<Token>; MEMORY],
    next: usize,
    /// How many clients can run while this thread does, each on a processor of its own.
    beside: usize,
}

impl Wait {
    pub(super) fn new() -> Wait {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Wait { habit: Habit::new(), recent: [None; MEMORY], next: 0, beside: processors - 1 }
    }

    /// Notes whom an event was of.
    pub(super) fn note(&mut self, token: Token) {
        if let Some(place) = self.recent.get_mut(self.next) {
            *place = Some(token);
        }
        self.next = (self.next + 1) % MEMORY;
    }

    /// Whether there are more clients than processors for them, so that looking would keep one of them from running.
    fn is_crowded(&self) -> bool {
        let first = |(at, token): &(usize, &Option<Token>)| {
            token.is_some() && !self.recent.iter().take(*at).any(|before| before == *token)
        };
        self.recent.iter().enumerate().filter(first).count() > self.beside
    }

    /// Waits for events; looks for them for a moment before it sleeps, where that has turned out to be worth it: a client's
    /// next request often comes sooner than a sleeping thread is awake.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub(super) fn wait(
        &self,
        poll: &mut Poll,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let habit = &self.habit;
        if habit.is_ready()
            && timeout.is_none_or(|timeout| timeout > Habit::WAKE)
            && !self.is_crowded()
        {
            let mut result = Ok(());
            let is_there = || {
                result = poll.poll(events, Some(Duration::ZERO));
                result.is_err() || !events.is_empty()
            };
            if habit.spin(Habit::WAKE, is_there) {
                return result;
            }
            return poll.poll(events, timeout);
        }
        let begun = Instant::now();
        poll.poll(events, timeout)?;
        habit.learn(begun.elapsed());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_crowded_where_clients_lack_processors_until_they_are_quiet() {
        let mut wait = Wait { beside: 2, ..Wait::new() };
        assert!(!wait.is_crowded());
        (0..5).for_each(|_| wait.note(Token(7)));
        wait.note(Token(8));
        assert!(!wait.is_crowded());
        wait.note(Token(9));
        assert!(wait.is_crowded());
        (0..MEMORY).for_each(|at| wait.note(Token(7 + at % 2)));
        assert!(!wait.is_crowded());
    }

    #[test]
    fn the_only_processor_is_never_spun_on_beside_a_client() {
        let mut wait = Wait { beside: 0, ..Wait::new() };
        wait.note(Token(7));
        assert!(wait.is_crowded());
    }
}
