//! Noticing that a server is gone that did not say so.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::session::Inner;
use crate::{Cause, Error, Session, Step};

impl Session {
    /// Asks the server for a sign of life after each `interval`, from now on, or no longer if that is zero. When nothing at all
    /// has come from it for more than `count` intervals the connection ends; never for that reason if `count` is 0.
    ///
    /// # Errors
    /// In a forked child.
    #[doc(alias = "paramiko.Transport.set_keepalive")]
    pub fn set_keepalive(&self, interval: Duration, count: u32) -> Result<(), Error> {
        let core = self.core(Step::Ping)?;
        let task = (!interval.is_zero() && self.is_active()).then(|| {
            let watching = watch(Arc::downgrade(self.inner()), interval, count);
            core.runtime.spawn(watching).abort_handle()
        });
        if let Some(before) = std::mem::replace(&mut *core.keepalive(), task) {
            before.abort();
        }
        Ok(())
    }
}

async fn watch(connection: Weak<Inner>, interval: Duration, count: u32) {
    let mut seen = None;
    let mut missed = 0;
    loop {
        tokio::time::sleep(interval).await;
        let Some(inner) = connection.upgrade() else { return };
        let shared = Arc::clone(&inner.shared);
        if shared.ended().is_some() {
            return;
        }
        let arrived = shared.knife.arrived();
        missed = if seen.replace(arrived) == Some(arrived) { missed + 1 } else { 0 };
        if count != 0 && missed > count {
            shared.finish(Cause::Lifeless(missed));
            shared.knife.cut();
            return;
        }
        // Not held while waiting: it would keep the connection open.
        let handle = inner.handle();
        drop(inner);
        if let Some(handle) = handle {
            // If even that cannot be sent, the next look says so.
            let _ = tokio::time::timeout(interval, handle.send_keepalive(true)).await;
        }
    }
}
