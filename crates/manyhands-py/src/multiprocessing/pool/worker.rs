//! What a worker process does.

use std::sync::Arc;

use manyhands_pool::{FIRST_OF_HOST, TASK, Worker};
use manyhands_shm::{GetError, PutError, Reference};
use manyhands_sys::limits::MemoryCap;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyTuple};

use super::call::{Known, Shape, Told};
use super::notices::Notices;
use super::repeats;
use crate::contextvars;
use crate::multiprocessing::arena::{Outside, error};
use crate::multiprocessing::codec::{encode_after, with_encoder};
use crate::multiprocessing::queue::{decode_message, pieces};
use crate::trace;

/// The number of the notice that the initializer failed.
pub(super) const UNFIT: u64 = FIRST_OF_HOST;

/// What stands after the number in a result's message.
pub(super) const DONE: u8 = 0;
pub(super) const FAILED: u8 = 1;

/// Does the tasks of a pool, as many as `maxtasks` says, or until there are no more. `describe` makes a
/// picklable object of an exception; `initialize` is called first, with the way of notices, and if it raises no task is done.
/// `caller`, if there is one, makes the calls, of what [`call_as_sent`] takes. Returns how many were done.
#[pyfunction]
#[pyo3(signature = (arena, block, seat, maxtasks, initialize, describe, caller = None))]
#[expect(clippy::too_many_arguments, reason = "what a worker is told when it begins")]
pub(super) fn work(
    py: Python<'_>,
    arena: u64,
    block: u64,
    seat: usize,
    maxtasks: Option<u64>,
    initialize: &Bound<'_, PyAny>,
    describe: &Bound<'_, PyAny>,
    caller: Option<&Bound<'_, PyAny>>,
) -> PyResult<u64> {
    let worker = Arc::new(Worker::join(Reference { arena, block }, seat).map_err(error)?);
    if let Err(why) = initialize.call1((Notices(Arc::clone(&worker)),)) {
        let why = why.into_value(py);
        put(py, &worker, &UNFIT.to_ne_bytes(), FAILED, &describe.call1((why,))?)?;
        return Ok(0);
    }
    worker.set_ready();
    let mut known = Known::default();
    let mut scratch = Vec::new();
    let mut done = 0;
    while maxtasks.is_none_or(|most| done < most) {
        let parcel = match worker.next(&Outside(py), &mut scratch) {
            Ok(parcel) => parcel,
            Err(GetError::ShutDown | GetError::Empty) => break,
            Err(GetError::GivenUp(why)) => return Err(why),
            Err(GetError::Arena(why)) => return Err(error(why)),
        };
        let head = parcel.as_ref().map_or(&scratch[..], |parcel| parcel.head());
        let task = head.first_chunk::<TASK>().copied().unwrap_or_default();
        let result = run(py, &worker, &mut known, &scratch, parcel, caller);
        let sent = match result {
            Ok(result) => put(py, &worker, &task, DONE, &result).map_err(|why| (why, Some(result))),
            Err(why) => Err((why, None)),
        };
        if let Err((why, result)) = sent {
            let why = why.into_value(py);
            let told = match result {
                Some(result) => describe.call1((why, result)),
                None => describe.call1((why,)),
            };
            put(py, &worker, &task, FAILED, &told?)?;
        }
        done += 1;
    }
    if manyhands_trace::is_on() {
        manyhands_trace::finish();
    }
    Ok(done)
}

fn run<'py>(
    py: Python<'py>,
    worker: &Arc<Worker>,
    known: &mut Known,
    scratch: &[u8],
    parcel: Option<manyhands_shm::Parcel>,
    caller: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let head = parcel.as_ref().map_or(scratch, |parcel| parcel.head());
    let wrong =
        || pyo3::exceptions::PyRuntimeError::new_err("a task's message is not what was sent");
    let told = Told::read(head).ok_or_else(wrong)?;
    let (shape, skip) = (told.shape, told.object);
    let memory = told.memory.filter(|&memory| memory > 0);
    if told.memory.is_some() {
        worker.hold(u64::from_ne_bytes(head.first_chunk::<TASK>().copied().unwrap_or_default()));
    }
    // What was sent does not count as the call's own memory.
    let apart = if told.has_originals {
        let (end, named) =
            repeats::named(head).filter(|(end, _)| *end >= skip).ok_or_else(wrong)?;
        Some((end, repeats::images(&named).map_err(error)?))
    } else {
        None
    };
    let _cap = memory.filter(|_| caller.is_none()).map(MemoryCap::new).transpose()?;
    let context = told.context.to_vec();
    let function = match told.name {
        [] => None,
        name => Some(known.get(py, name)?),
    };
    let object = match apart {
        None => decode_message(py, scratch, parcel, skip)?,
        Some((end, images)) => repeats::decode_with(py, scratch, parcel, skip..end, images)?,
    };
    let (function, object) = match function {
        Some(function) => (function, object),
        None => {
            let pair = object.cast::<PyTuple>()?;
            (pair.get_item(0)?, pair.get_item(1)?)
        }
    };
    if let Some(caller) = caller {
        let worker = Arc::clone(worker);
        let begin = PyCFunction::new_closure(py, None, None, move |_, _| worker.renew())?;
        let context = PyBytes::new(py, &context);
        return caller.call1((function, shape as u8, object, memory, context, begin));
    }
    let call = || trace::task(&function, || shape.call(&function, &object, || worker.renew()));
    let called =
        if context.is_empty() { call() } else { contextvars::call_with(py, &context, call) };
    called.map_err(|why| explained(py, why, memory))
}

/// Calls a function with what a task's message had, in another process than the worker that has the message. `begin` is called
/// before each further call of several.
#[pyfunction]
pub(super) fn call_as_sent<'py>(
    py: Python<'py>,
    function: &Bound<'py, PyAny>,
    shape: u8,
    argument: &Bound<'py, PyAny>,
    memory: Option<u64>,
    context: &[u8],
    begin: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let shape = Shape::of(shape).ok_or_else(|| {
        pyo3::exceptions::PyValueError::new_err(format!("no way to call has the number {shape}"))
    })?;
    let _cap = memory.map(MemoryCap::new).transpose()?;
    let mut failure = None;
    let mut call = || {
        shape.call(function, argument, || {
            if let Err(why) = begin.call0() {
                failure.get_or_insert(why);
            }
        })
    };
    let called =
        if context.is_empty() { call() } else { contextvars::call_with(py, context, call) };
    match failure {
        Some(why) => Err(why),
        None => called.map_err(|why| explained(py, why, memory)),
    }
}

/// A `MemoryError` that says of which limit, if it says nothing.
fn explained(py: Python<'_>, why: PyErr, memory: Option<u64>) -> PyErr {
    let Some(memory) = memory else { return why };
    let value = why.value(py);
    let is_bare = value.is_exact_instance_of::<PyMemoryError>()
        && value.getattr("args").is_ok_and(|args| args.len().is_ok_and(|len| len == 0));
    if is_bare {
        let text = format!(
            "the call wants more than {memory} bytes, which with_options(memory=...) allows"
        );
        // Without memory for it, it is what it was.
        let _ = value.setattr("args", (text,));
    }
    why
}

/// Puts a result; an error is one of pickling it, or of the queue.
pub(super) fn put(
    py: Python<'_>,
    worker: &Worker,
    task: &[u8; TASK],
    sort: u8,
    object: &Bound<'_, PyAny>,
) -> PyResult<()> {
    with_encoder(|encoder| {
        let mut prefix = [sort; TASK + 1];
        prefix[..TASK].copy_from_slice(task);
        encode_after(&prefix, object, encoder)?;
        let pieces = pieces(encoder);
        #[expect(unsafe_code, reason = "the encoder keeps the payloads while it has them")]
        // SAFETY: see there.
        let put = unsafe { worker.finish(&Outside(py), encoder.head(), &pieces) };
        put.map_err(|why| match why {
            PutError::Full | PutError::ShutDown => {
                pyo3::exceptions::PyRuntimeError::new_err("the pool takes no results")
            }
            PutError::Arena(why) => error(why),
            PutError::GivenUp(why) => why,
        })
    })
}
