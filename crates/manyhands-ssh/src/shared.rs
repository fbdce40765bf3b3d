//! What the connection's thread tells the callers of one connection.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use manyhands_sync::{Exclusion, Gate, Limit, Locked, Protected, Waitable, Waits, Wakes, block};
use manyhands_watch::Kind;
use russh::ChannelId;

use crate::channel::Incoming;
use crate::inbox::Inbox;
use crate::line::Knife;
use crate::{Cause, Error, HostKey, Negotiated, Step};

/// How many channels that the server has opened may wait to be accepted.
const BACKLOG: usize = 128;

const ARRIVALS: usize = 0;
const EVENTS: usize = 1;

/// What may change at any time, and is waited for.
#[derive(Default)]
pub(crate) struct State {
    /// Why the connection has ended.
    ended: Option<Cause>,
    arrivals: VecDeque<Incoming>,
    /// Whether the server may open channels.
    welcoming: bool,
    /// How often keys have been exchanged.
    exchanges: u64,
    waits: Waits<2>,
}

impl Waitable<2> for State {
    fn kind(&self) -> Kind {
        Kind::Queue
    }

    fn waits(&mut self) -> &mut Waits<2> {
        &mut self.waits
    }
}

/// What is learned in the handshake and in authentication.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) host_key: Option<HostKey>,
    pub(crate) negotiated: Option<Negotiated>,
    pub(crate) remote_version: String,
    pub(crate) banner: Option<String>,
}

pub(crate) struct Shared {
    pub(crate) host: Arc<str>,
    pub(crate) knife: Arc<Knife>,
    facts: Mutex<Facts>,
    inboxes: Mutex<HashMap<ChannelId, Arc<Inbox>>>,
    /// After how many bytes keys are exchanged anew, besides the protocol's own rules; and when that is, in bytes that the line
    /// has carried.
    rekey_bytes: AtomicU64,
    rekey_at: AtomicU64,
    state: <Locked as Exclusion>::Cell<State>,
}

impl Shared {
    pub(crate) fn new(host: Arc<str>) -> Arc<Shared> {
        Arc::new(Shared {
            host,
            knife: Arc::default(),
            facts: Mutex::default(),
            inboxes: Mutex::default(),
            rekey_bytes: AtomicU64::new(u64::MAX),
            rekey_at: AtomicU64::new(u64::MAX),
            state: Protected::new(State::default()),
        })
    }

    pub(crate) fn error(&self, step: Step, cause: impl Into<Cause>) -> Error {
        Error::new(&self.host, step, cause.into())
    }

    /// An error for something that failed as the connection may have ended: then that is the cause.
    pub(crate) fn broken(&self, step: Step, cause: impl Into<Cause>) -> Error {
        Error::new(&self.host, step, self.ended().unwrap_or_else(|| cause.into()))
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inboxes(&self) -> MutexGuard<'_, HashMap<ChannelId, Arc<Inbox>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ended(&self) -> Option<Cause> {
        self.state.with(|state| state.ended.clone())
    }

    /// The connection has ended: the first reason counts.
    pub(crate) fn finish(&self, cause: Cause) {
        let mut wakes = Wakes::default();
        let arrivals = self.state.with(|state| {
            if state.ended.is_some() {
                return None;
            }
            state.ended = Some(cause.clone());
            state.waits.wake_all(ARRIVALS, &mut wakes);
            state.waits.wake_all(EVENTS, &mut wakes);
            Some(std::mem::take(&mut state.arrivals))
        });
        wakes.send();
        if arrivals.is_some() {
            let inboxes = std::mem::take(&mut *self.inboxes());
            for inbox in inboxes.into_values() {
                inbox.close(Some(&cause));
            }
        }
    }

    /// The inbox of a channel that is open.
    pub(crate) fn adopt(&self, id: ChannelId) -> Arc<Inbox> {
        let inbox = Arc::clone(self.inboxes().entry(id).or_insert_with(Inbox::new));
        // It may have ended just before the inbox came to be among those that are told.
        if let Some(cause) = self.ended() {
            inbox.close(Some(&cause));
        }
        inbox
    }

    pub(crate) fn inbox(&self, id: ChannelId) -> Option<Arc<Inbox>> {
        self.inboxes().get(&id).map(Arc::clone)
    }

    pub(crate) fn forget(&self, id: ChannelId) -> Option<Arc<Inbox>> {
        self.inboxes().remove(&id)
    }

    pub(crate) fn welcome(&self) {
        self.state.with(|state| state.welcoming = true);
    }

    /// Whether a channel that the server wants to open would be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.state.with(|state| state.welcoming && state.arrivals.len() < BACKLOG)
    }

    pub(crate) fn arrive(&self, incoming: Incoming) {
        let mut wakes = Wakes::default();
        let refused = self.state.with(|state| {
            if state.ended.is_some() {
                return Some(incoming);
            }
            state.arrivals.push_back(incoming);
            state.waits.wake_one(ARRIVALS, &mut wakes);
            None
        });
        wakes.send();
        drop(refused);
    }

    pub(crate) fn accept<G: Gate>(
        &self,
        gate: &G,
        limit: Limit,
    ) -> Result<Option<Result<Incoming, Cause>>, G::Error> {
        block(&self.state, ARRIVALS, "accept", gate, limit, |state: &mut State, wakes| {
            let arrival = match state.arrivals.pop_front() {
                Some(incoming) => Ok(incoming),
                None => Err(state.ended.clone()?),
            };
            state.waits.wake_one(ARRIVALS, wakes);
            Some(arrival)
        })
    }

    /// Has keys exchanged after every so many bytes.
    pub(crate) fn set_rekey_bytes(&self, bytes: u64) {
        self.rekey_bytes.store(bytes, Ordering::Relaxed);
        self.rekey_at.store(self.knife.carried().saturating_add(bytes), Ordering::Relaxed);
    }

    /// Whether keys are to be exchanged now; says so once for each exchange.
    pub(crate) fn is_rekey_due(&self) -> bool {
        let due = self.knife.carried() >= self.rekey_at.load(Ordering::Relaxed);
        if due {
            self.rekey_at.store(u64::MAX, Ordering::Relaxed);
        }
        due
    }

    pub(crate) fn exchanged(&self) {
        self.set_rekey_bytes(self.rekey_bytes.load(Ordering::Relaxed));
        let mut wakes = Wakes::default();
        self.state.with(|state| {
            state.exchanges += 1;
            state.waits.wake_all(EVENTS, &mut wakes);
        });
        wakes.send();
    }

    pub(crate) fn exchanges(&self) -> u64 {
        self.state.with(|state| state.exchanges)
    }

    /// Waits until keys were exchanged more often than that.
    pub(crate) fn await_exchange<G: Gate>(
        &self,
        seen: u64,
        gate: &G,
        limit: Limit,
    ) -> Result<Option<Result<(), Cause>>, G::Error> {
        block(&self.state, EVENTS, "renegotiate_keys", gate, limit, |state: &mut State, wakes| {
            let result = if state.exchanges > seen { Ok(()) } else { Err(state.ended.clone()?) };
            state.waits.wake_one(EVENTS, wakes);
            Some(result)
        })
    }
}
