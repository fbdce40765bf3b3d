//! Opening channels, and accepting those of the server.

use std::sync::Arc;

use manyhands_sync::{Gate, Limit};
use russh::client::{Handle, Msg};
use tokio::sync::oneshot;

use crate::channel::{Channel, Origin};
use crate::handler::Receiver;
use crate::pen::Pen;
use crate::wait::drive;
use crate::{Cause, Error, Request, Session, Step, Stop};

/// A channel that was opened, and the requests that were made on it: numbers and names.
type Opened = (Channel, Vec<(u64, String)>);

/// What sort of channel to open.
enum Opening {
    Session,
    Direct { to: (String, u16), from: (String, u16) },
    X11 { from: (String, u16) },
}

impl Opening {
    async fn open(self, handle: &Handle<Receiver>) -> Result<russh::Channel<Msg>, russh::Error> {
        match self {
            Opening::Session => handle.channel_open_session().await,
            Opening::Direct { to: (host, port), from: (address, from_port) } => {
                let (port, from_port) = (u32::from(port), u32::from(from_port));
                handle.channel_open_direct_tcpip(host, port, address, from_port).await
            }
            Opening::X11 { from: (address, port) } => {
                handle.channel_open_x11(address, u32::from(port)).await
            }
        }
    }
}

impl Session {
    /// Opens a session's channel, and makes requests on it, without waiting in between: so a command
    /// costs two round trips, whatever comes with it. Returns when the server has answered all.
    ///
    /// # Errors
    /// The server refuses the channel or does not accept a request, the connection ends or has ended, or the limit is
    /// reached. A refusal of [`Request::Env`] is no error, as servers refuse most variables.
    #[doc(alias = "paramiko.Transport.open_session")]
    pub fn open<G: Gate>(
        &self,
        requests: Vec<Request>,
        gate: &G,
        limit: Limit,
    ) -> Result<Channel, Stop<G::Error>> {
        let optional: Vec<bool> =
            requests.iter().map(|request| matches!(request, Request::Env(..))).collect();
        let (channel, sent) = self.opened(gate, limit, requests, Opening::Session)?;
        for ((number, name), optional) in sent.into_iter().zip(optional) {
            match channel.pen().await_answer(number, &name, gate, limit) {
                Err(Stop::Failed(Error { cause: Cause::NotAccepted(_), .. })) if optional => {}
                other => other?,
            }
        }
        Ok(channel)
    }

    /// Opens a channel through which the server connects to an address that it can reach. `originator` is where the
    /// connection is said to come from.
    ///
    /// # Errors
    /// The server refuses or cannot connect, the connection ends or has ended, or the limit is reached.
    pub fn open_direct<G: Gate>(
        &self,
        host: &str,
        port: u16,
        originator: (&str, u16),
        gate: &G,
        limit: Limit,
    ) -> Result<Channel, Stop<G::Error>> {
        let to = (host.to_owned(), port);
        let opening = Opening::Direct { to, from: (originator.0.to_owned(), originator.1) };
        self.opened(gate, limit, Vec::new(), opening).map(|(channel, _)| channel)
    }

    /// Opens a channel for a connection to a display that the other side has; few servers let clients do that.
    ///
    /// # Errors
    /// As of [`open_direct`](Self::open_direct).
    #[doc(alias = "paramiko.Transport.open_x11_channel")]
    pub fn open_x11<G: Gate>(
        &self,
        originator: (&str, u16),
        gate: &G,
        limit: Limit,
    ) -> Result<Channel, Stop<G::Error>> {
        let opening = Opening::X11 { from: (originator.0.to_owned(), originator.1) };
        self.opened(gate, limit, Vec::new(), opening).map(|(channel, _)| channel)
    }

    /// Waits for a channel that the server opens: for a port that it forwards, or an agent or display that was
    /// offered to it.
    ///
    /// # Errors
    /// The connection ends or has ended, or the limit is reached.
    #[doc(alias = "paramiko.Transport.accept")]
    pub fn accept<G: Gate>(
        &self,
        gate: &G,
        limit: Limit,
    ) -> Result<(Channel, Origin), Stop<G::Error>> {
        self.core(Step::Forward)?;
        let incoming = self
            .shared()
            .accept(gate, limit)
            .map_err(Stop::Interrupted)?
            .ok_or_else(|| self.error(Step::Forward, Cause::TimedOut))?
            .map_err(|cause| self.error(Step::Forward, cause))?;
        Ok((Channel::new(incoming.pen), incoming.origin))
    }

    /// Lets the server open channels for an agent or display from now on; for forwarded ports, [`forward`](Self::forward)
    /// does that.
    pub fn welcome(&self) {
        if self.inner().core().is_some() {
            self.shared().welcome();
        }
    }

    fn opened<G: Gate>(
        &self,
        gate: &G,
        limit: Limit,
        requests: Vec<Request>,
        opening: Opening,
    ) -> Result<Opened, Stop<G::Error>> {
        let step = Step::OpenChannel;
        let handle = self.ready(step)?;
        let core = self.core(step)?;
        let (shared, runtime) = (Arc::clone(self.shared()), core.runtime.clone());
        let (told, news) = oneshot::channel();
        core.runtime.spawn(async move {
            let opened = async {
                let (_, half) = opening.open(&handle).await.map_err(Cause::from)?.split();
                let inbox = shared.adopt(half.id());
                let pen = Pen::new(Arc::clone(&shared), runtime, half, inbox);
                let mut sent = Vec::new();
                for request in requests {
                    let name = request.name();
                    sent.push((pen.begin(request, true).await?, name));
                }
                Ok((Channel::new(pen), sent))
            };
            // If nobody waits for it any more it is closed by being dropped.
            let _ = told.send(opened.await);
        });
        drive(news, gate, limit)
            .map_err(Stop::Interrupted)?
            .ok_or_else(|| self.error(step, Cause::TimedOut))?
            .unwrap_or_else(|_| Err(Cause::Closed("it has ended".into())))
            .map_err(|cause: Cause| self.shared().broken(step, cause).into())
    }
}
