//! What can be linked to: `rawlink`, `unlink`, and who calls the links.

use manyhands_green::Line;
use pyo3::PyClass;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::PyTuple;

use super::waiting::Waiter;
use super::{home, park};

/// Those who wait for a primitive, and its links.
pub(super) struct Waits {
    pub(super) line: Line<Waiter, Py<PyAny>>,
    /// Those with lower numbers may go on...
    pub(super) until: u64,
    /// ...so many at once.
    pub(super) most: usize,
    /// The hub whose greenlet calls links that another thread has made due.
    pub(super) hub: Option<Py<PyAny>>,
}

impl Waits {
    /// `until` and `most` say who may go on at first.
    pub(super) const fn new(until: u64, most: usize) -> Self {
        Waits { line: Line::new(), until, most, hub: None }
    }

    /// Wakes those who may go on; true if [`post`] has to be called.
    #[inline]
    #[must_use]
    pub(super) fn advance(&mut self) -> bool {
        self.line.advance(self.until, self.most)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.hub)?;
        self.line.links().try_for_each(|(_, link)| visit.call(link))
    }
}

/// A primitive that can be linked to.
pub(super) trait Linkable: PyClass<Frozen = True> + Sync {
    /// Touches who waits; for a few instructions, see `crate::exclusion`.
    fn with<R>(&self, body: impl FnOnce(&mut Waits) -> R) -> R;

    /// Whether links that are added now are due.
    fn is_ready(&self) -> bool;
}

/// Calls the links of the object soon, where that can be done.
#[cold]
pub(super) fn post<T: Linkable>(this: &Bound<'_, T>) -> PyResult<()> {
    let py = this.py();
    let hub = this.get().with(|waits| waits.hub.as_ref().map(|hub| hub.clone_ref(py)));
    let hub = hub.map(|hub| hub.into_bound(py));
    let here = home::here(py).map(|here| here.greenlet.into_bound(py));
    let job = this.as_any().getattr(intern!(py, "_notify_links"))?;
    match (hub, here) {
        (Some(hub), here) if !here.as_ref().is_some_and(|here| here.is(&hub)) => {
            let events = hub.getattr(intern!(py, "loop"))?;
            if !events.is_none() {
                events.call_method1(intern!(py, "run_callback_threadsafe"), (job,))?;
                return Ok(());
            }
            // That hub was destroyed.
            let gone = this.get().with(|waits| waits.hub.take());
            drop(gone.map(|gone| gone.into_bound(py)));
            if here.is_some() { soon(job) } else { job.call0().map(drop) }
        }
        (_, Some(_)) => soon(job),
        (_, None) => job.call0().map(drop),
    }
}

fn soon(job: Bound<'_, PyAny>) -> PyResult<()> {
    let py = job.py();
    park::call_soon(py, job, PyTuple::empty(py))
}

/// Wakes those who may go on, and sees to it that links are called.
#[inline]
pub(super) fn advance<T: Linkable>(this: &Bound<'_, T>) -> PyResult<()> {
    if this.get().with(Waits::advance) { post(this) } else { Ok(()) }
}

/// Notes this thread's hub, if it has one, unless another is noted.
pub(super) fn note_hub<T: Linkable>(this: &Bound<'_, T>) {
    let py = this.py();
    if this.get().with(|waits| waits.hub.is_none())
        && let Some(here) = home::here(py)
    {
        let before = this.get().with(|waits| waits.hub.replace(here.greenlet));
        drop(before.map(|before| before.into_bound(py)));
    }
}

/// Has the object called with itself when it is ready.
pub(super) fn add<T: Linkable>(this: &Bound<'_, T>, callable: &Bound<'_, PyAny>) -> PyResult<()> {
    if !callable.is_callable() {
        return Err(PyTypeError::new_err(format!("Expected callable: {}", callable.repr()?)));
    }
    note_hub(this);
    let link = callable.clone().unbind();
    let is_ready = this.get().is_ready();
    let has_to_post = this.get().with(|waits| {
        waits.line.link(link);
        if is_ready && waits.until != u64::MAX {
            waits.until = waits.line.number();
        }
        waits.advance()
    });
    if has_to_post { post(this) } else { Ok(()) }
}

/// Takes back a link that is equal, if there is one.
pub(super) fn remove<T: Linkable>(
    this: &Bound<'_, T>,
    callable: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    // Comparing runs code of the program's: not while the line is being touched.
    let links: Vec<(u64, Bound<'_, PyAny>)> = this.get().with(|waits| {
        let links = waits.line.links();
        links.map(|(number, link)| (number, link.clone_ref(py).into_bound(py))).collect()
    });
    for (number, link) in links {
        if link.is(callable) || link.eq(callable)? {
            let link = this.get().with(|waits| waits.line.unlink(number));
            drop(link.map(|link| link.into_bound(py)));
            break;
        }
    }
    Ok(())
}

/// Calls the links whose turn has come, each once. Runs in the hub's greenlet, which lives on whatever they raise.
pub(super) fn call<T: Linkable>(this: &Bound<'_, T>) -> PyResult<()> {
    let py = this.py();
    let last = this.get().with(|waits| waits.line.number());
    let mut called: Vec<Bound<'_, PyAny>> = Vec::new();
    let ended = loop {
        let link = this.get().with(|waits| waits.line.next_link(waits.until.min(last), waits.most));
        let Some(link) = link.map(|link| link.into_bound(py)) else { break Ok(()) };
        if called.iter().any(|other| other.is(&link)) {
            continue;
        }
        if let Err(error) = link.call1((this,))
            && let Err(error) = report(this, &link, error)
        {
            break Err(error);
        }
        called.push(link);
    };
    let again = this.get().with(|waits| {
        waits.line.end_links();
        waits.advance()
    });
    if again {
        post(this)?;
    }
    ended
}

/// Gives what a link has raised to the hub, or shows it where there is none.
#[cold]
fn report<T: Linkable>(this: &Bound<'_, T>, link: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
    let py = this.py();
    let Some(here) = home::here(py) else {
        error.print(py);
        return Ok(());
    };
    let hub = here.greenlet.into_bound(py);
    let (class, value, traceback) = (error.get_type(py), error.value(py), error.traceback(py));
    let context = (link, this);
    hub.call_method1(intern!(py, "handle_error"), (context, class, value, traceback)).map(drop)
}
