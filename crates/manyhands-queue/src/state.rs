//! The state of a queue, and what is done with it under its exclusion.

use manyhands_sync::{Waitable, Waits, Wakes};
use manyhands_watch::Kind;

use crate::{GetError, PutError, PutFailure, Store};

/// The lines of a queue's state.
pub(crate) const GETTERS: usize = 0;
pub(crate) const PUTTERS: usize = 1;
pub(crate) const JOINERS: usize = 2;

pub(crate) struct State<S> {
    pub(crate) store: S,
    /// How many items fit; 0 for no bound.
    pub(crate) maxsize: usize,
    /// How many items were put in and not yet reported as done.
    pub(crate) unfinished: usize,
    pub(crate) phase: Phase,
    pub(crate) kind: Kind,
    /// Whether an item is for the getter that came last.
    pub(crate) last_first: bool,
    pub(crate) waits: Waits<3>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Takes no more items, gives out those that it has.
    ShutDown,
    /// Another implementation has taken over the items.
    Retired,
}

impl<S: Store> State<S> {
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.maxsize == 0 || self.store.len() < self.maxsize
    }

    #[inline]
    pub(crate) fn put(
        &mut self,
        item: S::Item,
        wakes: &mut Wakes,
    ) -> Result<(), PutError<S::Item>> {
        match self.phase {
            Phase::Open => {}
            Phase::ShutDown => return Err(PutError { item, why: PutFailure::ShutDown }),
            Phase::Retired => return Err(PutError { item, why: PutFailure::Retired }),
        }
        if !self.has_room() {
            return Err(PutError { item, why: PutFailure::Full });
        }
        if let Err(item) = self.store.push(item) {
            return Err(PutError { item, why: PutFailure::Undecided });
        }
        self.unfinished += 1;
        if manyhands_trace::is_on() {
            self.waits.trace_item(self.kind, true, self.store.len());
        }
        self.waits.wake_one(GETTERS, wakes);
        Ok(())
    }

    #[inline]
    pub(crate) fn get(&mut self, wakes: &mut Wakes) -> Result<S::Item, GetError> {
        match self.store.pop() {
            Some(Some(item)) => {
                if manyhands_trace::is_on() {
                    self.waits.trace_item(self.kind, false, self.store.len());
                }
                self.waits.wake_one(PUTTERS, wakes);
                Ok(item)
            }
            Some(None) => Err(GetError::Undecided),
            None => match self.phase {
                Phase::Open => Err(GetError::Empty),
                Phase::ShutDown => Err(GetError::ShutDown),
                Phase::Retired => Err(GetError::Retired),
            },
        }
    }

    pub(crate) fn shut_down(&mut self, wakes: &mut Wakes) {
        if self.phase == Phase::Open {
            self.phase = Phase::ShutDown;
        }
        self.waits.wake_all(GETTERS, wakes);
        self.waits.wake_all(PUTTERS, wakes);
    }
}

impl<S> Waitable<3> for State<S> {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn waits(&mut self) -> &mut Waits<3> {
        &mut self.waits
    }

    fn is_last_first(&self, line: usize) -> bool {
        self.last_first && line == GETTERS
    }
}
