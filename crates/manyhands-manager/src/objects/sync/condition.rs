//! `Condition`.

use std::collections::VecDeque;

use super::rlock::{self, depth, holds};
use super::turn::{Turn, Waiter};
use crate::objects::arguments::{
    ASK, DONE, Found, GIVE, Limit, bind, either, int, nothing, raise, take, yes,
};
use crate::objects::{Answers, Call, Client, Connection, Object, Outcome, State, Ticket, Value};
use crate::pickle::Item;

/// A condition with an RLock of its own. Its state is a [`Value::Int`]: how many times that is locked.
///
/// Invariant: who waits to be notified waits in `sleepers`, who was notified, or whose time is up, in the lock's line; nobody in
/// both. The lock's line holds with a waiter how many times it had the lock, and what `wait` returns.
#[derive(Debug, Default)]
struct Condition {
    turn: Turn,
    sleepers: VecDeque<Waiter>,
}

/// `Condition(lock=None)`: with a lock that is given it is the interpreter's.
pub(in crate::objects) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let [lock] = bind(args, kwargs, ["lock"], 0).map_err(|_| GIVE)?;
    match lock {
        Some(lock) if !lock.is_none() => Err(GIVE),
        _ => Ok(Box::new(Condition::default())),
    }
}

impl Condition {
    #[doc(alias = "threading.Condition")]
    fn dispatch(&mut self, call: &Call<'_>, answers: &mut Answers) -> Found<Outcome> {
        match call.method {
            "wait" => {
                let [timeout] = take(call, ["timeout"], 0)?;
                self.wait(call, timeout, answers)
            }
            "notify" => {
                let [n] = take(call, ["n"], 0)?;
                self.check(call, "cannot notify on un-acquired lock")?;
                let n = n.map_or(Some(1), int).ok_or(ASK)?;
                self.notify(usize::try_from(n).unwrap_or(0), answers);
                Ok(DONE)
            }
            "notify_all" => {
                nothing(call)?;
                self.check(call, "cannot notify on un-acquired lock")?;
                self.notify(usize::MAX, answers);
                Ok(DONE)
            }
            _ => rlock::dispatch(&mut self.turn, call, answers),
        }
    }

    fn check(&self, call: &Call<'_>, message: &str) -> Found<()> {
        if holds(&self.turn, call) { Ok(()) } else { Err(raise("RuntimeError", message)) }
    }

    fn wait(
        &mut self,
        call: &Call<'_>,
        timeout: Option<Item<'_>>,
        answers: &mut Answers,
    ) -> Found<Outcome> {
        self.check(call, "cannot wait on un-acquired lock")?;
        let limit = Limit::of(timeout, call.now)?;
        let holder = self.turn.holder().ok_or(ASK)?;
        let waiter = Waiter { ticket: call.ticket, holder, result: false, stays: true };
        self.turn.pass_on(answers);
        match limit.deadline() {
            Some(deadline) => {
                self.sleepers.push_back(waiter);
                Ok(Outcome::Wait(deadline))
            }
            None => Ok(self.come_back(waiter)),
        }
    }

    /// The time of a wait is up: the lock has to be had again first.
    fn come_back(&mut self, waiter: Waiter) -> Outcome {
        self.turn.take(waiter.holder, waiter.result).unwrap_or_else(|| {
            self.turn.wait(waiter);
            Outcome::Wait(None)
        })
    }

    fn notify(&mut self, n: usize, answers: &mut Answers) {
        for waiter in self.sleepers.drain(..n.min(self.sleepers.len())) {
            self.turn.take_or_wait(Waiter { result: true, ..waiter }, answers);
        }
    }
}

impl Object for Condition {
    fn kind(&self) -> &'static str {
        "Condition"
    }

    fn call(&mut self, call: &Call<'_>, answers: &mut Answers) -> Outcome {
        either(self.dispatch(call, answers))
    }

    fn expire(&mut self, ticket: Ticket, _answers: &mut Answers) -> Outcome {
        if let Some(at) = self.sleepers.iter().position(|waiter| waiter.ticket == ticket)
            && let Some(waiter) = self.sleepers.remove(at)
        {
            return self.come_back(waiter);
        }
        // It waits for the lock: in `wait`, which is not over before it has it, or in `acquire`.
        if self.turn.stays(ticket) {
            return Outcome::Wait(None);
        }
        self.turn.forget(ticket);
        yes(false)
    }

    fn forget(&mut self, ticket: Ticket, _answers: &mut Answers) {
        self.sleepers.retain(|waiter| waiter.ticket != ticket);
        self.turn.forget(ticket);
    }

    fn undelivered(
        &mut self,
        connection: Connection,
        _client: Client,
        method: &str,
        value: Value,
        answers: &mut Answers,
    ) {
        match method {
            "acquire" => self.turn.give_back(connection, &value, answers),
            // Who never heard that it has the lock again will not release it.
            "wait" if self.turn.holder().is_some_and(|it| it.connection == connection) => {
                self.turn.pass_on_untold(answers);
            }
            _ => {}
        }
    }

    fn client_died(&mut self, client: Client, answers: &mut Answers) {
        self.sleepers.retain(|waiter| waiter.holder.client != client);
        self.turn.client_died(client, answers);
    }

    fn is_held_by_clients(&self) -> bool {
        true
    }

    fn state(&self) -> State {
        State { kind: "Condition", value: depth(&self.turn) }
    }

    fn surrender(&mut self) -> (State, Vec<Ticket>) {
        let mut waiting: Vec<Ticket> = self.sleepers.drain(..).map(|it| it.ticket).collect();
        waiting.extend(self.turn.waiting());
        (self.state(), waiting)
    }
}
