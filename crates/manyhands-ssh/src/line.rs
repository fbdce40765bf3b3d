//! The stream below a connection: counts what arrives, and can be cut.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a connection can run on.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The outer end of a [`Line`].
#[derive(Debug, Default)]
pub(crate) struct Knife {
    /// Set once, by who cuts the line.
    cut: AtomicBool,
    /// Number of bytes that have arrived. Written by who reads the line.
    arrived: AtomicU64,
    /// Number of bytes that were sent. Written by who writes to the line.
    sent: AtomicU64,
    /// The task that was last seen waiting for the line.
    waiting: Mutex<Option<Waker>>,
}

impl Knife {
    /// Makes every operation on the line fail from now on.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Number of bytes that went through, in both directions.
    pub(crate) fn carried(&self) -> u64 {
        self.arrived() + self.sent.load(Ordering::Relaxed)
    }

    /// Notes who is to be woken by [`cut`](Self::cut), which may just have been called.
    fn look(&self, context: &Context<'_>) -> io::Result<()> {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *waiting {
                Some(waker) if waker.will_wake(context.waker()) => {}
                other => *other = Some(context.waker().clone()),
            }
        }
        if self.cut.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

/// A stream that ends when its [`Knife`] cuts it. One task at a time uses it.
pub(crate) struct Line {
    stream: Box<dyn Stream>,
    knife: Arc<Knife>,
}

impl Line {
    pub(crate) fn new(stream: Box<dyn Stream>, knife: Arc<Knife>) -> Line {
        Line { stream, knife }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.knife.look(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut *self.stream).poll_read(context, buffer);
        let arrived = buffer.filled().len() - before;
        self.knife.arrived.fetch_add(arrived as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.knife.look(context)?;
        let polled = Pin::new(&mut *self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(sent)) = polled {
            self.knife.sent.fetch_add(sent as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.knife.look(context)?;
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}
