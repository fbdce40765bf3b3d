//! A manager's server: connections and the standard objects natively, the rest by threads of Python.

use std::collections::HashMap;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use manyhands_manager::objects::{self, Connection};
use manyhands_manager::pickle::{Item, Writer};
use manyhands_manager::server::{Identity, Interpreter, Server, Settings, Type, write_value};
use manyhands_queue::{Fifo, GetError, Queue};
use manyhands_watch::Kind;
use pyo3::exceptions::{PyEOFError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::quick::Quick;
use crate::gate::Outside;
use crate::timeout;

/// What a thread of Python takes its work from.
type Line<T> = Queue<Fifo<T>>;

fn line<T: Send + 'static>() -> Line<T> {
    Queue::over(Fifo::default(), Kind::SimpleQueue, 0)
}

/// Takes the next thing; None if the time is up, or there will be nothing more.
fn take<T: Send + 'static>(
    py: Python<'_>,
    line: &Line<T>,
    timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<T>> {
    match line.get_with(&Outside(py), timeout::optional(timeout)?) {
        Ok(thing) => Ok(Some(thing)),
        Err(GetError::GivenUp(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Requests on their way to threads of Python, one for each connection that ever needs one.
#[derive(Default)]
struct Lanes {
    /// The connections that have a thread.
    known: Mutex<HashMap<u64, Arc<Line<Bytes>>>>,
}

/// The interpreter, as the server sees it.
#[derive(Debug)]
struct Python3 {
    lanes: Arc<Lanes>,
    /// Connections that need a thread, and other things for the thread that gives them one.
    new: Arc<Line<Job>>,
    quick: Arc<Quick>,
}

/// What the server's native half wants of Python's main thread there.
enum Job {
    /// A thread for that connection.
    Serve(u64),
    /// To look whether the server is to end.
    Look,
    /// To let go of something of the program's.
    LetGo(#[expect(dead_code, reason = "is let go of")] Py<PyAny>),
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lanes").finish_non_exhaustive()
    }
}

impl Interpreter for Python3 {
    fn request(&self, connection: Connection, request: Bytes) {
        let mut known = self.lanes.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !known.contains_key(&connection.0);
        let lane = known.entry(connection.0).or_insert_with(|| Arc::new(line()));
        // Neither is ever full, nor shut down while it is known.
        let _ = lane.try_put(request);
        if is_new {
            let _ = self.new.try_put(Job::Serve(connection.0));
        }
    }

    fn answer_now(
        &self,
        ident: &str,
        method: &str,
        args: &[Item<'_>],
        request: &Bytes,
    ) -> Option<Vec<Bytes>> {
        self.quick.call(ident, method, args.len(), request, |object| {
            // Never full, nor shut down.
            let _ = self.new.try_put(Job::LetGo(object));
        })
    }

    fn gone(&self, connection: Connection) {
        let mut known = self.lanes.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = known.remove(&connection.0) {
            lane.shutdown();
        }
    }
}

/// The native half of a manager's server.
///
/// Whoever takes the server's lock is outside of the interpreter: the server's thread may want that while it has the lock.
#[pyclass(frozen, module = "manyhands._native.multiprocessing")]
struct ManagerServer {
    server: Arc<Server>,
    lanes: Arc<Lanes>,
    new: Arc<Line<Job>>,
    quick: Arc<Quick>,
    thread: Mutex<Option<JoinHandle<()>>>,
    has_ended: Arc<AtomicBool>,
}

/// A pickle of a value.
fn pickled<'py>(py: Python<'py>, value: &objects::Value) -> Bound<'py, PyBytes> {
    let mut writer = Writer::new();
    write_value(&mut writer, value);
    PyBytes::new(py, &writer.finish().concat())
}

#[pymethods]
impl ManagerServer {
    /// `listener` is the number of a listening socket, which is duplicated. `types` says for a name what kind of object
    /// it makes and which methods are exposed. What only Python can do is refused unless it `has_lanes`. With an
    /// `identity`, certificates and private key in PEM, connections are by TLS.
    #[new]
    #[pyo3(signature = (listener, authkey, types, has_lanes=true, silence=None, identity=None))]
    fn new(
        listener: RawFd,
        authkey: &[u8],
        types: HashMap<String, (String, Vec<String>)>,
        has_lanes: bool,
        silence: Option<Duration>,
        identity: Option<(&[u8], &[u8])>,
    ) -> PyResult<ManagerServer> {
        let identity = identity.map(identity_of).transpose()?;
        if listener < 0 {
            return Err(PyValueError::new_err("the listener is closed"));
        }
        #[allow(unsafe_code, reason = "a number from Python is borrowed for a moment")]
        // SAFETY: it is only duplicated here; the kernel says so if it is not open.
        let listener = unsafe { BorrowedFd::borrow_raw(listener) }.try_clone_to_owned()?;
        let types = types
            .into_iter()
            .map(|(name, (kind, exposed))| (name, Type { kind, exposed }))
            .collect();
        let lanes = Arc::new(Lanes::default());
        let new = Arc::new(line());
        let quick = Arc::new(Quick::default());
        let interpreter: Option<Box<dyn Interpreter>> = if has_lanes {
            let (lanes, new, quick) = (Arc::clone(&lanes), Arc::clone(&new), Arc::clone(&quick));
            Some(Box::new(Python3 { lanes, new, quick }))
        } else {
            None
        };
        let mut settings = Settings { identity, ..Settings::new(authkey) };
        settings.silence = silence.unwrap_or(settings.silence);
        let server = Server::new(listener, settings, types, interpreter)?;
        Ok(ManagerServer {
            server: Arc::new(server),
            lanes,
            new,
            quick,
            thread: Mutex::default(),
            has_ended: Arc::default(),
        })
    }

    /// Has whoever asks for an object of that name get the same one, made of a pickle of `(args, kwargs)`.
    fn share(
        &self,
        py: Python<'_>,
        name: &str,
        kind: String,
        exposed: Vec<String>,
        arguments: &[u8],
    ) -> PyResult<()> {
        py.detach(|| self.server.share(name, Type { kind, exposed }, arguments))
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Begins to serve, in a thread that Python does not see.
    fn start(&self) -> PyResult<()> {
        let new = Arc::clone(&self.new);
        let has_ended = Arc::clone(&self.has_ended);
        let thread = Server::start_within(&self.server, move |serve| {
            // What the interpreter keeps for a thread is made once, and not for each call.
            Python::attach(|py| py.detach(serve));
            has_ended.store(true, Ordering::Release);
            let _ = new.try_put(Job::Look);
        })?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Has the server end when that process has ended and nobody is connected any more.
    fn end_with(&self, py: Python<'_>, pid: i32) {
        py.detach(|| self.server.end_with(pid));
    }

    /// Whether it has served for the last time.
    #[getter]
    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Hangs up on everybody and waits until the thread has ended; to be called before the interpreter ends.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| {
            self.server.stop();
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            // One that panicked has said so.
            let _ = thread.map(JoinHandle::join);
        });
        self.wake();
    }

    /// Has `next_lane` return None.
    fn wake(&self) {
        let _ = self.new.try_put(Job::Look);
    }

    /// The next connection that needs a thread of Python; None if there is none within the timeout.
    #[pyo3(signature = (timeout=None))]
    fn next_lane(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Lane>> {
        let Some(Job::Serve(connection)) = take(py, &self.new, timeout)? else { return Ok(None) };
        let known = self.lanes.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.get(&connection).map(|line| Lane {
            server: Arc::clone(&self.server),
            connection: Connection(connection),
            line: Arc::clone(line),
        }))
    }

    /// Says of an object of Python's which methods may be called on the spot: instead of each, something that raises
    /// where that one would wait.
    fn offer(&self, ident: String, methods: HashMap<String, Py<PyAny>>) {
        self.quick.offer(ident, methods);
    }

    /// Takes that back.
    fn withdraw(&self, ident: &str) {
        self.quick.withdraw(ident);
    }

    /// Kind and pickled value of an object that is kept natively and stays so; None for any other.
    fn state<'py>(
        &self,
        py: Python<'py>,
        ident: &str,
    ) -> Option<(&'static str, Bound<'py, PyBytes>)> {
        let state = py.detach(|| self.server.object_state(ident))?;
        Some((state.kind, pickled(py, &state.value)))
    }

    /// Takes an object over: kind, pickled value, exposed methods, number of references; None if it is not kept natively.
    fn surrender<'py>(
        &self,
        py: Python<'py>,
        ident: &str,
    ) -> Option<(&'static str, Bound<'py, PyBytes>, Vec<String>, u64)> {
        let (state, exposed, references) = py.detach(|| self.server.surrender(ident))?;
        Some((state.kind, pickled(py, &state.value), exposed, references))
    }

    /// The methods of an object that is kept natively; None for any other.
    fn exposed(&self, py: Python<'_>, ident: &str) -> Option<Vec<String>> {
        py.detach(|| self.server.exposed(ident))
    }

    /// Identity and number of references of the objects that are kept natively and referred to.
    fn objects(&self, py: Python<'_>) -> Vec<(String, u64)> {
        py.detach(|| self.server.objects())
    }

    /// An object that is kept natively stays there although nobody refers to it; False if it is no such object.
    fn pin(&self, py: Python<'_>, ident: &str) -> bool {
        py.detach(|| self.server.pin(ident))
    }

    /// One more reference to an object; False if it is not kept natively.
    fn incref(&self, py: Python<'_>, ident: &str) -> bool {
        py.detach(|| self.server.increase(ident))
    }

    /// One reference less; False if it is not kept natively.
    fn decref(&self, py: Python<'_>, ident: &str) -> bool {
        py.detach(|| self.server.decrease(ident))
    }
}

/// The requests of one connection that Python answers.
#[pyclass(frozen, module = "manyhands._native.multiprocessing")]
struct Lane {
    server: Arc<Server>,
    connection: Connection,
    line: Arc<Line<Bytes>>,
}

#[pymethods]
impl Lane {
    /// Waits for the next request. EOFError if the connection is gone.
    fn recv_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match take(py, &self.line, None)? {
            Some(request) => Ok(PyBytes::new(py, &request)),
            None => Err(PyEOFError::new_err("the client is gone")),
        }
    }

    /// Answers the request.
    fn send_bytes(&self, py: Python<'_>, message: &Bound<'_, PyBytes>) -> PyResult<()> {
        let message = Bytes::copy_from_slice(message.as_bytes());
        py.detach(|| self.server.reply(self.connection, Some(vec![message])));
        Ok(())
    }

    /// The request needs no answer.
    fn done(&self, py: Python<'_>) {
        py.detach(|| self.server.reply(self.connection, None));
    }

    /// Whether it is the one request of a connection that takes no seat: one to the server itself.
    fn is_brief(&self, py: Python<'_>) -> bool {
        py.detach(|| self.server.is_brief(self.connection))
    }
}

fn identity_of((certificates, key): (&[u8], &[u8])) -> PyResult<Identity> {
    Identity::from_pem(certificates, key).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Raises a ValueError unless these are what a server can show by TLS: certificates and private key in PEM.
#[pyfunction]
fn check_identity(certificates: &[u8], key: &[u8]) -> PyResult<()> {
    identity_of((certificates, key)).map(drop)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ManagerServer>()?;
    module.add_class::<Lane>()?;
    module.add_function(wrap_pyfunction!(check_identity, module)?)
}
