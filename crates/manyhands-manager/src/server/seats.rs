//! Who is connected: a seat is one thread of a client, and outlives its connection if the client may come back.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use bytes::Bytes;
use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::line::Stage;
use super::state::{Parked, Starter, State, Timer};
use crate::objects::{Answers, Client, Connection, Outcome, Reads, Ticket, Value};

/// What a seat is doing.
#[derive(Debug, PartialEq, Eq)]
enum Work {
    Nothing,
    /// Its call waits.
    Waiting(u64),
    /// The interpreter has its request.
    Asking,
}

/// What makes it possible to come back after a broken connection.
#[derive(Debug)]
struct Session {
    name: String,
    /// The number of the request that came last.
    number: i64,
    /// The answer to it.
    answer: Option<Vec<Bytes>>,
    /// The connection over which that went.
    answered_on: Option<u64>,
}

/// What a call took out of an object.
#[derive(Debug)]
struct Taken {
    ident: Box<str>,
    method: Box<str>,
    value: Value,
}

/// One thread of a client.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) client: Client,
    /// Its connection; None while a client of ours is away.
    line: Option<u64>,
    work: Work,
    session: Option<Session>,
    /// Ends with the answer to its one request.
    is_brief: bool,
    /// The interpreter has been asked something for it.
    has_asked: bool,
    /// What an answer took out of an object, while that answer is not with the kernel.
    undelivered: Option<Taken>,
    /// How many answers of the interpreter are still to come to what its client has given up.
    unwanted: usize,
    /// While it is away: when it counts as dead.
    dead_at: Option<Instant>,
    pub(super) reads: Reads,
}

/// A client process of this machine, whose end the kernel tells.
#[derive(Debug)]
pub(super) struct Watched {
    pid: i32,
    process: OwnedFd,
}

impl Seat {
    pub(super) fn is_busy(&self) -> bool {
        self.work != Work::Nothing
    }

    /// Whether it is one of ours, which understands more than CPython's.
    pub(super) fn is_ours(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn is_brief(&self) -> bool {
        self.is_brief
    }

    pub(super) fn is_asking(&self) -> bool {
        self.work == Work::Asking
    }

    pub(super) fn asks(&mut self) {
        self.work = Work::Asking;
        self.has_asked = true;
    }

    /// The whole answer is with the kernel.
    pub(super) fn is_delivered(&mut self) {
        self.undelivered = None;
    }

    pub(super) fn waits(&mut self, ticket: Ticket) {
        self.work = Work::Waiting(ticket.0);
    }
}

impl State {
    /// A seat for that connection.
    pub(super) fn seat(&mut self, line: u64, is_brief: bool, session: Option<String>) -> u64 {
        let id = self.next();
        let client = if is_brief { Client(id) } else { self.client_of(line).unwrap_or(Client(id)) };
        let session = session.map(|name| {
            self.sessions.insert(name.clone(), id);
            Session { name, number: 0, answer: None, answered_on: None }
        });
        let seat = Seat {
            client,
            line: Some(line),
            work: Work::Nothing,
            session,
            is_brief,
            has_asked: false,
            undelivered: None,
            unwanted: 0,
            dead_at: None,
            reads: Reads::default(),
        };
        self.seats.insert(id, seat);
        if let Some(line) = self.lines.get_mut(&line) {
            line.stage = Stage::Seated(id);
        }
        id
    }

    /// A client of ours comes back on another connection; whether its seat is still there.
    pub(super) fn return_to(&mut self, session: &str, line: u64) -> bool {
        let Some(&id) = self.sessions.get(session) else { return false };
        let Some(seat) = self.seats.get_mut(&id) else { return false };
        let before = seat.line.replace(line);
        seat.dead_at = None;
        // The other end knows better than we do that the connection before is of no use.
        if let Some(before) = before.and_then(|before| self.lines.get_mut(&before)) {
            before.stage = Stage::Closing;
        }
        self.ready.extend(before);
        if let Some(line) = self.lines.get_mut(&line) {
            line.stage = Stage::Seated(id);
        }
        true
    }

    /// The number of the last request of a session, 0 if there was none.
    pub(super) fn last_number(&self, session: &str) -> i64 {
        let seat = self.sessions.get(session).and_then(|id| self.seats.get(id));
        seat.and_then(|seat| seat.session.as_ref()).map_or(0, |session| session.number)
    }

    /// Answers a request again that came with that number before the connection broke, if it was answered.
    pub(super) fn answer_again(&mut self, session: &str, number: i64) {
        let Some(seat) = self.sessions.get(session).and_then(|id| self.seats.get_mut(id)) else {
            return;
        };
        let Some(session) = &mut seat.session else { return };
        if session.number == number
            && let (Some(answer), Some(line)) = (session.answer.clone(), seat.line)
        {
            session.answered_on = Some(line);
            seat.undelivered = None;
            self.send(line, &answer);
        }
    }

    /// The process at the other end, if it is on this machine and the kernel says which it is.
    fn client_of(&mut self, line: u64) -> Option<Client> {
        let line = self.lines.get(&line)?;
        let pid = rustix::net::sockopt::socket_peercred(line.wire.owner()).ok()?.pid;
        let raw = pid.as_raw_nonzero().get();
        let known = self.watched.iter().find(|(_, watched)| watched.pid == raw);
        if let Some((&id, _)) = known {
            return Some(Client(id));
        }
        self.watch(raw).map(Client)
    }

    /// Has the kernel tell when a process ends.
    fn watch(&mut self, pid: i32) -> Option<u64> {
        let process = manyhands_sys::process::open(u32::try_from(pid).ok()?).ok()?;
        let id = self.next();
        let number = process.as_raw_fd();
        self.registry
            .register(&mut SourceFd(&number), Token(id as usize), Interest::READABLE)
            .ok()?;
        self.watched.insert(id, Watched { pid, process });
        Some(id)
    }

    /// When that process is gone, and nobody is connected any more, there is nothing left to serve for.
    pub(super) fn end_with(&mut self, pid: i32) {
        self.starter = match self.watch(pid) {
            Some(id) => Starter::Lives(id),
            None => Starter::Gone,
        };
    }

    /// A client has ended.
    pub(super) fn watched_died(&mut self, id: u64) {
        let Some(watched) = self.watched.remove(&id) else { return };
        if self.starter == Starter::Lives(id) {
            self.starter = Starter::Gone;
        }
        let _ = self.registry.deregister(&mut SourceFd(&watched.process.as_raw_fd()));
        let seats: Vec<u64> = self
            .seats
            .iter()
            .filter(|(_, seat)| seat.client == Client(id))
            .map(|(&seat, _)| seat)
            .collect();
        for seat in seats {
            // What it has sent before it died is carried out still.
            match self.seats.get(&seat).and_then(|seat| seat.line) {
                Some(line) => self.event(line, true, false, true),
                None => self.remove_seat(seat),
            }
        }
        self.pass_on(Client(id));
        self.forget_references(Client(id));
    }

    /// What only a dead client referred to is forgotten; not before all is carried out that it sent, in which it may
    /// have let go of something.
    fn forget_references(&mut self, client: Client) {
        if self.seats.values().any(|seat| seat.client == client) {
            return;
        }
        for (ident, count) in self.references.remove(&client).unwrap_or_default() {
            for _ in 0..count {
                self.decrease(&ident);
            }
        }
    }

    /// Notes that a client has so many references more, if that client is a process of which will be known when it
    /// ends, and says all of its references itself: one of ours. Always true.
    pub(super) fn counts(&mut self, seat: u64, ident: &str, more: i64) -> bool {
        if let Some(known) = self.seats.get(&seat)
            && known.is_ours()
            && known.client != Client(seat)
        {
            let counts = self.references.entry(known.client).or_default();
            let count = counts.entry(ident.into()).or_default();
            *count += more;
            if *count == 0 {
                counts.remove(ident);
            }
        }
        true
    }

    /// What a dead client held passes on; what never reached it was not held.
    fn pass_on(&mut self, client: Client) {
        let of_client = |(_, seat): &(&u64, &mut Seat)| seat.client == client;
        let undelivered: Vec<(u64, Taken)> = self
            .seats
            .iter_mut()
            .filter(of_client)
            .filter_map(|(&id, seat)| Some((id, seat.undelivered.take()?)))
            .collect();
        for (id, taken) in undelivered {
            self.put_back(Connection(id), client, taken);
        }
        for ident in self.holdings.remove(&client).unwrap_or_default() {
            let mut answers = Answers::default();
            if let Some(entry) = self.objects.get_mut(&ident) {
                entry.object.client_died(client, &mut answers);
            }
            self.hand_out(answers);
        }
    }

    /// Notes the number of a request that has come; whether it is to be carried out, and not one that has come before.
    pub(super) fn begins(&mut self, id: u64, number: Option<i64>) -> bool {
        let Some(seat) = self.seats.get_mut(&id) else { return false };
        // Who asks has got the answer before, or asks for it again.
        seat.undelivered = None;
        let (Some(session), Some(number)) = (&mut seat.session, number) else { return true };
        if number > session.number {
            session.number = number;
            session.answer = None;
            return true;
        }
        if session.answered_on != seat.line
            && let Some(name) = (session.number == number).then(|| session.name.clone())
        {
            self.answer_again(&name, number);
        }
        false
    }

    /// A client has come back, but not for the answer to what it asked last.
    pub(super) fn gives_up(&mut self, session: &str) {
        let Some(&id) = self.sessions.get(session) else { return };
        if self.give_up_call(id) {
            return;
        }
        let Some(seat) = self.seats.get_mut(&id) else { return };
        if seat.is_asking() {
            seat.work = Work::Nothing;
            seat.unwanted += 1;
        }
    }

    /// Answers a seat's request. `taken` is which object's which method returned what.
    pub(super) fn answer(
        &mut self,
        id: u64,
        message: Vec<Bytes>,
        taken: Option<(&str, &str, Value)>,
    ) {
        let Some(seat) = self.seats.get_mut(&id) else { return };
        seat.work = Work::Nothing;
        let line = seat.line;
        let is_brief = seat.is_brief;
        let client = seat.client;
        let is_sent = line.is_some_and(|line| self.send(line, &message));
        let is_flushed = is_sent
            && line
                .and_then(|line| self.lines.get(&line))
                .is_some_and(|line| line.wire.is_flushed());
        let taken = taken.filter(|_| !is_flushed).map(|(ident, method, value)| Taken {
            ident: ident.into(),
            method: method.into(),
            value,
        });
        // Sending may have shown that the other end is gone, and the seat with it.
        match self.seats.get_mut(&id) {
            Some(seat) => {
                if let Some(session) = &mut seat.session {
                    session.answer = Some(message);
                    session.answered_on = line.filter(|_| is_sent);
                }
                seat.undelivered = taken;
            }
            None => {
                if let Some(taken) = taken {
                    self.put_back(Connection(id), client, taken);
                }
            }
        }
        if is_brief && let Some(line) = line {
            if let Some(line) = self.lines.get_mut(&line) {
                line.stage = Stage::Closing;
            }
            self.remove_seat(id);
            self.ready.push(line);
        }
    }

    /// Notes that no answer is expected.
    pub(super) fn no_answer(&mut self, id: u64) {
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.work = Work::Nothing;
        }
    }

    /// The interpreter has answered.
    pub(super) fn replied(&mut self, connection: Connection, message: Option<Vec<Bytes>>) {
        let id = connection.0;
        if let Some(seat) = self.seats.get_mut(&id)
            && seat.unwanted > 0
        {
            // Its client has given that up.
            seat.unwanted -= 1;
            return;
        }
        let line = self.seats.get(&id).and_then(|seat| seat.line);
        match message {
            Some(message) => self.answer(id, message, None),
            None => self.no_answer(id),
        }
        self.ready.extend(line);
    }

    /// Calls that waited are answered.
    pub(super) fn hand_out(&mut self, answers: Answers) {
        for (ticket, outcome) in answers.0 {
            let Some(parked) = self.parked.remove(&ticket.0) else { continue };
            let Parked { seat, ident, method, request } = parked;
            let line = self.seats.get(&seat).and_then(|seat| seat.line);
            self.settle(seat, (&ident, &method), ticket, outcome, request);
            self.ready.extend(line);
        }
    }

    /// The deadline of a call has passed.
    pub(super) fn call_expired(&mut self, ticket: u64) {
        let Some(ident) = self.parked.get(&ticket).map(|parked| parked.ident.clone()) else {
            return;
        };
        let mut answers = Answers::default();
        let Some(entry) = self.objects.get_mut(&ident) else { return };
        let outcome = entry.object.expire(Ticket(ticket), &mut answers);
        if !matches!(outcome, Outcome::Wait(_)) {
            answers.0.insert(0, (Ticket(ticket), outcome));
        }
        self.hand_out(answers);
    }

    /// Nobody waits for the answer to a seat's call any more; false if that cannot be given up.
    pub(super) fn give_up_call(&mut self, id: u64) -> bool {
        let Some(seat) = self.seats.get_mut(&id) else { return false };
        let Work::Waiting(ticket) = seat.work else { return false };
        seat.work = Work::Nothing;
        self.forget_call(ticket);
        true
    }

    fn forget_call(&mut self, ticket: u64) {
        let Some(parked) = self.parked.remove(&ticket) else { return };
        let mut answers = Answers::default();
        if let Some(entry) = self.objects.get_mut(&parked.ident) {
            entry.object.forget(Ticket(ticket), &mut answers);
        }
        self.hand_out(answers);
    }

    /// A seat's connection is gone.
    pub(super) fn left(&mut self, id: u64) {
        let Some(seat) = self.seats.get_mut(&id) else { return };
        seat.line = None;
        // A client of this machine that died is known to have; one elsewhere may come back.
        let is_dead = seat.client != Client(id) && !self.watched.contains_key(&seat.client.0);
        if seat.session.is_none() || is_dead {
            return self.remove_seat(id);
        }
        let until = Instant::now() + self.settings.resume;
        seat.dead_at = Some(until);
        self.set_timer(until, Timer::Seat(id));
    }

    /// A client has had time enough to come back.
    pub(super) fn seat_expired(&mut self, id: u64, now: Instant) {
        if self.seats.get(&id).is_some_and(|seat| seat.dead_at.is_some_and(|at| at <= now)) {
            self.remove_seat(id);
        }
    }

    fn remove_seat(&mut self, id: u64) {
        let Some(seat) = self.seats.remove(&id) else { return };
        if let Some(session) = &seat.session {
            self.sessions.remove(&session.name);
        }
        if seat.has_asked
            && let Some(interpreter) = &self.interpreter
        {
            interpreter.gone(Connection(id));
        }
        if let Work::Waiting(ticket) = seat.work {
            self.forget_call(ticket);
        }
        if let Some(taken) = seat.undelivered {
            self.put_back(Connection(id), seat.client, taken);
        }
        if seat.is_brief {
            return;
        }
        // A process whose end the kernel tells may have no seat for a while.
        if !self.watched.contains_key(&seat.client.0) {
            self.pass_on(seat.client);
            self.forget_references(seat.client);
        }
    }

    fn put_back(&mut self, connection: Connection, client: Client, taken: Taken) {
        let Taken { ident, method, value } = taken;
        let mut answers = Answers::default();
        if let Some(entry) = self.objects.get_mut(&ident) {
            entry.object.undelivered(connection, client, &method, value, &mut answers);
        }
        self.hand_out(answers);
    }
}
