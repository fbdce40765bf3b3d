//! Whose turn it is: what Lock, RLock and Condition have in common.

use std::collections::VecDeque;

use crate::objects::arguments::yes;
use crate::objects::{Answers, Call, Client, Connection, Outcome, Ticket, Value};

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) connection: Connection,
    pub(super) client: Client,
    /// How many times.
    pub(super) depth: usize,
}

impl Holder {
    pub(super) fn of(call: &Call<'_>) -> Holder {
        Holder { connection: call.connection, client: call.client, depth: 1 }
    }
}

/// Who waits for it, and what becomes of the call then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) ticket: Ticket,
    pub(super) holder: Holder,
    /// What the call returns.
    pub(super) result: bool,
    /// It has to wait until it has it, whatever the time: the `wait` of a condition.
    pub(super) stays: bool,
}

/// A lock.
///
/// # Invariants
/// * Nobody waits for a lock that nobody holds: who lets go of it passes it on, to the first of the line.
#[derive(Debug, Default)]
pub(super) struct Turn {
    holder: Option<Holder>,
    /// The last holder died while it held it. If there is a holder, it has been told, and is the only one.
    abandoned: bool,
    line: VecDeque<Waiter>,
}

impl Turn {
    pub(super) fn holder(&self) -> Option<Holder> {
        self.holder
    }

    pub(super) fn holder_mut(&mut self) -> Option<&mut Holder> {
        self.holder.as_mut()
    }

    /// Forgets that the last holder died while it held it, if it did and nobody has been told.
    pub(super) fn forgive(&mut self) -> bool {
        self.holder.is_none() && std::mem::take(&mut self.abandoned)
    }

    /// Takes it, if nobody holds it.
    pub(super) fn take(&mut self, holder: Holder, result: bool) -> Option<Outcome> {
        if self.holder.is_some() {
            return None;
        }
        self.holder = Some(holder);
        Some(granted(result, self.abandoned))
    }

    /// Waits for it, as nobody else lets go of it now.
    pub(super) fn wait(&mut self, waiter: Waiter) {
        self.line.push_back(waiter);
    }

    /// As it comes: at once, or an answer later.
    pub(super) fn take_or_wait(&mut self, waiter: Waiter, answers: &mut Answers) {
        match self.take(waiter.holder, waiter.result) {
            Some(outcome) => answers.0.push((waiter.ticket, outcome)),
            None => self.wait(waiter),
        }
    }

    /// The holder lets go of it, however often it has it.
    pub(super) fn pass_on(&mut self, answers: &mut Answers) {
        self.pass(false, answers);
    }

    /// The same for a holder that never heard that it has it, nor that it is abandoned.
    pub(super) fn pass_on_untold(&mut self, answers: &mut Answers) {
        self.pass(self.abandoned, answers);
    }

    fn pass(&mut self, abandoned: bool, answers: &mut Answers) {
        self.abandoned = abandoned;
        let next = self.line.pop_front();
        self.holder = next.map(|next| next.holder);
        if let Some(next) = next {
            answers.0.push((next.ticket, granted(next.result, abandoned)));
        }
    }

    /// Whether who has this ticket cannot give up.
    pub(super) fn stays(&self, ticket: Ticket) -> bool {
        self.line.iter().any(|waiter| waiter.ticket == ticket && waiter.stays)
    }

    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.line.retain(|waiter| waiter.ticket != ticket);
    }

    /// It was given to one that never heard of it.
    pub(super) fn give_back(
        &mut self,
        connection: Connection,
        value: &Value,
        answers: &mut Answers,
    ) {
        if matches!(value, Value::Bool(true))
            && let Some(holder) = &mut self.holder
            && holder.connection == connection
        {
            holder.depth = holder.depth.saturating_sub(1);
            if holder.depth == 0 {
                self.pass_on_untold(answers);
            }
        }
    }

    pub(super) fn client_died(&mut self, client: Client, answers: &mut Answers) {
        self.line.retain(|waiter| waiter.holder.client != client);
        if self.holder.is_some_and(|holder| holder.client == client) {
            self.pass(true, answers);
        }
    }

    pub(super) fn waiting(&mut self) -> Vec<Ticket> {
        self.line.drain(..).map(|waiter| waiter.ticket).collect()
    }
}

fn granted(result: bool, abandoned: bool) -> Outcome {
    if abandoned { Outcome::Abandoned(Value::Bool(result)) } else { yes(result) }
}
