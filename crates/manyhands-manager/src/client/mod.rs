//! Uses objects that a server keeps, one of ours or of CPython's.
//!
//! ```
//! use manyhands_manager::client::Client;
//! use manyhands_manager::server::Server;
//! use manyhands_wire::Address;
//!
//! let server = Server::bind(&Address::localhost(), b"a key")?;
//! server.share_plain("tasks", "Queue", &[], &[])?;
//! Server::start(&server)?;
//!
//! let client = Client::connect(server.address().ok_or("bound")?, b"a key")?;
//! let tasks = client.queue("tasks")?;
//! tasks.put(("square", 7))?;
//! let (name, number) = tasks.get()?.try_into()?;
//! assert_eq!(String::try_from(name)?, "square");
//! assert_eq!(i64::try_from(number)?, 7);
//!
//! // What Python's managers call by operators has Python's names.
//! let squares = client.create("dict", &[])?;
//! squares.call("__setitem__", &[7.into(), 49.into()])?;
//! assert_eq!(i64::try_from(squares.call("__getitem__", &[7.into()])?)?, 49);
//! assert!(squares.call("__getitem__", &[8.into()]).is_err_and(|error| error.is_raised("KeyError")));
//! # server.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod errors;
mod link;
mod object;
mod queue;
mod request;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use manyhands_wire::Address;

use crate::pickle::Plain;
use link::Link;
use request::{Content, Reference, Request};

pub use errors::CallError;
pub use object::{Answer, Object};
pub use queue::Queue;

/// A connection with a server, and those who use it.
#[derive(Debug)]
struct Shared {
    link: Mutex<Link>,
    /// Objects that nobody uses any more, which the server does not know yet, and the epochs that they are of.
    left: Mutex<Vec<(String, u64)>>,
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> MutexGuard<'_, Vec<(String, u64)>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a request, to the objects of an epoch or to the server itself; returns the epoch as well.
    fn ask(&self, request: &Request<'_>, epoch: Option<u64>) -> Result<(Content, u64), CallError> {
        let answer = {
            let mut link = self.link();
            if epoch.is_some_and(|epoch| epoch != link.epoch) {
                return Err(CallError::Gone);
            }
            link.ask(request).map(|content| (content, link.epoch))
        };
        self.let_go();
        answer
    }

    /// Tells the server what nobody uses any more, or leaves that to whoever is talking to it.
    fn let_go(&self) {
        while !self.left().is_empty() {
            let mut link = match self.link.try_lock() {
                Ok(link) => link,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let Some((ident, epoch)) = self.left().pop() else { return };
            if epoch == link.epoch {
                link.let_go(ident);
            }
        }
    }
}

/// A connection with a server. It belongs to one thread: while a call of it waits, other calls wait for that.
///
/// A connection with a server of ours that breaks is made again, for up to five seconds, and a call that was under way
/// goes on as if nothing had been; it is not carried out twice. One with a server of CPython is lost then.
#[derive(Debug)]
#[doc(alias = "multiprocessing.managers.BaseManager.connect")]
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    /// Connects to the server at an address, with the key that it wants.
    ///
    /// # Errors
    /// [`CallError::Connect`] if nobody listens there, or has another key.
    pub fn connect(address: &Address, key: &[u8]) -> Result<Client, CallError> {
        let link = Mutex::new(Link::open(address, key)?);
        Ok(Client { shared: Arc::new(Shared { link, left: Mutex::default() }) })
    }

    /// Another connection with the same server, for another thread.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub fn try_clone(&self) -> Result<Client, CallError> {
        let (address, key) = {
            let link = self.shared.link();
            (link.address.clone(), link.key.clone())
        };
        Client::connect(&address, &key)
    }

    /// Whether the server is one of ours, with which calls survive a broken connection.
    pub fn is_resumable(&self) -> bool {
        self.shared.link().is_ours()
    }

    /// Has an object made by the type that the server knows by that name ("dict", "Queue", what a Python program has
    /// registered), or gets the one that it shares by it.
    ///
    /// # Errors
    /// What the constructor raises; [`CallError::Traceback`] if nothing has that name.
    pub fn create(&self, name: &str, args: &[Plain]) -> Result<Object, CallError> {
        self.create_with(name, args, &[])
    }

    /// As [`create`](Self::create), with arguments by name.
    ///
    /// # Errors
    /// As for `create`.
    pub fn create_with(
        &self,
        name: &str,
        args: &[Plain],
        kwargs: &[(&str, Plain)],
    ) -> Result<Object, CallError> {
        let args: Vec<Plain> = std::iter::once(name.into()).chain(args.iter().cloned()).collect();
        let request = Request { ident: None, method: "create", args: &args, kwargs };
        let (content, epoch) = self.shared.ask(&request, None)?;
        let reference = match content {
            Content::Value(value) => request::created(value),
            Content::Object(_) => None,
        };
        let reference = reference
            .ok_or_else(|| CallError::Malformed("neither identity nor methods".to_owned()))?;
        Ok(self.object(reference, epoch))
    }

    /// A queue that the server shares by that name, or makes.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn queue(&self, name: &str) -> Result<Queue, CallError> {
        Ok(Queue::new(self.create(name, &[])?))
    }

    /// The object of that identity, which somebody else has got (see [`Object::ident`]) and keeps until then. Its
    /// [`methods`](Object::methods) are not known.
    ///
    /// # Errors
    /// [`CallError::Traceback`] if there is none.
    pub fn attach(&self, ident: &str) -> Result<Object, CallError> {
        let args = [Plain::str(ident)];
        let request = Request { ident: None, method: "incref", args: &args, kwargs: &[] };
        let (_, epoch) = self.shared.ask(&request, None)?;
        Ok(self.object(Reference { ident: ident.to_owned(), methods: Vec::new() }, epoch))
    }

    fn object(&self, reference: Reference, epoch: u64) -> Object {
        Object::new(Arc::clone(&self.shared), reference, epoch)
    }
}
