//! From an address or a stream to a connection whose keys are exchanged.

use std::borrow::Cow;
use std::future::Future;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use manyhands_sync::{Gate, Limit};
use russh::client::{Config, connect_stream};
use russh::{Limits, SshId};

use crate::channel::Channel;
use crate::handler::Receiver;
use crate::line::{Line, Stream};
use crate::pen::Pen;
use crate::shared::Shared;
use crate::wait::drive;
use crate::{Algorithms, Cause, ChannelWire, Error, Session, Step, Stop, runtime};

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to offer.
    pub algorithms: Algorithms,
    /// The name of this program in the protocol, behind `SSH-2.0-`.
    pub software: String,
    /// How many bytes a server may send on a channel ahead of their being received.
    pub window: u32,
    /// After how many bytes, in either direction, keys are exchanged anew; at most 2^30.
    pub rekey_bytes: usize,
    /// After what time keys are exchanged anew.
    pub rekey_time: Duration,
    /// How long a server may be silent when it is connected to, if not as long as the call's limit.
    pub banner_time: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            algorithms: Algorithms::default(),
            software: concat!("Manyhands_", env!("CARGO_PKG_VERSION")).to_owned(),
            window: 16 << 20,
            rekey_bytes: 1 << 30,
            rekey_time: Duration::from_secs(3600),
            banner_time: None,
        }
    }
}

impl Options {
    fn config(&self) -> Result<Arc<Config>, Cause> {
        let bytes = self.rekey_bytes.min(1 << 30);
        Ok(Arc::new(Config {
            client_id: SshId::Standard(Cow::Owned(format!("SSH-2.0-{}", self.software))),
            limits: Limits::new(bytes, bytes, self.rekey_time),
            window_size: self.window,
            // Messages are passed on at once; nobody reads them from there.
            channel_buffer_size: 1,
            preferred: self.algorithms.preferred()?,
            ..Config::default()
        }))
    }
}

/// A stream that a connection can run on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Wire {
    /// A connected socket of TCP.
    Tcp(TcpStream),
    /// A connected local socket, say one end of a pair whose other end a command has.
    Unix(UnixStream),
    /// A channel of another connection.
    Channel(ChannelWire),
}

impl Wire {
    /// To be called where a runtime is entered.
    fn into_stream(self) -> std::io::Result<Box<dyn Stream>> {
        match self {
            Wire::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                // Without it each command waits for the acknowledgement of the one before.
                stream.set_nodelay(true)?;
                Ok(Box::new(tokio::net::TcpStream::from_std(stream)?))
            }
            Wire::Unix(stream) => {
                stream.set_nonblocking(true)?;
                Ok(Box::new(tokio::net::UnixStream::from_std(stream)?))
            }
            Wire::Channel(channel) => Ok(Box::new(channel.into_stream()?)),
        }
    }
}

/// Which step a connection that is being made has come to.
#[derive(Clone)]
struct Stage(Arc<Mutex<Step>>);

impl Stage {
    fn new(step: Step) -> Stage {
        Stage(Arc::new(Mutex::new(step)))
    }

    fn set(&self, step: Step) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }

    fn get(&self) -> Step {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Connects by TCP, and exchanges keys. The limit is for all of it.
    ///
    /// # Errors
    /// The name is not known, no address of it answers, the two sides have no common algorithm, the other side breaks
    /// the protocol, or the limit is reached; the error has the step.
    pub fn connect<G: Gate>(
        host: &str,
        port: u16,
        options: &Options,
        gate: &G,
        limit: Limit,
    ) -> Result<Session, Stop<G::Error>> {
        let stage = Stage::new(Step::Resolve);
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let dialing = dial(name, port, stage.clone());
        Session::begin(&label(host, port), options, dialing, stage, gate, limit)
    }

    /// Exchanges keys over a stream that is connected. `host` is for errors only.
    ///
    /// # Errors
    /// As of [`connect`](Self::connect).
    pub fn start<G: Gate>(
        wire: Wire,
        host: &str,
        options: &Options,
        gate: &G,
        limit: Limit,
    ) -> Result<Session, Stop<G::Error>> {
        let stage = Stage::new(Step::Connect);
        let stream = async move { Ok(wire.into_stream()?) };
        Session::begin(host, options, stream, stage, gate, limit)
    }

    /// Connects through another host, to which `self` is an authenticated connection, as `ProxyJump` does; no port is
    /// opened for that.
    ///
    /// # Errors
    /// As of [`connect`](Self::connect); or the other host refuses.
    pub fn connect_through<G: Gate>(
        &self,
        host: &str,
        port: u16,
        options: &Options,
        gate: &G,
        limit: Limit,
    ) -> Result<Session, Stop<G::Error>> {
        let handle = self.ready(Step::OpenChannel)?;
        let shared = Arc::clone(self.shared());
        let runtime = self.core(Step::OpenChannel)?.runtime.clone();
        let name = host.to_owned();
        let opening = async move {
            let channel = handle
                .channel_open_direct_tcpip(name, u32::from(port), "127.0.0.1", 0)
                .await
                .map_err(|error| shared.ended().unwrap_or_else(|| error.into()))?;
            let (_, half) = channel.split();
            let inbox = shared.adopt(half.id());
            let channel = Channel::new(Pen::new(shared, runtime, half, inbox));
            Ok(channel.as_wire().into_stream()?)
        };
        let stage = Stage::new(Step::Connect);
        Session::begin(&label(host, port), options, opening, stage, gate, limit)
    }

    fn begin<G: Gate>(
        host: &str,
        options: &Options,
        source: impl Future<Output = Result<Box<dyn Stream>, Cause>> + Send + 'static,
        stage: Stage,
        gate: &G,
        limit: Limit,
    ) -> Result<Session, Stop<G::Error>> {
        let host: Arc<str> = host.into();
        let fail = |step, cause: Cause| Error::new(&host, step, cause);
        let config = options.config().map_err(|cause| fail(Step::Handshake, cause))?;
        let runtime = runtime::handle().map_err(|error| fail(Step::Connect, error.into()))?;
        let shared = Shared::new(Arc::clone(&host));
        let (line_end, receiver) =
            (Arc::clone(&shared.knife), Receiver::new(Arc::clone(&shared), runtime.clone()));
        let (begun, banner_time, arrivals) =
            (stage.clone(), options.banner_time, Arc::clone(&shared.knife));
        let mut task = Abandoned(runtime.spawn(async move {
            let line = Line::new(source.await?, line_end);
            begun.set(Step::Handshake);
            let mut connecting = Box::pin(connect_stream(config, line, receiver));
            if let Some(time) = banner_time {
                match tokio::time::timeout(time, &mut connecting).await {
                    Ok(connected) => return connected.map_err(Cause::from),
                    Err(_) if arrivals.arrived() == 0 => return Err(Cause::NoBanner),
                    Err(_) => {}
                }
            }
            connecting.await.map_err(Cause::from)
        }));
        let driven = drive(&mut task.0, gate, limit);
        if !matches!(driven, Ok(Some(_))) {
            shared.knife.cut();
        }
        match driven.map_err(Stop::Interrupted)? {
            None => Err(fail(stage.get(), Cause::TimedOut).into()),
            Some(Err(error)) => Err(fail(stage.get(), Cause::Protocol(error.to_string())).into()),
            Some(Ok(Err(cause))) => Err(fail(stage.get(), cause).into()),
            Some(Ok(Ok(handle))) => Ok(Session::new(shared, runtime, handle, options)),
        }
    }
}

/// A task that ends when nobody waits for it any more.
struct Abandoned<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Abandoned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn label(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

async fn dial(host: String, port: u16, stage: Stage) -> Result<Box<dyn Stream>, Cause> {
    let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
    stage.set(Step::Connect);
    let mut failures = Vec::new();
    let mut kind = std::io::ErrorKind::NotFound;
    let mut number = None;
    for address in addresses {
        match tokio::net::TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Box::new(stream));
            }
            Err(error) => {
                kind = error.kind();
                number = error.raw_os_error();
                failures.push(format!("{address}: {error}"));
            }
        }
    }
    Err(Cause::Io(kind, failures.join("; "), number))
}
