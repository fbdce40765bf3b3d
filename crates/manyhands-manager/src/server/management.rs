//! What is asked of the server itself: to seat somebody, to make objects, to count references.

use std::fmt::Write;

use bytes::Bytes;

use super::replies;
use super::requests::{Request, keywords};
use super::state::{Entry, KnownType, State};
use super::{NotShared, Type};
use crate::objects::{self, Object, Outcome, Raised, Value};
use crate::pickle::{Message, Writer};

/// Which version of our own protocol is spoken with clients of ours.
const VERSION: i64 = 1;

/// What an iterator offers if nothing else was said.
const ITERATOR: [&str; 4] = ["__next__", "send", "throw", "close"];

impl State {
    /// Somebody takes a seat.
    ///
    /// A client of ours gives its name by keyword, and is answered with a dict: `manyhands` is the version of our
    /// protocol, `session` the name by which it may come back, `number` that of the last request that came. One that
    /// comes back says its `session`, and which request it is `waiting` for the answer to. If that came (its number is
    /// not above `number`), it need not be sent again: the answer follows. Or it says nothing of that, and sends the
    /// request again with its number; or that it has `given_up` what it asked last.
    pub(super) fn accept_connection(&mut self, line: u64, request: &Request<'_>) {
        if request.named("name").is_none() {
            let seat = self.seat(line, false, None);
            return self.answer(seat, replies::returned(&Value::None), None);
        }
        let before = request.named("session");
        let name = match before {
            Some(session) if self.return_to(session, line) => {
                if request.is_set("given_up") {
                    self.gives_up(session);
                }
                session.to_owned()
            }
            _ => {
                let Some(name) = new_name() else { return self.lost(line) };
                self.seat(line, false, Some(name.clone()));
                name
            }
        };
        let number = self.last_number(&name);
        let mut writer = Writer::new();
        writer.tuple(|writer| {
            writer.str("#RETURN");
            writer.dict(|writer| {
                writer.str("manyhands");
                writer.int(VERSION);
                writer.str("session");
                writer.str(&name);
                writer.str("number");
                writer.int(number);
            });
        });
        if self.send(line, &writer.finish())
            && let Some(waiting) = request.number("waiting")
        {
            self.answer_again(&name, waiting);
        }
    }

    /// A request to the server itself.
    pub(super) fn management(&mut self, seat: u64, request: &Request<'_>, bytes: Bytes) {
        let ident = match request.args.as_slice() {
            [ident] => ident.str(),
            _ => None,
        };
        let is_done = match (request.method, ident) {
            ("dummy", _) => true,
            ("incref", Some(ident)) => self.increase(ident) && self.counts(seat, ident, 1),
            ("decref" | "#decref", Some(ident)) => {
                self.decrease(ident) && self.counts(seat, ident, -1)
            }
            ("create", _) => return self.create(seat, request, bytes),
            _ => false,
        };
        match is_done {
            false => self.ask_interpreter(seat, bytes),
            true if request.method == "#decref" => self.no_answer(seat),
            true => self.answer(seat, replies::returned(&Value::None), None),
        }
    }

    fn create(&mut self, seat: u64, request: &Request<'_>, bytes: Bytes) {
        let Some((typeid, args)) = request.args.split_first() else {
            return self.ask_interpreter(seat, bytes);
        };
        if let Some(shared) = typeid.str().and_then(|typeid| self.shared.get(typeid))
            && let Some(entry) = self.objects.get_mut(shared)
            && args.is_empty()
            && request.kwargs.is_empty()
        {
            entry.references += 1;
            let shared = shared.clone();
            let names = entry.names.iter().cloned().map(Value::Str).collect();
            let value = Value::Tuple(vec![Value::Str(shared.to_string()), Value::Tuple(names)]);
            self.counts(seat, &shared, 1);
            return self.answer(seat, replies::returned(&value), None);
        }
        let is_kept = self.keep_proxied(typeid.message());
        let made = typeid.str().filter(|_| is_kept).and_then(|typeid| {
            let known = self.types.get(typeid)?;
            Some((typeid, objects::make(&known.kind, args, &request.kwargs)))
        });
        match made {
            Some((typeid, Ok(object))) => {
                let (ident, names) = self.keep(typeid, object);
                self.counts(seat, &ident, 1);
                let names = names.iter().cloned().map(Value::Str).collect();
                let value = Value::Tuple(vec![Value::Str(ident), Value::Tuple(names)]);
                self.answer(seat, replies::returned(&value), None);
            }
            // An interpreter has the words for what is wrong with the arguments.
            Some((typeid, Err(Outcome::Raise(raised)))) if self.interpreter.is_none() => {
                let text = format!("cannot make a {typeid}{}", described(&raised));
                self.answer(seat, replies::traceback(&text), None);
            }
            None if self.interpreter.is_none() && is_kept => {
                let text = match typeid.str() {
                    Some(name) => {
                        format!("KeyError: there is nothing here by the name of {name:?}")
                    }
                    None => "TypeError: the name of what is asked for is no string".to_owned(),
                };
                self.answer(seat, replies::traceback(&text), None);
            }
            _ => self.ask_interpreter(seat, bytes),
        }
    }

    /// Makes an object that everybody gets who asks for that name.
    pub(super) fn share(
        &mut self,
        name: &str,
        kind: Type,
        arguments: Bytes,
    ) -> Result<(), NotShared> {
        let message = Message::scan(arguments).map_err(|_| NotShared::Arguments)?;
        let parts = message.root().tuple().ok_or(NotShared::Arguments)?;
        let [args, kwargs] = parts.as_slice() else { return Err(NotShared::Arguments) };
        let args = args.tuple().ok_or(NotShared::Arguments)?;
        let kwargs = keywords(*kwargs).ok_or(NotShared::Arguments)?;
        let object = objects::make(&kind.kind, &args, &kwargs).map_err(|outcome| {
            let why = match outcome {
                Outcome::Raise(raised) => described(&raised),
                _ => String::new(),
            };
            NotShared::Refused { kind: kind.kind.clone(), why }
        })?;
        self.types.insert(name.to_owned(), KnownType::from(kind));
        let (ident, _) = self.keep(name, object);
        self.pin(&ident);
        self.decrease(&ident);
        self.shared.insert(name.to_owned(), ident.into());
        Ok(())
    }

    /// Keeps a new object, with one reference; its identity and its methods.
    pub(super) fn keep(
        &mut self,
        typeid: &str,
        object: Box<dyn Object>,
    ) -> (String, std::sync::Arc<[String]>) {
        let (exposed, names) = match self.types.get(typeid) {
            Some(known) => (known.exposed.clone(), known.names.clone()),
            None => {
                let names = ITERATOR.map(str::to_owned);
                (std::sync::Arc::new(names.iter().cloned().collect()), names.into())
            }
        };
        // Those of an interpreter's objects are hexadecimal numbers.
        let ident = format!("m{}", self.next());
        self.objects.insert(
            ident.as_str().into(),
            Entry {
                object,
                references: 1,
                exposed,
                names: names.clone(),
                is_pinned: false,
                is_leaving: false,
            },
        );
        (ident, names)
    }
}

/// An exception in words, to be put after others.
fn described(raised: &Raised) -> String {
    let mut text = format!(": {}", raised.name);
    for argument in &raised.args {
        // Writing to a string does not fail.
        let _ = match argument {
            Value::Str(words) => write!(text, ": {words}"),
            other => write!(text, ": {other:?}"),
        };
    }
    text
}

/// A name that nobody else knows, by which a client comes back to its seat.
fn new_name() -> Option<String> {
    let random =
        manyhands_wire::authentication::challenge(manyhands_wire::authentication::Digest::Sha256)
            .ok()?;
    Some(random.iter().rev().take(16).map(|byte| format!("{byte:02x}")).collect())
}
