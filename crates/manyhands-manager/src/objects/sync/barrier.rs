//! `Barrier`.

use crate::objects::arguments::{
    ASK, DONE, Found, GIVE, Limit, bind, count, either, int, nothing, one, raise_bare, seconds,
    take, yes,
};
use crate::objects::{Answers, Call, Client, Object, Outcome, State, Ticket, Value};
use crate::pickle::Item;

/// A barrier without an action. Its state is a [`Value::Tuple`]: the parties, the timeout or None, whether it is broken.
///
/// Invariant: fewer wait than there are parties, and nobody waits for one that is broken. All who wait are answered at once, so
/// there is no time in which it is being left.
#[derive(Debug)]
struct Barrier {
    parties: usize,
    timeout: Option<f64>,
    broken: bool,
    /// In the order in which they came.
    waiting: Vec<(Ticket, Client)>,
}

/// `Barrier(parties, action=None, timeout=None)`.
pub(in crate::objects) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let names = ["parties", "action", "timeout"];
    let [parties, action, timeout] = bind(args, kwargs, names, 1).map_err(|_| GIVE)?;
    if action.is_some_and(|action| !action.is_none()) {
        return Err(GIVE);
    }
    let parties = parties.and_then(int).filter(|parties| *parties > 0);
    let parties = usize::try_from(parties.ok_or(GIVE)?).map_err(|_| GIVE)?;
    let timeout = match timeout {
        Some(timeout) if !timeout.is_none() => Some(seconds(timeout).ok_or(GIVE)?),
        _ => None,
    };
    Ok(Box::new(Barrier { parties, timeout, broken: false, waiting: Vec::new() }))
}

fn broken() -> Outcome {
    raise_bare("threading", "BrokenBarrierError")
}

impl Barrier {
    #[doc(alias = "threading.Barrier")]
    fn dispatch(&mut self, call: &Call<'_>, answers: &mut Answers) -> Found<Outcome> {
        match call.method {
            "wait" => {
                let [timeout] = take(call, ["timeout"], 0)?;
                self.wait(call, timeout, answers)
            }
            "abort" => {
                nothing(call)?;
                self.broken = true;
                self.send_all_away(answers);
                Ok(DONE)
            }
            "reset" => {
                nothing(call)?;
                self.broken = false;
                self.send_all_away(answers);
                Ok(DONE)
            }
            "__getattribute__" => match one(call)?.str() {
                Some("parties") => Ok(count(self.parties)),
                Some("n_waiting") => Ok(count(self.waiting.len())),
                Some("broken") => Ok(yes(self.broken)),
                _ => Err(ASK),
            },
            _ => Err(ASK),
        }
    }

    fn wait(
        &mut self,
        call: &Call<'_>,
        timeout: Option<Item<'_>>,
        answers: &mut Answers,
    ) -> Found<Outcome> {
        if self.broken {
            return Err(broken());
        }
        let limit = match (timeout.filter(|timeout| !timeout.is_none()), self.timeout) {
            (None, Some(seconds)) => Limit::after(seconds, call.now),
            (timeout, _) => Limit::of(timeout, call.now)?,
        };
        if self.waiting.len() + 1 >= self.parties {
            let last = self.waiting.len();
            let tickets = self.waiting.drain(..).enumerate();
            answers.0.extend(tickets.map(|(at, (ticket, _))| (ticket, count(at))));
            return Ok(count(last));
        }
        let Some(deadline) = limit.deadline() else {
            self.broken = true;
            self.send_all_away(answers);
            return Err(broken());
        };
        self.waiting.push((call.ticket, call.client));
        Ok(Outcome::Wait(deadline))
    }

    fn send_all_away(&mut self, answers: &mut Answers) {
        answers.0.extend(self.waiting.drain(..).map(|(ticket, _)| (ticket, broken())));
    }
}

impl Object for Barrier {
    fn kind(&self) -> &'static str {
        "Barrier"
    }

    fn call(&mut self, call: &Call<'_>, answers: &mut Answers) -> Outcome {
        either(self.dispatch(call, answers))
    }

    fn expire(&mut self, ticket: Ticket, answers: &mut Answers) -> Outcome {
        self.forget(ticket, answers);
        self.broken = true;
        self.send_all_away(answers);
        broken()
    }

    fn forget(&mut self, ticket: Ticket, _answers: &mut Answers) {
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
    }

    fn client_died(&mut self, client: Client, _answers: &mut Answers) {
        self.waiting.retain(|(_, waiting)| *waiting != client);
    }

    fn state(&self) -> State {
        let parties = Value::Int(i64::try_from(self.parties).unwrap_or(i64::MAX));
        let timeout = self.timeout.map_or(Value::None, Value::Float);
        let value = Value::Tuple(vec![parties, timeout, Value::Bool(self.broken)]);
        State { kind: "Barrier", value }
    }

    fn surrender(&mut self) -> (State, Vec<Ticket>) {
        (self.state(), self.waiting.drain(..).map(|(ticket, _)| ticket).collect())
    }
}
