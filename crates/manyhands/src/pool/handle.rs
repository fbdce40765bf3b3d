//! Calls that were submitted.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use manyhands_shm::Limit;
use serde::de::DeserializeOwned;

use super::Engine;
use super::error::PoolError;
use super::slot::{Arrivals, Slot, Value};

/// A call that a pool has taken, and its result to be.
///
/// Dropping it lets the call be done; nobody learns what came of it.
///
/// ```
/// # use manyhands::{Pool, pool::Kind};
/// #[manyhands::task]
/// fn shout(text: String) -> String {
///     text.to_uppercase()
/// }
///
/// let pool = Pool::builder().kind(Kind::Threads).workers(2).build()?;
/// let handles = ["one", "two"].map(|text| pool.submit(shout::task(text.to_owned())));
/// for handle in handles {
///     println!("{}", handle?.join()?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "multiprocessing.pool.AsyncResult")]
#[doc(alias = "concurrent.futures.Future")]
#[must_use = "the outcome of a call, also that it panicked, is told by its handle alone"]
pub struct Handle<R> {
    pub(super) slot: Arc<Slot>,
    engine: Engine,
    task: &'static str,
    result: PhantomData<fn() -> R>,
}

impl<R> Handle<R> {
    pub(super) fn new(
        engine: Engine,
        task: &'static str,
        told: Option<(Arc<Arrivals>, u64)>,
    ) -> Handle<R> {
        Handle { slot: Slot::new(told), engine, task, result: PhantomData }
    }

    /// Whether the call has an outcome. Never waits.
    #[doc(alias = "concurrent.futures.Future.done")]
    pub fn is_done(&self) -> bool {
        self.wait(Limit::Never)
    }

    /// Takes the call back, if no worker has taken it: then it is never done, and its outcome is
    /// [`PoolError::Cancelled`]. Whether it was taken back.
    #[doc(alias = "concurrent.futures.Future.cancel")]
    pub fn cancel(&self) -> bool {
        match &self.engine {
            Engine::Processes(processes) => processes.cancel(&self.slot),
            Engine::Threads(_) => {
                self.slot.settle_unbegun(PoolError::Cancelled { task: self.task })
            }
        }
    }

    /// Waits for the outcome; whether it is there.
    fn wait(&self, limit: Limit) -> bool {
        match &self.engine {
            Engine::Processes(processes) => {
                processes.advance(limit, &|| self.slot.is_settled());
                self.slot.is_settled()
            }
            Engine::Threads(_) => self.slot.wait(limit),
        }
    }
}

impl<R: DeserializeOwned + 'static> Handle<R> {
    /// Waits for the outcome of the call.
    ///
    /// # Errors
    /// There is no result: see [`PoolError`].
    #[doc(alias = "multiprocessing.pool.AsyncResult.get")]
    #[doc(alias = "concurrent.futures.Future.result")]
    pub fn join(self) -> Result<R, PoolError> {
        self.wait(Limit::Forever);
        self.outcome()
    }

    /// As [`Handle::join`], but waits at most until the limit; the handle comes back if there is no
    /// outcome until then.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use manyhands::{Pool, pool::Kind};
    /// # #[manyhands::task]
    /// # fn answer() -> u32 { 42 }
    /// # let pool = Pool::builder().kind(Kind::Threads).workers(1).build()?;
    /// use manyhands::pool::Limit;
    ///
    /// let mut handle = pool.submit(answer::task())?;
    /// let outcome = loop {
    ///     match handle.join_within(Limit::after(Duration::from_millis(100))) {
    ///         Ok(outcome) => break outcome,
    ///         Err(again) => handle = again,
    ///     }
    ///     println!("not yet");
    /// };
    /// assert_eq!(outcome?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The handle: there is no outcome yet.
    pub fn join_within(self, limit: Limit) -> Result<Result<R, PoolError>, Handle<R>> {
        if self.wait(limit) { Ok(self.outcome()) } else { Err(self) }
    }

    /// The outcome, which is there; but in a forked copy of the process.
    fn outcome(self) -> Result<R, PoolError> {
        let wrong =
            |why: postcard::Error| PoolError::Result { task: self.task, reason: why.to_string() };
        match self.slot.take().unwrap_or(Err(PoolError::Foreign))? {
            Value::Bytes(bytes, head) => postcard::from_bytes(&bytes[head..]).map_err(wrong),
            Value::Parcel(parcel, head) => {
                postcard::from_bytes(&parcel.head()[head..]).map_err(wrong)
            }
            Value::Object(object) => match object.downcast() {
                Ok(result) => Ok(*result),
                Err(_) => Err(wrong(postcard::Error::WontImplement)),
            },
        }
    }
}

impl<R> fmt::Debug for Handle<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handle").field("task", &self.task).finish_non_exhaustive()
    }
}
