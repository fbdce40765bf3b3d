//! A queue of a server's.

use std::time::Duration;

use super::errors::CallError;
use super::object::Object;
use crate::pickle::{OtherType, Plain};

/// A queue that a server keeps. Each of its items goes to one of those who take from it, wherever they are.
///
/// ```
/// # use manyhands_manager::client::Client;
/// # use manyhands_manager::server::Server;
/// # let server = Server::bind(&manyhands_wire::Address::localhost(), b"a key")?;
/// # Server::start(&server)?;
/// # let client = Client::connect(server.address().ok_or("bound")?, b"a key")?;
/// use std::time::Duration;
///
/// let queue = client.queue("Queue")?;
/// queue.put("last")?;
/// assert_eq!(queue.len()?, 1);
/// queue.shut_down()?;
/// assert_eq!(String::try_from(queue.get()?)?, "last");
/// assert!(queue.get().is_err_and(|error| error.is_shut_down()));
/// # server.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Queue {
    object: Object,
}

impl Queue {
    /// An object as a queue.
    pub fn new(object: Object) -> Queue {
        Queue { object }
    }

    /// The object that it is.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Puts an item into it; waits for room.
    ///
    /// # Errors
    /// If it is shut down.
    #[doc(alias = "queue.Queue.put")]
    pub fn put(&self, item: impl Into<Plain>) -> Result<(), CallError> {
        self.object.call("put", &[item.into()]).map(drop)
    }

    /// Takes an item; waits for one.
    ///
    /// # Errors
    /// If it is shut down and empty (see [`CallError::is_shut_down`]).
    #[doc(alias = "queue.Queue.get")]
    pub fn get(&self) -> Result<Plain, CallError> {
        self.object.call("get", &[])
    }

    /// Takes an item, if there is one within that time.
    ///
    /// # Errors
    /// If it is shut down and empty.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Option<Plain>, CallError> {
        match self.object.call("get", &[true.into(), timeout.as_secs_f64().into()]) {
            Ok(item) => Ok(Some(item)),
            Err(error) if error.is_empty() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says that what was taken is done.
    ///
    /// # Errors
    /// If that was said of everything that was put there.
    #[doc(alias = "queue.Queue.task_done")]
    pub fn task_done(&self) -> Result<(), CallError> {
        self.object.call("task_done", &[]).map(drop)
    }

    /// Waits until everything that was put there is done.
    ///
    /// # Errors
    /// If the server is lost.
    #[doc(alias = "queue.Queue.join")]
    pub fn join(&self) -> Result<(), CallError> {
        self.object.call("join", &[]).map(drop)
    }

    /// How many items are in it.
    ///
    /// # Errors
    /// If the server is lost.
    #[doc(alias = "queue.Queue.qsize")]
    pub fn len(&self) -> Result<usize, CallError> {
        let other = |got| CallError::Malformed(format!("a length of {got:?}"));
        let length = i64::try_from(self.object.call("qsize", &[])?)
            .map_err(|error: OtherType| other(error.got))?;
        usize::try_from(length).map_err(|_| other(length.into()))
    }

    /// Whether there are no items in it.
    ///
    /// # Errors
    /// If the server is lost.
    #[doc(alias = "queue.Queue.empty")]
    pub fn is_empty(&self) -> Result<bool, CallError> {
        Ok(self.len()? == 0)
    }

    /// Has nothing more be put there; what is there can still be taken. Servers of CPython know that from 3.13 on.
    ///
    /// # Errors
    /// If the server is lost, or does not know that.
    #[doc(alias = "queue.Queue.shutdown")]
    pub fn shut_down(&self) -> Result<(), CallError> {
        self.object.call("shutdown", &[]).map(drop)
    }
}
