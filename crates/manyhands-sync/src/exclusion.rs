//! How a primitive's state is kept to one thread at a time.

use std::fmt;

use crate::shim;

/// Chooses what protects the state of a primitive.
///
/// [`Locked`] is for everybody. A host that already lets only one thread run at a time (an
/// interpreter with a global lock) may supply a cell that trusts it, and so makes the uncontended
/// operations free of atomic instructions.
///
/// ```
/// use manyhands_sync::{Exclusion, Lock, Protected};
///
/// /// A mutex that says how often it was locked... or your own reason to protect states differently.
/// struct Counted;
///
/// struct Cell<S>(std::sync::Mutex<(u64, S)>);
///
/// impl Exclusion for Counted {
///     type Cell<S: Send> = Cell<S>;
/// }
///
/// impl<S: Send> Protected<S> for Cell<S> {
///     fn new(state: S) -> Self {
///         Cell(std::sync::Mutex::new((0, state)))
///     }
///
///     fn with<R>(&self, body: impl FnOnce(&mut S) -> R) -> R {
///         let mut inside = self.0.lock().unwrap();
///         inside.0 += 1;
///         body(&mut inside.1)
///     }
/// }
///
/// let lock: Lock<Counted> = Lock::new();
/// lock.acquire();
/// ```
pub trait Exclusion: 'static {
    /// The cell that holds a state.
    type Cell<S: Send>: Protected<S>;
}

/// A cell whose content one thread at a time may touch.
///
/// ```
/// use manyhands_sync::{Exclusion, Locked, Protected};
///
/// let cell: <Locked as Exclusion>::Cell<u32> = Protected::new(1);
/// assert_eq!(cell.with(|number| *number + 1), 2);
/// ```
pub trait Protected<S>: Send + Sync {
    /// Puts a state into a cell.
    fn new(state: S) -> Self;

    /// Runs `body` on the state while no other thread can.
    ///
    /// `body` must be short, must not wait, and must not touch the same cell again; here it never
    /// runs code of a user.
    fn with<R>(&self, body: impl FnOnce(&mut S) -> R) -> R;
}

/// The exclusion that works everywhere: a mutex for each state.
///
/// ```
/// use manyhands_sync::{Event, Locked};
///
/// let event: Event<Locked> = Event::new();
/// event.set();
/// ```
///
/// # Fork safety
/// A child that is forked while another thread is inside `with` finds that state locked for ever;
/// fork a threaded process only to exec.
#[derive(Clone, Copy)]
pub struct Locked;

impl fmt::Debug for Locked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Locked")
    }
}

impl Exclusion for Locked {
    type Cell<S: Send> = shim::Mutex<S>;
}

impl<S: Send> Protected<S> for shim::Mutex<S> {
    fn new(state: S) -> Self {
        shim::Mutex::new(state)
    }

    #[inline]
    fn with<R>(&self, body: impl FnOnce(&mut S) -> R) -> R {
        // A panic in `body` would be a bug of ours, not a reason to fail every later operation.
        let mut state = match self.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        };
        body(&mut state)
    }
}
