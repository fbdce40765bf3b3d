//! `Queue`, `JoinableQueue`, `LifoQueue`, `PriorityQueue`.

mod heap;
mod store;
mod tasks;
mod waits;

use std::collections::VecDeque;

pub(super) use store::Order;
use store::Store;
use tasks::Taken;

use super::arguments::{
    ASK, DONE, Found, GIVE, Limit, bind, count, either, int, nothing, raise, raise_bare, seconds,
    take, truth, yes,
};
use super::{Answers, Call, Client, Connection, Object, Outcome, State, Ticket, Value};
use crate::pickle::{Item, Payload};

/// A queue.
///
/// # Invariants
/// * Who waits to get finds nothing there: `getters` or the store is empty.
/// * Who waits to put finds no room: `putters` is empty, or there is a maximum and the store has as many or more. So nobody
///   waits to get while somebody waits to put.
/// * Who waits to join finds tasks unfinished.
/// * Nobody waits to get or put when it is shut down.
///
/// # State
/// A [`Value::Dict`]: `items` (a list, as Python's queue has them inside), `maxsize`, `unfinished_tasks`, `is_shutdown`.
///
/// # Acknowledgement
/// With `ack=True` an item that a client has taken is kept until the client calls `task_done`, each of which settles the oldest
/// one that the same connection took, or else that the client did; if the client dies before, it is the next to be taken again. A queue that goes to the interpreter forgets them.
#[derive(Debug)]
struct Queue {
    kind: &'static str,
    store: Store,
    /// The most that it holds; 0 for no maximum.
    maximum: usize,
    unfinished: usize,
    open: Open,
    getters: VecDeque<Getter>,
    putters: VecDeque<Putter>,
    joiners: Vec<Ticket>,
    /// With `ack`.
    taken: Option<Taken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Yes,
    /// What is there can still be taken.
    Shut,
    /// What comes back is gone as well.
    Drained,
}

#[derive(Debug)]
struct Getter {
    ticket: Ticket,
    client: Client,
    connection: Connection,
}

#[derive(Debug)]
struct Putter {
    ticket: Ticket,
    client: Client,
    item: Payload,
}

/// `Queue(maxsize=0, *, ack=False)`.
pub(super) fn make(
    order: Order,
    kind: &'static str,
    args: &[Item<'_>],
    kwargs: &[(&str, Item<'_>)],
) -> Result<Box<dyn Object>, Outcome> {
    if args.len() > 1 {
        return Err(GIVE);
    }
    let [maximum, ack] = bind(args, kwargs, ["maxsize", "ack"], 0).map_err(|_| GIVE)?;
    let maximum = maximum.map_or(Some(0), int).ok_or(GIVE)?;
    let ack = truth(ack, false).map_err(|_| GIVE)?;
    Ok(Box::new(Queue {
        kind,
        store: Store::new(order),
        maximum: usize::try_from(maximum).unwrap_or(0),
        unfinished: 0,
        open: Open::Yes,
        getters: VecDeque::new(),
        putters: VecDeque::new(),
        joiners: Vec::new(),
        taken: ack.then(Taken::default),
    }))
}

fn empty() -> Outcome {
    raise_bare("queue", "Empty")
}

fn full() -> Outcome {
    raise_bare("queue", "Full")
}

fn shut_down() -> Outcome {
    raise_bare("queue", "ShutDown")
}

/// Whether a call waits, and for how long.
fn limit(call: &Call<'_>, block: Option<Item<'_>>, timeout: Option<Item<'_>>) -> Found<Limit> {
    if !truth(block, true)? {
        return Ok(Limit::Now);
    }
    let Some(timeout) = timeout.filter(|timeout| !timeout.is_none()) else {
        return Ok(Limit::Never);
    };
    let unknown = if timeout.is_plain() { ASK } else { GIVE };
    let timeout = seconds(timeout).ok_or(unknown)?;
    if timeout < 0.0 {
        return Err(raise("ValueError", "'timeout' must be a non-negative number"));
    }
    Ok(Limit::after(timeout, call.now))
}

impl Queue {
    #[doc(alias = "queue.Queue")]
    fn dispatch(&mut self, call: &Call<'_>, answers: &mut Answers) -> Found<Outcome> {
        match call.method {
            "put" => {
                let [item, block, timeout] = take(call, ["item", "block", "timeout"], 1)?;
                let limit = |call: &_| limit(call, block, timeout);
                self.put(call, item.ok_or(ASK)?, limit, answers)
            }
            "get" => {
                let [block, timeout] = take(call, ["block", "timeout"], 0)?;
                self.get(call, |call| limit(call, block, timeout), answers)
            }
            "put_nowait" => {
                let [item] = take(call, ["item"], 1)?;
                self.put(call, item.ok_or(ASK)?, |_| Ok(Limit::Now), answers)
            }
            "get_nowait" => {
                nothing(call)?;
                self.get(call, |_| Ok(Limit::Now), answers)
            }
            "task_done" => {
                nothing(call)?;
                self.task_done(call, answers)
            }
            "qsize" => {
                nothing(call)?;
                Ok(count(self.store.len()))
            }
            "empty" => {
                nothing(call)?;
                Ok(yes(self.store.len() == 0))
            }
            "full" => {
                nothing(call)?;
                Ok(yes(!self.has_room()))
            }
            "join" => {
                nothing(call)?;
                if self.unfinished == 0 {
                    return Ok(DONE);
                }
                self.joiners.push(call.ticket);
                Ok(Outcome::Wait(None))
            }
            "shutdown" => {
                let [immediate] = take(call, ["immediate"], 0)?;
                self.shut(truth(immediate, false)?, answers);
                Ok(DONE)
            }
            _ => Err(ASK),
        }
    }

    fn has_room(&self) -> bool {
        self.maximum == 0 || self.store.len() < self.maximum
    }

    fn put<'a>(
        &mut self,
        call: &Call<'a>,
        item: Item<'a>,
        limit: impl FnOnce(&Call<'a>) -> Found<Limit>,
        answers: &mut Answers,
    ) -> Found<Outcome> {
        if self.open != Open::Yes {
            return Err(shut_down());
        }
        // As in Python: without a maximum nobody looks at the timeout.
        let limit = if self.maximum > 0 { limit(call)? } else { Limit::Never };
        if self.has_room() {
            self.enter(item.payload(), answers)?;
            return Ok(DONE);
        }
        let deadline = limit.deadline().ok_or_else(full)?;
        self.putters.push_back(Putter {
            ticket: call.ticket,
            client: call.client,
            item: item.payload(),
        });
        Ok(Outcome::Wait(deadline))
    }

    fn get<'a>(
        &mut self,
        call: &Call<'a>,
        limit: impl FnOnce(&Call<'a>) -> Found<Limit>,
        answers: &mut Answers,
    ) -> Found<Outcome> {
        if self.open != Open::Yes && self.store.len() == 0 {
            return Err(shut_down());
        }
        let limit = limit(call)?;
        if let Some(item) = self.store.pop()? {
            self.note_taken(call.client, call.connection, &item);
            self.let_putters_in(answers);
            return Ok(Outcome::Return(Value::Payload(item)));
        }
        let deadline = limit.deadline().ok_or_else(empty)?;
        let Call { ticket, client, connection, .. } = *call;
        self.getters.push_back(Getter { ticket, client, connection });
        Ok(Outcome::Wait(deadline))
    }
}

impl Object for Queue {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn call(&mut self, call: &Call<'_>, answers: &mut Answers) -> Outcome {
        either(self.dispatch(call, answers))
    }

    fn expire(&mut self, ticket: Ticket, _answers: &mut Answers) -> Outcome {
        let puts = self.putters.iter().any(|putter| putter.ticket == ticket);
        self.remove(ticket);
        if puts { full() } else { empty() }
    }

    fn forget(&mut self, ticket: Ticket, _answers: &mut Answers) {
        self.remove(ticket);
    }

    fn undelivered(
        &mut self,
        connection: Connection,
        client: Client,
        _method: &str,
        value: Value,
        answers: &mut Answers,
    ) {
        // Only `get` returns something that came pickled.
        if let Value::Payload(item) = value {
            if let Some(taken) = &mut self.taken
                && !taken.forget(client, connection)
            {
                self.unfinished += 1;
            }
            self.restore(vec![item], answers);
        }
    }

    fn client_died(&mut self, client: Client, answers: &mut Answers) {
        self.getters.retain(|getter| getter.client != client);
        self.putters.retain(|putter| putter.client != client);
        let lost = self.taken.as_mut().map(|taken| taken.all_of(client)).unwrap_or_default();
        if !lost.is_empty() {
            self.restore(lost, answers);
        }
    }

    fn is_held_by_clients(&self) -> bool {
        self.taken.is_some()
    }

    fn state(&self) -> State {
        let number = |value| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
        let part = |name: &str, value| (Value::Str(name.to_owned()), value);
        let value = Value::Dict(vec![
            part("items", self.store.all()),
            part("maxsize", number(self.maximum)),
            part("unfinished_tasks", number(self.unfinished)),
            part("is_shutdown", Value::Bool(self.open != Open::Yes)),
        ]);
        State { kind: self.kind, value }
    }

    fn surrender(&mut self) -> (State, Vec<Ticket>) {
        let state = self.state();
        let getters = self.getters.drain(..).map(|getter| getter.ticket);
        let putters = self.putters.drain(..).map(|putter| putter.ticket);
        let waiting = getters.chain(putters).chain(self.joiners.drain(..)).collect();
        (state, waiting)
    }
}
