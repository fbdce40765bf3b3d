//! A trace as it is read.

use std::collections::HashMap;

use crate::ring::{Event, Kind, UNKNOWN};
use crate::store::{Name, Store, What};

/// An event, and in which process it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The process.
    pub pid: u32,
    /// What happened.
    pub event: Event,
}

/// All that was noted.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// By the time at which it began.
    pub events: Vec<Noted>,
    /// How many events were not noted, or had to go for newer ones.
    pub lost: u64,
    names: HashMap<(u32, What, u64), String>,
    /// Which of its kind an object is that has no name of its own.
    numbers: HashMap<(u32, u64), usize>,
}

/// The bit of the numbers of objects that processes share.
pub const SHARED: u64 = 1 << 63;

impl Trace {
    /// What is there now.
    pub fn read(store: &Store) -> Trace {
        let (rings, noted) = store.contents();
        let mut events = Vec::new();
        let mut lost = store.lost();
        for ring in rings {
            let (read, before) = ring.read();
            events.extend(read.into_iter().map(|event| Noted { pid: ring.owner(), event }));
            lost += before;
        }
        events.sort_by_key(|noted| noted.event.begun);
        let mut names = HashMap::new();
        for Name { pid, what, key, text } in noted {
            let is_object = matches!(what, What::Object | What::Given);
            let is_shared = is_object && key & SHARED != 0;
            names.insert((if is_shared { 0 } else { pid }, what, key), text);
        }
        let mut trace = Trace { events, lost, names, numbers: HashMap::new() };
        trace.count();
        trace
    }

    /// Numbers the objects of each kind, in the order in which they were used.
    fn count(&mut self) {
        let mut last: HashMap<&str, usize> = HashMap::new();
        for noted in self.events.iter().filter(|noted| noted.event.object != 0) {
            let (pid, key) = Trace::object_key(noted);
            self.numbers.entry((pid, key)).or_insert_with(|| {
                let kind =
                    self.names.get(&(pid, What::Object, key)).map_or("object", String::as_str);
                let last = last.entry(kind).or_default();
                *last += 1;
                *last
            });
        }
    }

    /// Says what the program calls an object: of that process, or 0 for what processes share.
    pub fn set_given(&mut self, pid: u32, key: u64, name: String) {
        self.names.insert((pid, What::Given, key), name);
    }

    fn name(&self, pid: u32, what: What, key: u64) -> Option<&str> {
        self.names.get(&(pid, what, key)).map(String::as_str)
    }

    /// The text of an event's label: what is called, or the method.
    pub fn text(&self, noted: &Noted) -> &str {
        let label = noted.event.label.0;
        self.name(noted.pid, What::Label, label.into()).unwrap_or("?")
    }

    /// What an event's object is called; nothing if it has none.
    pub fn object(&self, noted: &Noted) -> Option<String> {
        let (pid, key) = Trace::object_key(noted);
        if key == 0 {
            return None;
        }
        if let Some(given) = self.name(pid, What::Given, key) {
            return Some(given.to_owned());
        }
        let kind = self.name(pid, What::Object, key).unwrap_or("object");
        // Of these there is one for each call.
        if kind == "Future" {
            return Some(kind.to_owned());
        }
        Some(format!("{kind} {}", self.numbers.get(&(pid, key)).copied().unwrap_or_default()))
    }

    /// What tells an event's object from all others.
    pub(crate) fn object_key(noted: &Noted) -> (u32, u64) {
        let key = noted.event.object;
        (if key & SHARED != 0 { 0 } else { noted.pid }, key)
    }

    /// How many items a queue had when that happened, if it tells that.
    pub(crate) fn items(&self, noted: &Noted) -> Option<u64> {
        match noted.event.kind {
            Kind::Put | Kind::Get => Some(noted.event.value).filter(|&items| items != UNKNOWN),
            // Who waits for an item does so when there is none.
            Kind::Wait if noted.event.object != 0 && self.text(noted) == "get" => Some(0),
            _ => None,
        }
    }

    /// What a thread is called.
    pub fn thread(&self, pid: u32, thread: u32) -> String {
        let name = self.name(pid, What::Thread, thread.into());
        name.map_or_else(|| format!("thread {thread}"), str::to_owned)
    }

    /// What a process is called.
    pub fn process(&self, pid: u32) -> String {
        let name = self.name(pid, What::Process, pid.into());
        name.map_or_else(|| format!("process {pid}"), |name| format!("{name} ({pid})"))
    }

    /// What an event is to be called where there is room for a few words.
    pub fn title(&self, noted: &Noted) -> String {
        let text = self.text(noted);
        match (noted.event.kind, self.object(noted)) {
            (Kind::Task | Kind::Failed, _) | (_, None) => text.to_owned(),
            (Kind::Hold, Some(object)) => format!("{object} held"),
            (_, Some(object)) => format!("{text} {object}"),
        }
    }
}
