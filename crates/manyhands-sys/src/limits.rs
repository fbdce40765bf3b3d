//! What an error of the system says about the limit that was met.

use std::io;

use rustix::io::Errno;

use crate::os;

/// The limit that an error tells of, and how to see it; `None` if it tells of none.
///
/// ```
/// use std::io::Error;
///
/// use manyhands_sys::limits;
///
/// let error = Error::from(rustix::io::Errno::MFILE);
/// assert!(limits::name(&error).is_some_and(|name| name.contains("RLIMIT_NOFILE")));
/// assert_eq!(limits::name(&Error::other("hungry")), None);
/// ```
pub fn name(error: &io::Error) -> Option<&'static str> {
    Some(match Errno::from_io_error(error)? {
        Errno::NOMEM => "no memory left, or the limit of address space (RLIMIT_AS, `ulimit -v`)",
        Errno::NOSPC => {
            "no memory left for files in memory (physical memory and swap, or the memory limit of the \
             control group)"
        }
        Errno::FBIG => "the limit of file size (RLIMIT_FSIZE, `ulimit -f`)",
        Errno::MFILE => {
            "the limit of open descriptors of this process (RLIMIT_NOFILE, `ulimit -n`)"
        }
        Errno::NFILE => "the limit of open descriptors of the system (fs.file-max)",
        _ => return None,
    })
}

/// A limit of the memory that this process may have, until it is dropped: so many bytes more than it has
/// when that is made. What is shared, or mapped from a file to read, is not counted.
///
/// ```
/// use manyhands_sys::limits::MemoryCap;
///
/// let cap = MemoryCap::new(64 << 20)?;
/// assert!(Vec::<u8>::new().try_reserve_exact(1 << 30).is_err());
/// drop(cap);
/// assert!(Vec::<u8>::new().try_reserve_exact(1 << 30).is_ok());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
/// setrlimit(2), `RLIMIT_DATA`.
#[derive(Debug)]
pub struct MemoryCap(os::DataLimit);

impl MemoryCap {
    /// Sets it; never above what the process is allowed already.
    ///
    /// # Errors
    /// The system does not tell how much this process has.
    pub fn new(more: u64) -> io::Result<MemoryCap> {
        os::cap_data(more).map(MemoryCap)
    }
}

impl Drop for MemoryCap {
    fn drop(&mut self) {
        os::restore_data_limit(self.0);
    }
}
