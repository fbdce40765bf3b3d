//! A session, and listings.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Mutex;

use bytes::Bytes;
use manyhands_sftp::packet::{OpenFlags, Reply, Request};
use manyhands_sftp::{Cancelled, Error, Options, Pair, stream};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::local::{WhatIsRead, Written, borrowed};
use super::stream::{Reader, Writer};
use super::wait::{Place, run};
use super::{Fields, file, raise, sound, told, wanted};
use crate::ssh::Channel;

type Timeout<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Name, the server's own line for it, and attributes.
type Listed<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Fields);

/// The number of bytes of a file of a batch, or the exception why it failed.
type Outcomes = Vec<Py<PyAny>>;

// py: manyhands.paramiko.SFTPClient
#[pyclass(frozen, module = "manyhands._native.sftp")]
pub(crate) struct Client(manyhands_sftp::Client);

impl Client {
    fn run<R: Send>(
        &self,
        py: Python<'_>,
        timeout: Timeout<'_, '_>,
        body: impl FnOnce(&manyhands_sftp::Client) -> Result<R, Error> + Send,
    ) -> PyResult<R> {
        run(py, &self.0, timeout, |client, _| body(client))
    }
}

fn name<'py>(py: Python<'py>, name: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, name)
}

fn listed(py: Python<'_>, entry: manyhands_sftp::packet::Name) -> Listed<'_> {
    (name(py, &entry.name), name(py, &entry.long_name), told(entry.attributes))
}

/// Tells a callback how far a transfer has come.
struct Told {
    callback: Option<Py<PyAny>>,
    place: Place,
    raised: RefCell<Option<PyErr>>,
}

impl Told {
    fn new(callback: Option<Py<PyAny>>, place: Place) -> Told {
        Told { callback, place, raised: RefCell::new(None) }
    }

    fn tell(&self, done: u64, all: u64) -> ControlFlow<()> {
        let Some(callback) = &self.callback else { return ControlFlow::Continue(()) };
        match self.place.call(|py| callback.bind(py).call1((done, all)).map(drop)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.raised.replace(Some(error));
                ControlFlow::Break(())
            }
        }
    }

    /// What the callback has raised, instead of that it did.
    fn finish<R>(self, result: Result<R, Error>) -> Result<R, Error> {
        match (self.raised.into_inner(), result) {
            (Some(error), Err(_)) => Err(Error::Interrupted(Box::new(error))),
            (_, result) => result,
        }
    }
}

#[pymethods]
impl Client {
    /// Begins a session on a channel, on which the subsystem runs.
    #[staticmethod]
    fn begin(py: Python<'_>, channel: Py<Channel>, timeout: Timeout<'_, '_>) -> PyResult<Client> {
        let (reader, writer) = (Reader(channel.clone_ref(py)), Writer(channel));
        let client = stream::open(reader, writer)?;
        run(py, &client, timeout, |client, _| client.begin())?;
        Ok(Client(client))
    }

    fn close(&self) {
        self.0.close();
    }

    fn open(
        &self,
        py: Python<'_>,
        path: Vec<u8>,
        flags: u32,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<file::File> {
        let file = self.run(py, timeout, |client| client.open_file(&path, OpenFlags(flags)))?;
        Ok(file::File::new(file, self.0.clone()))
    }

    fn list<'py>(
        &self,
        py: Python<'py>,
        path: Vec<u8>,
        timeout: Timeout<'_, 'py>,
    ) -> PyResult<Vec<Listed<'py>>> {
        let entries = self.run(py, timeout, |client| client.list(&path))?;
        Ok(entries.into_iter().map(|entry| listed(py, entry)).collect())
    }

    fn entries(
        &self,
        py: Python<'_>,
        path: Vec<u8>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<Entries> {
        let entries = self.run(py, timeout, |client| client.entries(&path))?;
        Ok(Entries(Mutex::new(entries), self.0.clone()))
    }

    fn stat(&self, py: Python<'_>, path: Vec<u8>, timeout: Timeout<'_, '_>) -> PyResult<Fields> {
        self.run(py, timeout, |client| client.stat(&path)).map(told)
    }

    fn lstat(&self, py: Python<'_>, path: Vec<u8>, timeout: Timeout<'_, '_>) -> PyResult<Fields> {
        self.run(py, timeout, |client| client.lstat(&path)).map(told)
    }

    fn set_stat(
        &self,
        py: Python<'_>,
        path: Vec<u8>,
        fields: Fields,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<()> {
        self.run(py, timeout, |client| client.set_stat(&path, &wanted(fields)))
    }

    fn remove(&self, py: Python<'_>, path: Vec<u8>, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.run(py, timeout, |client| client.remove(&path))
    }

    fn mkdir(
        &self,
        py: Python<'_>,
        path: Vec<u8>,
        mode: u32,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<()> {
        self.run(py, timeout, |client| client.make_directory(&path, Some(mode)))
    }

    fn rmdir(&self, py: Python<'_>, path: Vec<u8>, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.run(py, timeout, |client| client.remove_directory(&path))
    }

    fn rename(
        &self,
        py: Python<'_>,
        from: Vec<u8>,
        to: Vec<u8>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<()> {
        self.run(py, timeout, |client| client.rename(&from, &to))
    }

    fn symlink(
        &self,
        py: Python<'_>,
        target: Vec<u8>,
        path: Vec<u8>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<()> {
        self.run(py, timeout, |client| client.symlink(&target, &path))
    }

    fn readlink<'py>(
        &self,
        py: Python<'py>,
        path: Vec<u8>,
        timeout: Timeout<'_, 'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.run(py, timeout, |client| client.read_link(&path)).map(|it| name(py, &it))
    }

    fn realpath<'py>(
        &self,
        py: Python<'py>,
        path: Vec<u8>,
        timeout: Timeout<'_, 'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.run(py, timeout, |client| client.real_path(&path)).map(|it| name(py, &it))
    }

    /// Makes a request that is an extension's, and returns the fields of the answer.
    fn extended<'py>(
        &self,
        py: Python<'py>,
        name: Vec<u8>,
        fields: Vec<u8>,
        timeout: Timeout<'_, 'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let request = Request::Extended { name: name.into(), fields: fields.into() };
        let reply = self.run(py, timeout, |client| client.call(&request))?;
        let fields = if let Reply::Extended(fields) = reply { fields } else { Bytes::new() };
        Ok(PyBytes::new(py, &fields))
    }

    /// Writes a file of the server's into `target`: a descriptor, or an object with `write`. Returns how many bytes.
    fn get(
        &self,
        py: Python<'_>,
        path: Vec<u8>,
        target: Target,
        most_reads: Option<usize>,
        callback: Option<Py<PyAny>>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<u64> {
        run(py, &self.0, timeout, |client, place| {
            let options = Options { most_reads, ..Options::default() };
            let told = Told::new(callback, place);
            let mut progress = |done, all| told.tell(done, all);
            let done = match target {
                Target::Descriptor(descriptor) => {
                    client.get(&path, &mut *borrowed(descriptor), options, &mut progress)
                }
                Target::Object(file) => {
                    client.get(&path, &mut Written { file, place }, options, &mut progress)
                }
            };
            told.finish(done)
        })
    }

    /// Writes what `source` has, a descriptor or an object with `read`, into a file of the server's; its attributes.
    #[expect(clippy::too_many_arguments, reason = "what a transfer is made of")]
    fn put(
        &self,
        py: Python<'_>,
        source: Target,
        path: Vec<u8>,
        size: u64,
        confirm: bool,
        callback: Option<Py<PyAny>>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<Fields> {
        let attributes = run(py, &self.0, timeout, |client, place| {
            let options = Options { confirm, ..Options::default() };
            let told = Told::new(callback, place);
            let mut progress = |done, all| told.tell(done, all);
            let done = match source {
                Target::Descriptor(descriptor) => {
                    client.put(&mut *borrowed(descriptor), &path, size, options, &mut progress)
                }
                Target::Object(file) => {
                    let reader = &mut WhatIsRead { file, place, left: Vec::new() };
                    client.put(reader, &path, size, options, &mut progress)
                }
            };
            told.finish(done)
        })?;
        Ok(told(attributes))
    }

    /// Transfers files, each a path of the server's and one here, many at once; of each the number of its bytes, or the
    /// exception why it failed. `callback` is told how many are done, of how many.
    fn transfer_many(
        &self,
        py: Python<'_>,
        puts: bool,
        files: Vec<(Vec<u8>, PathBuf)>,
        at_once: usize,
        callback: Option<Py<PyAny>>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<Outcomes> {
        let files: Vec<Pair> =
            files.into_iter().map(|(remote, local)| Pair { remote, local }).collect();
        let outcomes = run(py, &self.0, timeout, |client, place| {
            let told = Told::new(callback, place);
            let mut outcomes: Vec<_> = files.iter().map(|_| Err(cancelled())).collect();
            let (mut done, all) = (0, files.len() as u64);
            let mut one = |index: usize, outcome| {
                if let Some(slot) = outcomes.get_mut(index) {
                    *slot = outcome;
                }
                done += 1;
                told.tell(done, all)
            };
            let result = if puts {
                client.put_many(&files, at_once, &mut one)
            } else {
                client.get_many(&files, at_once, &mut one)
            };
            told.finish(result)?;
            Ok(outcomes)
        })?;
        let shown = outcomes.into_iter().map(|outcome| match outcome {
            Ok(size) => Ok(size.into_pyobject(py)?.into_any().unbind()),
            Err(error) => Ok(raise(error).into_value(py).into_any()),
        });
        shown.collect()
    }
}

fn cancelled() -> Error {
    Error::Interrupted(Box::new(Cancelled))
}

/// A file on this side.
#[derive(FromPyObject)]
enum Target {
    Descriptor(i32),
    Object(Py<PyAny>),
}

/// The entries of a directory, as they come.
#[pyclass(frozen, module = "manyhands._native.sftp")]
pub(crate) struct Entries(Mutex<manyhands_sftp::Entries>, manyhands_sftp::Client);

#[pymethods]
impl Entries {
    /// The next; None at the end.
    fn next<'py>(
        &self,
        py: Python<'py>,
        timeout: Timeout<'_, 'py>,
    ) -> PyResult<Option<Listed<'py>>> {
        let entry = run(py, &self.1, timeout, |client, _| {
            let mut entries = sound(self.0.lock()).map_err(|it| Error::Interrupted(it.into()))?;
            entries.use_client(client);
            entries.next().transpose()
        })?;
        Ok(entry.map(|entry| listed(py, entry)))
    }
}
