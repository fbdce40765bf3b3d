//! Who waits for which descriptor.

use std::io;
use std::os::fd::RawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::slots::Key;

/// What a descriptor is to be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reading, accepting.
    Read,
    /// Writing, being connected.
    Write,
}

/// How long a descriptor stays registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Until [`forget`](crate::Hub::forget): for who has just been told that the descriptor is not ready, and will say when
    /// it is closed. Costs nothing from the second wait on.
    Kept,
    /// For this wait: says also that it is ready already.
    Passing,
}

/// A descriptor that somebody waits for or has waited for.
#[derive(Debug, Default)]
struct Watched {
    generation: u32,
    /// The system knows of it, unless it was closed behind our back.
    registered: bool,
    kept: bool,
    reads: Option<Key>,
    writes: Option<Key>,
    /// Second ones who wait for the same.
    more: Vec<(Direction, Key)>,
}

/// By descriptor.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    watched: Vec<Watched>,
}

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl Readiness {
    /// Puts somebody into the line of a descriptor. False if it is one that is always ready, such as a file.
    pub(crate) fn arm(
        &mut self,
        registry: &Registry,
        fd: RawFd,
        direction: Direction,
        registration: Registration,
        key: Key,
    ) -> io::Result<bool> {
        let index = usize::try_from(fd).map_err(|_| io::Error::from_raw_os_error(9))?;
        if index >= self.watched.len() {
            self.watched.resize_with(index + 1, Watched::default);
        }
        let Some(watched) = self.watched.get_mut(index) else { return Ok(false) };
        if !(registration == Registration::Kept && watched.kept) {
            if !watched.register(registry, fd)? {
                return Ok(false);
            }
            watched.kept |= registration == Registration::Kept;
        }
        let first = match direction {
            Direction::Read => &mut watched.reads,
            Direction::Write => &mut watched.writes,
        };
        if first.is_none() {
            *first = Some(key);
        } else {
            watched.more.push((direction, key));
        }
        Ok(true)
    }

    /// Takes somebody out of the line of a descriptor.
    pub(crate) fn disarm(&mut self, fd: RawFd, key: Key) {
        if let Some(watched) = usize::try_from(fd).ok().and_then(|fd| self.watched.get_mut(fd)) {
            watched.remove(key);
        }
    }

    /// Calls `wake` with those whom an event is for.
    pub(crate) fn dispatch(&mut self, event: &mio::event::Event, mut wake: impl FnMut(Key)) {
        let Token(token) = event.token();
        let (index, generation) = (token & 0xffff_ffff, (token as u64 >> 32) as u32);
        let Some(watched) = self.watched.get_mut(index) else { return };
        if watched.generation != generation {
            return; // of a descriptor that had this number before
        }
        let failed = event.is_error();
        if event.is_readable() || event.is_read_closed() || failed {
            watched.take(Direction::Read, &mut wake);
        }
        if event.is_writable() || event.is_write_closed() || failed {
            watched.take(Direction::Write, &mut wake);
        }
    }

    /// The descriptor is about to be closed: calls `wake` with those who wait for it.
    pub(crate) fn forget(&mut self, registry: &Registry, fd: RawFd, mut wake: impl FnMut(Key)) {
        let Some(watched) = usize::try_from(fd).ok().and_then(|fd| self.watched.get_mut(fd)) else {
            return;
        };
        if watched.registered {
            // It may be gone already; what counts is that it is.
            let _ = registry.deregister(&mut SourceFd(&fd));
        }
        watched.registered = false;
        watched.kept = false;
        watched.generation = watched.generation.wrapping_add(1);
        watched.take(Direction::Read, &mut wake);
        watched.take(Direction::Write, &mut wake);
    }

    /// Registers all that are waited for anew, with another poller.
    pub(crate) fn move_to(&mut self, registry: &Registry) {
        for (watched, fd) in self.watched.iter_mut().zip(0..) {
            watched.registered = false;
            watched.kept = false;
            if watched.reads.is_some() || watched.writes.is_some() || !watched.more.is_empty() {
                // Who waits for one that is closed meanwhile waits on, as before.
                let _ = watched.register(registry, fd);
            }
        }
    }
}

impl Watched {
    /// False if the system says that it is always ready.
    fn register(&mut self, registry: &Registry, fd: RawFd) -> io::Result<bool> {
        let token = Token((u64::from(self.generation) << 32 | fd as u64) as usize);
        let mut source = SourceFd(&fd);
        let mut result = if self.registered {
            registry.reregister(&mut source, token, BOTH)
        } else {
            registry.register(&mut source, token, BOTH)
        };
        if let Err(error) = &result {
            result = match error.kind() {
                io::ErrorKind::NotFound => registry.register(&mut source, token, BOTH),
                io::ErrorKind::AlreadyExists => registry.reregister(&mut source, token, BOTH),
                io::ErrorKind::PermissionDenied => return Ok(false),
                _ => result,
            };
        }
        result?;
        self.registered = true;
        Ok(true)
    }

    fn take(&mut self, direction: Direction, wake: &mut impl FnMut(Key)) {
        let first = match direction {
            Direction::Read => self.reads.take(),
            Direction::Write => self.writes.take(),
        };
        first.map(&mut *wake);
        if !self.more.is_empty() {
            self.more.retain(|(of, key)| {
                if *of == direction {
                    wake(*key);
                }
                *of != direction
            });
        }
    }

    fn remove(&mut self, key: Key) {
        if self.reads == Some(key) {
            self.reads = None;
        } else if self.writes == Some(key) {
            self.writes = None;
        } else {
            self.more.retain(|(_, other)| *other != key);
        }
    }
}
