//! The helper thread of a pool leaves SIGINT to the program's threads, as one that it took would be noticed
//! by the main thread only when that next waits for something.

use std::cell::Cell;

use manyhands_sys::process::{INTERRUPT, blocked_signals, set_blocked_signals, signal_bit};

thread_local! {
    /// What this thread had blocked when it became deaf.
    static BEFORE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// While there is one, this thread takes no SIGINT.
pub(super) struct Deaf(u64);

impl Deaf {
    pub(super) fn begin() -> Deaf {
        let before = set_blocked_signals(blocked_signals() | signal_bit(INTERRUPT));
        BEFORE.set(Some(before));
        Deaf(before)
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        BEFORE.set(None);
        set_blocked_signals(self.0);
    }
}

/// While there is one, a deaf thread is as it was: for what the program does in it, or starts, which inherits
/// what is blocked.
pub(super) struct Hearing(Option<u64>);

impl Hearing {
    pub(super) fn begin() -> Hearing {
        Hearing(BEFORE.get().map(set_blocked_signals))
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if let Some(deaf) = self.0 {
            set_blocked_signals(deaf);
        }
    }
}
