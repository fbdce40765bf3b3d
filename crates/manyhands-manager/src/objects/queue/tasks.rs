//! Which tasks are done, and who has those that are not.

use std::collections::{HashMap, VecDeque};

use super::Queue;
use crate::objects::arguments::{DONE, Found, raise};
use crate::objects::{Answers, Call, Client, Connection, Outcome};
use crate::pickle::Payload;

/// What clients have taken and not settled, the oldest first, and over which connection each. No client is in it without
/// anything.
#[derive(Debug, Default)]
pub(super) struct Taken(HashMap<Client, VecDeque<(Connection, Payload)>>);

impl Taken {
    pub(super) fn note(&mut self, client: Client, connection: Connection, item: Payload) {
        self.0.entry(client).or_default().push_back((connection, item));
    }

    /// The oldest that this connection has taken; of one that has none, the oldest of its client, another of whose threads
    /// may have got it.
    fn settle_oldest(&mut self, client: Client, connection: Connection) {
        if let Some(items) = self.0.get_mut(&client) {
            let own = items.iter().position(|(by, _)| *by == connection);
            items.remove(own.unwrap_or(0));
            if items.is_empty() {
                self.0.remove(&client);
            }
        }
    }

    pub(super) fn all_of(&mut self, client: Client) -> Vec<Payload> {
        let items = self.0.remove(&client).unwrap_or_default();
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// The connection never got the item: the newest that it has taken is not its own. False if it has none, as another
    /// one of its client has settled that.
    pub(super) fn forget(&mut self, client: Client, connection: Connection) -> bool {
        let Some(items) = self.0.get_mut(&client) else { return false };
        let at = items.iter().rposition(|(by, _)| *by == connection);
        let forgotten = at.and_then(|at| items.remove(at)).is_some();
        if items.is_empty() {
            self.0.remove(&client);
        }
        forgotten
    }
}

impl Queue {
    pub(super) fn task_done(&mut self, call: &Call<'_>, answers: &mut Answers) -> Found<Outcome> {
        if self.unfinished == 0 {
            return Err(raise("ValueError", "task_done() called too many times"));
        }
        if let Some(taken) = &mut self.taken {
            taken.settle_oldest(call.client, call.connection);
        }
        self.finish(1, answers);
        Ok(DONE)
    }
}
