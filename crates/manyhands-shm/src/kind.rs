//! What sorts of objects there are.

/// The sort of an object in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum Kind {
    /// Bytes.
    Plain = 1,
    /// A lock.
    Lock,
    /// A lock that its holder may take again.
    RLock,
    /// A semaphore.
    Semaphore,
    /// A semaphore that cannot be released more often than taken.
    BoundedSemaphore,
    /// A flag that can be waited for.
    Event,
    /// A condition variable.
    Condition,
    /// A meeting of a number of threads.
    Barrier,
    /// A queue.
    Queue,
    /// A part of another object.
    Part,
    /// What the workers of a pool are doing.
    Board,
    /// Bytes of which any number of processes have images.
    Original,
}

impl Kind {
    /// Whether objects of that kind have parts, blocks that belong to them.
    pub(crate) fn has_parts(kind: u32) -> bool {
        kind == Kind::Queue as u32 || kind == Kind::Condition as u32
    }
}
