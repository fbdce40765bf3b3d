//! `manyhands.gevent`

use pyo3::prelude::*;

mod ancestry;
mod api;
mod async_result;
pub(crate) mod awaited;
mod body;
mod callback;
mod channel;
mod event;
mod eventloop;
mod exceptions;
mod gather;
mod greenlet;
pub(crate) mod guest;
mod home;
mod items;
mod links;
mod method;
pub(crate) mod park;
mod passing;
mod queues;
mod raw;
mod rlock;
mod seconds;
mod semaphore;
mod simple_queue;
mod sleep;
mod socket;
mod stacks;
mod store;
mod timeout;
mod units;
mod waiting;
mod watchdog;

/// Adds what `manyhands.gevent` stands on; only when that is imported, as it needs the package `greenlet`.
#[pyfunction]
fn _register_green(module: &Bound<'_, PyModule>) -> PyResult<()> {
    api::load(module.py())?;
    callback_class(module)?;
    eventloop::register(module)?;
    gather::register(module)?;
    greenlet::register(module)?;
    ancestry::register(module)?;
    stacks::register(module)?;
    timeout::register(module)?;
    watchdog::register(module)?;
    sleep::register(module)?;
    socket::register(module)?;
    primitives(module)
}

/// What greenlets wait for; in a module of its own, as threads have classes of the same names.
fn primitives(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let primitives = PyModule::new(module.py(), "primitives")?;
    event::register(&primitives)?;
    async_result::register(&primitives)?;
    semaphore::register(&primitives)?;
    rlock::register(&primitives)?;
    simple_queue::register(&primitives)?;
    queues::register(&primitives)?;
    channel::register(&primitives)?;
    module.add("green_primitives", primitives)
}

fn callback_class(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<callback::Callback>()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    awaited::register(module)?;
    guest::register(module)?;
    module.add_function(wrap_pyfunction!(_register_green, module)?)
}
