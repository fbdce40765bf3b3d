//! `Lock`.

use super::lock_limit;
use super::turn::{Holder, Turn, Waiter};
use crate::objects::arguments::{ASK, DONE, Found, GIVE, bind, either, nothing, raise, take, yes};
use crate::objects::{Answers, Call, Client, Connection, Object, Outcome, State, Ticket, Value};
use crate::pickle::Item;

/// A lock that anybody may release. Its state is a [`Value::Bool`]: whether it is locked.
#[derive(Debug, Default)]
struct Lock {
    turn: Turn,
}

/// `Lock()`.
pub(in crate::objects) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let [] = bind(args, kwargs, [], 0).map_err(|_| GIVE)?;
    Ok(Box::new(Lock::default()))
}

impl Lock {
    #[doc(alias = "threading.Lock")]
    fn dispatch(&mut self, call: &Call<'_>, answers: &mut Answers) -> Found<Outcome> {
        match call.method {
            "acquire" => {
                let [blocking, timeout] = take(call, ["blocking", "timeout"], 0)?;
                let limit = lock_limit(call, blocking, timeout)?;
                let holder = Holder::of(call);
                if let Some(outcome) = self.turn.take(holder, true) {
                    return Ok(outcome);
                }
                let deadline = limit.deadline().ok_or_else(|| yes(false))?;
                self.turn.wait(Waiter { ticket: call.ticket, holder, result: true, stays: false });
                Ok(Outcome::Wait(deadline))
            }
            "release" => {
                nothing(call)?;
                if self.turn.holder().is_none() {
                    // Who ended with it may have left it to somebody else to release.
                    if self.turn.forgive() {
                        return Ok(DONE);
                    }
                    return Err(raise("RuntimeError", "release unlocked lock"));
                }
                self.turn.pass_on(answers);
                Ok(DONE)
            }
            "locked" => {
                nothing(call)?;
                Ok(yes(self.turn.holder().is_some()))
            }
            _ => Err(ASK),
        }
    }
}

impl Object for Lock {
    fn kind(&self) -> &'static str {
        "Lock"
    }

    fn call(&mut self, call: &Call<'_>, answers: &mut Answers) -> Outcome {
        either(self.dispatch(call, answers))
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
        State { kind: "Lock", value: Value::Bool(self.turn.holder().is_some()) }
    }

    fn surrender(&mut self) -> (State, Vec<Ticket>) {
        (self.state(), self.turn.waiting())
    }
}
