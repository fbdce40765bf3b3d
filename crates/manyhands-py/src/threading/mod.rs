//! `manyhands.threading`

use std::fmt::Display;

use pyo3::prelude::*;

use crate::fast;

mod barrier;
mod condition;
mod event;
mod lock;
mod rlock;
mod semaphore;

pub(crate) use barrier::Barrier;
pub(crate) use condition::Condition;
pub(crate) use event::Event;
pub(crate) use lock::Lock;
pub(crate) use rlock::RLock;
pub(crate) use semaphore::Semaphore;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    if cfg!(Py_3_13) {
        module.add("Lock", module.py().get_type::<lock::Lock>())?;
    } else {
        module.add_function(wrap_pyfunction!(lock::create, module)?)?;
    }
    module.add_class::<rlock::RLock>()?;
    module.add_class::<condition::Condition>()?;
    module.add_class::<semaphore::Semaphore>()?;
    module.add_class::<semaphore::BoundedSemaphore>()?;
    module.add_class::<event::Event>()?;
    module.add_class::<barrier::Barrier>()?;

    let py = module.py();
    fast::install::<lock::Acquire>(py)?;
    fast::install::<lock::Release>(py)?;
    fast::install::<lock::Enter>(py)?;
    fast::install::<lock::Exit>(py)?;
    fast::install::<rlock::Acquire>(py)?;
    fast::install::<rlock::Release>(py)?;
    fast::install::<rlock::Enter>(py)?;
    fast::install::<rlock::Exit>(py)?;
    fast::install::<condition::Notify>(py)?;
    fast::install::<condition::Enter>(py)?;
    fast::install::<condition::Exit>(py)?;
    fast::install::<semaphore::Acquire>(py)?;
    fast::install::<semaphore::Release>(py)?;
    fast::install::<semaphore::Enter>(py)?;
    fast::install::<semaphore::Exit>(py)?;
    fast::install::<event::IsSet>(py)?;
    fast::install::<event::Set>(py)?;
    fast::install::<event::Clear>(py)?;
    fast::install::<event::Wait>(py)
}

/// `<module.Class at 0x7f...: state>`, as the stdlib's classes that are written in Python.
fn repr(object: &Bound<'_, PyAny>, state: impl Display) -> PyResult<String> {
    Ok(format!("<{} at {:#x}: {state}>", class_name(object)?, object.as_ptr() as usize))
}

/// `module.Class`
fn class_name(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let class = object.get_type();
    Ok(format!("{}.{}", class.module()?, class.qualname()?))
}
