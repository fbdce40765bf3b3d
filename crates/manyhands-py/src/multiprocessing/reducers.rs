//! What types are pickled by.

use pyo3::exceptions::PyKeyError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// The dispatch table of `ForkingPickler`, as it is when it is asked: what was registered with it, and
/// what `copyreg` knows.
///
/// The stdlib's is a `ChainMap`, whose lookup is Python code, for each object that is pickled.
#[pyclass(frozen, module = "manyhands._native.multiprocessing")]
pub(super) struct Reducers {
    forking_pickler: Py<PyAny>,
    copyreg: Py<PyAny>,
}

impl Reducers {
    pub(super) fn of_the_stdlib(py: Python<'_>) -> PyResult<&'static Py<Reducers>> {
        static TABLE: PyOnceLock<Py<Reducers>> = PyOnceLock::new();
        TABLE.get_or_try_init(py, || {
            let stdlib = py.import("manyhands._stdlib")?;
            let reduction = stdlib.call_method1("original", ("multiprocessing.reduction",))?;
            let table = Reducers {
                forking_pickler: reduction.getattr("ForkingPickler")?.unbind(),
                copyreg: py.import("copyreg")?.getattr("dispatch_table")?.unbind(),
            };
            Py::new(py, table)
        })
    }
}

#[pymethods]
impl Reducers {
    fn __getitem__<'py>(&self, class: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        let extra = self.forking_pickler.bind(py).getattr(intern!(py, "_extra_reducers"))?;
        for table in [&extra, self.copyreg.bind(py)] {
            match table.cast::<PyDict>() {
                Ok(table) => {
                    if let Some(reduce) = table.get_item(class)? {
                        return Ok(reduce);
                    }
                }
                Err(_) => match table.get_item(class) {
                    Err(error) if error.is_instance_of::<PyKeyError>(py) => {}
                    found => return found,
                },
            }
        }
        Err(PyKeyError::new_err(class.clone().unbind()))
    }
}
