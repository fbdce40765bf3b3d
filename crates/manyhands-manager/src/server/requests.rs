//! Requests: what is called with what, and what becomes of it.

use std::time::Instant;

use bytes::Bytes;

use super::line::Stage;
use super::replies;
use super::state::{Entry, Parked, State, Timer};
use crate::objects::{Answers, Call, Connection, Outcome, Ticket};
use crate::pickle::{Item, Malformed, Message};

/// Methods of dicts that only clients of ours know, for whom may set items.
const OWN_METHODS: [&str; 4] = ["increment", "#PEEK", "#SWAP", "#KEEP"];

/// A request, cut into its parts: `(ident, method, args, kwds)` and perhaps a number.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) ident: Option<&'a str>,
    pub(super) method: &'a str,
    pub(super) args: Vec<Item<'a>>,
    pub(super) kwargs: Vec<(&'a str, Item<'a>)>,
    pub(super) number: Option<i64>,
}

impl<'a> Request<'a> {
    fn of(message: &'a Message) -> Option<Request<'a>> {
        let members = message.root().tuple()?;
        let (&[ident, method, args, kwargs], number) = members.split_first_chunk::<4>()?;
        let number = match number {
            [] => None,
            [number] => Some(number.int()?),
            _ => return None,
        };
        Some(Request {
            ident: if ident.is_none() { None } else { Some(ident.str()?) },
            method: method.str()?,
            args: args.tuple()?,
            kwargs: keywords(kwargs)?,
            number,
        })
    }

    /// The argument of that name, if it is a number.
    pub(super) fn number(&self, wanted: &str) -> Option<i64> {
        self.kwargs.iter().find(|(name, _)| *name == wanted).and_then(|(_, value)| value.int())
    }

    /// Whether the argument of that name is true.
    pub(super) fn is_set(&self, wanted: &str) -> bool {
        let found = self.kwargs.iter().find(|(name, _)| *name == wanted);
        found.and_then(|(_, value)| value.bool()).unwrap_or(false)
    }

    /// The argument of that name, if it is a string.
    pub(super) fn named(&self, wanted: &str) -> Option<&'a str> {
        self.kwargs.iter().find(|(name, _)| *name == wanted).and_then(|(_, value)| value.str())
    }
}

/// Arguments by name.
pub(super) fn keywords<'a>(kwargs: Item<'a>) -> Option<Vec<(&'a str, Item<'a>)>> {
    kwargs.dict()?.into_iter().map(|(name, value)| Some((name.str()?, value))).collect()
}

fn unreadable(error: Option<Malformed>) -> Vec<Bytes> {
    let why = error.map_or_else(String::new, |error| format!(": {error}"));
    replies::traceback(&format!("the server cannot read the request{why}"))
}

impl State {
    /// The first request of a connection: it takes a seat, or wants just one thing.
    pub(super) fn first_request(&mut self, line: u64, bytes: Bytes) {
        let message = Message::scan(bytes.clone());
        let request = message.as_ref().ok().and_then(Request::of);
        let Some(request) = request else {
            if let Some(known) = self.lines.get_mut(&line) {
                known.stage = Stage::Closing;
            }
            self.send(line, &unreadable(message.err()));
            return;
        };
        if request.method == "accept_connection" {
            return self.accept_connection(line, &request);
        }
        let seat = self.seat(line, true, None);
        self.management(seat, &request, bytes);
    }

    /// A request of who has a seat.
    pub(super) fn request(&mut self, seat: u64, bytes: Bytes) {
        let message = Message::scan(bytes.clone());
        let request = message.as_ref().ok().and_then(Request::of);
        let Some(request) = request else {
            return self.answer(seat, unreadable(message.err()), None);
        };
        if !self.begins(seat, request.number) {
            return;
        }
        let is_kept = message.as_ref().is_ok_and(|message| self.keep_proxied(message));
        match request.ident {
            None => self.management(seat, &request, bytes),
            Some(ident) => {
                // What Python keeps alive has to be known to Python.
                if !is_kept && let Some(entry) = self.objects.get_mut(ident) {
                    entry.is_leaving = true;
                }
                self.call(seat, ident, &request, bytes);
            }
        }
    }

    /// Keeps the objects to which a message refers, which may be stored and taken out at any time; whether all of them
    /// are kept here.
    pub(super) fn keep_proxied(&mut self, message: &Message) -> bool {
        let mut all = true;
        for ident in message.proxies() {
            all &= self.pin(ident);
        }
        all
    }

    /// Calls a method of an object.
    fn call(&mut self, id: u64, ident: &str, request: &Request<'_>, bytes: Bytes) {
        let ticket = Ticket(self.next());
        let Some(seat) = self.seats.get(&id) else { return };
        let client = seat.client;
        let is_ours = seat.is_ours();
        let reads = &seat.reads;
        let entry = match self.objects.get_mut(ident) {
            Some(entry) if !entry.is_leaving => entry,
            // The interpreter's, or nobody's.
            Some(_) => return self.ask_interpreter(id, bytes),
            None => {
                return match self.answer_now(ident, request, &bytes) {
                    Some(answer) => self.answer(id, answer, None),
                    None => self.ask_interpreter(id, bytes),
                };
            }
        };
        let method = request.method;
        let is_fallback = match method {
            _ if entry.exposed.contains(method) => false,
            "#GETVALUE" | "__repr__" | "__str__" => true,
            _ if is_ours
                && OWN_METHODS.contains(&method)
                && entry.exposed.contains("__setitem__") =>
            {
                false
            }
            _ => {
                let text = not_exposed(method, entry);
                return self.answer(id, replies::traceback(&text), None);
            }
        };
        if is_fallback && method != "#GETVALUE" {
            return self.ask_interpreter(id, bytes);
        }
        if entry.object.is_held_by_clients() {
            self.holdings.entry(client).or_default().insert(ident.into());
        }
        let call = Call {
            method,
            args: &request.args,
            kwargs: &request.kwargs,
            connection: Connection(id),
            client,
            ticket,
            now: Instant::now(),
            reads,
        };
        let mut answers = Answers::default();
        let outcome = entry.object.call(&call, &mut answers);
        self.settle(id, (ident, method), ticket, outcome, bytes);
        self.hand_out(answers);
    }

    /// The interpreter's answer, if it can give it at once.
    fn answer_now(&self, ident: &str, request: &Request<'_>, bytes: &Bytes) -> Option<Vec<Bytes>> {
        let interpreter = self.interpreter.as_ref()?;
        let is_plain =
            request.kwargs.is_empty() && request.args.iter().all(|argument| argument.is_plain());
        if !is_plain {
            return None;
        }
        interpreter.answer_now(ident, request.method, &request.args, bytes)
    }

    /// Carries out what a call came to.
    pub(super) fn settle(
        &mut self,
        seat: u64,
        (ident, method): (&str, &str),
        ticket: Ticket,
        outcome: Outcome,
        request: Bytes,
    ) {
        match outcome {
            Outcome::Return(value) => {
                let message = replies::returned(&value);
                self.answer(seat, message, Some((ident, method, value)));
            }
            Outcome::Noted(value, note) => {
                let is_ours = self.seats.get(&seat).is_some_and(|seat| seat.is_ours());
                let message = if is_ours {
                    replies::returned_with(&value, &note)
                } else {
                    replies::returned(&value)
                };
                self.answer(seat, message, Some((ident, method, value)));
            }
            Outcome::Raise(mut raised) => {
                // Pythons before 3.13 have it only there.
                if raised.name == "ShutDown"
                    && self.seats.get(&seat).is_some_and(|seat| seat.is_ours())
                {
                    raised.module = "manyhands.queue";
                }
                self.answer(seat, replies::raised(&raised), None);
            }
            Outcome::Made(object) => {
                let (made, names) = self.keep("Iterator", object);
                self.counts(seat, &made, 1);
                self.answer(seat, replies::proxy(&names, "Iterator", &made), None);
            }
            Outcome::Wait(deadline) => {
                let Some(known) = self.seats.get_mut(&seat) else { return };
                known.waits(ticket);
                self.parked.insert(
                    ticket.0,
                    Parked { seat, ident: ident.into(), method: method.into(), request },
                );
                if let Some(deadline) = deadline {
                    self.set_timer(deadline, Timer::Call(ticket.0));
                }
            }
            Outcome::Foreign { changes } => {
                if changes && let Some(entry) = self.objects.get_mut(ident) {
                    entry.is_leaving = true;
                }
                self.ask_interpreter(seat, request);
            }
        }
    }
}

fn not_exposed(method: &str, entry: &Entry) -> String {
    format!(
        "AttributeError: method {method:?} of {:?} object is not in exposed={:?}",
        entry.object.kind(),
        entry.names
    )
}
