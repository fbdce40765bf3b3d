//! Connections as they come and go: handshake, then requests one after the other.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use bytes::Bytes;
use manyhands_wire::authentication::LONGEST_MESSAGE;
use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::handshake::{Handshake, Step};
use super::state::{State, Timer};
use super::wire::{Read, Wire};

/// How many connections may be in their handshakes; of more than these, the oldest are hung up on.
const MOST_HANDSHAKES: usize = 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) wire: Wire,
    pub(super) stage: Stage,
    /// There may be something to read.
    readable: bool,
    /// The other end will send nothing more.
    ended: bool,
    /// The kernel tells when there is room for what waits to be sent.
    hears_of_room: bool,
}

/// How far a connection is.
#[derive(Debug)]
pub(super) enum Stage {
    Handshake(Handshake),
    /// Its first request comes.
    New,
    /// It belongs to that seat.
    Seated(u64),
    /// What is left to be sent is sent, and then it ends.
    Closing,
}

fn interest(hears_of_room: bool) -> Interest {
    if hears_of_room { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
}

impl Line {
    /// Has the kernel tell of room for more only while something waits for that, where it would tell all the time.
    fn hear_of_room(&mut self, id: u64, registry: &mio::Registry) -> io::Result<()> {
        let wanted = !self.wire.is_flushed() || !self.wire.is_chatty();
        if wanted != self.hears_of_room {
            let number = self.wire.number();
            registry.reregister(&mut SourceFd(&number), Token(id as usize), interest(wanted))?;
            self.hears_of_room = wanted;
        }
        Ok(())
    }

    fn read(&mut self, sleeps: bool) -> io::Result<Read> {
        if sleeps { self.wire.look() } else { self.wire.read() }
    }
}

impl State {
    /// Somebody has connected.
    pub(super) fn connected(&mut self, socket: OwnedFd) {
        let tls = match &self.settings.identity {
            Some(identity) => match identity.begin() {
                Ok(tls) => Some(tls),
                Err(_) => return,
            },
            None => None,
        };
        let wire = Wire::new(socket, self.settings.silence, tls);
        let Ok((challenge, handshake)) = Handshake::begin() else {
            return;
        };
        let id = self.next();
        let hears_of_room = !wire.is_chatty();
        let interest = interest(hears_of_room);
        let number = wire.number();
        // Edge-triggered: what is left unread or unwritten is remembered here.
        if self.registry.register(&mut SourceFd(&number), Token(id as usize), interest).is_err() {
            return;
        }
        let stage = Stage::Handshake(handshake);
        let line = Line { wire, stage, readable: true, ended: false, hears_of_room };
        self.lines.insert(id, line);
        self.handshakes.insert(id);
        if self.handshakes.len() > MOST_HANDSHAKES
            && let Some(oldest) = self.handshakes.pop_first()
        {
            self.drop_line(oldest);
        }
        let until = Instant::now() + self.settings.handshake;
        self.set_timer(until, Timer::Handshake(id));
        self.send(id, &[challenge.into()]);
        self.run_line(id);
    }

    /// Something has happened to a connection, or to a client that is watched.
    pub(super) fn event(&mut self, id: u64, readable: bool, writable: bool, closed: bool) {
        let Some(line) = self.lines.get_mut(&id) else {
            if readable {
                self.watched_died(id);
            }
            return;
        };
        line.readable |= readable | closed;
        if writable && !line.wire.is_flushed() && line.wire.flush().is_err() {
            return self.lost(id);
        }
        if writable && line.wire.is_flushed() && line.hear_of_room(id, &self.registry).is_err() {
            return self.lost(id);
        }
        if writable
            && line.wire.is_flushed()
            && let Stage::Seated(seat) = line.stage
            && let Some(seat) = self.seats.get_mut(&seat)
        {
            seat.is_delivered();
        }
        // Seen also while a call of it waits, so that this is given up.
        while closed && !line.ended {
            match line.wire.read() {
                Ok(Read::More | Read::Short) => {}
                Ok(Read::Nothing) => break,
                Ok(Read::End) | Err(_) => line.ended = true,
            }
        }
        self.run_line(id);
    }

    /// Reads and answers what has come on a connection.
    pub(super) fn run_line(&mut self, id: u64) {
        loop {
            let Some(line) = self.lines.get_mut(&id) else { return };
            let seat = match line.stage {
                Stage::Seated(seat) => self.seats.get(&seat),
                _ => None,
            };
            let is_busy = seat.is_some_and(|seat| seat.is_busy());
            if is_busy && line.ended {
                if seat.is_some_and(|seat| seat.is_asking()) {
                    // What came after that is carried out when it is answered.
                    return;
                }
                if seat.is_some_and(|seat| seat.is_ours()) {
                    // Its client may come back for the answer.
                    return self.lost(id);
                }
                // What came after a call that waits is carried out still.
                let Stage::Seated(seat) = line.stage else { return };
                if self.give_up_call(seat) {
                    continue;
                }
                return;
            }
            if matches!(line.stage, Stage::Closing) {
                if line.wire.is_flushed() {
                    self.lost(id);
                }
                return;
            }
            // Who does not read what he gets is not answered any further.
            if is_busy || !line.wire.is_flushed() {
                return;
            }
            let limit = match line.stage {
                Stage::Handshake(_) => LONGEST_MESSAGE,
                _ => self.settings.longest_message,
            };
            // One of ours does not sleep in recv(2).
            let sleeps = seat.is_some_and(|seat| !seat.is_ours());
            match line.wire.message(limit) {
                Ok(Some(message)) => {
                    self.message(id, message);
                    if self.lines.get_mut(&id).is_some_and(|line| line.wire.settle().is_err()) {
                        return self.lost(id);
                    }
                }
                Ok(None) if line.ended => return self.lost(id),
                Ok(None) if line.readable => match line.read(sleeps) {
                    Ok(Read::More) => {}
                    Ok(Read::Short | Read::Nothing) => line.readable = false,
                    Ok(Read::End) | Err(_) => line.ended = true,
                },
                Ok(None) => return,
                Err(_) => return self.lost(id),
            }
        }
    }

    fn message(&mut self, id: u64, message: Bytes) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        let handshake = match std::mem::replace(&mut line.stage, Stage::New) {
            Stage::Handshake(handshake) => handshake,
            Stage::New => return self.first_request(id, message),
            Stage::Seated(seat) => {
                line.stage = Stage::Seated(seat);
                return self.request(seat, message);
            }
            Stage::Closing => {
                line.stage = Stage::Closing;
                return;
            }
        };
        match handshake.step(&self.settings.key, &message) {
            Step::Send(answer, next) => {
                line.stage = Stage::Handshake(next);
                self.send(id, &[answer.into()]);
            }
            Step::Refuse(answer) => {
                line.stage = Stage::Closing;
                self.send(id, &[answer.into()]);
            }
            Step::HangUp => self.lost(id),
            Step::Done => {
                line.wire.hurry();
                self.handshakes.remove(&id);
            }
        }
    }

    /// Sends a message; whether the connection is still there.
    pub(super) fn send(&mut self, id: u64, parts: &[Bytes]) -> bool {
        let result = match self.lines.get_mut(&id) {
            Some(line) => {
                line.wire.send(parts).and_then(|()| line.hear_of_room(id, &self.registry))
            }
            None => return false,
        };
        if result.is_err() {
            self.lost(id);
        }
        result.is_ok()
    }

    /// A handshake took too long.
    pub(super) fn handshake_expired(&mut self, id: u64) {
        if self.handshakes.contains(&id) {
            self.lost(id);
        }
    }

    /// A connection has ended.
    pub(super) fn lost(&mut self, id: u64) {
        if let Some(Line { stage: Stage::Seated(seat), .. }) = self.drop_line(id) {
            self.left(seat);
        }
    }

    fn drop_line(&mut self, id: u64) -> Option<Line> {
        self.handshakes.remove(&id);
        let mut line = self.lines.remove(&id)?;
        // What is closed with something in it counts as reset at the other end.
        let _: io::Result<()> = line.wire.settle();
        // It is closed next, which takes it out of the poll anyway unless a forked child has it, too.
        let _: io::Result<()> = self.registry.deregister(&mut SourceFd(&line.wire.number()));
        Some(line)
    }
}
