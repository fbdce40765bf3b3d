//! `RLock`, which a condition has inside as well.

use super::lock_limit;
use super::turn::{Holder, Turn, Waiter};
use crate::objects::arguments::{ASK, DONE, Found, GIVE, bind, either, nothing, raise, take, yes};
use crate::objects::{Answers, Call, Client, Connection, Object, Outcome, State, Ticket, Value};
use crate::pickle::Item;

/// A lock of a connection (a thread of a client), which can have it many times. Its state is a [`Value::Int`]: how many
/// times it is locked.
#[derive(Debug, Default)]
struct RLock {
    turn: Turn,
}

/// `RLock()`.
pub(in crate::objects) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let [] = bind(args, kwargs, [], 0).map_err(|_| GIVE)?;
    Ok(Box::new(RLock::default()))
}

/// Whether the caller has it.
pub(super) fn holds(turn: &Turn, call: &Call<'_>) -> bool {
    turn.holder().is_some_and(|holder| holder.connection == call.connection)
}

/// How many times it is held.
pub(super) fn depth(turn: &Turn) -> Value {
    let depth = turn.holder().map_or(0, |holder| holder.depth);
    Value::Int(i64::try_from(depth).unwrap_or(i64::MAX))
}

/// `acquire`, `release`, `locked`.
#[doc(alias = "threading.RLock")]
pub(super) fn dispatch(turn: &mut Turn, call: &Call<'_>, answers: &mut Answers) -> Found<Outcome> {
    match call.method {
        "acquire" => {
            let [blocking, timeout] = take(call, ["blocking", "timeout"], 0)?;
            let limit = lock_limit(call, blocking, timeout)?;
            if holds(turn, call) {
                if let Some(holder) = turn.holder_mut() {
                    holder.depth += 1;
                }
                return Ok(yes(true));
            }
            let holder = Holder::of(call);
            if let Some(outcome) = turn.take(holder, true) {
                return Ok(outcome);
            }
            let deadline = limit.deadline().ok_or_else(|| yes(false))?;
            turn.wait(Waiter { ticket: call.ticket, holder, result: true, stays: false });
            Ok(Outcome::Wait(deadline))
        }
        "release" => {
            nothing(call)?;
            match turn.holder_mut() {
                Some(holder) if holder.connection == call.connection => {
                    holder.depth = holder.depth.saturating_sub(1);
                    if holder.depth == 0 {
                        turn.pass_on(answers);
                    }
                    Ok(DONE)
                }
                _ => Err(raise("RuntimeError", "cannot release un-acquired lock")),
            }
        }
        "locked" => {
            nothing(call)?;
            Ok(yes(turn.holder().is_some()))
        }
        _ => Err(ASK),
    }
}

impl Object for RLock {
    fn kind(&self) -> &'static str {
        "RLock"
    }

    fn call(&mut self, call: &Call<'_>, answers: &mut Answers) -> Outcome {
        either(dispatch(&mut self.turn, call, answers))
    }

    fn expire(&mut self, ticket: Ticket, _answers: &mut Answers) -> Outcome {
        self.turn.forget(ticket);
        yes(false)
    }

    fn forget(&mut self, ticket: Ticket, _answers: &mut Answers) {
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
        if method == "acquire" {
            self.turn.give_back(connection, &value, answers);
        }
    }

    fn client_died(&mut self, client: Client, answers: &mut Answers) {
        self.turn.client_died(client, answers);
    }

    fn is_held_by_clients(&self) -> bool {
        true
    }

    fn state(&self) -> State {
        State { kind: "RLock", value: depth(&self.turn) }
    }

    fn surrender(&mut self) -> (State, Vec<Ticket>) {
        (self.state(), self.turn.waiting())
    }
}
