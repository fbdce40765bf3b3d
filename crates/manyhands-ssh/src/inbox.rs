//! What has arrived on a channel, and who waits for it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use manyhands_sync::{Exclusion, Gate, Limit, Locked, Protected, Waitable, Waits, Wakes, block};
use manyhands_watch::Kind;
use rustix::event::EventfdFlags;

use crate::runtime::wake_soon;
use crate::spool::Spool;
use crate::{Cause, ExitSignal};

/// How many unread bytes of each of the two outputs of a channel are kept in memory.
const MEMORY: usize = 8 << 20;

/// Number of the lines below.
const LINES: usize = 5;

/// Which line to wait in, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Output,
    Errors,
    Exit,
    Replies,
    Window,
}

/// One of the two outputs of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output, or what a forwarded connection sends.
    Standard,
    /// Standard error.
    Error,
}

impl Output {
    fn line(self) -> Line {
        match self {
            Output::Standard => Line::Output,
            Output::Error => Line::Errors,
        }
    }
}

/// How the command of a channel ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With that status.
    Status(u32),
    /// By a signal.
    Signal(ExitSignal),
    /// The channel was closed without a word about it.
    Unknown,
}

pub(crate) struct State {
    standard: Spool,
    errors: Spool,
    /// What comes on standard error is to go to standard output.
    combined: bool,
    /// No more output will come.
    ended: bool,
    closed: bool,
    exit: Option<Exit>,
    /// The answers to requests, by the numbers of these.
    replies: BTreeMap<u64, bool>,
    replied: u64,
    /// How often the server has allowed more to be sent.
    pub(crate) allowances: u64,
    /// Why nothing more will come, if it is not that the channel was closed.
    failure: Option<Cause>,
    readiness: Option<OwnedFd>,
    /// What `readiness` says.
    is_ready: bool,
    /// The connection that runs on this channel, if one does.
    guest: Option<Waker>,
    waits: Waits<LINES>,
}

impl Waitable<LINES> for State {
    fn kind(&self) -> Kind {
        Kind::Queue
    }

    fn waits(&mut self) -> &mut Waits<LINES> {
        &mut self.waits
    }
}

impl State {
    fn spool(&mut self, output: Output) -> &mut Spool {
        match output {
            Output::Standard => &mut self.standard,
            Output::Error => &mut self.errors,
        }
    }

    fn taken(&mut self, output: Output, room: &mut [u8]) -> Option<Result<usize, Cause>> {
        let spool = self.spool(output);
        if !spool.is_empty() {
            return Some(spool.take(room).map_err(|error| Cause::Spool(error.to_string())));
        }
        match &self.failure {
            Some(failure) if self.ended => Some(Err(failure.clone())),
            _ => (self.ended || room.is_empty()).then_some(Ok(0)),
        }
    }

    fn wake_all(&mut self, wakes: &mut Wakes) {
        for line in 0..LINES {
            self.waits.wake_all(line, wakes);
        }
    }

    /// Makes the descriptor of readiness say what is so.
    fn show(&mut self) {
        let Some(descriptor) = &self.readiness else { return };
        let ready = self.ended || !self.standard.is_empty() || !self.errors.is_empty();
        if ready == self.is_ready {
            return;
        }
        self.is_ready = ready;
        let mut counter = [0; 8];
        // A counter that goes from 0 to 1 and back never makes either wait, so these do not fail.
        let _ = if ready {
            rustix::io::write(descriptor, &1_u64.to_ne_bytes())
        } else {
            rustix::io::read(descriptor, &mut counter)
        };
    }
}

/// The state of a channel as the connection's thread and callers see it.
pub(crate) struct Inbox {
    cell: <Locked as Exclusion>::Cell<State>,
}

impl Inbox {
    pub(crate) fn new() -> Arc<Inbox> {
        Arc::new(Inbox {
            cell: Protected::new(State {
                standard: Spool::new(MEMORY),
                errors: Spool::new(MEMORY),
                combined: false,
                ended: false,
                closed: false,
                exit: None,
                replies: BTreeMap::new(),
                replied: 0,
                allowances: 0,
                failure: None,
                readiness: None,
                is_ready: false,
                guest: None,
                waits: Waits::default(),
            }),
        })
    }

    /// Changes the state, and wakes who is to be woken.
    fn change<R>(&self, body: impl FnOnce(&mut State, &mut Wakes) -> R) -> R {
        self.change_and(Wakes::send, body)
    }

    /// Changes the state, and hands those over who are to be woken.
    fn change_and<R>(
        &self,
        wake: impl FnOnce(Wakes),
        body: impl FnOnce(&mut State, &mut Wakes) -> R,
    ) -> R {
        let mut wakes = Wakes::default();
        let (result, guest) = self.cell.with(|state| {
            let result = body(state, &mut wakes);
            state.show();
            (result, state.guest.take())
        });
        wake(wakes);
        if let Some(guest) = guest {
            guest.wake();
        }
        result
    }

    fn look<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        self.cell.with(body)
    }

    fn wait<G: Gate, R>(
        &self,
        line: Line,
        operation: &'static str,
        gate: &G,
        limit: Limit,
        mut attempt: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<Option<R>, G::Error> {
        let line = line as usize;
        block(&self.cell, line, operation, gate, limit, |state: &mut State, wakes| {
            let result = attempt(state)?;
            state.show();
            // Whoever is next may find something, too.
            state.waits.wake_one(line, wakes);
            Some(result)
        })
    }

    // What the connection's thread calls.

    /// Keeps output. When that is not possible the channel has failed: what is there can be read, then the error comes.
    pub(crate) fn push(&self, output: Output, bytes: &[u8]) {
        let wake = |wakes| wake_soon(wakes, bytes.len());
        self.change_and(wake, |state, wakes| {
            let output = if state.combined { Output::Standard } else { output };
            if state.ended {
                return;
            }
            if let Err(error) = state.spool(output).push(bytes) {
                state.failure.get_or_insert(Cause::Spool(error.to_string()));
                state.ended = true;
                state.wake_all(wakes);
                return;
            }
            state.waits.wake_one(output.line() as usize, wakes);
        });
    }

    pub(crate) fn end(&self) {
        self.change(|state, wakes| {
            state.ended = true;
            state.waits.wake_all(Line::Output as usize, wakes);
            state.waits.wake_all(Line::Errors as usize, wakes);
        });
    }

    pub(crate) fn set_exit(&self, exit: Exit) {
        self.change(|state, wakes| {
            state.exit = Some(exit);
            state.waits.wake_all(Line::Exit as usize, wakes);
        });
    }

    pub(crate) fn reply(&self, accepted: bool) {
        self.change(|state, wakes| {
            let number = state.replied;
            state.replied += 1;
            state.replies.insert(number, accepted);
            state.waits.wake_all(Line::Replies as usize, wakes);
        });
    }

    pub(crate) fn allow(&self) {
        self.change(|state, wakes| {
            state.allowances += 1;
            state.waits.wake_all(Line::Window as usize, wakes);
        });
    }

    /// Nothing more comes, with the connection's failure if there was one.
    pub(crate) fn close(&self, failure: Option<&Cause>) {
        self.change(|state, wakes| {
            if state.closed {
                return;
            }
            state.closed = true;
            state.ended = true;
            if state.failure.is_none() {
                state.failure = failure.cloned();
            }
            state.wake_all(wakes);
        });
    }

    // What callers call.

    /// Takes output into `room`; 0 bytes at its end. `None` when the limit was reached.
    pub(crate) fn take<G: Gate>(
        &self,
        output: Output,
        room: &mut [u8],
        gate: &G,
        limit: Limit,
    ) -> Result<Option<Result<usize, Cause>>, G::Error> {
        self.wait(output.line(), "recv", gate, limit, |state| state.taken(output, room))
    }

    /// As [`take`](Self::take), for the connection that runs on this channel.
    pub(crate) fn poll_take(
        &self,
        output: Output,
        room: &mut [u8],
        context: &Context<'_>,
    ) -> Poll<Result<usize, Cause>> {
        self.poll(context, |state| state.taken(output, room))
    }

    /// Ready when the channel is closed.
    pub(crate) fn poll_closed(&self, context: &Context<'_>) -> Poll<()> {
        self.poll(context, |state| state.closed.then_some(()))
    }

    fn poll<R>(
        &self,
        context: &Context<'_>,
        attempt: impl FnOnce(&mut State) -> Option<R>,
    ) -> Poll<R> {
        self.look(|state| match attempt(state) {
            Some(result) => {
                state.show();
                Poll::Ready(result)
            }
            None => {
                state.guest = Some(context.waker().clone());
                Poll::Pending
            }
        })
    }

    pub(crate) fn exit<G: Gate>(
        &self,
        gate: &G,
        limit: Limit,
    ) -> Result<Option<Result<Exit, Cause>>, G::Error> {
        self.wait(Line::Exit, "exit_status", gate, limit, |state| {
            match (&state.exit, &state.failure) {
                (Some(exit), _) => Some(Ok(exit.clone())),
                (None, Some(failure)) if state.closed => Some(Err(failure.clone())),
                (None, _) => state.closed.then_some(Ok(Exit::Unknown)),
            }
        })
    }

    /// Waits for the answer to the request of that number; `None` inside if the channel was closed before it came.
    pub(crate) fn answer<G: Gate>(
        &self,
        number: u64,
        gate: &G,
        limit: Limit,
    ) -> Result<Option<Option<bool>>, G::Error> {
        self.wait(Line::Replies, "request", gate, limit, |state| {
            match state.replies.remove(&number) {
                Some(accepted) => Some(Some(accepted)),
                None => state.closed.then_some(None),
            }
        })
    }

    /// Waits until the server has allowed more to be sent than `seen` times; false inside if the channel was closed.
    pub(crate) fn allowance<G: Gate>(
        &self,
        seen: u64,
        gate: &G,
        limit: Limit,
    ) -> Result<Option<bool>, G::Error> {
        self.wait(Line::Window, "send", gate, limit, |state| {
            if state.closed {
                return Some(false);
            }
            (state.allowances != seen).then_some(true)
        })
    }

    pub(crate) fn allowances(&self) -> u64 {
        self.look(|state| state.allowances)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.look(|state| state.closed)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.look(|state| state.ended)
    }

    pub(crate) fn failure(&self) -> Option<Cause> {
        self.look(|state| state.failure.clone())
    }

    pub(crate) fn is_exit_known(&self) -> bool {
        self.look(|state| state.exit.is_some() || state.closed)
    }

    pub(crate) fn unread(&self, output: Output) -> u64 {
        self.look(|state| state.spool(output).len())
    }

    /// Sends standard error to standard output from now on, or no longer; returns what it was. What is unread there moves.
    pub(crate) fn combine(&self, combined: bool) -> io::Result<bool> {
        self.change(|state, wakes| {
            let before = std::mem::replace(&mut state.combined, combined);
            let mut piece = vec![0; if combined { 64 << 10 } else { 0 }];
            loop {
                let count = state.errors.take(&mut piece)?;
                if count == 0 {
                    state.waits.wake_one(Line::Output as usize, wakes);
                    return Ok(before);
                }
                state.standard.push(piece.get(..count).unwrap_or_default())?;
            }
        })
    }

    /// A descriptor that is readable while there is something to read, or nothing more will come. It is for waiting only,
    /// and stays open as long as this exists.
    pub(crate) fn readiness(&self) -> io::Result<RawFd> {
        self.change(|state, _| {
            let descriptor = match &mut state.readiness {
                Some(descriptor) => descriptor,
                none => {
                    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
                    none.insert(rustix::event::eventfd(0, flags)?)
                }
            };
            Ok(descriptor.as_raw_fd())
        })
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Inbox").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}
