//! Shared memory with a name, by which processes that are no relatives can share it, too.
//!
//! It is made for who must have that name: everything else is better off in the arena, which goes by
//! itself. `family.rs` says when a segment goes that nobody unlinks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{fmt, io};

use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstatvfs, ftruncate};
use rustix::io::Errno;
use rustix::shm;

mod family;
mod place;

pub use family::{join, leave};
pub use place::Place;

/// How much memory is got at a time, at first: a signal may make the system begin anew.
const STEP: u64 = 32 << 20;

/// What takes so short that a program that is interrupted all the time still gets it.
const LEAST_STEP: u64 = 64 << 10;

/// How a segment is to be made, or opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The flags of open(2).
    pub flags: u32,
    /// The permissions of a new one.
    pub mode: u32,
}

/// Why there is no new segment.
#[derive(Debug)]
pub enum CreateError<E> {
    /// The name is taken, or is none.
    Name(io::Error),
    /// The system does not give so much.
    Memory(io::Error),
    /// What was called meanwhile wants no more of it.
    Interrupted(E),
}

impl<E: fmt::Display> fmt::Display for CreateError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateError::Name(error) => write!(formatter, "cannot make that name: {error}"),
            CreateError::Memory(error) => write!(formatter, "cannot get so much memory: {error}"),
            CreateError::Interrupted(error) => error.fmt(formatter),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for CreateError<E> {}

/// Makes a segment of `size` bytes, with memory behind it: else a page for which there is none would end
/// the process that touches it.
///
/// With a `place` it goes when its family does. What takes long looks up now and then: it calls `look_up`,
/// to handle signals for example; if that gives an error, this is the end of it.
///
/// ```
/// use std::convert::Infallible;
/// use manyhands_shm::segment::{self, Opening, Place};
/// use rustix::fs::OFlags;
///
/// let place = Place::find();
/// let name = format!("/example-{}", std::process::id());
/// let new = Opening { flags: (OFlags::CREATE | OFlags::EXCL | OFlags::RDWR).bits(), mode: 0o600 };
/// let file = segment::create(&name, new, 4096, Some(&place), || Ok::<(), Infallible>(()))?;
/// segment::unlink(&name, &place)?;
/// segment::leave();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// See [`CreateError`]. Nothing is left behind then.
#[doc(alias = "multiprocessing.shared_memory.SharedMemory")]
pub fn create<E>(
    name: &str,
    opening: Opening,
    size: u64,
    place: Option<&Place>,
    mut look_up: impl FnMut() -> Result<(), E>,
) -> Result<OwnedFd, CreateError<E>> {
    if let Some(place) = place {
        // Before there is something to list: only this waits.
        join(place, &mut look_up).map_err(CreateError::Interrupted)?;
    }
    let file = open_as(name, opening).map_err(CreateError::Name)?;
    if let Err(error) = fill(file.as_fd(), size, look_up) {
        let _ = shm::unlink(name);
        return Err(error);
    }
    if let Some(place) = place {
        // Without a folder everything else goes on working.
        let _ = family::list(place, name, file.as_fd());
    }
    Ok(file)
}

/// Opens a segment that is there already; not one of a family that is gone: it is gone, too.
///
/// # Errors
/// Those of shm_open(3).
#[doc(alias = "multiprocessing.shared_memory.SharedMemory")]
pub fn attach(name: &str, opening: Opening, place: &Place) -> io::Result<OwnedFd> {
    family::attaching(place, name);
    open_as(name, opening)
}

/// Takes away a segment's name; its memory goes when all have closed it.
///
/// # Errors
/// Those of shm_unlink(3).
#[doc(alias = "multiprocessing.shared_memory.SharedMemory.unlink")]
pub fn unlink(name: &str, place: &Place) -> io::Result<()> {
    shm::unlink(name)?;
    // Without a folder it is in none.
    let _ = family::strike(place, name);
    Ok(())
}

fn open_as(name: &str, opening: Opening) -> io::Result<OwnedFd> {
    let flags = shm::OFlags::from_bits_retain(opening.flags | OFlags::NOFOLLOW.bits());
    let mode = Mode::from_raw_mode(opening.mode);
    Ok(rustix::io::retry_on_intr(|| shm::open(name, flags, mode))?)
}

/// Gives the file its size and memory, piece by piece, so that signals are seen to in between.
fn fill<E>(
    file: BorrowedFd<'_>,
    size: u64,
    mut look_up: impl FnMut() -> Result<(), E>,
) -> Result<(), CreateError<E>> {
    if size > STEP && is_more_than_there_is(file, size) {
        // To find out by taking all that there is would harm others.
        return Err(CreateError::Memory(Errno::NOSPC.into()));
    }
    let (mut done, mut step) = (0, STEP);
    while done < size {
        let piece = step.min(size - done);
        match fallocate(file, FallocateFlags::empty(), done, piece) {
            Ok(()) => done += piece,
            Err(Errno::INTR) => step = (step / 2).max(LEAST_STEP),
            // There is no getting memory beforehand: it has to do without.
            Err(Errno::OPNOTSUPP) => {
                return ftruncate(file, size).map_err(|error| CreateError::Memory(error.into()));
            }
            Err(error) => return Err(CreateError::Memory(error.into())),
        }
        if done < size {
            look_up().map_err(CreateError::Interrupted)?;
        }
    }
    Ok(())
}

fn is_more_than_there_is(file: BorrowedFd<'_>, size: u64) -> bool {
    // One without a limit has no blocks at all.
    fstatvfs(file).is_ok_and(|system| {
        system.f_blocks > 0 && system.f_bavail.saturating_mul(system.f_frsize) < size
    })
}
