//! A pool of workers, processes or threads, and functions that can be sent to them.
//!
//! ```
//! use manyhands::Pool;
//!
//! #[manyhands::task]
//! fn area(width: u32, height: u32) -> u64 {
//!     u64::from(width) * u64::from(height)
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     manyhands::init(); // Worker processes begin here, and go no further.
//!
//!     let pool = Pool::new()?; // As many workers as this process may use processors.
//!     assert_eq!(area(3, 4), 12); // here
//!     assert_eq!(pool.submit(area::task(3, 4))?.join()?, 12); // there
//!     assert_eq!(pool.map(|side| area::task(side, side), 1..=4)?, [1, 4, 9, 16]);
//!     Ok(())
//! }
//! ```
//!
//! Worker processes are this program, started again; so nothing that the program does with threads, locks
//! or memory is in their way, nor in a worker's that is started later. They know functions by
//! their names, and get arguments, written down by serde, through shared memory. In a pool of threads
//! ([`Kind::Threads`]) calls are made in this process, and nothing is written down.
//!
//! # When a worker is killed
//! The call that it did fails with [`PoolError::WorkerDied`], or is done again ([`Builder::retries`]); no
//! other one is lost, and another worker takes its place. A call that panics fails, and its worker goes on.
//! Workers end with the process whose pool it is, however that ends.
//!
//! # Tests
//! The test harness has a `main` of its own, which cannot call [`init`](crate::init): in `#[test]`
//! functions use a pool of threads, or give the test `harness = false` and a `main`.
//!
//! # Fork safety
//! A pool is of the process that has made it. In a forked copy its methods fail with
//! [`PoolError::Foreign`], or do nothing, and so does dropping it.

mod error;
mod handle;
mod iter;
mod processes;
mod slot;
mod supervise;
pub(crate) mod task;
mod threads;
pub(crate) mod worker;

use std::sync::Arc;
use std::thread::available_parallelism;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::{BuildError, PoolError};
pub use handle::Handle;
pub use iter::{Imap, ImapUnordered};
#[doc(inline)]
pub use manyhands_process::ExitStatus;
#[doc(inline)]
pub use manyhands_shm::Limit;
pub use task::{Call, Transferable};

use processes::Processes;
use slot::Arrivals;
use threads::Threads;

/// What the workers of a pool are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Processes: this program, started again. Each has memory of its own, and may be killed.
    #[default]
    Processes,
    /// Threads of this process.
    Threads,
}

/// Workers that do calls of [tasks](macro@crate::task).
///
/// Dropping it is [`Pool::terminate`]: no worker is left.
#[doc(alias = "multiprocessing.Pool")]
#[doc(alias = "multiprocessing.pool.ThreadPool")]
#[doc(alias = "concurrent.futures.ProcessPoolExecutor")]
#[derive(Debug)]
pub struct Pool {
    engine: Engine,
    retries: u32,
}

#[derive(Clone, Debug)]
enum Engine {
    Processes(Arc<Processes>),
    Threads(Arc<Threads>),
}

/// How a pool is to be; made by [`Pool::builder`].
///
/// ```
/// use manyhands::pool::{Kind, Pool};
///
/// let pool = Pool::builder().workers(2).kind(Kind::Threads).build()?;
/// assert_eq!(pool.workers(), 2);
/// # Ok::<(), manyhands::pool::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    workers: Option<usize>,
    kind: Kind,
    retries: u32,
}

impl Builder {
    /// How many workers; as many as this process may use processors, by affinity and control groups, if
    /// that is not said.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = Some(workers);
        self
    }

    /// What they are; processes if that is not said.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Builder {
        self.kind = kind;
        self
    }

    /// How many times a call is done again when the worker that does it dies; never if that is not said.
    /// Each call can say otherwise ([`Call::retries`]).
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Builder {
        self.retries = retries;
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// See [`BuildError`]. Nothing is left behind then.
    pub fn build(self) -> Result<Pool, BuildError> {
        let processors = || available_parallelism().map_or(1, usize::from);
        let workers = self.workers.unwrap_or_else(processors);
        if workers == 0 {
            return Err(BuildError::NoWorkers);
        }
        let engine = match self.kind {
            Kind::Threads => Engine::Threads(Threads::start(workers)?),
            Kind::Processes if !worker::is_initialized() => return Err(BuildError::NotInitialized),
            Kind::Processes => match task::duplicate() {
                Some(name) => return Err(BuildError::DuplicateTask(name)),
                None => Engine::Processes(Processes::start(workers)?),
            },
        };
        Ok(Pool { engine, retries: self.retries })
    }
}

impl Pool {
    /// A pool of as many processes as this one may use processors.
    ///
    /// # Errors
    /// As of [`Builder::build`].
    pub fn new() -> Result<Pool, BuildError> {
        Pool::builder().build()
    }

    /// A pool as you like it.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// How many workers it has; for a moment it may be fewer, when one has died.
    pub fn workers(&self) -> usize {
        match &self.engine {
            Engine::Processes(processes) => processes.count,
            Engine::Threads(threads) => threads.count,
        }
    }

    /// Has a worker do a call.
    ///
    /// Waits while calls of more than 256 MiB are under way to worker processes.
    ///
    /// # Errors
    /// Closed, ended, broken; arguments that cannot be written down; no memory.
    #[doc(alias = "multiprocessing.pool.Pool.apply_async")]
    #[doc(alias = "concurrent.futures.Executor.submit")]
    pub fn submit<R>(&self, call: Call<R>) -> Result<Handle<R>, PoolError>
    where
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.submit_told(call, None)
    }

    fn submit_told<R>(
        &self,
        call: Call<R>,
        told: Option<(Arc<Arrivals>, u64)>,
    ) -> Result<Handle<R>, PoolError>
    where
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let Call { task, retries, body } = call;
        let handle = Handle::new(self.engine.clone(), task, told);
        match &self.engine {
            Engine::Processes(processes) => {
                let message = body
                    .write(worker::head_of(task))
                    .map_err(|why| PoolError::Arguments { task, reason: why.to_string() })?;
                let retries = retries.unwrap_or(self.retries);
                processes.submit(&handle.slot, task, retries, message)?;
            }
            Engine::Threads(threads) => {
                threads.submit(&handle.slot, task, Box::new(move || Box::new(body.run())))?;
            }
        }
        Ok(handle)
    }

    /// Does a call for each item, and returns all results, in their order.
    ///
    /// ```
    /// # use manyhands::pool::{Kind, Pool};
    /// #[manyhands::task]
    /// fn square(number: u64) -> u64 {
    ///     number * number
    /// }
    ///
    /// # let pool = Pool::builder().kind(Kind::Threads).build()?;
    /// assert_eq!(pool.map(square::task, [3, 4, 5])?, [9, 16, 25]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// That of the first call that has no result; calls after it that nobody has begun are taken back.
    #[doc(alias = "multiprocessing.pool.Pool.map")]
    pub fn map<I, F, R>(&self, mut task: F, items: I) -> Result<Vec<R>, PoolError>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Call<R>,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let items = items.into_iter().map(|item| self.submit(task(item)));
        // All are submitted before one is waited for.
        let mut handles = items.collect::<Vec<_>>().into_iter();
        let results = handles.by_ref().map(|handle| handle?.join()).collect();
        handles.rev().flatten().for_each(|handle| _ = handle.cancel());
        results
    }

    /// Does a call for each item, and gives the results in their order, as they are asked for. The
    /// iterator may be endless.
    ///
    /// ```
    /// # use manyhands::pool::{Kind, Pool};
    /// # #[manyhands::task]
    /// # fn square(number: u64) -> u64 { number * number }
    /// # let pool = Pool::builder().kind(Kind::Threads).build()?;
    /// for (number, squared) in pool.imap(square::task, 1..).take(3).enumerate() {
    ///     println!("{} {}", number + 1, squared?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "multiprocessing.pool.Pool.imap")]
    pub fn imap<I, F, R>(&self, task: F, items: I) -> Imap<'_, I::IntoIter, F, R>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Call<R>,
    {
        Imap::new(self, items.into_iter(), task)
    }

    /// As [`Pool::imap`], but gives the results in the order in which they come.
    ///
    /// ```
    /// # use manyhands::pool::{Kind, Pool};
    /// # #[manyhands::task]
    /// # fn square(number: u64) -> (u64, u64) { (number, number * number) }
    /// # let pool = Pool::builder().kind(Kind::Threads).build()?;
    /// for result in pool.imap_unordered(square::task, 1..=3) {
    ///     let (number, squared) = result?;
    ///     println!("{number} {squared}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "multiprocessing.pool.Pool.imap_unordered")]
    #[doc(alias = "concurrent.futures.as_completed")]
    pub fn imap_unordered<I, F, R>(&self, task: F, items: I) -> ImapUnordered<'_, I::IntoIter, F, R>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Call<R>,
    {
        ImapUnordered::new(self, items.into_iter(), task)
    }

    /// Takes no more calls; those that were submitted are done, then the workers end.
    #[doc(alias = "multiprocessing.pool.Pool.close")]
    pub fn close(&self) {
        match &self.engine {
            Engine::Processes(processes) => processes.close(),
            Engine::Threads(threads) => threads.close(),
        }
    }

    /// Takes no more calls, and fails those without an outcome with [`PoolError::Terminated`]. Processes
    /// are asked to end (`SIGTERM`), and killed after a second; threads end what they do.
    ///
    /// Returns when no worker is left.
    #[doc(alias = "multiprocessing.pool.Pool.terminate")]
    pub fn terminate(&self) {
        match &self.engine {
            Engine::Processes(processes) => processes.terminate(),
            Engine::Threads(threads) => threads.terminate(),
        }
    }

    /// Closes the pool, and waits until all calls have an outcome and no worker is left.
    ///
    /// ```
    /// # use manyhands::pool::{Kind, Pool};
    /// # #[manyhands::task]
    /// # fn square(number: u64) -> u64 { number * number }
    /// # let pool = Pool::builder().kind(Kind::Threads).build()?;
    /// let handle = pool.submit(square::task(12))?;
    /// pool.join();
    /// assert!(handle.is_done() && pool.submit(square::task(13)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "multiprocessing.pool.Pool.join")]
    #[doc(alias = "concurrent.futures.Executor.shutdown")]
    pub fn join(&self) {
        self.close();
        match &self.engine {
            Engine::Processes(processes) => processes.join(),
            Engine::Threads(threads) => threads.join(),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.terminate();
    }
}
