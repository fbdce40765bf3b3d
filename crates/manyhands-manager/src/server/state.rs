//! What the server knows, and what it does when time passes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};
use std::time::Instant;

use bytes::Bytes;

use super::line::Line;
use super::numbers::Numbered;
use super::seats::{Seat, Watched};
use super::{FIRST, Interpreter, Settings, Type};
use crate::objects::{self, Client, Connection, Object};

/// Something that happens at a time, unless it has become needless until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A connection has had time enough to prove itself.
    Handshake(u64),
    /// The deadline of a parked call.
    Call(u64),
    /// A client has had time enough to come back to its seat.
    Seat(u64),
    /// There may be descriptors again.
    Accept,
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) seat: u64,
    pub(super) ident: Box<str>,
    pub(super) method: Box<str>,
    /// The whole request, for an interpreter to which the object may be given.
    pub(super) request: Bytes,
}

/// An object, and who may do what with it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) object: Box<dyn Object>,
    /// How many references clients have.
    pub(super) references: u64,
    pub(super) exposed: std::sync::Arc<HashSet<String>>,
    /// The names in `exposed`, in the order in which they were given.
    pub(super) names: std::sync::Arc<[String]>,
    /// A stored value contains a proxy of it, which may be taken out and used at any time.
    pub(super) is_pinned: bool,
    /// The interpreter is about to take it over; all calls go there.
    pub(super) is_leaving: bool,
}

/// A type, with its methods as they are needed here.
#[derive(Clone, Debug)]
pub(super) struct KnownType {
    pub(super) kind: String,
    pub(super) exposed: std::sync::Arc<HashSet<String>>,
    pub(super) names: std::sync::Arc<[String]>,
}

impl From<Type> for KnownType {
    fn from(Type { kind, exposed }: Type) -> KnownType {
        let names = exposed.clone().into();
        KnownType { kind, exposed: std::sync::Arc::new(exposed.into_iter().collect()), names }
    }
}

/// For whom a server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Starter {
    /// For itself.
    Nobody,
    /// For a process that is watched under that number.
    Lives(u64),
    /// For one that has ended, and for who is still connected.
    Gone,
}

/// All that a server knows.
///
/// Connections (lines), seats, watched clients and tickets are numbered by one counter, so none is ever taken for another.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) types: HashMap<String, KnownType>,
    pub(super) interpreter: Option<Box<dyn Interpreter>>,
    pub(super) registry: mio::Registry,
    pub(super) lines: Numbered<Line>,
    /// The connections that are in their handshakes, the oldest first.
    pub(super) handshakes: BTreeSet<u64>,
    pub(super) seats: Numbered<Seat>,
    /// The seats of clients of ours, by the name of their session.
    pub(super) sessions: HashMap<String, u64>,
    pub(super) objects: HashMap<Box<str>, Entry>,
    /// The objects that everybody gets who asks for that name.
    pub(super) shared: HashMap<String, Box<str>>,
    pub(super) parked: Numbered<Parked>,
    /// The clients whose end the kernel tells.
    pub(super) watched: Numbered<Watched>,
    /// The objects in which a client may hold something.
    pub(super) holdings: HashMap<Client, HashSet<Box<str>>>,
    /// The references of processes of this machine, to be taken back when they end without doing so.
    pub(super) references: HashMap<Client, HashMap<Box<str>, i64>>,
    /// Connections with which to go on: a call of theirs that waited was answered.
    pub(super) ready: Vec<u64>,
    pub(super) starter: Starter,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    stopped: bool,
    last: u64,
}

impl State {
    pub(super) fn new(
        settings: Settings,
        types: HashMap<String, Type>,
        interpreter: Option<Box<dyn Interpreter>>,
        registry: mio::Registry,
    ) -> State {
        let types = types.into_iter().map(|(name, kind)| (name, kind.into())).collect();
        State {
            settings,
            types,
            interpreter,
            registry,
            lines: Numbered::default(),
            handshakes: BTreeSet::new(),
            seats: Numbered::default(),
            sessions: HashMap::new(),
            objects: HashMap::new(),
            shared: HashMap::new(),
            parked: Numbered::default(),
            watched: Numbered::default(),
            holdings: HashMap::new(),
            references: HashMap::new(),
            ready: Vec::new(),
            starter: Starter::Nobody,
            timers: BinaryHeap::new(),
            stopped: false,
            last: FIRST,
        }
    }

    /// A number that nothing else has.
    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn set_timer(&mut self, at: Instant, timer: Timer) {
        self.timers.push(Reverse((at, timer)));
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn accept_later(&mut self, at: Instant) {
        self.set_timer(at, Timer::Accept);
    }

    /// Does what is due; whether connections are to be accepted again.
    pub(super) fn pass_time(&mut self, now: Instant) -> bool {
        let mut accept = false;
        while let Some(Reverse((at, timer))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            match timer {
                Timer::Handshake(line) => self.handshake_expired(line),
                Timer::Call(ticket) => self.call_expired(ticket),
                Timer::Seat(seat) => self.seat_expired(seat, now),
                Timer::Accept => accept = true,
            }
        }
        accept
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Goes on with the connections whose calls were answered meanwhile.
    pub(super) fn go_on(&mut self) {
        while let Some(line) = self.ready.pop() {
            self.run_line(line);
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether there is nothing to do any more.
    pub(super) fn is_over(&self) -> bool {
        let is_forsaken =
            self.starter == Starter::Gone && self.lines.is_empty() && self.seats.is_empty();
        self.stopped || is_forsaken
    }

    /// Hangs up on everybody, and forgets everything.
    pub(super) fn close(&mut self) {
        self.lines.clear();
        self.seats.clear();
        self.parked.clear();
        self.objects.clear();
        self.watched.clear();
    }

    /// None for one that is to be surrendered: it is the interpreter's already.
    pub(super) fn object_state(&self, ident: &str) -> Option<objects::State> {
        let entry = self.objects.get(ident).filter(|entry| !entry.is_leaving)?;
        Some(entry.object.state())
    }

    pub(super) fn pin(&mut self, ident: &str) -> bool {
        let Some(entry) = self.objects.get_mut(ident) else { return false };
        entry.is_pinned = true;
        true
    }

    pub(super) fn is_brief(&self, connection: Connection) -> bool {
        self.seats.get(&connection.0).is_some_and(|seat| seat.is_brief())
    }

    pub(super) fn surrender(&mut self, ident: &str) -> Option<(objects::State, Vec<String>, u64)> {
        let mut entry = self.objects.remove(ident)?;
        let (state, waiting) = entry.object.surrender();
        for ticket in waiting {
            if let Some(Parked { seat, request, .. }) = self.parked.remove(&ticket.0) {
                self.ask_interpreter(seat, request);
            }
        }
        Some((state, entry.names.to_vec(), entry.references))
    }

    pub(super) fn exposed(&self, ident: &str) -> Option<Vec<String>> {
        self.objects.get(ident).map(|entry| entry.names.to_vec())
    }

    pub(super) fn number_of_objects(&self) -> usize {
        self.objects.values().filter(|entry| entry.references > 0).count()
    }

    pub(super) fn referred(&self) -> Vec<(String, u64)> {
        self.objects
            .iter()
            .filter(|(_, entry)| entry.references > 0)
            .map(|(ident, entry)| (ident.to_string(), entry.references))
            .collect()
    }

    pub(super) fn increase(&mut self, ident: &str) -> bool {
        let Some(entry) = self.objects.get_mut(ident) else { return false };
        entry.references += 1;
        true
    }

    pub(super) fn decrease(&mut self, ident: &str) -> bool {
        let Some(entry) = self.objects.get_mut(ident) else { return false };
        entry.references = entry.references.saturating_sub(1);
        if entry.references == 0 && !entry.is_pinned {
            self.objects.remove(ident);
        }
        true
    }

    /// Leaves a request to the interpreter.
    pub(super) fn ask_interpreter(&mut self, seat: u64, request: Bytes) {
        let Some(interpreter) = &self.interpreter else {
            let text =
                "this server has no Python interpreter, and can do only what it knows of itself";
            return self.answer(seat, super::replies::traceback(text), None);
        };
        if let Some(known) = self.seats.get_mut(&seat) {
            known.asks();
            interpreter.request(Connection(seat), request);
        }
    }
}
