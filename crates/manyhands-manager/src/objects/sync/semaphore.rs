//! `Semaphore`, `BoundedSemaphore`.

use std::collections::VecDeque;

use super::flag;
use crate::objects::arguments::{
    ASK, DONE, Found, GIVE, Limit, bind, either, int, nothing, raise, take, yes,
};
use crate::objects::{Answers, Call, Client, Connection, Object, Outcome, State, Ticket, Value};
use crate::pickle::Item;

/// A semaphore. Its state is a [`Value::Int`], the units that are left; of a bounded one a [`Value::Tuple`] of these and of
/// the most that there can be.
///
/// Units have no owner: what a dead client had is not given back.
///
/// Invariant: `value` is 0, or nobody waits.
#[derive(Debug)]
struct Semaphore {
    value: usize,
    most: Option<usize>,
    line: VecDeque<(Ticket, Client)>,
}

/// `Semaphore(value=1)`.
pub(in crate::objects) fn make(
    bounded: bool,
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let [value] = bind(args, kwargs, ["value"], 0).map_err(|_| GIVE)?;
    let value = value.map_or(Some(1), int).ok_or(GIVE)?;
    let value = usize::try_from(value)
        .map_err(|_| raise("ValueError", "semaphore initial value must be >= 0"))?;
    Ok(Box::new(Semaphore { value, most: bounded.then_some(value), line: VecDeque::new() }))
}

impl Semaphore {
    #[doc(alias = "threading.Semaphore")]
    #[doc(alias = "threading.BoundedSemaphore")]
    fn dispatch(&mut self, call: &Call<'_>, answers: &mut Answers) -> Found<Outcome> {
        match call.method {
            "acquire" => {
                let [blocking, timeout] = take(call, ["blocking", "timeout"], 0)?;
                let blocking = flag(blocking)?;
                if !blocking && timeout.is_some_and(|timeout| !timeout.is_none()) {
                    let message = "can't specify timeout for non-blocking acquire";
                    return Err(raise("ValueError", message));
                }
                if self.value > 0 {
                    self.value -= 1;
                    return Ok(yes(true));
                }
                let limit = if blocking { Limit::of(timeout, call.now)? } else { Limit::Now };
                let deadline = limit.deadline().ok_or_else(|| yes(false))?;
                self.line.push_back((call.ticket, call.client));
                Ok(Outcome::Wait(deadline))
            }
            "release" => {
                let [n] = take(call, ["n"], 0)?;
                let n = usize::try_from(n.map_or(Some(1), int).ok_or(ASK)?).unwrap_or(0);
                if n == 0 {
                    return Err(raise("ValueError", "n must be one or more"));
                }
                let value = self.value.saturating_add(n);
                if self.most.is_some_and(|most| value > most) {
                    return Err(raise("ValueError", "Semaphore released too many times"));
                }
                self.release(n, answers);
                Ok(DONE)
            }
            "locked" => {
                nothing(call)?;
                Ok(yes(self.value == 0))
            }
            _ => Err(ASK),
        }
    }

    fn release(&mut self, n: usize, answers: &mut Answers) {
        self.value = self.value.saturating_add(n);
        let served = self.value.min(self.line.len());
        self.value -= served;
        answers.0.extend(self.line.drain(..served).map(|(ticket, _)| (ticket, yes(true))));
    }
}

impl Object for Semaphore {
    fn kind(&self) -> &'static str {
        if self.most.is_some() { "BoundedSemaphore" } else { "Semaphore" }
    }

    fn call(&mut self, call: &Call<'_>, answers: &mut Answers) -> Outcome {
        either(self.dispatch(call, answers))
    }

    fn expire(&mut self, ticket: Ticket, answers: &mut Answers) -> Outcome {
        self.forget(ticket, answers);
        yes(false)
    }

    fn forget(&mut self, ticket: Ticket, _answers: &mut Answers) {
        self.line.retain(|(waiting, _)| *waiting != ticket);
    }

    fn undelivered(
        &mut self,
        _connection: Connection,
        _client: Client,
        method: &str,
        value: Value,
        answers: &mut Answers,
    ) {
        if method == "acquire" && matches!(value, Value::Bool(true)) {
            self.release(1, answers);
        }
    }

    fn client_died(&mut self, client: Client, _answers: &mut Answers) {
        self.line.retain(|(_, waiting)| *waiting != client);
    }

    fn state(&self) -> State {
        let number = |value| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
        let value = match self.most {
            Some(most) => Value::Tuple(vec![number(self.value), number(most)]),
            None => number(self.value),
        };
        State { kind: self.kind(), value }
    }

    fn surrender(&mut self) -> (State, Vec<Ticket>) {
        (self.state(), self.line.drain(..).map(|(ticket, _)| ticket).collect())
    }
}
