//! Which segments a family of processes has created, and when they go.
//!
//! A family is the processes that share an arena. It has a folder, named by the arena's number, and in
//! it a symbolic link for each segment that one of them created and nobody unlinked yet: the segment's
//! name, and which file that was (`device:inode`). The folders of all families of a user are in one
//! [`Place`]; if it cannot be made, segments live until they are unlinked, and all else goes on
//! working.
//!
//! Every process of the family that uses segments holds a shared lock (flock) on the folder to its end.
//! Who can lock the folder exclusively knows that nobody else is left:
//!
//! * A process that ends tries to; if it can, it unlinks what is listed, and the folder.
//! * A process that is killed cannot. Who attaches to a segment that its own family has not listed, or is
//!   the first of its family, tries to lock all other folders, and so tidies up behind families of
//!   which nobody is left.
//!
//! So a segment is never unlinked while a process of its creator's family uses segments; nor what has
//! its name but is another file; nor what somebody else created, for it is in no folder. One that is
//! created in the instant before its process is killed may not be listed yet, and stays.
//!
//! # Invariants
//! * A process that has joined has exactly one descriptor of its family's folder, in [`FAMILY`]. Nobody
//!   locks the description behind it anew, or unlocks it: a lock goes by closing only.
//! * A forked child has its parent's descriptor, and so a share in the lock: that one lasts until *all*
//!   have closed it, so the child's end counts without a thing being done at the fork. A program that
//!   is executed has none: it is closed there.
//! * Only who has the mutex opens or closes folders, and forks wait for the mutex: a child finds no other
//!   descriptor than that one, and the mutex free.
//! * What waits, for those who tidy up (who never wait), ends with `EINTR` at a signal, and gives the
//!   mutex back before anybody is called.
//! * No code of a caller runs under the mutex: neither a collector of garbage nor a signal handler of a
//!   language above can come back here in the thread that has it. Nor is anything that registers fork
//!   handlers called there, as making the arena does: a C library that runs handlers under a lock would
//!   have that thread and one that forks wait for each other.

use std::ffi::CStr;
use std::fs::read_dir;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use manyhands_sys::fork::{ForkMutex, Protected};
use manyhands_sys::process::at_exit;
use rustix::fs::{
    AtFlags, Dir, FlockOperation, Mode, OFlags, Stat, flock, fstat, lstat, open, readlinkat, rmdir,
    stat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::shm;

use super::place::{Place, make};
use crate::arena::{arena, existing};

static FAMILY: ForkMutex<Family> = ForkMutex::new(Family { held: None });

/// Whether this process has ever joined, or one that it was forked from. Written under the mutex, which
/// the many that never do shall not take at their end.
static HAS_JOINED: AtomicBool = AtomicBool::new(false);

/// This process's part in its family.
struct Family {
    held: Option<Held>,
}

impl Protected for Family {
    fn mutex() -> &'static ForkMutex<Family> {
        &FAMILY
    }
}

/// The family's folder, with a share in a lock on it.
struct Held {
    folder: OwnedFd,
    identity: Identity,
    path: PathBuf,
}

impl Held {
    /// Whether the descriptor is still what it was: a daemon closes all that there are, by their
    /// numbers, and other files get these.
    fn is_there(&self) -> bool {
        Identity::of(&self.folder).is_ok_and(|identity| identity == self.identity)
    }

    /// Closes the descriptor; returns the folder's path.
    fn let_go(self) -> PathBuf {
        let is_there = self.is_there();
        let Held { folder, path, .. } = self;
        if is_there {
            drop(folder);
        } else {
            std::mem::forget(folder);
        }
        path
    }
}

/// By which a file is told from others: its device and its number there.
#[derive(PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(file: impl AsFd) -> io::Result<Identity> {
        Ok(fstat(file)?.into())
    }

    /// What a link says of its segment.
    fn text(&self) -> String {
        format!("{}:{}", self.0, self.1)
    }
}

/// Holds the family's folder, which there is then: until [`leave`], this process is one whose end has
/// to be waited for.
///
/// Done by who creates segments anyway. The program itself does so at its beginning, so that it finds
/// what a child created that has ended. Without a folder it does nothing. `look_up` is called after
/// signals that come while it waits; its error ends this.
///
/// # Errors
/// What `look_up` gives.
///
/// ```
/// use std::convert::Infallible;
/// use manyhands_shm::segment::{Place, join, leave};
///
/// join(&Place::find(), || Ok::<(), Infallible>(()))?;
/// leave();
/// # Ok::<(), Infallible>(())
/// ```
pub fn join<E>(place: &Place, mut look_up: impl FnMut() -> Result<(), E>) -> Result<(), E> {
    // Not under the mutex: see above.
    let Ok(arena) = arena() else { return Ok(()) };
    loop {
        let joined = FAMILY.lock().join(place, arena.id(), true).map(drop);
        match joined {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => look_up()?,
            _ => return Ok(()),
        }
    }
}

/// Lets go of the folder; the last of the family tidies up.
///
/// A process that ends by exit(3) does this by itself, also a forked one. Others that may be the last have
/// to call it.
///
/// Of those who leave one finds nobody left, since everybody *closes before he tries* the lock, with a
/// descriptor of his own. Take the last who closes. When he tries, no share is left in any lock, but of
/// somebody who has joined since, and will leave after him. So he gets it, unless somebody else has
/// it exclusively, who does the same job then: another one who leaves, or tidies up, and came to try
/// between that closing and this trial. All who fail before have failed because somebody had not
/// closed yet.
pub fn leave() {
    if !HAS_JOINED.load(Ordering::Relaxed) {
        return;
    }
    let mut family = FAMILY.lock();
    if let Some(held) = family.held.take() {
        let path = held.let_go();
        // Opened after that, so that there is a descriptor to be had. If the folder at the path is a new
        // one, made by who joined since, then this is no worse than any other's tidying up.
        let _ = remove_if_alone(&path);
    }
}

extern "C" fn leave_at_exit() {
    leave();
}

/// Lists a segment that this process has just created, under a name that was free.
pub(super) fn list(place: &Place, name: &str, segment: BorrowedFd<'_>) -> io::Result<()> {
    let number = arena().map_err(io::Error::other)?.id();
    let (identity, name) = (Identity::of(segment)?.text(), name.trim_start_matches('/'));
    let mut family = FAMILY.lock();
    let Some(held) = family.join(place, number, true)? else { return Ok(()) };
    let folder = held.folder.as_fd();
    match symlinkat(&identity, folder, name) {
        // The one of that name was unlinked by somebody who knows nothing of this list.
        Err(Errno::EXIST) => {
            unlinkat(folder, name, AtFlags::empty())?;
            Ok(symlinkat(&identity, folder, name)?)
        }
        result => Ok(result?),
    }
}

/// Takes a segment from the list, if it is there.
pub(super) fn strike(place: &Place, name: &str) -> io::Result<()> {
    let Some(arena) = existing() else { return Ok(()) };
    let mut family = FAMILY.lock();
    if let Some(held) = family.join(place, arena.id(), false)? {
        unlinkat(held.folder.as_fd(), name.trim_start_matches('/'), AtFlags::empty())?;
    }
    Ok(())
}

/// Notes that this process is about to use a segment that is there already.
pub(super) fn attaching(place: &Place, name: &str) {
    let number = existing().map(crate::Arena::id);
    let mut family = FAMILY.lock();
    if let Some(number) = number
        && let Ok(Some(held)) = family.join(place, number, false)
        && readlinkat(held.folder.as_fd(), name.trim_start_matches('/'), Vec::new()).is_ok()
    {
        // Its creator's family is this one, which is there.
        return;
    }
    let _ = tidy_up(place, number);
}

impl Family {
    /// Holds the folder, None if there is none. With `create` there is, or an error.
    fn join(&mut self, place: &Place, number: u64, create: bool) -> io::Result<Option<&Held>> {
        if self.held.as_ref().is_some_and(Held::is_there) {
            return Ok(self.held.as_ref());
        }
        self.held.take().map(Held::let_go);
        if create {
            place.make()?;
        }
        let path = place.checked()?.join(folder_name(number));
        let (folder, is_new) = loop {
            let is_new = create && make(&path)?;
            let folder = match open_folder(&path) {
                Ok(folder) => folder,
                // Its last holder has tidied up just now.
                Err(Errno::NOENT) if create => continue,
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            flock(&folder, FlockOperation::LockShared)?;
            if is_at(&folder, &path)? {
                break (folder, is_new);
            }
        };
        let identity = Identity::of(&folder)?;
        self.held = Some(Held { folder, identity, path });
        if !HAS_JOINED.swap(true, Ordering::Relaxed) {
            // Without it, others will tidy up.
            let _ = at_exit(leave_at_exit);
        }
        if is_new {
            let _ = tidy_up(place, Some(number));
        }
        Ok(self.held.as_ref())
    }
}

impl From<Stat> for Identity {
    fn from(status: Stat) -> Identity {
        Identity(status.st_dev, status.st_ino)
    }
}

fn folder_name(number: u64) -> String {
    format!("{number:016x}")
}

fn open_folder(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
}

fn is_at(folder: &OwnedFd, path: &Path) -> io::Result<bool> {
    let held = Identity::of(folder)?;
    match stat(path) {
        Ok(there) => Ok(Identity::from(there) == held),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Removes the folders of families that are gone; not that of the family of that number.
fn tidy_up(place: &Place, own: Option<u64>) -> io::Result<()> {
    let own = own.map(folder_name);
    for entry in read_dir(place.checked()?)?.flatten() {
        if own.as_ref().is_none_or(|own| entry.file_name() != own.as_str()) {
            let _ = remove_if_alone(&entry.path());
        }
    }
    Ok(())
}

/// Removes a family's folder, and what is listed in it, if nobody holds it.
fn remove_if_alone(path: &Path) -> io::Result<()> {
    let folder = open_folder(path)?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    // Who has waited for it to be removed has a folder that is in no place.
    if !is_at(&folder, path)? {
        return Ok(());
    }
    // No other descriptor than this one is needed: there may be none.
    let mut entries = Dir::new(folder)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            // What cannot be unlinked stays, and with it the folder, for others to try.
            let _ = unlink_listed(entries.fd()?, name);
        }
    }
    Ok(rmdir(path)?)
}

/// Unlinks a segment, if it is the one that was listed, and the entry.
fn unlink_listed(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let listed = readlinkat(folder, name, Vec::new())?;
    let path = [b"/dev/shm/", name.to_bytes()].concat();
    match lstat(path) {
        Ok(status) if Identity::from(status).text().as_bytes() == listed.to_bytes() => {
            shm::unlink(name)?;
        }
        // Somebody else's, or gone.
        Ok(_) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(unlinkat(folder, name, AtFlags::empty())?)
}
