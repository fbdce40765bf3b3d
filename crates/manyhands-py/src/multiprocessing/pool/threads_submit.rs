//! Calls go to the threads of a pool.

use manyhands_sys::fork;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use super::call::{Chunks, Shape};
use super::result::ApplyResult;
use super::scheduler::Scheduler;
use super::threads::{Target, Threads, Work};
use crate::contextvars::Submitted;
use crate::crew::Employer;

impl Threads {
    /// Has a task done; what it comes to if none are taken is that.
    pub(super) fn submit(slf: &Bound<'_, Self>, work: Work) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if this.epoch != fork::epoch() {
            return Err(Scheduler::not_own());
        }
        let Err(refused) = this.tasks.try_put(work) else {
            if this.crew.is_pressed() {
                Employer::Pool(slf.clone().unbind()).grow(py)?;
            }
            return Ok(());
        };
        let why = this.why(py)?;
        Self::deliver(py, this, refused.item.target, refused.item.index, Err(why));
        Ok(())
    }

    /// Submits the items of a sequence, or of an iterable that is as long, so many at a time.
    pub(super) fn submit_chunks(
        slf: &Bound<'_, Self>,
        function: &Bound<'_, PyAny>,
        shape: Shape,
        iterable: &Bound<'_, PyAny>,
        (len, chunk): (usize, usize),
        result: &Bound<'_, ApplyResult>,
    ) -> PyResult<()> {
        let py = slf.py();
        let target = || Target::Result(result.clone().unbind());
        let context = Submitted::here(py)?;
        for (index, items) in Chunks::new(iterable, len, chunk).enumerate() {
            match items {
                Ok(items) => {
                    let (function, argument) = (function.clone().unbind(), items.unbind());
                    let (context, target) = (context.again(py), target());
                    Self::submit(slf, Work { function, shape, argument, context, target, index })?;
                }
                Err(why) if why.is_instance_of::<PyException>(py) => {
                    // The iterable has nothing more to give: neither this task nor those after it.
                    let why = why.into_value(py).into_bound(py).into_any();
                    for index in index..len.div_ceil(chunk) {
                        Self::deliver(py, slf.get(), target(), index, Err(why.clone()));
                    }
                    break;
                }
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }
}
