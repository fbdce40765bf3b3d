//! One command, shell, subsystem or forwarded connection.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use manyhands_sync::{Gate, Limit};

use crate::inbox::{Exit, Output};
use crate::pen::Pen;
use crate::{Cause, ChannelWire, Error, Request, Step, Stop, Wire};

/// A channel of a connection. Dropping it closes it.
///
/// Any number of threads may use it at the same time. What the server sends is kept until it is read, in memory or,
/// if that is much, in a temporary file; so no read of one output, or of the exit status, depends on another.
///
/// # Fork safety
/// Of no use in a forked child, where all calls fail and say so.
pub struct Channel {
    pen: Arc<Pen>,
}

/// By what signal a command was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitSignal {
    /// Its name without `SIG`.
    pub name: String,
    /// Whether there is a core file.
    pub core_dumped: bool,
    /// The server's words.
    pub message: String,
}

/// Why the server has opened a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A connection came to a port that the server forwards.
    Forwarded {
        /// The address that was connected to.
        address: String,
        /// Its port.
        port: u32,
        /// Where the connection came from.
        originator: String,
        /// The port there.
        originator_port: u32,
    },
    /// A command asks for the agent of this side.
    Agent,
    /// A command asks for the display of this side.
    X11 {
        /// Where the connection came from.
        originator: String,
        /// The port there.
        originator_port: u32,
    },
}

/// A channel that waits to be accepted.
pub(crate) struct Incoming {
    pub(crate) pen: Pen,
    pub(crate) origin: Origin,
}

impl Channel {
    pub(crate) fn new(pen: Pen) -> Channel {
        Channel { pen: Arc::new(pen) }
    }

    pub(crate) fn pen(&self) -> &Arc<Pen> {
        &self.pen
    }

    /// The channel's number on this side.
    #[doc(alias = "paramiko.Channel.get_id")]
    pub fn id(&self) -> u32 {
        self.pen.id.into()
    }

    fn error(&self, step: Step, cause: Cause) -> Error {
        self.pen.shared.error(step, cause)
    }

    /// Makes a request, and waits until the server has accepted it, if the protocol has an answer for that.
    ///
    /// # Errors
    /// The server does not accept it, the channel or connection is closed, or the limit is reached: then the server may
    /// still do what was asked.
    pub fn request<G: Gate>(
        &self,
        request: Request,
        gate: &G,
        limit: Limit,
    ) -> Result<(), Stop<G::Error>> {
        let answered = request.is_answered();
        self.pen.request(request, answered, gate, limit)
    }

    /// Makes a request without asking whether the server accepts it.
    ///
    /// # Errors
    /// The channel or connection is closed, or the limit is reached.
    pub fn request_unanswered<G: Gate>(
        &self,
        request: Request,
        gate: &G,
        limit: Limit,
    ) -> Result<(), Stop<G::Error>> {
        self.pen.request(request, false, gate, limit)
    }

    /// Takes output that has come into `room`, waiting for some if there is none; 0 means that no more will come.
    ///
    /// # Errors
    /// The connection has ended before the output did, or the limit is reached. What had come before is read first.
    #[doc(alias = "paramiko.Channel.recv")]
    pub fn recv<G: Gate>(
        &self,
        output: Output,
        room: &mut [u8],
        gate: &G,
        limit: Limit,
    ) -> Result<usize, Stop<G::Error>> {
        self.pen.check(Step::Receive)?;
        self.pen
            .inbox
            .take(output, room, gate, limit)
            .map_err(Stop::Interrupted)?
            .ok_or_else(|| self.error(Step::Receive, Cause::TimedOut))?
            .map_err(|cause| self.error(Step::Receive, cause).into())
    }

    /// Takes all output until its end.
    ///
    /// # Errors
    /// As [`recv`](Self::recv); what was taken before that is lost.
    pub fn recv_all<G: Gate>(
        &self,
        output: Output,
        gate: &G,
        limit: Limit,
    ) -> Result<Vec<u8>, Stop<G::Error>> {
        let mut all = Vec::new();
        let mut room = vec![0; 64 << 10];
        loop {
            let count = self.recv(output, &mut room, gate, limit)?;
            if count == 0 {
                return Ok(all);
            }
            all.extend_from_slice(room.get(..count).unwrap_or_default());
        }
    }

    /// How many bytes of an output can be read at once.
    #[doc(alias = "paramiko.Channel.recv_ready")]
    pub fn unread(&self, output: Output) -> u64 {
        if self.pen.check(Step::Receive).is_err() {
            return 0;
        }
        self.pen.inbox.unread(output)
    }

    /// Sends what the server has room for, at least one byte, waiting for that; returns how much.
    ///
    /// # Errors
    /// The channel or connection is closed, an end of file was sent, or the limit is reached before anything was sent.
    #[doc(alias = "paramiko.Channel.send")]
    pub fn send<G: Gate>(
        &self,
        bytes: &[u8],
        gate: &G,
        limit: Limit,
    ) -> Result<usize, Stop<G::Error>> {
        self.pen.send(None, bytes, gate, limit)
    }

    /// Whether [`send`](Self::send) would send something at once.
    #[doc(alias = "paramiko.Channel.send_ready")]
    pub fn is_writable(&self) -> bool {
        self.pen.is_writable()
    }

    /// As [`send`](Self::send), as standard error: for channels on which this side is the one that outputs.
    ///
    /// # Errors
    /// As of `send`.
    #[doc(alias = "paramiko.Channel.send_stderr")]
    pub fn send_error<G: Gate>(
        &self,
        bytes: &[u8],
        gate: &G,
        limit: Limit,
    ) -> Result<usize, Stop<G::Error>> {
        self.pen.send(Some(1), bytes, gate, limit)
    }

    /// Sends all.
    ///
    /// # Errors
    /// As of [`send`](Self::send); some of it may have been sent.
    #[doc(alias = "paramiko.Channel.sendall")]
    pub fn send_all<G: Gate>(
        &self,
        mut bytes: &[u8],
        gate: &G,
        limit: Limit,
    ) -> Result<(), Stop<G::Error>> {
        while !bytes.is_empty() {
            let count = self.send(bytes, gate, limit)?;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Tells the server that nothing more will be sent.
    ///
    /// # Errors
    /// The connection is closed, or the limit is reached.
    #[doc(alias = "paramiko.Channel.shutdown_write")]
    pub fn send_eof<G: Gate>(&self, gate: &G, limit: Limit) -> Result<(), Stop<G::Error>> {
        self.pen.end(gate, limit)
    }

    /// Waits until the command has ended, whether or not its output was read.
    ///
    /// # Errors
    /// The connection has ended before, or the limit is reached.
    #[doc(alias = "paramiko.Channel.recv_exit_status")]
    pub fn exit<G: Gate>(&self, gate: &G, limit: Limit) -> Result<Exit, Stop<G::Error>> {
        self.pen.check(Step::Receive)?;
        self.pen
            .inbox
            .exit(gate, limit)
            .map_err(Stop::Interrupted)?
            .ok_or_else(|| self.error(Step::Receive, Cause::TimedOut))?
            .map_err(|cause| self.error(Step::Receive, cause).into())
    }

    /// Whether [`exit`](Self::exit) would not wait.
    #[doc(alias = "paramiko.Channel.exit_status_ready")]
    pub fn is_exit_known(&self) -> bool {
        self.pen.check(Step::Receive).is_err() || self.pen.inbox.is_exit_known()
    }

    /// Has what comes on standard error go to standard output, or no longer; returns how it was. What is
    /// unread there goes along.
    ///
    /// # Errors
    /// A temporary file cannot be written or read.
    #[doc(alias = "paramiko.Channel.set_combine_stderr")]
    pub fn combine_outputs(&self, combined: bool) -> Result<bool, Error> {
        self.pen.check(Step::Receive)?;
        self.pen.inbox.combine(combined).map_err(|error| self.error(Step::Receive, error.into()))
    }

    /// A descriptor that is readable while there is something to read or no more output will come, for `select` and
    /// its kin. It is not to be read, and closed when the channel is dropped.
    ///
    /// # Errors
    /// The system has none to give.
    #[doc(alias = "paramiko.Channel.fileno")]
    pub fn readiness(&self) -> io::Result<RawFd> {
        self.pen.check(Step::Receive).map_err(io::Error::other)?;
        self.pen.inbox.readiness()
    }

    /// Whether no more output will come.
    pub fn is_ended(&self) -> bool {
        self.pen.check(Step::Receive).is_err() || self.pen.inbox.is_ended()
    }

    /// Whether it is closed, by either side.
    pub fn is_closed(&self) -> bool {
        self.pen.check(Step::Receive).is_err() || self.pen.inbox.is_closed()
    }

    /// The channel as what another connection can run on ([`Session::start`](crate::Session::start)), which has its output from
    /// then on. It is
    /// closed with that.
    pub fn as_wire(&self) -> Wire {
        Wire::Channel(ChannelWire::new(self))
    }

    /// Closes the channel without waiting. What has come can still be read; what is sent before goes first.
    #[doc(alias = "paramiko.Channel.close")]
    pub fn close(&self) {
        self.pen.close();
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Channel")
            .field("id", &self.id())
            .field("host", &self.pen.shared.host)
            .finish_non_exhaustive()
    }
}
