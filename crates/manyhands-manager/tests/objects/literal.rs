//! Arguments as they are written in Python, pickled. `?` is something that is not plain.

use manyhands_manager::pickle::{Message, Payload, Writer};

/// The pickle of `(args, kwargs)`.
pub fn arguments(source: &str) -> Message {
    let mut parser = Parser { rest: source.trim() };
    let (mut args, mut kwargs) = (Vec::new(), Vec::new());
    while !parser.rest.is_empty() {
        match parser.name() {
            Some(name) => kwargs.push((name, parser.value())),
            None => args.push(parser.value()),
        }
        parser.skip(",");
    }
    let mut writer = Writer::new();
    writer.tuple(|writer| {
        writer.tuple(|writer| args.iter().for_each(|arg| writer.payload(arg)));
        writer.dict(|writer| {
            for (name, value) in &kwargs {
                writer.str(name);
                writer.payload(value);
            }
        });
    });
    Message::scan(writer.finish().concat().into()).unwrap()
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn skip(&mut self, what: &str) -> bool {
        let found = self.rest.strip_prefix(what);
        self.rest = found.unwrap_or(self.rest).trim_start();
        found.is_some()
    }

    /// `name=`
    fn name(&mut self) -> Option<&'a str> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return None;
        }
        self.rest = rest.strip_prefix('=')?;
        Some(name)
    }

    fn until(&mut self, end: &str) -> Vec<Payload> {
        let mut members = Vec::new();
        while !self.skip(end) {
            members.push(self.value());
            if !self.skip(",") {
                self.skip(":");
            }
        }
        members
    }

    fn value(&mut self) -> Payload {
        if self.skip("None") {
            return Payload::none();
        }
        if self.skip("True") {
            return Payload::bool(true);
        }
        if self.skip("False") {
            return Payload::bool(false);
        }
        let mut writer = Writer::new();
        if self.skip("?") {
            writer.global("somewhere", "Something");
            writer.tuple(|_| ());
            writer.reduce();
        } else if self.skip("frozenset(") {
            writer.global("builtins", "frozenset");
            let members = self.until(")");
            writer.tuple(|writer| writer.list(|writer| all(writer, &members)));
            writer.reduce();
        } else if self.skip("slice(") {
            writer.global("builtins", "slice");
            let members = self.until(")");
            writer.tuple(|writer| all(writer, &members));
            writer.reduce();
        } else if self.skip("(") {
            let members = self.until(")");
            writer.tuple(|writer| all(writer, &members));
        } else if self.skip("[") {
            let members = self.until("]");
            writer.list(|writer| all(writer, &members));
        } else if self.skip("{") {
            let dict = !self.rest.split('}').next().unwrap().contains('|');
            self.skip("|");
            let members = self.until("}");
            if dict {
                writer.dict(|writer| all(writer, &members));
            } else {
                writer.set(|writer| all(writer, &members));
            }
        } else if let Some(rest) = self.rest.strip_prefix('\'') {
            let (text, rest) = rest.split_once('\'').unwrap();
            self.rest = rest.trim_start();
            writer.str(text);
        } else {
            let end = self.rest.find([',', ')', ']', '}', ':']).unwrap_or(self.rest.len());
            let (number, rest) = self.rest.split_at(end);
            self.rest = rest;
            match number.trim().parse() {
                Ok(value) => writer.int(value),
                Err(_) => writer.float(number.trim().parse().unwrap()),
            }
        }
        writer.finish_payload()
    }
}

fn all(writer: &mut Writer, members: &[Payload]) {
    members.iter().for_each(|member| writer.payload(member));
}
