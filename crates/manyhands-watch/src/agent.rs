//! The threads that answer for this process, and look for deadlocks when a wait has lasted.
//!
//! There are none before somebody has waited for a second, or asks for it. They sleep until they are asked
//! or told of a wait; they need no interpreter. What does (names, stacks) is done by a thread of its own
//! for each question, as it may have to wait for the interpreter for ever.
//!
//! One process of a tree judges for all: the topmost. The others tell it when a wait of theirs has
//! lasted. A knot is told of only if two looks, a quarter of a second apart, have found the same waits
//! in it: then all of them were waiting at the same time in between. A thread that somebody had
//! wakened before shows it: by its notification, or by having looked for itself meanwhile.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::thread::Builder;
use std::time::{Duration, Instant};

use manyhands_sys::fork::{self, ForkMutex, Protected};
use manyhands_sys::{liveness, process};
use rustix::fs::fstat;
use rustix::net::sockopt::socket_peercred;
use rustix::process::Signal;

use crate::client::{self, WITH_STACKS, WITHOUT_STACKS};
use crate::graph::{Knot, WORKERS, judge};
use crate::state::{Hand, Process};
use crate::{local, registry, report};

/// How long a wait lasts before somebody looks for the reason.
pub const LONG: Duration = Duration::from_secs(1);

/// The time between the two looks.
const AGAIN: Duration = Duration::from_millis(250);

/// How long a likely knot must have lasted.
const LIKELY: f64 = 2.0;

/// How long the interpreter may take for names and stacks.
const PATIENCE: Duration = Duration::from_millis(1500);

const STACK: usize = 256 << 10;

/// The exit status of a program that is ended because of a deadlock: EX_TEMPFAIL.
const ABORTED: i32 = 75;

/// What is done about a deadlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Deadlocks {
    /// Nothing; nobody looks for them, and a process that does not answer yet never will.
    Off,
    /// A report is written to stderr.
    Report,
    /// That, and the youngest wait of a certain one ends with an error.
    Raise,
    /// That, and the program is ended with the exit status 75.
    Abort,
}

impl Deadlocks {
    /// What is called `report`, `raise`, `abort` or `off`.
    pub fn named(name: &str) -> Option<Deadlocks> {
        match name {
            "off" => Some(Deadlocks::Off),
            "report" => Some(Deadlocks::Report),
            "raise" => Some(Deadlocks::Raise),
            "abort" => Some(Deadlocks::Abort),
            _ => None,
        }
    }
}

static DEADLOCKS: AtomicU8 = AtomicU8::new(Deadlocks::Report as u8);

/// Says what is to be done about deadlocks from now on.
pub fn set_deadlocks(deadlocks: Deadlocks) {
    DEADLOCKS.store(deadlocks as u8, Ordering::Relaxed);
}

/// What is done about deadlocks.
pub fn deadlocks() -> Deadlocks {
    match DEADLOCKS.load(Ordering::Relaxed) {
        0 => Deadlocks::Off,
        2 => Deadlocks::Raise,
        3 => Deadlocks::Abort,
        _ => Deadlocks::Report,
    }
}

#[derive(Clone, Copy)]
struct Agent {
    /// The socket at which it is asked.
    socket: Socket,
    bell: &'static Bell,
}

/// A socket, and by what it is known: a program may close all descriptors that it finds, and then
/// the number is another's.
#[derive(Clone, Copy)]
struct Socket {
    descriptor: RawFd,
    inode: u64,
}

impl Socket {
    fn of(listener: &UnixListener) -> io::Result<Socket> {
        Ok(Socket { descriptor: listener.as_raw_fd(), inode: fstat(listener)?.st_ino })
    }

    fn is_ours(self) -> bool {
        process::inode(self.descriptor).is_ok_and(|inode| inode == self.inode)
    }
}

/// Rung when a wait has lasted.
#[derive(Default)]
struct Bell {
    has_rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.has_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until it rings, or that moment; whether it has rung.
    fn wait(&self, until: Option<Instant>) -> bool {
        let mut has_rung = self.has_rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*has_rung {
            let Some(until) = until else {
                has_rung = self.changed.wait(has_rung).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(has_rung, left);
            has_rung = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut has_rung)
    }
}

/// The agent that this process has.
struct Place(Option<Agent>);

static AGENT: ForkMutex<Place> = ForkMutex::new(Place(None));

/// The [`fork::epoch`] plus 1 in which there was an agent, or an attempt to have one; 0 for never.
static BEGUN: AtomicU32 = AtomicU32::new(0);

impl Protected for Place {
    fn mutex() -> &'static ForkMutex<Place> {
        &AGENT
    }

    /// The parent's: its threads are not here, and who connects would wait for them.
    fn in_child(&mut self) {
        if let Some(agent) = self.0.take()
            && agent.socket.is_ours()
        {
            process::close(agent.socket.descriptor);
        }
    }
}

/// See [`prepare_for_forks`](crate::prepare_for_forks).
pub(crate) fn prepare_for_forks() {
    AGENT.prepare();
}

/// Has this process answer, if it does not yet. Where that cannot be, nothing is said.
pub fn begin() {
    let now = fork::epoch().wrapping_add(1);
    if deadlocks() == Deadlocks::Off || BEGUN.swap(now, Ordering::AcqRel) == now {
        return;
    }
    let mut agent = AGENT.lock();
    if let Ok((listener, socket)) = listen() {
        let bell: &Bell = Box::leak(Box::default());
        agent.0 = Some(Agent { socket, bell });
        let _ = helper().spawn(move || watch(bell));
        let _ = helper().spawn(move || serve(listener, socket, bell));
    }
}

fn listen() -> io::Result<(UnixListener, Socket)> {
    let address = client::address(liveness::process_id()).ok_or(io::ErrorKind::NotFound)?;
    let listener = UnixListener::bind_addr(&address)?;
    let socket = Socket::of(&listener)?;
    Ok((listener, socket))
}

/// Called by who has waited for [`LONG`] and waits on, once.
#[cold]
pub fn has_lasted() {
    begin();
    let bell = AGENT.lock().0.map(|agent| agent.bell);
    if let Some(bell) = bell {
        bell.ring();
    }
}

/// Answers who asks, as long as the socket is there.
fn serve(listener: UnixListener, socket: Socket, bell: &Bell) {
    // Without descriptors nobody can be answered for a while.
    const PAUSE: Duration = Duration::from_millis(100);
    while socket.is_ours() {
        match listener.accept() {
            Ok((stream, _)) => {
                if answer(stream) == Asked::Look {
                    bell.ring();
                }
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
    // Somebody else's by now.
    std::mem::forget(listener);
}

/// Looks for deadlocks when the bell rings, and again later.
fn watch(bell: &Bell) {
    let mut judge = Judge::default();
    loop {
        if bell.wait(judge.next) {
            judge.told();
        }
        judge.look_if_due();
    }
}

#[derive(PartialEq)]
enum Asked {
    Look,
    Other,
}

const LOOK: &[u8] = b"look\n";
const CONDEMN: &str = "condemn ";

/// Reads a question and has a thread answer it.
fn answer(mut stream: UnixStream) -> Asked {
    let is_allowed = socket_peercred(&stream)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid());
    if !is_allowed {
        return Asked::Other;
    }
    let mut question = [0; 64];
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let _ = stream.set_write_timeout(Some(Duration::from_secs(2)));
    let Ok(len) = stream.read(&mut question) else { return Asked::Other };
    let question = &question[..len];
    if question == LOOK {
        return Asked::Look;
    }
    if question == WITH_STACKS || question == WITHOUT_STACKS {
        let stacks = question == WITH_STACKS;
        let _ = helper().spawn(move || {
            let answer = serde_json::to_vec(&described(stacks)).unwrap_or_default();
            let _ = stream.write_all(&answer);
        });
    } else if let Some(number) = std::str::from_utf8(question).ok().and_then(condemned) {
        registry::condemn(number);
    }
    Asked::Other
}

fn condemned(question: &str) -> Option<u64> {
    question.strip_prefix(CONDEMN)?.trim_end().parse().ok()
}

fn helper() -> Builder {
    Builder::new().name("manyhands-watch".to_owned()).stack_size(STACK)
}

/// All that this process knows of itself; what can be known without the interpreter if that is held
/// by somebody.
fn described(stacks: bool) -> Process {
    let (give, take) = mpsc::channel();
    let started = helper().stack_size(2 << 20).spawn(move || drop(give.send(local::full(stacks))));
    let told = started.ok().and_then(|_| take.recv_timeout(PATIENCE).ok());
    told.unwrap_or_else(|| Process {
        silent: Some(format!(
            "no names and stacks: somebody has held the interpreter for {} s",
            PATIENCE.as_secs_f32()
        )),
        ..local::bare()
    })
}

/// Who looks for deadlocks.
#[derive(Default)]
struct Judge {
    /// When to look, if nobody says so before.
    next: Option<Instant>,
    /// How long to wait for the look after that.
    pause: Duration,
    /// Not before.
    earliest: Option<Instant>,
    /// What has been told of: the numbers of the waits.
    told: BTreeSet<BTreeSet<(u32, u64)>>,
}

impl Judge {
    /// Somebody has waited for long.
    fn told(&mut self) {
        let now = Instant::now();
        self.next = Some(self.earliest.map_or(now, |earliest| earliest.max(now)));
        self.pause = LONG;
    }

    fn look_if_due(&mut self) {
        if self.next.is_none_or(|next| Instant::now() < next) {
            return;
        }
        if deadlocks() == Deadlocks::Off {
            self.next = None;
            return;
        }
        let begun = Instant::now();
        self.next = None;
        let me = liveness::process_id();
        // A program that this one is started by has its own stderr, and its own will.
        let program = registry::sharing();
        let root = client::root(me, |pid| program.contains(&pid));
        if root != me {
            client::tell(root, LOOK);
            return;
        }
        let waits_for_ever = self.look(me);
        let now = Instant::now();
        // So that it costs little, however often it is told.
        let cost = (now - begun).saturating_sub(AGAIN);
        self.earliest = Some(now + (cost * 50).clamp(AGAIN, Duration::from_secs(60)));
        if waits_for_ever {
            // Somebody may die whom others wait for.
            self.pause = (self.pause * 2).clamp(LONG, Duration::from_secs(60));
            self.next = self.earliest.map(|earliest| earliest.max(now + self.pause));
        }
    }

    /// Looks for knots and tells of them; whether there is somebody who waits for ever.
    fn look(&mut self, me: u32) -> bool {
        let first = client::tree_of(described(false), false);
        let waits = |process: &Process| {
            process.threads.iter().any(|thread| {
                thread.wait.as_ref().is_some_and(|wait| !wait.limited && wait.seconds >= 1.0)
            })
        };
        let waits_for_ever = first.iter().any(waits);
        let suspects = judge(&first).knots;
        if suspects.iter().all(|knot| self.told.contains(&numbers(&first, knot))) {
            return waits_for_ever;
        }
        std::thread::sleep(AGAIN);
        let second = client::tree_of(described(true), true);
        let mut new = Vec::new();
        let program = registry::sharing();
        let is_ours = |hand: &Hand| hand.pid == me || program.contains(&hand.pid);
        for knot in judge(&second).knots {
            if !knot.hands.iter().any(is_ours) {
                continue;
            }
            let key = numbers(&second, &knot);
            let is_same = suspects
                .iter()
                .any(|suspect| suspect.certain == knot.certain && numbers(&first, suspect) == key);
            let is_old = lasted(&second, &knot) >= if knot.certain { 0.9 } else { LIKELY };
            if is_same && is_old && have_looked(&first, &second, &knot) && !self.told.contains(&key)
            {
                new.push((key, knot));
            }
        }
        if new.is_empty() {
            return waits_for_ever;
        }
        // Who is above may have begun to answer only now.
        let root = client::root(me, |pid| program.contains(&pid));
        if root != me {
            client::tell(root, LOOK);
            return waits_for_ever;
        }
        let (keys, knots): (Vec<_>, Vec<_>) = new.into_iter().unzip();
        self.told.extend(keys);
        act(me, &second, &knots);
        waits_for_ever
    }
}

fn wait_of(processes: &[Process], hand: Hand) -> Option<&crate::state::Wait> {
    crate::graph::find(processes, hand)?.1.wait.as_ref()
}

fn numbers(processes: &[Process], knot: &Knot) -> BTreeSet<(u32, u64)> {
    let number = |&hand: &Hand| (hand.pid, wait_of(processes, hand).map_or(0, |wait| wait.number));
    knot.hands.iter().map(number).collect()
}

/// For how many seconds there has been a knot: since its youngest wait began.
fn lasted(processes: &[Process], knot: &Knot) -> f64 {
    let waits = knot.hands.iter().filter_map(|&hand| wait_of(processes, hand));
    let known = waits.map(|wait| wait.seconds).filter(|&seconds| seconds > 0.0);
    known.fold(f64::INFINITY, f64::min)
}

/// Whether those who look for themselves have done so between the two.
fn have_looked(first: &[Process], second: &[Process], knot: &Knot) -> bool {
    knot.hands.iter().all(|&hand| {
        let looks = |processes| wait_of(processes, hand).map(|wait| wait.looks);
        let Some((process, thread)) = crate::graph::find(second, hand) else { return false };
        let object = thread.wait.as_ref().and_then(|wait| crate::graph::object(process, wait));
        object.is_none_or(|object| !object.shared || object.kind == WORKERS)
            || looks(first) < looks(second)
    })
}

/// Reports and does what is asked for.
fn act(me: u32, processes: &[Process], knots: &[Knot]) {
    let mut text = String::new();
    for knot in knots {
        text += &report::knot(processes, knot);
    }
    text += &report::others(processes, knots);
    let _ = io::stderr().write_all(text.as_bytes());
    let certain: Vec<&Knot> = knots.iter().filter(|knot| knot.certain).collect();
    match deadlocks() {
        Deadlocks::Raise => {
            for hand in certain.iter().filter_map(|knot| knot.youngest(processes)) {
                if let Some(wait) = wait_of(processes, hand) {
                    client::tell(hand.pid, format!("{CONDEMN}{}\n", wait.number).as_bytes());
                }
            }
        }
        Deadlocks::Abort if !certain.is_empty() => {
            let pids: BTreeSet<u32> =
                certain.iter().flat_map(|knot| &knot.hands).map(|hand| hand.pid).collect();
            for pid in pids.into_iter().filter(|&pid| pid != me) {
                if let Ok(process) = process::open(pid) {
                    let _ = process::send_signal(process.as_fd(), Signal::TERM.as_raw());
                }
            }
            process::exit(ABORTED);
        }
        _ => {}
    }
}
