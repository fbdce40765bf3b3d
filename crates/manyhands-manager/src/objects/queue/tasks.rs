//! Which tasks are done, and who has those that are not.

use std::collections::{HashMap, VecDeque};

use super::Queue;
use crate::objects::arguments::{DONE, Found, raise};
use crate::objects::{Answers, Client, Outcome};
use crate::pickle::Payload;

/// What clients have taken and not settled, the oldest first. No client is in it without anything.
#[derive(Debug, Default)]
pub(super) struct Taken(HashMap<Client, VecDeque<Payload>>);

impl Taken {
    pub(super) fn note(&mut self, client: Client, item: Payload) {
        self.0.entry(client).or_default().push_back(item);
    }

    fn settle_oldest(&mut self, client: Client) {
        if let Some(items) = self.0.get_mut(&client) {
            items.pop_front();
            if items.is_empty() {
                self.0.remove(&client);
            }
        }
    }

    pub(super) fn all_of(&mut self, client: Client) -> Vec<Payload> {
        self.0.remove(&client).map(Vec::from).unwrap_or_default()
    }

    /// The client never got the item: the newest like this is not its own.
    pub(super) fn forget(&mut self, client: Client, item: &Payload) {
        let Some(items) = self.0.get_mut(&client) else { return };
        let pickle = item.to_pickle();
        let same = |other: &Payload| other.len() == item.len() && other.to_pickle() == pickle;
        if let Some(at) = items.iter().rposition(same) {
            items.remove(at);
        }
        if items.is_empty() {
            self.0.remove(&client);
        }
    }
}

impl Queue {
    pub(super) fn task_done(&mut self, client: Client, answers: &mut Answers) -> Found<Outcome> {
        if self.unfinished == 0 {
            return Err(raise("ValueError", "task_done() called too many times"));
        }
        if let Some(taken) = &mut self.taken {
            taken.settle_oldest(client);
        }
        self.finish(1, answers);
        Ok(DONE)
    }
}
