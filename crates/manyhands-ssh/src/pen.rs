//! The writing end of a channel.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use manyhands_sync::{Gate, Limit};
use russh::client::Msg;
use russh::{ChannelId, ChannelWriteHalf};
use tokio::io::AsyncWrite;
use tokio::sync::Mutex;

use crate::home::Homebound;
use crate::inbox::Inbox;
use crate::request::Request;
use crate::shared::Shared;
use crate::wait::drive;
use crate::{Cause, Error, Step, Stop};

/// How much is handed over in one call at most.
const HANDFUL: usize = 256 << 10;

/// What is done with a channel, in order: one operation at a time has the writer.
pub(crate) struct Pen {
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) id: ChannelId,
    core: Homebound<Core>,
}

struct Core {
    writer: Arc<Mutex<Writer>>,
    runtime: tokio::runtime::Handle,
}

struct Writer {
    half: ChannelWriteHalf<Msg>,
    inbox: Arc<Inbox>,
    /// Number of requests that were sent and will be answered.
    requested: AtomicU64,
    /// No more data may be sent.
    ended: AtomicBool,
}

/// How far a send has got, for who gives up waiting for it.
#[derive(Default)]
struct Progress {
    /// Number of bytes that were sent, or will be whatever happens.
    committed: AtomicUsize,
    /// Nothing more is to be begun.
    stop: AtomicBool,
}

impl Pen {
    pub(crate) fn new(
        shared: Arc<Shared>,
        runtime: tokio::runtime::Handle,
        half: ChannelWriteHalf<Msg>,
        inbox: Arc<Inbox>,
    ) -> Pen {
        let id = half.id();
        let writer = Writer {
            half,
            inbox: Arc::clone(&inbox),
            requested: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        };
        let core = Homebound::new(Core { writer: Arc::new(Mutex::new(writer)), runtime });
        Pen { shared, inbox, id, core }
    }

    fn core(&self, step: Step) -> Result<&Core, Error> {
        self.core.get().ok_or_else(|| {
            self.shared.error(step, Cause::State("the connection belongs to the parent process"))
        })
    }

    pub(crate) fn check(&self, step: Step) -> Result<(), Error> {
        self.core(step).map(drop)
    }

    /// Why nothing can be sent any more.
    pub(crate) fn end_cause(&self) -> Cause {
        self.inbox.failure().unwrap_or(Cause::ChannelClosed)
    }

    /// What sends past the operations of this; none while one of them is under way.
    pub(crate) fn writer(&self) -> Option<Pin<Box<dyn AsyncWrite + Send>>> {
        let writer = self.core.get()?.writer.try_lock().ok()?;
        Some(Box::pin(writer.half.make_writer()))
    }

    fn closed(&self, step: Step) -> Error {
        self.shared.error(step, self.end_cause())
    }

    /// Sends a request; returns its number if it will be answered. To be used on the connection's thread.
    pub(crate) async fn begin(&self, request: Request, answered: bool) -> Result<u64, Cause> {
        let core = self.core.get().ok_or(Cause::ChannelClosed)?;
        let writer = Arc::clone(&core.writer).lock_owned().await;
        writer.request(request, answered).await
    }

    /// Sends a request, and waits for the answer if there is to be one.
    pub(crate) fn request<G: Gate>(
        &self,
        request: Request,
        answered: bool,
        gate: &G,
        limit: Limit,
    ) -> Result<(), Stop<G::Error>> {
        self.check(Step::Request)?;
        if self.inbox.is_closed() {
            return Err(self.closed(Step::Request).into());
        }
        let name = request.name();
        let sent = drive(self.begin(request, answered), gate, limit).map_err(Stop::Interrupted)?;
        let number = sent
            .ok_or_else(|| self.shared.error(Step::Request, Cause::TimedOut))?
            .map_err(|cause| self.shared.broken(Step::Request, cause))?;
        if !answered {
            return Ok(());
        }
        self.await_answer(number, &name, gate, limit)
    }

    pub(crate) fn await_answer<G: Gate>(
        &self,
        number: u64,
        name: &str,
        gate: &G,
        limit: Limit,
    ) -> Result<(), Stop<G::Error>> {
        match self.inbox.answer(number, gate, limit).map_err(Stop::Interrupted)? {
            None => Err(self.shared.error(Step::Request, Cause::TimedOut).into()),
            Some(Some(true)) => Ok(()),
            Some(Some(false)) => {
                Err(self.shared.error(Step::Request, Cause::NotAccepted(name.to_owned())).into())
            }
            Some(None) => Err(self.closed(Step::Request).into()),
        }
    }

    /// Sends bytes as far as the server lets it, at least one; returns their number.
    pub(crate) fn send<G: Gate>(
        &self,
        extended: Option<u32>,
        bytes: &[u8],
        gate: &G,
        limit: Limit,
    ) -> Result<usize, Stop<G::Error>> {
        let core = self.core(Step::Send)?;
        let handful = bytes.get(..HANDFUL).unwrap_or(bytes);
        if handful.is_empty() {
            return Ok(0);
        }
        let handful = Bytes::copy_from_slice(handful);
        loop {
            let seen = self.inbox.allowances();
            if self.inbox.is_closed() {
                return Err(self.closed(Step::Send).into());
            }
            let progress = Arc::new(Progress::default());
            let writer = Arc::clone(&core.writer);
            let (bytes, watched) = (handful.clone(), Arc::clone(&progress));
            let mut sending =
                Box::pin(
                    async move { writer.lock_owned().await.send(extended, bytes, &watched).await },
                );
            let driven = drive(&mut sending, gate, limit);
            let committed = progress.committed.load(Ordering::Relaxed);
            match driven {
                Ok(Some(Err(cause))) => return Err(self.shared.broken(Step::Send, cause).into()),
                Ok(Some(Ok(()))) if committed > 0 => return Ok(committed),
                Ok(Some(Ok(()))) => {}
                unfinished if committed > 0 => {
                    // A packet is on its way, for which the window has been taken: it goes, and nothing after it.
                    progress.stop.store(true, Ordering::Relaxed);
                    core.runtime.spawn(sending);
                    return match unfinished {
                        Err(interrupted) => Err(Stop::Interrupted(interrupted)),
                        Ok(_) => Ok(committed),
                    };
                }
                Err(interrupted) => return Err(Stop::Interrupted(interrupted)),
                Ok(None) => return Err(self.shared.error(Step::Send, Cause::TimedOut).into()),
            }
            match self.inbox.allowance(seen, gate, limit).map_err(Stop::Interrupted)? {
                Some(true) => {}
                Some(false) => return Err(self.closed(Step::Send).into()),
                None => return Err(self.shared.error(Step::Send, Cause::TimedOut).into()),
            }
        }
    }

    /// Whether a send would not wait for the server, nor for another thread that does.
    pub(crate) fn is_writable(&self) -> bool {
        let Some(core) = self.core.get() else { return false };
        let Ok(writer) = core.writer.try_lock() else { return false };
        if self.inbox.is_closed() || writer.ended.load(Ordering::Relaxed) {
            return false;
        }
        let mut context = Context::from_waker(Waker::noop());
        let size = pin!(writer.half.writable_packet_size()).poll(&mut context);
        matches!(size, Poll::Ready(1..))
    }

    /// Sends an end of file, once.
    pub(crate) fn end<G: Gate>(&self, gate: &G, limit: Limit) -> Result<(), Stop<G::Error>> {
        let core = self.core(Step::Send)?;
        let writer = Arc::clone(&core.writer);
        let ending = async move {
            let writer = writer.lock_owned().await;
            if writer.ended.swap(true, Ordering::Relaxed) || writer.inbox.is_closed() {
                return Ok(());
            }
            writer.half.eof().await
        };
        drive(ending, gate, limit)
            .map_err(Stop::Interrupted)?
            .ok_or_else(|| self.shared.error(Step::Send, Cause::TimedOut))?
            .map_err(|error| self.shared.broken(Step::Send, error).into())
    }

    /// Closes the channel, once; does not wait for anything.
    pub(crate) fn close(&self) {
        let Some(core) = self.core.get() else { return };
        if self.inbox.is_closed() {
            return;
        }
        let writer = Arc::clone(&core.writer);
        let mut closing = Box::pin(async move {
            let writer = writer.lock_owned().await;
            writer.ended.store(true, Ordering::Relaxed);
            // Fails only if the connection has ended, and the channel with it.
            let _ = writer.half.close().await;
        });
        if is_pending(closing.as_mut()) {
            core.runtime.spawn(closing);
        }
        self.shared.forget(self.id);
        self.inbox.close(None);
    }
}

/// Polls a future once, for what is nearly always ready at once.
fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(pin!(future).poll(&mut context), Poll::Pending)
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.close();
    }
}

impl Writer {
    async fn request(&self, request: Request, answered: bool) -> Result<u64, Cause> {
        request.send(&self.half, answered).await?;
        let count = if answered { 1 } else { 0 };
        Ok(self.requested.fetch_add(count, Ordering::Relaxed))
    }

    async fn send(
        &self,
        extended: Option<u32>,
        bytes: Bytes,
        progress: &Progress,
    ) -> Result<(), Cause> {
        if self.ended.load(Ordering::Relaxed) {
            return Err(Cause::ChannelClosed);
        }
        let mut sent = 0;
        while sent < bytes.len() && !progress.stop.load(Ordering::Relaxed) {
            let size = self.half.writable_packet_size().await.min(bytes.len() - sent);
            if size == 0 {
                break;
            }
            let packet = bytes.slice(sent..sent + size);
            sent += size;
            progress.committed.store(sent, Ordering::Relaxed);
            match extended {
                None => self.half.data_bytes(packet).await?,
                Some(code) => self.half.extended_data_bytes(code, packet).await?,
            }
        }
        Ok(())
    }
}
