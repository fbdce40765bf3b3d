//! Who waits for a queue, and when it goes on.

use super::{Open, Queue, shut_down};
use crate::objects::arguments::{DONE, Found};
use crate::objects::{Answers, Client, Connection, Outcome, Ticket, Value};
use crate::pickle::Payload;

impl Queue {
    /// An item comes in: to the first who waits, or into the store, where there is room.
    pub(super) fn enter(&mut self, item: Payload, answers: &mut Answers) -> Found<()> {
        match self.getters.pop_front() {
            Some(getter) => {
                self.note_taken(getter.client, getter.connection, &item);
                let got = Outcome::Return(Value::Payload(item));
                answers.0.push((getter.ticket, got));
            }
            None => self.store.push(item)?,
        }
        self.unfinished += 1;
        Ok(())
    }

    /// Room was made.
    pub(super) fn let_putters_in(&mut self, answers: &mut Answers) {
        while self.has_room()
            && let Some(putter) = self.putters.pop_front()
        {
            let outcome = match self.enter(putter.item, answers) {
                Ok(()) => DONE,
                Err(outcome) => outcome,
            };
            answers.0.push((putter.ticket, outcome));
        }
    }

    /// Items that were taken are there again, as the next to be taken, the first of them first.
    pub(super) fn restore(&mut self, items: Vec<Payload>, answers: &mut Answers) {
        if self.open == Open::Drained {
            self.finish(items.len(), answers);
            return;
        }
        for item in items.into_iter().rev() {
            self.store.put_back(item);
        }
        while self.store.len() > 0
            && let Some(getter) = self.getters.pop_front()
        {
            let outcome = match self.store.pop() {
                Ok(Some(item)) => {
                    self.note_taken(getter.client, getter.connection, &item);
                    Outcome::Return(Value::Payload(item))
                }
                Ok(None) => return,
                // The interpreter takes the queue over, and this call with it.
                Err(outcome) => outcome,
            };
            answers.0.push((getter.ticket, outcome));
        }
    }

    pub(super) fn note_taken(&mut self, client: Client, connection: Connection, item: &Payload) {
        if let Some(taken) = &mut self.taken {
            taken.note(client, connection, item.clone());
        }
    }

    pub(super) fn shut(&mut self, immediate: bool, answers: &mut Answers) {
        if immediate {
            self.open = Open::Drained;
            let dropped = self.store.len();
            self.store.clear();
            self.finish(dropped, answers);
        } else if self.open == Open::Yes {
            self.open = Open::Shut;
        }
        let getters = self.getters.drain(..).map(|getter| getter.ticket);
        let putters = self.putters.drain(..).map(|putter| putter.ticket);
        answers.0.extend(getters.chain(putters).map(|ticket| (ticket, shut_down())));
    }

    /// Tasks are done, or never will be.
    pub(super) fn finish(&mut self, tasks: usize, answers: &mut Answers) {
        self.unfinished = self.unfinished.saturating_sub(tasks);
        if self.unfinished == 0 {
            answers.0.extend(self.joiners.drain(..).map(|ticket| (ticket, DONE)));
        }
    }

    /// Nobody waits with this ticket any more.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        self.getters.retain(|getter| getter.ticket != ticket);
        self.putters.retain(|putter| putter.ticket != ticket);
        self.joiners.retain(|joiner| *joiner != ticket);
    }
}
