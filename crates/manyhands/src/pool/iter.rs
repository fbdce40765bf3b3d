//! Results one after the other, of calls that are submitted as these are taken.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::iter::Fuse;
use std::sync::Arc;

use manyhands_shm::Limit;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::PoolError;
use super::handle::Handle;
use super::slot::Arrivals;
use super::task::Call;
use super::{Engine, Pool};

/// How many calls are ahead of the results that were taken, for each worker.
const AHEAD: usize = 16;

/// The results of [`Pool::imap`], in the order of the items.
///
/// Items are taken some way ahead, so that workers have something to do; never all of an endless
/// iterator. Calls that nobody has begun are taken back when it is dropped.
#[must_use = "calls are submitted as results are taken"]
pub struct Imap<'a, I: Iterator, F, R> {
    pool: &'a Pool,
    items: Fuse<I>,
    task: F,
    ahead: VecDeque<Result<Handle<R>, PoolError>>,
    window: usize,
}

impl<'a, I: Iterator, F, R> Imap<'a, I, F, R> {
    pub(super) fn new(pool: &'a Pool, items: I, task: F) -> Self {
        let window = pool.workers() * AHEAD;
        Imap { pool, items: items.fuse(), task, ahead: VecDeque::new(), window }
    }

    /// Submits so many calls, and no more, ahead of the results that were taken; one at least.
    pub fn window(mut self, calls: usize) -> Self {
        self.window = calls.max(1);
        self
    }
}

impl<I, F, R> Iterator for Imap<'_, I, F, R>
where
    I: Iterator,
    F: FnMut(I::Item) -> Call<R>,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    type Item = Result<R, PoolError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ahead.len() < self.window
            && let Some(item) = self.items.next()
        {
            self.ahead.push_back(self.pool.submit((self.task)(item)));
        }
        self.ahead.pop_front().map(|handle| handle?.join())
    }
}

impl<I: Iterator, F, R> Drop for Imap<'_, I, F, R> {
    fn drop(&mut self) {
        // The last first: workers take the first.
        self.ahead.iter().rev().flatten().for_each(|handle| _ = handle.cancel());
    }
}

/// The results of [`Pool::imap_unordered`], as they come.
///
/// As [`Imap`] otherwise.
#[must_use = "calls are submitted as results are taken"]
pub struct ImapUnordered<'a, I: Iterator, F, R> {
    pool: &'a Pool,
    items: Fuse<I>,
    task: F,
    /// By the numbers under which they arrive.
    ahead: HashMap<u64, Handle<R>>,
    next: u64,
    arrivals: Arc<Arrivals>,
    window: usize,
}

impl<'a, I: Iterator, F, R> ImapUnordered<'a, I, F, R> {
    pub(super) fn new(pool: &'a Pool, items: I, task: F) -> Self {
        let (ahead, arrivals, window) = (HashMap::new(), Arc::default(), pool.workers() * AHEAD);
        ImapUnordered { pool, items: items.fuse(), task, ahead, next: 0, arrivals, window }
    }

    /// As [`Imap::window`].
    pub fn window(mut self, calls: usize) -> Self {
        self.window = calls.max(1);
        self
    }

    /// Waits for a call that has an outcome.
    fn arrived(&self) -> Option<u64> {
        match &self.pool.engine {
            Engine::Processes(processes) => {
                processes.advance(Limit::Forever, &|| !self.arrivals.is_empty());
            }
            Engine::Threads(_) => _ = self.arrivals.wait(Limit::Forever),
        }
        self.arrivals.next()
    }
}

impl<I, F, R> Iterator for ImapUnordered<'_, I, F, R>
where
    I: Iterator,
    F: FnMut(I::Item) -> Call<R>,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    type Item = Result<R, PoolError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ahead.len() < self.window
            && let Some(item) = self.items.next()
        {
            let told = Some((Arc::clone(&self.arrivals), self.next));
            match self.pool.submit_told((self.task)(item), told) {
                Ok(handle) => _ = self.ahead.insert(self.next, handle),
                Err(why) => return Some(Err(why)),
            }
            self.next += 1;
        }
        if self.ahead.is_empty() {
            return None;
        }
        // There is none in a forked copy of the process.
        let arrived = self.arrived().and_then(|name| self.ahead.remove(&name));
        Some(arrived.map_or(Err(PoolError::Foreign), Handle::join))
    }
}

impl<I: Iterator, F, R> Drop for ImapUnordered<'_, I, F, R> {
    fn drop(&mut self) {
        self.ahead.values().for_each(|handle| _ = handle.cancel());
    }
}

impl<I: Iterator, F, R> fmt::Debug for Imap<'_, I, F, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Imap").field("ahead", &self.ahead.len()).finish_non_exhaustive()
    }
}

impl<I: Iterator, F, R> fmt::Debug for ImapUnordered<'_, I, F, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ahead = self.ahead.len();
        formatter.debug_struct("ImapUnordered").field("ahead", &ahead).finish_non_exhaustive()
    }
}
