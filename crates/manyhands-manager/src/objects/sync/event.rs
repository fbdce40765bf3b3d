//! `Event`.

use crate::objects::arguments::{ASK, DONE, Found, GIVE, Limit, bind, either, nothing, take, yes};
use crate::objects::{Answers, Call, Client, Object, Outcome, State, Ticket, Value};
use crate::pickle::Item;

/// An event. Its state is a [`Value::Bool`]: whether it is set.
///
/// Invariant: nobody waits for one that is set.
#[derive(Debug, Default)]
struct Event {
    set: bool,
    waiting: Vec<(Ticket, Client)>,
}

/// `Event()`.
pub(in crate::objects) fn make(
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    let [] = bind(args, kwargs, [], 0).map_err(|_| GIVE)?;
    Ok(Box::new(Event::default()))
}

impl Event {
    #[doc(alias = "threading.Event")]
    fn dispatch(&mut self, call: &Call<'_>, answers: &mut Answers) -> Found<Outcome> {
        match call.method {
            "is_set" => {
                nothing(call)?;
                Ok(yes(self.set))
            }
            "set" => {
                nothing(call)?;
                self.set = true;
                answers.0.extend(self.waiting.drain(..).map(|(ticket, _)| (ticket, yes(true))));
                Ok(DONE)
            }
            "clear" => {
                nothing(call)?;
                self.set = false;
                Ok(DONE)
            }
            "wait" => {
                let [timeout] = take(call, ["timeout"], 0)?;
                if self.set {
                    return Ok(yes(true));
                }
                let limit = Limit::of(timeout, call.now)?;
                let deadline = limit.deadline().ok_or_else(|| yes(false))?;
                self.waiting.push((call.ticket, call.client));
                Ok(Outcome::Wait(deadline))
            }
            _ => Err(ASK),
        }
    }
}

impl Object for Event {
    fn kind(&self) -> &'static str {
        "Event"
    }

    fn call(&mut self, call: &Call<'_>, answers: &mut Answers) -> Outcome {
        either(self.dispatch(call, answers))
    }

    fn expire(&mut self, ticket: Ticket, answers: &mut Answers) -> Outcome {
        self.forget(ticket, answers);
        yes(false)
    }

    fn forget(&mut self, ticket: Ticket, _answers: &mut Answers) {
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
    }

    fn client_died(&mut self, client: Client, _answers: &mut Answers) {
        self.waiting.retain(|(_, waiting)| *waiting != client);
    }

    fn state(&self) -> State {
        State { kind: "Event", value: Value::Bool(self.set) }
    }

    fn surrender(&mut self) -> (State, Vec<Ticket>) {
        (self.state(), self.waiting.drain(..).map(|(ticket, _)| ticket).collect())
    }
}
