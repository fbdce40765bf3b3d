//! Keeps objects and serves those who connect.
//!
//! One thread ([`Server::run`]) waits for all connections. What it knows is a `State` under one lock, which is
//! never held while anybody waits for a client; so other threads, such as those in which an interpreter answers what
//! only it can, take it for the moment in which they hand in an answer. The server's thread may ask the interpreter for
//! what that can answer at once ([`Interpreter::answer_now`]) while it has the lock.

mod bound;
mod handshake;
mod line;
mod management;
mod numbers;
mod replies;
mod requests;
mod seats;
mod state;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
mod wait;
mod wire;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use manyhands_sys::process;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::objects::{self, Connection};
use crate::pickle::Item;
use state::State;
use wait::Wait;

pub use replies::value as write_value;
pub use tls::{BadIdentity, Identity};

/// What a server is to be like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who connects must know this key.
    pub key: Vec<u8>,
    /// The longest request that is accepted, in bytes; who sends a longer one is hung up on.
    pub longest_message: u64,
    /// How long somebody may take to prove that he knows the key.
    pub handshake: Duration,
    /// How long a client of ours whose connection broke may take to come back before it counts as dead.
    pub resume: Duration,
    /// How long another machine may not be heard of, though it is asked, before a connection with it counts as broken.
    pub silence: Duration,
    /// What the server shows to who connects by TLS, without which nobody gets on then; None for plain connections.
    pub identity: Option<Identity>,
}

impl Settings {
    /// With that key, and everything else as usual.
    pub fn new(key: &[u8]) -> Settings {
        Settings {
            key: key.to_vec(),
            longest_message: 1 << 40,
            handshake: Duration::from_secs(10),
            resume: Duration::from_secs(5),
            silence: Duration::from_secs(60),
            identity: None,
        }
    }
}

/// A name by which clients have objects made.
#[derive(Clone, Debug)]
pub struct Type {
    /// The kind of the objects (see [`objects::make`]).
    pub kind: String,
    /// The methods that may be called.
    pub exposed: Vec<String>,
}

/// Answers what only an interpreter can. Its methods are called under the server's lock: they must not call the server,
/// nor wait for anybody who does.
pub trait Interpreter: Send + Sync + std::fmt::Debug {
    /// A request, a whole pickle, of that connection, which [`Server::reply`] answers. There is no other one of the same
    /// connection before that, unless its client has given it up; all are to be answered, in the order in which they came.
    fn request(&self, connection: Connection, request: Bytes);

    /// The answer to a call of an object that is not kept here, if it can be had at once: the arguments are plain, and
    /// there are none by name.
    fn answer_now(
        &self,
        ident: &str,
        method: &str,
        args: &[Item<'_>],
        request: &Bytes,
    ) -> Option<Vec<Bytes>> {
        let _ = (ident, method, args, request);
        None
    }

    /// That connection is gone; a request of it that is not answered needs no answer.
    fn gone(&self, connection: Connection);
}

/// Why there is no object to be shared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotShared {
    /// The arguments are no pickle of a tuple and a dict.
    #[error("the arguments are no tuple and dict of plain types")]
    Arguments,
    /// No object of that kind can be made of these.
    #[error("no {kind} can be made of these arguments{why}")]
    Refused {
        /// The kind.
        kind: String,
        /// What is wrong with them, as far as it is known.
        why: String,
    },
}

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
/// The first number for anything else.
const FIRST: u64 = 2;

/// How long to wait before the next connection is accepted if there is no descriptor left for one.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// Keeps objects for clients that connect to it.
#[derive(Debug)]
pub struct Server {
    state: Mutex<State>,
    waker: Waker,
    poll: Mutex<Option<Poll>>,
    listener: OwnedFd,
    /// Where it listens, if it was [bound](Server::bind) there; a socket in the file system goes with it.
    place: Option<manyhands_wire::Listener>,
}

impl Server {
    /// A server for the connections to a listening socket. `types` are the names that it serves by itself; everything else
    /// is left to `interpreter`, if there is one.
    ///
    /// # Errors
    /// Those of epoll_create(2) and the like.
    pub fn new(
        listener: OwnedFd,
        settings: Settings,
        types: HashMap<String, Type>,
        interpreter: Option<Box<dyn Interpreter>>,
    ) -> io::Result<Server> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        rustix::io::ioctl_fionbio(&listener, true)?;
        poll.registry().register(
            &mut SourceFd(&listener.as_raw_fd()),
            LISTENER,
            Interest::READABLE,
        )?;
        let state = State::new(settings, types, interpreter, poll.registry().try_clone()?);
        Ok(Server {
            state: Mutex::new(state),
            waker,
            poll: Mutex::new(Some(poll)),
            listener,
            place: None,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in there unwinds half-way except by a defect, after which it is no worse than a server that is gone.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a thread of its own serve until [`stop`](Self::stop) is called.
    ///
    /// # Errors
    /// The limit of threads.
    pub fn start(server: &Arc<Server>) -> io::Result<JoinHandle<()>> {
        Server::start_within(server, |serve| serve())
    }

    /// As [`start`](Self::start), with what `around` does before and after it calls what serves.
    ///
    /// # Errors
    /// The limit of threads.
    pub fn start_within(
        server: &Arc<Server>,
        around: impl FnOnce(&(dyn Fn() + Sync)) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let server = Arc::clone(server);
        // Signals are for the program's threads.
        let blocked = process::set_blocked_signals(u64::MAX);
        let thread = std::thread::Builder::new().name("manyhands-serve".to_owned());
        let spawned = thread.spawn(move || {
            around(&|| {
                if let Err(error) = server.run() {
                    // There is nobody else to be told, and clients see that they are hung up on.
                    eprintln!("manyhands: a manager's server ends: {error}");
                    server.state().close();
                }
            });
        });
        process::set_blocked_signals(blocked);
        spawned
    }

    /// Serves until [`stop`](Self::stop) is called.
    ///
    /// # Errors
    /// Those of epoll_wait(2); if it has run already.
    pub fn run(&self) -> io::Result<()> {
        let taken = self.poll.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut poll = taken.ok_or_else(|| io::Error::other("the server has run already"))?;
        let mut events = Events::with_capacity(256);
        let mut wait = Wait::new();
        loop {
            let timeout = {
                let mut state = self.state();
                state.go_on();
                if state.is_over() {
                    state.close();
                    return Ok(());
                }
                state.next_timer().map(|at| at.saturating_duration_since(Instant::now()))
            };
            match wait.wait(&mut poll, &mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            let mut state = self.state();
            for event in &events {
                wait.note(event.token());
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept(&mut state),
                    Token(number) => state.event(
                        number as u64,
                        event.is_readable() || event.is_error(),
                        event.is_writable(),
                        event.is_read_closed() || event.is_error(),
                    ),
                }
            }
            if state.pass_time(Instant::now()) {
                self.accept(&mut state);
            }
        }
    }

    fn accept(&self, state: &mut State) {
        use rustix::io::Errno;
        use rustix::net::{SocketFlags, accept_with};
        loop {
            match accept_with(&self.listener, SocketFlags::CLOEXEC) {
                Ok(socket) => state.connected(socket),
                Err(Errno::AGAIN) => return,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    state.accept_later(Instant::now() + NO_DESCRIPTOR);
                    return;
                }
                // Of a connection that ended before it was accepted.
                Err(_) => {}
            }
        }
    }

    /// Has [`run`](Self::run) return when that process has ended and nobody is connected any more.
    pub fn end_with(&self, pid: i32) {
        self.state().end_with(pid);
        self.wake();
    }

    /// Has [`run`](Self::run) return. What is connected is hung up on.
    pub fn stop(&self) {
        self.state().stop();
        self.wake();
    }

    fn wake(&self) {
        // Fails only when the poll is gone, and then there is nobody to be woken.
        let _ = self.waker.wake();
    }

    /// Answers a request that the interpreter was given; None if no answer is expected.
    pub fn reply(&self, connection: Connection, message: Option<Vec<Bytes>>) {
        let mut state = self.state();
        state.replied(connection, message);
        if state.has_ready() {
            drop(state);
            self.wake();
        }
    }

    /// Has whoever asks for an object of that name get the same one, which is made now. `arguments` are the pickle of
    /// what its constructor is called with: a tuple and a dict.
    ///
    /// # Errors
    /// If there is no such kind, or it cannot be made of these arguments.
    pub fn share(&self, name: &str, kind: Type, arguments: &[u8]) -> Result<(), NotShared> {
        self.state().share(name, kind, Bytes::copy_from_slice(arguments))
    }

    /// What an object is made of, if it is kept here.
    pub fn object_state(&self, ident: &str) -> Option<objects::State> {
        self.state().object_state(ident)
    }

    /// Gives an object away to the interpreter: its state, its methods, and how many references there are. Calls that
    /// wait for it become requests to the interpreter.
    pub fn surrender(&self, ident: &str) -> Option<(objects::State, Vec<String>, u64)> {
        let mut state = self.state();
        let result = state.surrender(ident);
        drop(state);
        self.wake();
        result
    }

    /// The methods of an object that is kept here.
    pub fn exposed(&self, ident: &str) -> Option<Vec<String>> {
        self.state().exposed(ident)
    }

    /// How many objects of those that are kept here somebody refers to.
    pub fn number_of_objects(&self) -> usize {
        self.state().number_of_objects()
    }

    /// The objects that are kept here and referred to: identity and number of references.
    pub fn objects(&self) -> Vec<(String, u64)> {
        self.state().referred()
    }

    /// Keeps an object although nobody refers to it; false if it is not kept here.
    pub fn pin(&self, ident: &str) -> bool {
        self.state().pin(ident)
    }

    /// Whether a connection has no seat, only one request to the server itself.
    pub fn is_brief(&self, connection: Connection) -> bool {
        self.state().is_brief(connection)
    }

    /// One more reference to an object; false if it is not kept here.
    pub fn increase(&self, ident: &str) -> bool {
        self.state().increase(ident)
    }

    /// One reference less; false if it is not kept here.
    pub fn decrease(&self, ident: &str) -> bool {
        self.state().decrease(ident)
    }
}
