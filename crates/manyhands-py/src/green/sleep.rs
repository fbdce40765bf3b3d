//! Waiting for time alone, and which hub a thread has.

use std::time::Instant;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::eventloop::Loop;
use super::home::{self, Here};
use super::method::{self, function};
use super::{api, park, raw, seconds};

// py: gevent.sleep
function!(
    Sleep,
    c"sleep",
    c"sleep(seconds=0, ref=True)\n--\n\nPut this greenlet to sleep for at least so many seconds; 0 lets those run who have a turn. With `ref` false it\ndoes not keep the loop from ending. ValueError if the time is negative.",
    ["seconds", "ref"],
    0,
    |_this, arguments| {
        let py = _this.py();
        match time(arguments)? {
            Time::None => park::give_way(py)?,
            Time::Until(deadline, keeps) => park::rest(py, deadline, keeps)?,
        }
        Ok(py.None().into_bound(py))
    }
);

enum Time {
    None,
    /// And whether the loop may not end before; without a moment, for ever.
    Until(Option<Instant>, bool),
}

/// What `sleep` was given. Not inlined, as its errors take room in the stack of who sleeps.
#[inline(never)]
fn time(arguments: &method::Arguments<'_, '_>) -> PyResult<Time> {
    let time = arguments.get(0).map_or(Ok(0.0), |it| it.extract::<f64>())?;
    if time < 0.0 {
        let why = format!("sleep() must be given a time that is not negative, not {time}");
        return Err(PyValueError::new_err(why));
    }
    if time == 0.0 {
        return Ok(Time::None);
    }
    Ok(Time::Until(seconds::after(time)?, arguments.flag(1, true)?))
}

// py: gevent._hub_local.get_hub_if_exists
/// The hub of this thread; None if it has none.
#[pyfunction]
fn get_hub_if_exists(py: Python<'_>) -> Option<Py<PyAny>> {
    home::here(py).map(|here| here.greenlet)
}

// py: gevent._hub_local.set_hub
/// Say which hub this thread has, which has a `loop` of ours; None: none. `is_asked` says whether its `switch` is to be called
/// whenever a greenlet waits, which is slower.
#[pyfunction]
#[pyo3(signature = (hub, is_asked=false))]
fn set_hub(py: Python<'_>, hub: Option<Bound<'_, PyAny>>, is_asked: bool) -> PyResult<()> {
    let Some(hub) = hub else {
        home::set_here(py, None);
        return Ok(());
    };
    if !hub.is_instance(&api::class(py))? {
        return Err(PyTypeError::new_err(format!("a hub must be a greenlet, not {hub:?}")));
    }
    let events = hub.getattr("loop")?;
    let events = events.cast::<Loop>()?;
    home::set_here(py, Some(Here { home: events.get().home, greenlet: hub.unbind(), is_asked }));
    Ok(())
}

/// How often greenlets of this thread have waited.
#[pyfunction]
fn count_waits() -> u64 {
    home::waits()
}

/// This thread ends: so do the greenlets that are parked in it, now, while there still is a stack for them.
#[pyfunction]
fn thread_ends(py: Python<'_>, events: &Bound<'_, Loop>) {
    let home = events.get().home;
    let here = home::here(py).filter(|here| std::ptr::eq(here.home, home));
    let hub = here.map(|here| here.greenlet);
    // The hub first: who would wait while it is being ended is told that nothing can wake it. All are ended, also those to which
    // somebody refers: a call in which one were parked for ever would count, for PyO3, as one that is under way, and so the
    // thread as one that is within the interpreter, while it takes leave of it.
    for greenlet in hub.iter().map(|hub| hub.clone_ref(py)).chain(home.parked(py)) {
        let greenlet = greenlet.into_bound(py);
        if api::is_active(&greenlet)
            && !api::is_main(&greenlet)
            && let Err(error) = raw::end_now(&greenlet)
        {
            error.write_unraisable(py, Some(&greenlet));
        }
    }
    if let Some(hub) = hub {
        drop(hub.into_bound(py));
        home::set_here(py, None);
    }
    home.close(py);
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    method::add_function::<Sleep>(module)?;
    module.add_function(wrap_pyfunction!(get_hub_if_exists, module)?)?;
    module.add_function(wrap_pyfunction!(set_hub, module)?)?;
    module.add_function(wrap_pyfunction!(count_waits, module)?)?;
    module.add_function(wrap_pyfunction!(thread_ends, module)?)
}
