//! A channel as the stream below another connection.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::inbox::Output;
use crate::pen::Pen;
use crate::{Cause, Channel};

/// What comes is taken from the channel's inbox, which takes it off the outer connection whether or not the inner one reads:
/// that may be waiting to send, for which the outer one has to go on.
struct ChannelStream {
    pen: Arc<Pen>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
}

/// A channel that another connection is to run on.
pub struct ChannelWire(Arc<Pen>);

impl ChannelWire {
    pub(crate) fn new(channel: &Channel) -> ChannelWire {
        ChannelWire(Arc::clone(channel.pen()))
    }

    pub(crate) fn into_stream(self) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send> {
        let writer = self.0.writer().ok_or_else(|| io::Error::other("the channel is in use"))?;
        Ok(ChannelStream { pen: self.0, writer })
    }
}

impl fmt::Debug for ChannelWire {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ChannelWire").field(&self.0.id).finish()
    }
}

fn failed(cause: &Cause) -> io::Error {
    io::Error::other(cause.to_string())
}

impl Drop for ChannelStream {
    fn drop(&mut self) {
        self.pen.close();
    }
}

impl AsyncRead for ChannelStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.initialize_unfilled();
        let taken = ready!(self.pen.inbox.poll_take(Output::Standard, room, context));
        let count = taken.map_err(|cause| failed(&cause))?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ChannelStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.pen.inbox.is_closed() {
            return Poll::Ready(Err(failed(&self.pen.end_cause())));
        }
        match self.writer.as_mut().poll_write(context, bytes) {
            // Nobody allows more to be sent on a channel that is closed meanwhile.
            Poll::Pending => match self.pen.inbox.poll_closed(context) {
                Poll::Ready(()) => Poll::Ready(Err(failed(&self.pen.end_cause()))),
                Poll::Pending => Poll::Pending,
            },
            ready => ready,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_shutdown(context)
    }
}
