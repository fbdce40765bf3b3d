//! The worker's side of a pool of processes: this program, started again.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use manyhands_pool::{TASK, Worker};
use manyhands_process::Guard;
use manyhands_shm::{GetError, Parcel, Patient, PutError, Reference};
use manyhands_sys::process;
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

use super::task::{Failure, find, guarded};

/// How many bytes of a result's message are not the result: the number of its task, and its sort.
pub(super) const HEAD: usize = TASK + 1;

/// Sorts of results.
pub(super) const DONE: u8 = 0;
pub(super) const PANICKED: u8 = 1;
pub(super) const ARGUMENTS: u8 = 2;
pub(super) const RESULT: u8 = 3;
pub(super) const UNKNOWN: u8 = 4;

/// How many bytes tell how long the name of a call's function is, after the number.
const LENGTH: usize = 4;

/// More of a buffer is not kept from call to call.
const KEEP: usize = 64 << 10;

/// How the first argument of a worker begins.
const MARK: &str = "--manyhands-worker=";

static INITIALIZED: AtomicBool = AtomicBool::new(false);

/// Says where the worker processes of this program's pools begin: to be called first of all in `main`.
/// In a worker it does the pool's calls and never returns; otherwise it returns at once.
///
/// Workers are this program, started again. What is before this call they do, too.
///
/// ```
/// use manyhands::Pool;
///
/// #[manyhands::task]
/// fn double(number: u64) -> u64 {
///     2 * number
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     manyhands::init();
///     let pool = Pool::new()?;
///     assert_eq!(pool.submit(double::task(21))?.join()?, 42);
///     Ok(())
/// }
/// ```
#[doc(alias = "multiprocessing.freeze_support")]
pub fn init() {
    INITIALIZED.store(true, Ordering::Relaxed);
    let Some(order) = std::env::args_os().nth(1).and_then(|argument| Order::of(&argument)) else {
        return;
    };
    match order.begin() {
        Ok(worker) => std::process::exit(work(&worker)),
        Err(why) => {
            eprintln!("a worker process of a pool cannot begin: {why}");
            std::process::exit(1);
        }
    }
}

pub(super) fn is_initialized() -> bool {
    INITIALIZED.load(Ordering::Relaxed)
}

/// What a worker is told when it is started.
#[derive(Debug, PartialEq)]
pub(super) struct Order {
    /// The arena's descriptor, and what to join it with.
    pub(super) arena: RawFd,
    pub(super) ticket: u64,
    pub(super) board: Reference,
    pub(super) seat: usize,
    /// The process with which it ends, and whether that process's main thread has started it.
    pub(super) parent: u32,
    pub(super) by_main: bool,
}

impl Order {
    pub(super) fn to_argument(&self) -> CString {
        let Order { arena, ticket, board, seat, parent, by_main } = self;
        let (family, block, by_main) = (board.arena, board.block, u8::from(*by_main));
        let text = format!("{MARK}{arena},{ticket},{family},{block},{seat},{parent},{by_main}");
        // Digits and commas.
        CString::new(text).unwrap_or_default()
    }

    fn of(argument: &OsStr) -> Option<Order> {
        let text = argument.to_str()?.strip_prefix(MARK)?;
        let numbers = text.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
        let &[arena, ticket, family, block, seat, parent, by_main] = &numbers[..] else {
            return None;
        };
        Some(Order {
            arena: arena.try_into().ok()?,
            ticket,
            board: Reference { arena: family, block },
            seat: seat.try_into().ok()?,
            parent: parent.try_into().ok()?,
            by_main: by_main != 0,
        })
    }

    fn begin(&self) -> Result<Worker, Box<dyn std::error::Error>> {
        const ORPHAN: &str = "its parent has ended";
        let is_there = || process::parent() == self.parent;
        if !is_there() {
            return Err(ORPHAN.into());
        }
        let sentinel = process::open(self.parent)?;
        // If it has ended meanwhile the number may have been another process's.
        if !is_there() {
            return Err(ORPHAN.into());
        }
        Guard::new(self.parent, self.by_main).stand(&sentinel)?;
        drop(sentinel);
        #[expect(unsafe_code, reason = "a descriptor that comes by its number")]
        // SAFETY: it was passed for this, and nobody else in this process has it.
        let arena = unsafe { OwnedFd::from_raw_fd(self.arena) };
        let flags = fcntl_getfd(&arena)?;
        fcntl_setfd(&arena, flags | FdFlags::CLOEXEC)?;
        manyhands_shm::join(arena, self.ticket)?;
        let name = std::env::args_os().next().unwrap_or_default();
        if let Some(name) = Path::new(&name).file_name() {
            // The system has called it as the link that was run.
            rustix::thread::set_name(&CString::new(name.as_bytes())?)?;
        }
        Ok(Worker::join(self.board, self.seat)?)
    }
}

/// A call's message, but for its arguments.
pub(super) fn head_of(task: &str) -> Vec<u8> {
    let mut head = Vec::with_capacity(TASK + LENGTH + task.len() + 32);
    head.extend_from_slice(&[0; TASK]);
    head.extend_from_slice(&u32::try_from(task.len()).unwrap_or(u32::MAX).to_ne_bytes());
    head.extend_from_slice(task.as_bytes());
    head
}

/// The name of a call's function, and the arguments.
fn parts(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = message.get(TASK..)?.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(u32::from_ne_bytes(*length) as usize)
}

/// Does calls until there are no more.
fn work(worker: &Worker) -> i32 {
    worker.set_ready();
    let (mut scratch, mut result) = (Vec::new(), Vec::new());
    loop {
        let parcel = match worker.next(&Patient, &mut scratch) {
            Ok(parcel) => parcel,
            Err(GetError::ShutDown | GetError::Empty) => return 0,
            Err(GetError::GivenUp(never)) => match never {},
            Err(GetError::Arena(why)) => {
                eprintln!("a worker process of a pool ends: {why}");
                return 1;
            }
        };
        let message = parcel.as_ref().map_or(&scratch[..], Parcel::head);
        result.clear();
        result.shrink_to(KEEP);
        result = answer(message, result);
        let task = message.first_chunk::<TASK>().copied().unwrap_or_default();
        drop(parcel);
        if let Err(why) = put(worker, &result) {
            let told = failed(task, RESULT, &why.to_string());
            if put(worker, &told).is_err() {
                eprintln!("a worker process of a pool ends: {why}");
                return 1;
            }
        }
    }
}

fn put(worker: &Worker, message: &[u8]) -> Result<(), PutError<Infallible>> {
    #[expect(unsafe_code, reason = "a promise about pieces, of which there are none")]
    // SAFETY: see there.
    unsafe {
        worker.finish(&Patient, message, &[])
    }
}

/// Does a call: the message of its result, in that buffer, which is empty.
fn answer(message: &[u8], mut buffer: Vec<u8>) -> Vec<u8> {
    let task = message.first_chunk::<TASK>().copied().unwrap_or_default();
    let known = parts(message).and_then(|(name, arguments)| Some((find(name)?, arguments)));
    let Some((run, arguments)) = known else { return failed(task, UNKNOWN, "") };
    buffer.extend_from_slice(&task);
    buffer.push(DONE);
    match guarded(|| run(arguments, buffer)) {
        Ok(Ok(result)) => result,
        Ok(Err(Failure::Arguments(why))) => failed(task, ARGUMENTS, &why.to_string()),
        Ok(Err(Failure::Result(why))) => failed(task, RESULT, &why.to_string()),
        Err(message) => failed(task, PANICKED, &message),
    }
}

fn failed(task: [u8; TASK], sort: u8, text: &str) -> Vec<u8> {
    let mut message = task.to_vec();
    message.push(sort);
    message.extend_from_slice(text.as_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_comes_as_it_was_given() {
        let board = Reference { arena: u64::MAX, block: 7 };
        let order =
            Order { arena: 5, ticket: 1 << 40, board, seat: 3, parent: 4321, by_main: true };
        let argument = order.to_argument();
        assert_eq!(Order::of(OsStr::from_bytes(argument.as_bytes())), Some(order));
        for other in ["", "--help", MARK, "--manyhands-worker=1,2", "--manyhands-worker=a,b"] {
            assert_eq!(Order::of(OsStr::new(other)), None);
        }
    }

    #[test]
    fn a_message_that_is_none_is_answered() {
        for message in [&[][..], &[1; TASK], &[2; 20]] {
            assert_eq!(answer(message, Vec::new())[TASK], UNKNOWN);
        }
    }
}
