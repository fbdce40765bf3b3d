//! Where the folders of all families of a user are.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, accessat, lstat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// The folder of the folders: one for a user, in which nobody else may write.
///
/// It is not in /dev/shm, which may be full.
#[derive(Clone, Debug)]
pub struct Place(PathBuf);

impl Place {
    /// Where all processes of this user look for it: `$XDG_RUNTIME_DIR/manyhands`, or in the first
    /// folder for temporary files that one can write to, `manyhands-` and the user's number. Nothing
    /// is made yet.
    ///
    /// It reads environment variables, which no other thread may be writing.
    ///
    /// ```
    /// println!("{:?}", manyhands_shm::segment::Place::find());
    /// ```
    pub fn find() -> Place {
        let runtime = variable("XDG_RUNTIME_DIR").filter(|folder| folder.is_dir());
        Place(match runtime {
            Some(runtime) => runtime.join("manyhands"),
            None => temporary().join(format!("manyhands-{}", geteuid().as_raw())),
        })
    }

    /// That folder.
    ///
    /// ```
    /// manyhands_shm::segment::Place::at("/run/user/1000/manyhands");
    /// ```
    pub fn at(path: impl Into<PathBuf>) -> Place {
        Place(path.into())
    }

    /// Makes the folder if it is not there.
    pub(super) fn make(&self) -> io::Result<()> {
        make(&self.0).map(drop)
    }

    /// The folder, if it is there, and nobody else may write to it.
    pub(super) fn checked(&self) -> io::Result<&Path> {
        let status = lstat(&self.0)?;
        let is_folder = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
        let is_own = status.st_uid == geteuid().as_raw() && status.st_mode & 0o22 == 0;
        if is_folder && is_own { Ok(&self.0) } else { Err(Errno::PERM.into()) }
    }
}

/// Makes a folder; false if it is there.
pub(super) fn make(path: &Path) -> io::Result<bool> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    std::path::absolute(value).ok()
}

/// The folder that Python's `tempfile.gettempdir()` takes, but that nothing is written to find out.
fn temporary() -> PathBuf {
    let wanted = ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(variable);
    let usual = ["/tmp", "/var/tmp", "/usr/tmp"].into_iter().map(PathBuf::from);
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let is_usable = |folder: &PathBuf| {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        folder.is_dir() && accessat(CWD, folder, access, AtFlags::EACCESS).is_ok()
    };
    wanted.chain(usual).find(is_usable).unwrap_or(here)
}
