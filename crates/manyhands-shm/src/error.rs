//! What can go wrong with the arena.

use std::io;

use manyhands_sys::limits;

/// Why an object cannot be made in the arena, or not be found there.
#[derive(Debug, thiserror::Error)]
pub enum ArenaError {
    /// The system gives no memory, descriptor or address space.
    #[error("{what}: {limit}")]
    System {
        /// What was tried.
        what: String,
        /// Which limit it met, and what to do.
        limit: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// More is asked for than the arena can ever hold.
    #[error(
        "the memory shared with other processes is full: {wanted} bytes more do not fit into {capacity} \
         (it is made as large as RLIMIT_FSIZE allows when the program begins to use it)"
    )]
    Full {
        /// Bytes asked for.
        wanted: usize,
        /// Bytes that the arena can hold.
        capacity: usize,
    },
    /// There are too many processes.
    #[error("more than {0} processes share memory")]
    TooManyProcesses(usize),
    /// The object belongs to processes that are no relatives of this one.
    #[error(
        "this object lives in the memory of other processes than this one's relatives; \
         hand it to a process by the arguments with which you start it"
    )]
    Stranger,
    /// The object was there and is not any more.
    #[error("this object was freed: the process that made it has let go of it or has ended")]
    Gone,
    /// This process has an arena already, and cannot share another one.
    #[error("this process shares memory with its own children already; it cannot join others now")]
    AlreadyJoined,
    /// What was passed is no arena of this version.
    #[error("what was passed as shared memory is not of this version of Manyhands")]
    NoArena,
}

/// This process has no address space for a part of the arena. It is small, as what is looked for at
/// each put and get comes with it or with what was looked for.
#[derive(Debug)]
pub(crate) struct OutOfReach(pub(crate) io::Error);

impl From<OutOfReach> for ArenaError {
    #[cold]
    fn from(error: OutOfReach) -> ArenaError {
        ArenaError::system("cannot access all of the memory shared with other processes", error.0)
    }
}

impl ArenaError {
    pub(crate) fn system(what: &str, source: io::Error) -> ArenaError {
        use rustix::io::Errno;

        let limit = match Errno::from_io_error(&source) {
            Some(Errno::EXIST) => {
                "no address space left beside it: something else is mapped there".to_owned()
            }
            Some(Errno::BADF) => {
                "the program has closed the descriptor of that memory, which it had not opened"
                    .to_owned()
            }
            _ => limits::name(&source).map_or_else(|| source.to_string(), str::to_owned),
        };
        ArenaError::System { what: what.to_owned(), limit, source }
    }

    /// The system's error number, where there is one.
    pub fn os_error(&self) -> Option<i32> {
        match self {
            ArenaError::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}
