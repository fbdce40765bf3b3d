//! A connection.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use manyhands_sync::{Gate, Limit};
use russh::Disconnect;
use russh::client::Handle;
use tokio::task::AbortHandle;

use crate::handler::Receiver;
use crate::home::Homebound;
use crate::shared::Shared;
use crate::wait::drive;
use crate::{Cause, Error, HostKey, Negotiated, Options, Step, Stop};

/// How long a server is given to take note that the connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection to a server: keys are exchanged when there is one; then it has to be authenticated, then it can open channels.
///
/// A clone is the same connection. It is closed when the last clone is dropped, whatever channels there are.
///
/// # Fork safety
/// Of no use in a forked child, where all calls fail and say so. Dropping it there does nothing.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    core: Homebound<Core>,
}

pub(crate) struct Core {
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) stage: Mutex<Stage>,
    pub(crate) keepalive: Mutex<Option<AbortHandle>>,
    /// Names of algorithms for signatures with RSA keys that may be used.
    pub(crate) signatures: Vec<String>,
}

/// What can be done with a connection now.
pub(crate) enum Stage {
    /// It can be authenticated.
    Fresh(Box<Handle<Receiver>>),
    /// A thread is doing that.
    Busy,
    /// It can open channels.
    Ready(Arc<Handle<Receiver>>),
    /// It is closed.
    Gone,
}

impl Core {
    pub(crate) fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keepalive(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.keepalive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(crate) fn core(&self) -> Option<&Core> {
        self.core.get()
    }

    pub(crate) fn handle(&self) -> Option<Arc<Handle<Receiver>>> {
        match &*self.core()?.stage() {
            Stage::Ready(handle) => Some(Arc::clone(handle)),
            _ => None,
        }
    }

    fn close(&self) {
        let Some(core) = self.core() else { return };
        self.shared.finish(Cause::Closed("closed on this side".into()));
        if let Some(task) = core.keepalive().take() {
            task.abort();
        }
        let stage = std::mem::replace(&mut *core.stage(), Stage::Gone);
        let handle = match stage {
            Stage::Fresh(handle) => Arc::new(*handle),
            Stage::Ready(handle) => handle,
            // Who is authenticating finds it closed, and lets go of it.
            Stage::Busy | Stage::Gone => return self.shared.knife.cut(),
        };
        let knife = Arc::clone(&self.shared.knife);
        core.runtime.spawn(async move {
            let leaving = handle.disconnect(Disconnect::ByApplication, "", "");
            let _ = tokio::time::timeout(FAREWELL, leaving).await;
            drop(handle);
            tokio::time::sleep(FAREWELL).await;
            knife.cut();
        });
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        runtime: tokio::runtime::Handle,
        handle: Handle<Receiver>,
        options: &Options,
    ) -> Session {
        let core = Homebound::new(Core {
            runtime,
            stage: Mutex::new(Stage::Fresh(Box::new(handle))),
            keepalive: Mutex::new(None),
            signatures: options.algorithms.signatures.clone(),
        });
        Session { inner: Arc::new(Inner { shared, core }) }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(crate) fn error(&self, step: Step, cause: Cause) -> Error {
        self.shared().error(step, cause)
    }

    pub(crate) fn core(&self, step: Step) -> Result<&Core, Error> {
        self.inner.core().ok_or_else(|| {
            self.error(step, Cause::State("the connection belongs to the parent process"))
        })
    }

    /// The protocol's handle, of an authenticated connection.
    pub(crate) fn ready(&self, step: Step) -> Result<Arc<Handle<Receiver>>, Error> {
        self.core(step)?;
        if let Some(cause) = self.shared().ended() {
            return Err(self.error(step, cause));
        }
        self.inner
            .handle()
            .ok_or_else(|| self.error(step, Cause::State("the connection is not authenticated")))
    }

    /// Does something with the protocol's handle, within the limit.
    pub(crate) fn ask<G: Gate, T>(
        &self,
        step: Step,
        gate: &G,
        limit: Limit,
        question: impl AsyncFnOnce(&Handle<Receiver>) -> Result<T, russh::Error>,
    ) -> Result<T, Stop<G::Error>> {
        let handle = self.ready(step)?;
        drive(question(&handle), gate, limit)
            .map_err(Stop::Interrupted)?
            .ok_or_else(|| self.error(step, Cause::TimedOut))?
            .map_err(|error| self.shared().broken(step, error).into())
    }

    /// The other side, as `host:port`.
    pub fn host(&self) -> &str {
        &self.shared().host
    }

    /// The key of the server.
    #[doc(alias = "paramiko.Transport.get_remote_server_key")]
    pub fn host_key(&self) -> Option<HostKey> {
        self.inner.core()?;
        self.shared().facts().host_key.clone()
    }

    /// What was agreed on in the last key exchange.
    pub fn negotiated(&self) -> Option<Negotiated> {
        self.inner.core()?;
        self.shared().facts().negotiated.clone()
    }

    /// How the server calls itself, say `SSH-2.0-OpenSSH_9.2`.
    #[doc(alias = "paramiko.Transport.remote_version")]
    pub fn remote_version(&self) -> String {
        self.inner.core().map(|_| self.shared().facts().remote_version.clone()).unwrap_or_default()
    }

    /// What the server had to say before or during authentication.
    #[doc(alias = "paramiko.Transport.get_banner")]
    pub fn banner(&self) -> Option<String> {
        self.inner.core()?;
        self.shared().facts().banner.clone()
    }

    /// Whether it has not ended.
    #[doc(alias = "paramiko.Transport.is_active")]
    pub fn is_active(&self) -> bool {
        self.inner.core().is_some() && self.shared().ended().is_none()
    }

    /// Whether it is authenticated, and has not ended.
    #[doc(alias = "paramiko.Transport.is_authenticated")]
    pub fn is_authenticated(&self) -> bool {
        self.is_active() && self.inner.handle().is_some()
    }

    /// Why it has ended, if it has.
    pub fn end(&self) -> Option<Cause> {
        self.inner.core()?;
        self.shared().ended()
    }

    /// Exchanges new keys now.
    ///
    /// # Errors
    /// The connection ends or has ended, or the limit is reached.
    #[doc(alias = "paramiko.Transport.renegotiate_keys")]
    pub fn rekey<G: Gate>(&self, gate: &G, limit: Limit) -> Result<(), Stop<G::Error>> {
        self.core(Step::Rekey)?;
        let seen = self.shared().exchanges();
        self.ask(Step::Rekey, gate, limit, async |handle| handle.rekey_soon().await)?;
        self.shared()
            .await_exchange(seen, gate, limit)
            .map_err(Stop::Interrupted)?
            .ok_or_else(|| self.error(Step::Rekey, Cause::TimedOut))?
            .map_err(|cause| self.error(Step::Rekey, cause).into())
    }

    /// Waits until it has ended; false if the limit is reached before that.
    ///
    /// # Errors
    /// It belongs to the parent process, or the gate gives up.
    #[doc(alias = "paramiko.Transport.join")]
    pub fn join<G: Gate>(&self, gate: &G, limit: Limit) -> Result<bool, Stop<G::Error>> {
        self.core(Step::Receive)?;
        // So many times keys are never exchanged.
        let ended = self.shared().await_exchange(u64::MAX, gate, limit);
        Ok(ended.map_err(Stop::Interrupted)?.is_some())
    }

    /// Has new keys exchanged after every so many bytes in both directions, too, as far as the server answers
    /// to what is sent.
    #[doc(alias = "paramiko.Packetizer.REKEY_BYTES")]
    pub fn set_rekey_bytes(&self, bytes: u64) {
        self.shared().set_rekey_bytes(bytes);
    }

    /// Waits for an answer of the server.
    ///
    /// # Errors
    /// The connection ends or has ended, or the limit is reached.
    pub fn ping<G: Gate>(&self, gate: &G, limit: Limit) -> Result<(), Stop<G::Error>> {
        self.ask(Step::Ping, gate, limit, async |handle| handle.send_ping().await)?;
        match self.shared().ended() {
            Some(cause) => Err(self.error(Step::Ping, cause).into()),
            None => Ok(()),
        }
    }

    /// Makes a request that is about the connection as a whole, with data as the protocol encodes it. Returns what the
    /// server answers, `None` if it refuses; nothing, without waiting, if it is not to answer.
    ///
    /// # Errors
    /// The connection ends or has ended, or the limit is reached.
    #[doc(alias = "paramiko.Transport.global_request")]
    pub fn global_request<G: Gate>(
        &self,
        name: &str,
        data: &[u8],
        answered: bool,
        gate: &G,
        limit: Limit,
    ) -> Result<Option<Vec<u8>>, Stop<G::Error>> {
        self.ask(Step::GlobalRequest, gate, limit, async |handle| {
            match handle.send_global_request(name, data, answered).await {
                Ok(answer) => Ok(answer.map(|data| data.to_vec())),
                Err(russh::Error::RequestDenied) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    /// Asks the server to forward connections to a port of its own; 0 has it choose one. Returns which. Such a connection comes as
    /// a channel to [`accept`](Self::accept).
    ///
    /// # Errors
    /// The server refuses, the connection ends or has ended, or the limit is reached.
    #[doc(alias = "paramiko.Transport.request_port_forward")]
    pub fn forward<G: Gate>(
        &self,
        address: &str,
        port: u16,
        gate: &G,
        limit: Limit,
    ) -> Result<u16, Stop<G::Error>> {
        self.core(Step::Forward)?;
        self.shared().welcome();
        let chosen = self.ask(Step::Forward, gate, limit, async |handle| {
            handle.tcpip_forward(address, u32::from(port)).await
        })?;
        Ok(if port == 0 { chosen as u16 } else { port })
    }

    /// Ends what [`forward`](Self::forward) began.
    ///
    /// # Errors
    /// The server knows nothing of it, the connection ends or has ended, or the limit is reached.
    #[doc(alias = "paramiko.Transport.cancel_port_forward")]
    pub fn cancel_forward<G: Gate>(
        &self,
        address: &str,
        port: u16,
        gate: &G,
        limit: Limit,
    ) -> Result<(), Stop<G::Error>> {
        self.ask(Step::Forward, gate, limit, async |handle| {
            handle.cancel_tcpip_forward(address, u32::from(port)).await
        })
    }

    /// Closes the connection at once: whoever waits for anything of it is told. What was sent before still goes.
    #[doc(alias = "paramiko.Transport.close")]
    pub fn close(&self) {
        self.inner.close();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Session").field("host", &self.host()).finish_non_exhaustive()
    }
}
