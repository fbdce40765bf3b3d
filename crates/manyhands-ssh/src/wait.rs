//! Driving something asynchronous from a thread that waits through a gate.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use manyhands_sync::{Exclusion, Gate, Limit, Locked, Protected, Waitable, Waits, Wakes, block};
use manyhands_watch::Kind;

/// Whether a future wants to be polled again, and who is to poll it.
struct Bell {
    rung: bool,
    waits: Waits<1>,
}

impl Waitable<1> for Bell {
    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn waits(&mut self) -> &mut Waits<1> {
        &mut self.waits
    }
}

struct Alarm(<Locked as Exclusion>::Cell<Bell>);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        let mut wakes = Wakes::default();
        self.0.with(|bell| {
            bell.rung = true;
            bell.waits.wake_one(0, &mut wakes);
        });
        wakes.send();
    }
}

/// Polls a future in this thread until it is ready; `None` when the limit was reached. The future must not
/// need a runtime, except to be woken from.
pub(crate) fn drive<F: Future, G: Gate>(
    future: F,
    gate: &G,
    limit: Limit,
) -> Result<Option<F::Output>, G::Error> {
    let mut future = pin!(future);
    let alarm = Arc::new(Alarm(Protected::new(Bell { rung: false, waits: Waits::default() })));
    let waker = Waker::from(Arc::clone(&alarm));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(Some(output));
        }
        let rung = block(&alarm.0, 0, "wait", gate, limit, |bell: &mut Bell, _| {
            std::mem::take(&mut bell.rung).then_some(())
        })?;
        if rung.is_none() {
            return Ok(None);
        }
    }
}
