//! Calls go out.

use std::sync::atomic::Ordering;

use manyhands_pool::SubmitError;
use manyhands_sync::Limit;
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::call::{Callee, Chunks, Shape, name_originals};
use super::limits::{Options, Terms};
use super::outcomes::copy_of;
use super::repeats::{self, Repeats};
use super::result::ApplyResult;
use super::scheduler::{MOST_BYTES, Phase, Scheduler, Tag, To, locked};
use super::task::Task;
use crate::concurrent::future::{Future, Outcome};
use crate::multiprocessing::arena::{Outside, error};
use crate::multiprocessing::codec::{encode_after, with_encoder};
use crate::multiprocessing::queue::piece;

impl Scheduler {
    /// Sends a call, and returns its task's number; waits while too much is under way.
    pub(super) fn send(
        slf: &Bound<'_, Self>,
        callee: &Callee,
        argument: Bound<'_, PyAny>,
        mut tag: Tag,
        repeats: Option<&Repeats>,
    ) -> PyResult<u64> {
        let (py, this) = (slf.py(), slf.get());
        if !this.is_own() {
            return Err(Self::not_own());
        }
        if this.bytes.load(Ordering::Relaxed) > MOST_BYTES {
            let is_over = || {
                this.bytes.load(Ordering::Relaxed) <= MOST_BYTES
                    || this.phase() == Phase::Ended
                    || this.is_broken()
            };
            Self::advance(slf, Limit::Forever, &is_over)?;
        }
        let broken = locked(&this.broken).as_ref().map(|why| why.clone_ref(py));
        if let Some(why) = broken {
            return Err(PyErr::from_value(copy_of(why.bind(py))));
        }
        let object = callee.wrap(argument)?;
        with_encoder(|encoder| {
            encode_after(&callee.prefix, &object, encoder)?;
            let apart = repeats.map_or_else(Vec::new, |each| each.find(py, encoder.payloads()));
            if !apart.is_empty() {
                name_originals(encoder, &repeats::names(&apart));
            }
            let payloads = repeats::rest(encoder, &apart);
            let pieces: Vec<_> = payloads.iter().map(|payload| piece(payload)).collect();
            let large = pieces.iter().map(|piece| piece.len).sum::<usize>();
            let bytes = encoder.head().len() + large + repeats::copied(&apart);
            tag.originals = apart.into_iter().map(|each| each.original).collect();
            tag.bytes = bytes;
            this.bytes.fetch_add(bytes, Ordering::Relaxed);
            let timeout = callee.options.as_ref().and_then(|options| {
                tag.terms = Some(Terms::new(options.clone_ref(py), encoder.head(), &payloads));
                tag.timeout()
            });
            timeout.inspect(|&timeout| this.expect_end(timeout));
            #[expect(unsafe_code, reason = "the encoder keeps the payloads while it has them")]
            // SAFETY: see there.
            let sent = unsafe { this.pool.submit(&Outside(py), tag, encoder.head_mut(), &pieces) };
            sent.map_err(|why| {
                this.forget_terms(bytes, timeout.is_some());
                match why {
                    SubmitError::Closed => PyValueError::new_err("Pool not running"),
                    SubmitError::Arena(why) => error(why),
                    SubmitError::GivenUp(why) => why,
                }
            })
        })
    }

    /// Does `submit`, with the result counted among those for which somebody is called, if so.
    pub(super) fn expect(
        &self,
        result: &ApplyResult,
        submit: impl FnOnce() -> PyResult<()>,
    ) -> PyResult<()> {
        if !result.has_callbacks() {
            return submit();
        }
        self.awaited.fetch_add(1, Ordering::AcqRel);
        self.call_supervisor();
        submit().inspect_err(|_| _ = self.awaited.fetch_sub(1, Ordering::AcqRel))
    }

    /// Sends a call; what goes wrong with pickling it is its outcome.
    pub(super) fn submit(
        slf: &Bound<'_, Self>,
        callee: &Callee,
        argument: Bound<'_, PyAny>,
        tag: Tag,
        result: &Bound<'_, ApplyResult>,
        index: usize,
        repeats: Option<&Repeats>,
    ) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        match Self::send(slf, callee, argument, tag, repeats) {
            Ok(_) => Ok(()),
            Err(why) if why.is_instance_of::<PyException>(py) => {
                let tag = Tag::new(To::Result(result.clone().unbind()), index);
                let why = why.into_value(py).into_bound(py).into_any();
                this.deliver_aside(py, tag, Err(why));
                Ok(())
            }
            Err(why) => Err(why),
        }
    }

    /// Sends the items of a sequence, or of an iterable that is as long, so many at a time.
    pub(super) fn submit_chunks(
        slf: &Bound<'_, Self>,
        callee: &Callee,
        iterable: &Bound<'_, PyAny>,
        len: usize,
        chunk: usize,
        result: &Bound<'_, ApplyResult>,
    ) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let tag = |index| Tag::new(To::Result(result.clone().unbind()), index);
        let repeats = (len > chunk).then(Repeats::default);
        let repeats = repeats.as_ref();
        for (index, items) in Chunks::new(iterable, len, chunk).enumerate() {
            match items {
                Ok(items) => {
                    Self::submit(slf, callee, items, tag(index), result, index, repeats)?;
                }
                Err(why) if why.is_instance_of::<PyException>(py) => {
                    // The iterable has nothing more to give: neither this task nor those after it.
                    let why = why.into_value(py).into_bound(py).into_any();
                    for index in index..len.div_ceil(chunk) {
                        this.deliver_aside(py, tag(index), Err(why.clone()));
                    }
                    break;
                }
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    /// Submits `function(*args, **kwds)`, or a call with each item of `args` if that is a list; returns its
    /// future. Of a map, with what the calls before had.
    // py: concurrent.futures.ProcessPoolExecutor.submit
    pub(crate) fn submit_future<'py>(
        slf: &Bound<'py, Self>,
        pool: Bound<'py, PyAny>,
        function: Bound<'py, PyAny>,
        args: Bound<'py, PyAny>,
        kwds: Option<Bound<'py, PyDict>>,
        options: Option<Bound<'py, Options>>,
        repeats: Option<&Repeats>,
    ) -> PyResult<Bound<'py, Future>> {
        let (py, this) = (slf.py(), slf.get());
        let kwds = kwds.filter(|kwds| !kwds.is_empty());
        let mut items = 1;
        let shape = if let Ok(list) = args.cast_exact::<PyList>() {
            items = list.len();
            Shape::EachStarred
        } else if kwds.is_some() {
            Shape::Keywords
        } else {
            Shape::Positional
        };
        let callee = this.callee(&function, shape, options)?;
        let future = Future::create(py)?;
        let argument = match kwds {
            Some(kwds) => PyTuple::new(py, [args, kwds.into_any()])?.into_any(),
            None => args,
        };
        let tag = Tag::new(To::Future(future.clone().unbind()), items);
        this.tally.get().submit(items);
        match Self::send(slf, &callee, argument, tag, repeats) {
            Ok(number) => {
                let scheduler = slf.clone().unbind();
                let task = Task::new(scheduler, number, pool.unbind(), function.unbind());
                future.get().expect(task);
            }
            Err(why) if this.is_broken() || !why.is_instance_of::<PyException>(py) => {
                this.tally.get().withdraw(items);
                return Err(why);
            }
            Err(_) if this.phase() != Phase::Running => {
                this.tally.get().withdraw(items);
                let text = "cannot schedule new futures after shutdown";
                return Err(PyRuntimeError::new_err(text));
            }
            Err(why) => {
                this.tally.get().settle(items, false);
                Future::settle(
                    &future,
                    Outcome::Exception(why.into_value(py).into_bound(py).into_any()),
                )?;
            }
        }
        Ok(future)
    }
}
