//! The program's end: starting a zygote, and ordering children from it.

use std::ffi::CStr;
use std::io::{IoSlice, Write as _, stderr, stdin, stdout};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use manyhands_sys::process::{self, INTERRUPT, Program, signal_bit, spawn};
use manyhands_sys::{fork, thread};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{Errno, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, recv, send, sendmsg,
    shutdown,
};

use crate::StartError;
use crate::child::{Child, Waited};
use crate::message::{Answer, INLINE, MOST_DESCRIPTORS, Order};
use crate::reaper::registry;
use crate::source::{Source, announce};
use crate::surroundings::{Identity, Inherited, here, selected};
use crate::transit::{Theirs, pair};

/// By which number a zygote finds its socket, and then the arena's descriptor.
const SOCKET: RawFd = 3;
const ARENA: RawFd = 4;

/// A process that waits to become children of this process.
#[derive(Debug)]
pub struct Zygote {
    child: Arc<Child>,
    source: Arc<Source>,
    epoch: u32,
    by_main: bool,
    environment: Vec<u8>,
    at_start: &'static [&'static str],
    inherited: Inherited,
    identity: Identity,
}

/// What a child is to have.
#[derive(Debug)]
pub struct Birth<'a> {
    /// What to say to it.
    pub payload: &'a [u8],
    /// Descriptors for it, and by which numbers it gets them; -1 for any.
    pub descriptors: &'a [(BorrowedFd<'a>, RawFd)],
    /// The arena's descriptor, and the ticket to join it with.
    pub arena: Option<(BorrowedFd<'a>, u64)>,
    /// It dies with this process.
    pub guarded: bool,
    /// This process's environment, from [`process::environment`].
    pub environment: &'a [u8],
}

/// Why a zygote gave no child.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The zygote is gone, or what its children would inherit is not what this process's do any more.
    #[error("the zygote has ended, or is of no use any more")]
    Gone,
    /// More descriptors than can be passed at a time.
    #[error("too many descriptors for one child: {0}, and {MOST_DESCRIPTORS} can be passed")]
    TooManyDescriptors(usize),
    /// The limits of the system.
    #[error(transparent)]
    Start(#[from] StartError),
}

const DOING: &str = "cannot start a child process";

fn fail(error: impl Into<std::io::Error>) -> StartError {
    StartError::new(DOING, error)
}

impl Zygote {
    /// Runs a program that is to become a zygote by calling [`serve`](crate::serve) with descriptor 3.
    /// If `arena` is given, the program finds it as descriptor 4.
    ///
    /// `at_start` tells the beginnings of those entries of the environment (`"LANG="`, `"LC_"`) that
    /// count when such a program starts and not later: if they change, the zygote is of no use any more.
    ///
    /// The caller holds what guards the environment of this process.
    ///
    /// # Errors
    /// The file cannot be run; limits of processes, memory and descriptors; a system without /proc.
    pub fn start(
        path: &CStr,
        arguments: &[&CStr],
        arena: Option<BorrowedFd<'_>>,
        at_start: &'static [&'static str],
    ) -> Result<Zygote, StartError> {
        let (inherited, identity) = here().map_err(fail)?;
        let (ours, theirs) = pair().map_err(fail)?;
        // In a program without a stdin that is the lowest number, but it is no stdin for children.
        let ours = fcntl_dupfd_cloexec(&ours, SOCKET).map_err(fail)?;
        // Apart from the numbers that they are copied to.
        let theirs = theirs.duplicate(ARENA + 1).map_err(fail)?;
        let arena =
            arena.map(|arena| fcntl_dupfd_cloexec(arena, ARENA + 1)).transpose().map_err(fail)?;
        let mut descriptors = vec![(theirs.as_raw_fd(), SOCKET)];
        descriptors.extend(arena.as_ref().map(|arena| (arena.as_raw_fd(), ARENA)));
        let environment = process::environment();
        let pid = spawn(&Program {
            path,
            arguments,
            descriptors: &descriptors,
            null: [true, !is_open(1), !is_open(2)],
            // The keyboard means the program; the zygote ignores it as soon as it is up.
            blocked: process::blocked_signals() | signal_bit(INTERRUPT),
        })
        .map_err(|error| StartError::of_program(path, error))?;
        let child = Child::adopt(pid)?;
        let source = Arc::new(Source::new(ours));
        announce(pid, &source);
        Ok(Zygote {
            child,
            source,
            epoch: fork::epoch(),
            by_main: thread::is_main(),
            environment,
            at_start,
            inherited,
            identity,
        })
    }

    /// The zygote's own process.
    pub fn child(&self) -> &Arc<Child> {
        &self.child
    }

    /// Whether this process's main thread has started it, on which it depends how its children notice
    /// this process's death.
    pub fn by_main(&self) -> bool {
        self.by_main
    }

    /// Expects the zygote to serve from now on. Called once, when there is nothing more to hear.
    pub fn expect_children(&self) {
        registry().listen(&self.source);
    }

    /// What children of it inherit, if they would be as if this process started them itself.
    fn fits(&self, environment: &[u8]) -> Result<Inherited, RequestError> {
        if self.epoch != fork::epoch() || self.child.status().is_some() {
            return Err(RequestError::Gone);
        }
        if self.environment != environment
            && selected(&self.environment, self.at_start) != selected(environment, self.at_start)
        {
            return Err(RequestError::Gone);
        }
        let (inherited, identity) = here().map_err(fail)?;
        if identity == self.identity { Ok(inherited) } else { Err(RequestError::Gone) }
    }

    /// Orders a child.
    ///
    /// # Errors
    /// See [`RequestError`]. Nothing is left behind.
    pub fn request(&self, birth: &Birth<'_>) -> Result<Arc<Child>, RequestError> {
        let inherited = self.fits(birth.environment)?;
        let changed = birth.environment != self.environment;
        let environment = if changed { birth.environment } else { &[] };
        if birth.descriptors.len() > MOST_DESCRIPTORS {
            return Err(RequestError::TooManyDescriptors(birth.descriptors.len()));
        }
        let mut order = Order {
            standard: [is_open(0), is_open(1), is_open(2)],
            guarded: birth.guarded,
            ticket: birth.arena.map(|(_, ticket)| ticket),
            blocked: process::blocked_signals(),
            inherited: (inherited != self.inherited).then_some(inherited),
            targets: birth.descriptors.iter().map(|&(_, target)| target).collect(),
            environment: changed.then_some(environment.len() as u64),
            contents: (environment.len() + birth.payload.len()) as u64,
            in_memory_file: environment.len() + birth.payload.len() > INLINE,
        };
        let (answers, theirs) = pair().map_err(fail)?;
        let mut sent = self.send(&order, environment, birth, &theirs);
        if !order.in_memory_file && matches!(sent, Err(Errno::MSGSIZE | Errno::NOBUFS)) {
            // The system's limit of datagrams is small.
            order.in_memory_file = true;
            sent = self.send(&order, environment, birth, &theirs);
        }
        drop(theirs);
        match sent {
            Ok(()) => {}
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return Err(RequestError::Gone),
            Err(error) => return Err(fail(error).into()),
        }
        let answer = hear(&answers)?;
        drop(answers);
        match answer {
            Answer::Born(pid) => Ok(self.source.take(pid)?),
            Answer::Failed(error) => Err(fail(std::io::Error::from_raw_os_error(error)).into()),
        }
    }

    fn send(
        &self,
        order: &Order,
        environment: &[u8],
        birth: &Birth<'_>,
        theirs: &Theirs,
    ) -> rustix::io::Result<()> {
        let head = order.encode();
        let mut parts = vec![IoSlice::new(&head)];
        let mut file = None;
        if order.in_memory_file {
            let mut contents =
                std::fs::File::from(memfd_create("manyhands-order", MemfdFlags::CLOEXEC)?);
            let written = contents.write_all(environment).and_then(|()| {
                contents.write_all(birth.payload)?;
                std::io::Seek::rewind(&mut contents)
            });
            if let Err(error) = written {
                return Err(Errno::from_io_error(&error).unwrap_or(Errno::NOSPC));
            }
            file = Some(OwnedFd::from(contents));
        } else {
            parts.extend([IoSlice::new(environment), IoSlice::new(birth.payload)]);
        }
        let (stdin, stdout, stderr) = (stdin(), stdout(), stderr());
        let standard = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let mut descriptors = vec![theirs.as_fd()];
        descriptors.extend((0..3).filter(|&number| order.standard[number]).map(|n| standard[n]));
        descriptors.extend(file.as_ref().map(AsFd::as_fd));
        descriptors.extend(birth.arena.map(|(arena, _)| arena));
        descriptors.extend(birth.descriptors.iter().map(|&(descriptor, _)| descriptor));
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS + 6))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(Errno::TOOMANYREFS);
        }
        loop {
            match sendmsg(&self.source.socket, &parts, &mut control, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                sent => return sent.map(drop),
            }
        }
    }

    /// Says something before the zygote serves.
    ///
    /// # Errors
    /// It has ended.
    pub fn say(&self, text: &[u8]) -> Result<(), RequestError> {
        match send(&self.source.socket, text, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Err(RequestError::Gone),
            Err(error) => Err(fail(error).into()),
        }
    }

    /// Hears what the zygote says before it serves; `None` if a signal came first.
    ///
    /// # Errors
    /// It has ended.
    pub fn hear(&self) -> Result<Option<Vec<u8>>, RequestError> {
        let mut watched = [
            PollFd::new(&self.source.socket, PollFlags::IN),
            PollFd::from_borrowed_fd(self.child.descriptor(), PollFlags::IN),
        ];
        match poll(&mut watched, None) {
            Err(Errno::INTR) => return Ok(None),
            Err(error) => return Err(fail(error).into()),
            Ok(_) => {}
        }
        let mut buffer = [0; 512];
        match recv(&self.source.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            Ok((0, _)) | Err(Errno::CONNRESET) => Err(RequestError::Gone),
            Ok((length, _)) => Ok(Some(buffer[..length].to_vec())),
            Err(Errno::AGAIN) if self.child.status().is_some() => Err(RequestError::Gone),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(fail(error).into()),
        }
    }

    /// Ends the zygote, and what it has ready, and waits for that. Its children live on.
    pub fn stop(&self) {
        if self.epoch != fork::epoch() {
            return;
        }
        // It might be still busy with loading what the program wants.
        let _ = self.child.send_signal(process::KILL);
        end_of(&self.child);
        // There are no more copies; the one that waits ends now, having announced itself.
        let _ = shutdown(&self.source.socket, Shutdown::Write);
        while self.source.listen() {
            let mut watched = [PollFd::new(&self.source.socket, PollFlags::IN)];
            let _ = poll(&mut watched, None);
        }
        self.source.spares().iter().for_each(end_of);
    }
}

/// Waits for a child's end, whatever comes.
fn end_of(child: &Arc<Child>) {
    while child.wait(None) == Waited::Interrupted {}
}

fn is_open(number: usize) -> bool {
    match number {
        0 => fcntl_getfd(stdin()),
        1 => fcntl_getfd(stdout()),
        _ => fcntl_getfd(stderr()),
    }
    .is_ok()
}

/// Who has been born.
fn hear(answers: &OwnedFd) -> Result<Answer, RequestError> {
    let mut bytes = [0; 8];
    loop {
        match recv(answers, &mut bytes[..], RecvFlags::empty()) {
            Ok((8, _)) => return Answer::decode(bytes).ok_or(RequestError::Gone),
            Ok(_) | Err(Errno::CONNRESET) => return Err(RequestError::Gone),
            Err(Errno::INTR) => {}
            Err(error) => return Err(fail(error).into()),
        }
    }
}
