//! What protects the state of a primitive that Python objects hold.

/// The exclusion of all primitives here.
///
/// With a global interpreter lock it is that: every method of ours that touches a state is called
/// by a thread that holds it, leaves the interpreter only in [`gate`](crate::gate), which is
/// outside of any [`with`](manyhands_sync::Protected::with), and calls nothing in a `with` that
/// could run Python code (no allocation, comparison or release of a Python object).
#[cfg(not(Py_GIL_DISABLED))]
pub(crate) type Interpreter = by_gil::Interpreter;

/// The exclusion of all primitives here; without a global interpreter lock, their own.
#[cfg(Py_GIL_DISABLED)]
pub(crate) type Interpreter = manyhands_sync::Locked;

#[cfg(not(Py_GIL_DISABLED))]
mod by_gil {
    #![expect(unsafe_code, reason = "a cell that relies on the interpreter's lock")]

    use std::cell::UnsafeCell;

    use manyhands_sync::{Exclusion, Protected};

    /// Names the exclusion; see [`Held`].
    pub(crate) struct Interpreter;

    /// A cell whose content the holder of the interpreter's lock may touch.
    pub(crate) struct Held<S>(UnsafeCell<S>);

    // SAFETY: the content is touched only in `with`, by the thread that holds the interpreter's lock.
    unsafe impl<S: Send> Sync for Held<S> {}

    impl Exclusion for Interpreter {
        type Cell<S: Send> = Held<S>;
    }

    impl<S: Send> Protected<S> for Held<S> {
        fn new(state: S) -> Self {
            Held(UnsafeCell::new(state))
        }

        #[inline(always)]
        fn with<R>(&self, body: impl FnOnce(&mut S) -> R) -> R {
            // SAFETY: calling this is always sound.
            debug_assert!(unsafe { pyo3::ffi::PyGILState_Check() } == 1);
            // SAFETY: only one thread at a time holds the interpreter's lock, and `body` neither
            // gives it up nor comes back here (see `crate::exclusion::Interpreter`), so this is the only
            // reference to the content.
            body(unsafe { &mut *self.0.get() })
        }
    }
}
