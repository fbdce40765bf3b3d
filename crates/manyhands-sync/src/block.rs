//! The one loop in which threads wait for their turn.

use manyhands_watch::{Kind, WaitingGuard};

use crate::shim::Arc;
use crate::{Deadline, Gate, Limit, Protected, ThreadId, Waiter, Waits, Wakes, waiter};

/// A state in whose lines threads wait.
///
/// ```
/// use manyhands_sync::{Waitable, Waits};
/// use manyhands_watch::Kind;
///
/// struct Door {
///     open: bool,
///     waits: Waits<1>,
/// }
///
/// impl Waitable<1> for Door {
///     fn kind(&self) -> Kind {
///         Kind::Event
///     }
///
///     fn waits(&mut self) -> &mut Waits<1> {
///         &mut self.waits
///     }
/// }
/// ```
pub trait Waitable<const LINES: usize> {
    /// What observers see it as.
    fn kind(&self) -> Kind;

    /// The lines.
    fn waits(&mut self) -> &mut Waits<LINES>;

    /// Who holds it, if it is of a kind that somebody holds.
    fn owner(&self) -> Option<ThreadId> {
        None
    }

    /// Whether who comes last is first in that line, for threads of which it does not matter which goes on:
    /// that one's processor may still be awake, and has what it works with at hand.
    fn is_last_first(&self, _line: usize) -> bool {
        false
    }
}

/// Makes attempts on a state until one succeeds, waiting in a line in between.
///
/// `attempt` returns what the caller wanted, or `None` if there is nothing yet; it must call
/// [`Waits::wake_one`] for this line when it took something and left more. Whoever makes an attempt
/// of another thread possible calls `wake_one` for the line, too.
///
/// Returns `None` when the limit was reached.
///
/// ```
/// use manyhands_sync::{
///     Exclusion, Limit, Locked, Patient, Protected, Waitable, Waits, Wakes, block,
/// };
/// use manyhands_watch::Kind;
///
/// /// A door that opens once.
/// #[derive(Default)]
/// struct Door {
///     open: bool,
///     waits: Waits<1>,
/// }
///
/// impl Waitable<1> for Door {
///     fn kind(&self) -> Kind {
///         Kind::Event
///     }
///
///     fn waits(&mut self) -> &mut Waits<1> {
///         &mut self.waits
///     }
/// }
///
/// type Cell = <Locked as Exclusion>::Cell<Door>;
///
/// let door: Cell = Protected::new(Door::default());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut wakes = Wakes::default();
///         door.with(|door| {
///             door.open = true;
///             door.waits.wake_one(0, &mut wakes);
///         });
///         wakes.send();
///     });
///     let passed = block(&door, 0, "pass", &Patient, Limit::Forever, |door: &mut Door, wakes| {
///         if !door.open {
///             return None;
///         }
///         // It stays open: the next may pass, too.
///         door.waits.wake_one(0, wakes);
///         Some(())
///     });
///     assert_eq!(passed, Ok(Some(())));
/// });
/// ```
///
/// # Errors
/// Those of the gate; the state is as if the call had not been made.
pub fn block<const LINES: usize, S: Waitable<LINES>, G: Gate, R>(
    cell: &impl Protected<S>,
    line: usize,
    operation: &'static str,
    gate: &G,
    limit: Limit,
    mut attempt: impl FnMut(&mut S, &mut Wakes) -> Option<R>,
) -> Result<Option<R>, G::Error> {
    let deadline = match limit {
        Limit::Never => {
            let mut wakes = Wakes::default();
            let result = cell.with(|state| attempt(state, &mut wakes));
            wakes.send();
            return Ok(result);
        }
        Limit::Until(deadline) => Some(deadline),
        Limit::Forever => None,
    };
    let mut notified = false;
    let mut noted: Option<WaitingGuard> = None;
    loop {
        let mut wakes = Wakes::default();
        let step = cell.with(|state| {
            if notified {
                state.waits().landed(line);
            }
            match attempt(state, &mut wakes) {
                Some(result) => Ok(result),
                None => {
                    let (kind, owner) = (state.kind(), state.owner());
                    let in_front = notified || state.is_last_first(line);
                    let waits = state.waits();
                    let waiter = waits.enlist(kind, line, in_front);
                    match &noted {
                        None => {
                            waits.set_owner(owner);
                            noted = waits.begin_wait(operation, deadline.is_some(), &waiter);
                        }
                        Some(noted) => noted.looked(waiter::pending(&waiter)),
                    }
                    Err(waiter)
                }
            }
        });
        wakes.send();
        let waiter = match step {
            Ok(result) => return Ok(Some(result)),
            Err(waiter) => waiter,
        };
        let waited = gate.wait(&waiter, deadline);
        if matches!(waited, Ok(true)) {
            notified = true;
            continue;
        }
        // Out of time, or given up. A notification that crossed with that must not be lost: use
        // it, or pass it on.
        let mut wakes = Wakes::default();
        let last = cell.with(|state| {
            let crossed = !state.waits().withdraw(line, &waiter);
            if crossed {
                state.waits().landed(line);
            }
            match &waited {
                Ok(_) => attempt(state, &mut wakes),
                Err(_) => {
                    if crossed {
                        state.waits().wake_one(line, &mut wakes);
                    }
                    None
                }
            }
        });
        wakes.send();
        return waited.map(|_| last);
    }
}

/// Waits in a line until a broadcast or a notice takes the caller out of it: true if one did.
///
/// # Errors
/// Those of the gate; a notice that crossed with one goes to the next in the line if `pass_on`.
pub(crate) fn await_notice<const LINES: usize, S: Waitable<LINES>, G: Gate>(
    cell: &impl Protected<S>,
    waiter: &Arc<Waiter>,
    line: usize,
    gate: &G,
    deadline: Option<Deadline>,
    pass_on: bool,
) -> Result<bool, G::Error> {
    let waited = gate.wait(waiter, deadline);
    if matches!(waited, Ok(true)) {
        return waited;
    }
    let mut wakes = Wakes::default();
    let crossed = cell.with(|state| {
        let crossed = !state.waits().withdraw(line, waiter);
        if crossed && pass_on && waited.is_err() {
            state.waits().wake(line, 1, &mut wakes);
        }
        crossed
    });
    wakes.send();
    waited.map(|_| crossed)
}
