//! How threads wait for what another thread of this process brings about, and then goes on without
//! holding them up: the outcome of a call.

use manyhands_sync::{Limit, Protected, Waitable, Waits, Wakes, block};
use manyhands_watch::Kind;
use pyo3::prelude::*;

use crate::exclusion::Interpreter;
use crate::gate::Outside;

type Cell<S> = <Interpreter as manyhands_sync::Exclusion>::Cell<S>;

/// Those who wait for an outcome, whose state is kept elsewhere.
pub(crate) struct News(Cell<Readers>);

struct Readers(Waits<1>);

/// Their line.
const READERS: usize = 0;

impl Waitable<1> for Readers {
    fn kind(&self) -> Kind {
        Kind::Future
    }

    fn waits(&mut self) -> &mut Waits<1> {
        &mut self.0
    }
}

impl News {
    pub(crate) fn new() -> News {
        News(Cell::new(Readers(Waits::default())))
    }

    /// The number under which observers know it.
    pub(crate) fn subject(&self) -> Option<u64> {
        self.0.with(|readers| readers.0.subject())
    }

    /// Has all who wait look again. The caller is in the interpreter, and has changed before what they
    /// look at.
    #[inline]
    pub(crate) fn tell(&self) {
        let mut wakes = Wakes::default();
        self.tell_later(&mut wakes);
        wakes.send();
    }

    /// The same, once `wakes` are sent.
    #[inline]
    pub(crate) fn tell_later(&self, wakes: &mut Wakes) {
        self.0.with(|readers| readers.0.wake_all(READERS, wakes));
    }

    /// Waits until `is_over`, at most until the limit; returns whether it is. `is_over` must do nothing
    /// that could run Python code.
    pub(crate) fn wait(
        &self,
        py: Python<'_>,
        operation: &'static str,
        limit: Limit,
        is_over: impl Fn() -> bool,
    ) -> PyResult<bool> {
        let over = block(&self.0, READERS, operation, &Outside(py), limit, |_: &mut Readers, _| {
            is_over().then_some(())
        });
        Ok(over?.is_some())
    }
}
