//! What `manyhands.gevent.core.loop` is made of.

use manyhands_green::{Direction, Key, Registration, Turn, Wake};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::callback::Callback;
use super::home::{self, Home, Work};
use super::method::{self, function};
use super::{api, greenlet, park, raw, seconds};

/// A loop: the run queue, timers and readiness of one hub, for whoever wants to be called.
#[pyclass(frozen, subclass, dict, weakref, name = "Loop", module = "manyhands.gevent.core")]
pub(super) struct Loop {
    pub(super) home: &'static Home,
}

impl Drop for Loop {
    fn drop(&mut self) {
        Python::attach(|py| self.home.give_up(py));
    }
}

/// What a woken watcher is told.
fn reason(why: Option<Wake>) -> &'static str {
    match why {
        Some(Wake::TimedOut) => "time",
        Some(Wake::Closed) => "closed",
        Some(Wake::Ready) => "ready",
        Some(Wake::Notified) | None => "notified",
    }
}

#[pymethods]
impl Loop {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, pyo3::types::PyDict>>,
    ) -> PyResult<Self> {
        Ok(Loop { home: Home::take()? })
    }

    /// Call it once, soon, in the greenlet that runs the loop; after those that were to be called before.
    #[pyo3(signature = (func, *args))]
    fn run_callback<'py>(
        &self,
        func: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, Callback>> {
        if !func.is_callable() {
            return Err(PyTypeError::new_err(format!("Expected callable, got {func:?}")));
        }
        let callback = Bound::new(func.py(), Callback::new(func, args))?;
        let job = callback.clone().unbind();
        if self.home.with(|hub| hub.is_closed()) {
            return Err(destroyed());
        }
        self.home.with(|hub| hub.post(Work::Call(job)));
        Ok(callback)
    }

    /// As run_callback(), from any thread.
    #[pyo3(signature = (func, *args))]
    fn run_callback_threadsafe<'py>(
        &self,
        func: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, Callback>> {
        self.run_callback(func, args)
    }

    /// Let the hub switch to the greenlet soon.
    fn _switch_soon(&self, greenlet: Py<PyAny>) {
        self.home.with(|hub| hub.post(Work::Switch(greenlet)));
    }

    /// A place for a watcher, whose `_fire` is called with the reason whenever it is woken.
    fn _watch(&self, watcher: Py<PyAny>, keeps: bool) -> PyResult<u64> {
        if self.home.with(|hub| hub.is_closed()) {
            return Err(destroyed());
        }
        Ok(self.home.with(|hub| hub.wait(Work::Watcher(watcher), keeps)).to_bits())
    }

    /// The watcher's place is free again.
    fn _unwatch(&self, py: Python<'_>, key: u64) {
        self.home.end(py, Key::from_bits(key));
    }

    fn _keep(&self, key: u64, keeps: bool) {
        self.home.with(|hub| hub.keep(Key::from_bits(key), keeps));
    }

    /// After it was woken: it waits again.
    fn _again(&self, key: u64) {
        self.home.with(|hub| hub.again(Key::from_bits(key)));
    }

    /// Wake it; from any thread.
    fn _wake(&self, key: u64) -> bool {
        self.home.with(|hub| hub.wake(Key::from_bits(key), Wake::Notified))
    }

    /// Whether it was woken and not called yet.
    fn _pending(&self, key: u64) -> bool {
        self.home.with(|hub| hub.woken(Key::from_bits(key)).is_some())
    }

    /// Wake it after so many seconds.
    fn _after(&self, key: u64, seconds: f64) -> PyResult<()> {
        let deadline = seconds::after(seconds)?;
        if let Some(deadline) = deadline {
            self.home.with(|hub| hub.wake_at(Key::from_bits(key), deadline));
        }
        Ok(())
    }

    /// Wake it when the descriptor is ready.
    fn _when(&self, key: u64, fd: i32, write: bool) -> PyResult<()> {
        let direction = if write { Direction::Write } else { Direction::Read };
        let key = Key::from_bits(key);
        Ok(self.home.with(|hub| hub.wake_when(key, fd, direction, Registration::Passing))?)
    }

    /// Take that back.
    fn _not_when(&self, key: u64, fd: i32) {
        self.home.with(|hub| hub.forget_wait(Key::from_bits(key), fd));
    }

    /// Who waits for the descriptor, which is about to be closed, is told.
    fn _forget(&self, fd: i32) {
        self.home.with(|hub| hub.forget(fd));
    }

    /// How many have a turn.
    fn _due(&self) -> usize {
        self.home.with(|hub| hub.due())
    }

    /// How many places are taken.
    fn _places(&self) -> usize {
        self.home.with(|hub| hub.places())
    }

    /// How many keep the loop from ending.
    fn _keeping(&self) -> usize {
        self.home.with(|hub| hub.keeping())
    }

    /// Whether it was destroyed.
    fn _closed(&self) -> bool {
        self.home.with(|hub| hub.is_closed())
    }

    fn _close(&self, py: Python<'_>) {
        self.home.close(py);
    }

    /// In a forked child: a poller of its own.
    fn _forked(&self) -> PyResult<()> {
        if self.home.with(|hub| hub.is_closed()) {
            return Ok(());
        }
        self.home.with(|hub| hub.forked())?;
        self.home.set_has_guests(true);
        Ok(())
    }

    /// The greenlets that are parked, for diagnoses.
    fn _parked(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.home.parked(py)
    }
}

#[cold]
fn destroyed() -> PyErr {
    PyValueError::new_err("operation on destroyed loop")
}

// py: gevent.hub.loop.run
function!(
    Run,
    c"_run",
    c"_run($self, nowait=False, once=False)\n--\n\nCall who is to be called, until nobody can come any more.",
    ["nowait", "once"],
    0,
    |this, arguments| {
        let (nowait, once) = (arguments.flag(0, false)?, arguments.flag(1, false)?);
        let events = method::this::<Loop>(this).to_owned();
        run(&events, nowait, once)?;
        Ok(this.py().None().into_bound(this.py()))
    }
);

fn run(events: &Bound<'_, Loop>, nowait: bool, once: bool) -> PyResult<()> {
    let py = events.py();
    let home = events.get().home;
    let mut turns = home.with(|hub| {
        hub.look();
        hub.due()
    });
    let mut napped = false;
    loop {
        if (once || nowait) && turns == 0 && (nowait || napped) {
            return Ok(());
        }
        turns = turns.saturating_sub(1);
        let Some(turn) = home.with(|hub| hub.next()) else {
            if nowait || (once && napped) {
                return Ok(());
            }
            let Some(nap) = home.with(|hub| hub.nap()) else { return Ok(()) };
            if let Err(error) = park::sleep(py, home, nap) {
                complain(events, None, error)?;
            }
            napped = true;
            turns = home.with(|hub| hub.due());
            continue;
        };
        if once {
            napped = true;
        }
        take_turn(events, turn)?;
        if home.with(|hub| hub.is_closed()) {
            return Ok(());
        }
    }
}

fn take_turn(events: &Bound<'_, Loop>, turn: Turn<Work>) -> PyResult<()> {
    let py = events.py();
    let home = events.get().home;
    let work = match turn {
        Turn::Job(work) => work,
        Turn::Slot(key) => {
            let (work, why) = home.with(|hub| {
                let work = match hub.what(key) {
                    Some(Work::Parked(greenlet)) => Work::Switch(greenlet.clone_ref(py)),
                    Some(Work::Watcher(watcher)) => Work::Watcher(watcher.clone_ref(py)),
                    _ => Work::Signals,
                };
                (work, hub.woken(key))
            });
            if let Work::Watcher(watcher) = work {
                let watcher = watcher.into_bound(py);
                let fired = watcher.call_method1(intern!(py, "_fire"), (reason(why),));
                return fired.map(drop).or_else(|error| complain(events, Some(&watcher), error));
            }
            work
        }
    };
    match work {
        Work::Switch(greenlet) | Work::Parked(greenlet) => {
            let greenlet = greenlet.into_bound(py);
            api::switch(&greenlet)
                .map(drop)
                .or_else(|error| complain(events, Some(&greenlet), error))
        }
        Work::Start(greenlet) => {
            let greenlet = greenlet.into_bound(py);
            raw::show(&greenlet);
            if !greenlet::begins(&greenlet) {
                return Ok(());
            }
            api::switch(&greenlet)
                .map(drop)
                .or_else(|error| complain(events, Some(&greenlet), error))
        }
        Work::Call(callback) => {
            let callback = callback.into_bound(py);
            let Some((callable, arguments)) = callback.get().take(py) else { return Ok(()) };
            callable
                .call1(arguments)
                .map(drop)
                .or_else(|error| complain(events, Some(&callback), error))
        }
        Work::Watcher(watcher) => {
            drop(watcher.into_bound(py));
            Ok(())
        }
        Work::Signals => py.check_signals().or_else(|error| complain(events, None, error)),
    }
}

/// Tells of an error in what was called; only that this greenlet is to end goes on.
#[cold]
fn complain(
    events: &Bound<'_, Loop>,
    context: Option<&Bound<'_, PyAny>>,
    error: PyErr,
) -> PyResult<()> {
    let py = events.py();
    if error.is_instance(py, &api::exit(py)) && home::is_hub(&api::current(py)?) {
        return Err(error);
    }
    let class = error.get_type(py);
    let traceback = error.traceback(py);
    let value = error.into_value(py).into_bound(py);
    let arguments = (context, class, value, traceback);
    let told = events.call_method1(intern!(py, "handle_error"), arguments);
    match told {
        Err(error)
            if !(error.is_instance(py, &api::exit(py)) && home::is_hub(&api::current(py)?)) =>
        {
            // The loop goes on, whatever a program's own way to tell of errors does.
            error.display(py);
            Ok(())
        }
        told => told.map(drop),
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Loop>()?;
    method::add_method::<Run>(&module.py().get_type::<Loop>())?;
    Ok(())
}
