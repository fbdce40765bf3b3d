//! An open file of a server's.

use std::io::SeekFrom;
use std::sync::Mutex;

use manyhands_sftp::Error;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::wait::run;
use super::{Fields, sound, told, wanted};

type Timeout<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

// py: manyhands.paramiko.SFTPFile
/// One call at a time: whoever calls sees to that, as a greenlet that waited for a lock here would stop its whole thread.
#[pyclass(frozen, module = "manyhands._native.sftp")]
pub(crate) struct File {
    file: Mutex<manyhands_sftp::File>,
    client: manyhands_sftp::Client,
}

impl File {
    pub(super) fn new(file: manyhands_sftp::File, client: manyhands_sftp::Client) -> File {
        File { file: Mutex::new(file), client }
    }

    fn run<R: Send>(
        &self,
        py: Python<'_>,
        timeout: Timeout<'_, '_>,
        body: impl FnOnce(&mut manyhands_sftp::File) -> Result<R, Error> + Send,
    ) -> PyResult<R> {
        run(py, &self.client, timeout, |client, _| {
            let mut file = sound(self.file.lock()).map_err(|it| Error::Interrupted(it.into()))?;
            file.use_client(client);
            body(&mut file)
        })
    }
}

#[pymethods]
impl File {
    fn read<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        timeout: Timeout<'_, 'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let data = self.run(py, timeout, |file| file.read_up_to(count))?;
        Ok(PyBytes::new(py, &data))
    }

    fn read_rest<'py>(
        &self,
        py: Python<'py>,
        timeout: Timeout<'_, 'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let data = self.run(py, timeout, manyhands_sftp::File::read_rest)?;
        Ok(PyBytes::new(py, &data))
    }

    fn write(&self, py: Python<'_>, data: PyBackedBytes, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.run(py, timeout, |file| file.write_data(&data))
    }

    fn settle(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.run(py, timeout, manyhands_sftp::File::settle)
    }

    fn position(&self, py: Python<'_>) -> PyResult<u64> {
        self.run(py, None, |file| Ok(file.position()))
    }

    fn seek(&self, py: Python<'_>, position: u64, timeout: Timeout<'_, '_>) -> PyResult<u64> {
        self.run(py, timeout, |file| file.seek_to(SeekFrom::Start(position)))
    }

    fn stat(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<Fields> {
        self.run(py, timeout, manyhands_sftp::File::stat).map(told)
    }

    fn set_stat(&self, py: Python<'_>, fields: Fields, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.run(py, timeout, |file| file.set_stat(&wanted(fields)))
    }

    fn prefetch(
        &self,
        py: Python<'_>,
        size: Option<u64>,
        most: Option<usize>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<()> {
        if most == Some(0) {
            return Err(PyValueError::new_err("at least one request has to be under way"));
        }
        self.run(py, timeout, |file| file.prefetch(size, most))
    }

    /// Reads stretches, each an offset and a length.
    fn ranges(
        &self,
        py: Python<'_>,
        stretches: Vec<(u64, u64)>,
        timeout: Timeout<'_, '_>,
    ) -> PyResult<Ranges> {
        let ranges = self.run(py, timeout, |file| file.read_ranges(stretches))?;
        Ok(Ranges(Mutex::new(ranges), self.client.clone()))
    }

    /// What the server calls it.
    fn handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let handle = self.run(py, None, |file| Ok(file.handle()?.bytes()))?;
        Ok(PyBytes::new(py, &handle))
    }

    fn close(&self, py: Python<'_>, timeout: Timeout<'_, '_>) -> PyResult<()> {
        self.run(py, timeout, manyhands_sftp::File::close)
    }
}

/// The data of stretches of a file, in order.
#[pyclass(frozen, module = "manyhands._native.sftp")]
pub(crate) struct Ranges(Mutex<manyhands_sftp::Ranges>, manyhands_sftp::Client);

#[pymethods]
impl Ranges {
    /// The next; None at the end.
    fn next<'py>(
        &self,
        py: Python<'py>,
        timeout: Timeout<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let data = run(py, &self.1, timeout, |client, _| {
            let mut ranges = sound(self.0.lock()).map_err(|it| Error::Interrupted(it.into()))?;
            ranges.use_client(client);
            ranges.next().transpose()
        })?;
        Ok(data.map(|data| PyBytes::new(py, &data)))
    }
}
