//! Objects in shared memory that are used under a lock.
//!
//! The lock may be anybody's: whatever has `acquire` and `release`.

use std::sync::OnceLock;

use manyhands_shm::Limit;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::made::Made;
use crate::multiprocessing::synchronize::RLock;

struct Parts {
    object: Py<PyAny>,
    lock: Py<PyAny>,
    /// The same lock, if it is a plain one of ours, so that its methods are known.
    plain: Option<Py<RLock>>,
}

/// An object and its lock.
// py: multiprocessing.sharedctypes.SynchronizedBase
#[pyclass(frozen, subclass, dict, weakref, module = "manyhands._native.multiprocessing")]
pub(super) struct SynchronizedBase {
    made: Made,
    /// Set by `__init__`.
    parts: OnceLock<Parts>,
}

impl SynchronizedBase {
    fn parts(&self) -> PyResult<&Parts> {
        self.parts.get().ok_or_else(|| PyAttributeError::new_err("__init__ was not called"))
    }

    /// Does something with the object while the lock is held.
    fn with_lock<'py, R>(
        &self,
        py: Python<'py>,
        body: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<R>,
    ) -> PyResult<R> {
        let Parts { object, lock, plain } = self.parts()?;
        if let Some(lock) = plain {
            let lock = lock.get();
            lock.acquire_within(py, Limit::Forever)?;
            let result = body(object.bind(py));
            let released = lock.free();
            let result = result?;
            return released.map(|()| result);
        }
        let lock = lock.bind(py);
        lock.call_method0(intern!(py, "acquire"))?;
        let result = body(object.bind(py));
        let released = lock.call_method0(intern!(py, "release"));
        let result = result?;
        released?;
        Ok(result)
    }
}

#[pymethods]
impl SynchronizedBase {
    #[new]
    #[pyo3(signature = (*_args, **_options))]
    fn new(_args: &Bound<'_, PyTuple>, _options: Option<&Bound<'_, PyDict>>) -> Self {
        SynchronizedBase { made: Made::new(), parts: OnceLock::new() }
    }

    /// Sets the object and its lock, once; `plain` says that the lock's methods are those of its
    /// native class, if it has one.
    fn _unite(&self, object: Py<PyAny>, lock: &Bound<'_, PyAny>, plain: bool) -> PyResult<()> {
        let own = if plain { lock.cast::<RLock>().ok() } else { None };
        let plain = own.map(|lock| lock.clone().unbind());
        let united = self.parts.set(Parts { object, lock: lock.clone().unbind(), plain });
        united.map_err(|_| PyRuntimeError::new_err("it has an object and a lock already"))
    }

    #[getter]
    fn _obj(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.parts()?.object.clone_ref(py))
    }

    #[getter]
    fn _lock(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.parts()?.lock.clone_ref(py))
    }

    /// The lock's method.
    #[getter]
    fn acquire<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.parts()?.lock.bind(py).getattr(intern!(py, "acquire"))
    }

    /// The lock's method.
    #[getter]
    fn release<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.parts()?.lock.bind(py).getattr(intern!(py, "release"))
    }

    /// Return the object itself, which can be used without the lock.
    fn get_obj(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self._obj(py)
    }

    /// Return the lock.
    fn get_lock(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self._lock(py)
    }

    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.parts()?.lock.bind(py).call_method0(intern!(py, "__enter__"))
    }

    #[pyo3(signature = (*args))]
    fn __exit__<'py>(&self, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        self.parts()?.lock.bind(py).call_method1(intern!(py, "__exit__"), args)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.made.is() {
            return Ok(());
        }
        // What is plain is the lock once more: it is counted, and so told, too.
        if let Some(Parts { object, lock, plain }) = self.parts.get() {
            visit.call(object)?;
            visit.call(lock)?;
            plain.as_ref().map_or(Ok(()), |lock| visit.call(lock))?;
        }
        Ok(())
    }
}

/// As a container: its items are got and set under the lock.
// py: multiprocessing.sharedctypes.SynchronizedArray
#[pyclass(frozen, subclass, extends = SynchronizedBase, module = "manyhands._native.multiprocessing")]
pub(super) struct SynchronizedItems;

#[pymethods]
impl SynchronizedItems {
    #[new]
    #[pyo3(signature = (*args, **options))]
    fn new(
        args: &Bound<'_, PyTuple>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        let base = SynchronizedBase::new(args, options);
        PyClassInitializer::from(base).add_subclass(SynchronizedItems)
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        slf.as_super().get().parts()?.object.bind(slf.py()).len()
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.as_super().get().with_lock(slf.py(), |object| object.get_item(index))
    }

    fn __setitem__<'py>(
        slf: &Bound<'py, Self>,
        index: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        slf.as_super().get().with_lock(slf.py(), |object| object.set_item(index, value))
    }
}

/// A descriptor: the attribute of that name of the object, got and set under the lock.
// py: multiprocessing.sharedctypes.make_property
#[pyclass(frozen, module = "manyhands._native.multiprocessing")]
pub(super) struct SynchronizedAttribute {
    name: Py<PyString>,
}

#[pymethods]
impl SynchronizedAttribute {
    #[new]
    fn new(name: &Bound<'_, PyString>) -> PyResult<Self> {
        let name = name.py().import("sys")?.call_method1("intern", (name,))?;
        Ok(SynchronizedAttribute { name: name.cast_into::<PyString>()?.unbind() })
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: Option<&Bound<'py, PyAny>>,
        _owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(instance) = instance else { return Ok(slf.clone().into_any()) };
        let synchronized = instance.cast::<SynchronizedBase>()?.get();
        synchronized.with_lock(slf.py(), |object| object.getattr(slf.get().name.bind(slf.py())))
    }

    fn __set__<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = instance.py();
        let synchronized = instance.cast::<SynchronizedBase>()?.get();
        synchronized.with_lock(py, |object| object.setattr(self.name.bind(py), value))
    }

    fn __delete__(&self, _instance: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyAttributeError::new_err("what lies in shared memory cannot be deleted"))
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SynchronizedBase>()?;
    module.add_class::<SynchronizedItems>()?;
    module.add_class::<SynchronizedAttribute>()
}
