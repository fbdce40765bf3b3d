//! How a call becomes a message, and a message a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use manyhands_pool::TASK;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyFunction, PyIterator, PyList, PyTuple, PyType};

use super::limits::Options;
use crate::contextvars;
use crate::multiprocessing::codec::{Buffers, Encoder, Keeper, decode, encode, with_encoder};

/// How a function is called with what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Shape {
    /// With one argument: the object.
    One,
    /// With positional arguments: a tuple.
    Positional,
    /// With positional and keyword arguments: a tuple of a tuple and a dict.
    Keywords,
    /// With each item of a sequence; the result is the list of the results.
    Each,
    /// With the items of each item of a sequence.
    EachStarred,
}

impl Shape {
    const ALL: [Shape; 5] =
        [Shape::One, Shape::Positional, Shape::Keywords, Shape::Each, Shape::EachStarred];

    pub(super) fn of(number: u8) -> Option<Shape> {
        Shape::ALL.get(usize::from(number)).copied()
    }

    /// Calls the function; `begin` is called before each further one.
    pub(super) fn call<'py>(
        self,
        function: &Bound<'py, PyAny>,
        argument: &Bound<'py, PyAny>,
        mut begin: impl FnMut(),
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        match self {
            Shape::One => function.call1((argument,)),
            Shape::Positional => function.call(argument.cast::<PyTuple>()?, None),
            Shape::Keywords => {
                let (positional, keywords): (Bound<'py, PyAny>, Bound<'py, PyAny>) =
                    argument.extract()?;
                // As f(*args, **kwds) takes them: any iterable, any mapping.
                let positional =
                    PyTuple::new(py, positional.try_iter()?.collect::<PyResult<Vec<_>>>()?)?;
                let mapping = PyDict::new(py);
                // Also of what only has keys() and items.
                mapping.call_method1(intern!(py, "update"), (keywords,))?;
                function.call(positional, Some(&mapping))
            }
            Shape::Each => {
                // Of `map` they come in a tuple, whose items need no references of their own.
                if let Ok(items) = argument.cast_exact::<PyTuple>() {
                    let mut results = Vec::with_capacity(items.len());
                    for item in items.iter_borrowed() {
                        results.push(function.call1((item,))?);
                        begin();
                    }
                    return Ok(PyList::new(py, results)?.into_any());
                }
                let results = PyList::empty(py);
                for item in argument.try_iter()? {
                    results.append(function.call1((item?,))?)?;
                    begin();
                }
                Ok(results.into_any())
            }
            Shape::EachStarred => {
                let results = PyList::empty(py);
                for item in argument.try_iter()? {
                    let item = item?;
                    let arguments = match item.cast_exact::<PyTuple>() {
                        Ok(tuple) => tuple.clone(),
                        Err(_) => {
                            PyTuple::new(py, item.try_iter()?.collect::<PyResult<Vec<_>>>()?)?
                        }
                    };
                    results.append(function.call(arguments, None)?)?;
                    begin();
                }
                Ok(results.into_any())
            }
        }
    }
}

/// In the byte of the shape: the task has limits, which stand after the function's name, and may be
/// broken off.
const LIMITED: u8 = 0x80;

/// How many bytes the limits have: how much memory the task may take, 0 for any.
const LIMITS: usize = 8;

/// What precedes the object in a task's message.
pub(super) type Prefix = Arc<[u8]>;

/// A function that is to be called with many objects.
pub(super) struct Callee {
    pub(super) function: Py<PyAny>,
    /// Whether the function's name is in the prefix; it goes with each object otherwise.
    pub(super) named: bool,
    pub(super) prefix: Prefix,
    pub(super) options: Option<Py<Options>>,
}

impl Callee {
    /// As the callee is, but its calls have options.
    pub(super) fn with_options(mut self, options: Py<Options>) -> Callee {
        if options.get().concern_worker() {
            let mut prefix = self.prefix.to_vec();
            prefix[TASK] |= LIMITED;
            prefix.extend_from_slice(&options.get().memory().to_ne_bytes());
            self.prefix = prefix.into();
        }
        self.options = Some(options);
        self
    }

    /// The object to be sent for an argument.
    pub(super) fn wrap<'py>(&self, argument: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if self.named {
            return Ok(argument);
        }
        let py = argument.py();
        Ok(PyTuple::new(py, [self.function.bind(py), &argument])?.into_any())
    }
}

fn prefix(shape: Shape, name: &[u8]) -> Prefix {
    let mut prefix = vec![0; TASK];
    prefix.push(shape as u8);
    prefix.extend_from_slice(&(name.len() as u16).to_ne_bytes());
    prefix.extend_from_slice(name);
    prefix.into()
}

/// In the byte of a shape: the message has context variables after the function's name; the length of
/// that, and what [`contextvars::told`] gives.
const WITH_CONTEXT: u8 = 0x40;

/// In the byte of a shape: the message names originals after its object.
const WITH_ORIGINALS: u8 = 0x20;

/// Has a message name originals.
pub(super) fn name_originals(encoder: &mut Encoder, names: &[u8]) {
    encoder.head_mut()[TASK] |= WITH_ORIGINALS;
    encoder.extend_head(names);
}

/// The prefix of a call that is submitted here, whose context goes with it.
fn with_context(py: Python<'_>, prefix: Prefix) -> PyResult<Prefix> {
    let Some(told) = contextvars::told(py)? else { return Ok(prefix) };
    let told = told.as_bytes();
    let Ok(len) = u32::try_from(told.len()) else { return Ok(prefix) };
    let mut prefix = prefix.to_vec();
    prefix[TASK] |= WITH_CONTEXT;
    prefix.extend_from_slice(&len.to_ne_bytes());
    prefix.extend_from_slice(told);
    Ok(prefix.into())
}

/// The functions that were called last, and their prefixes: a program calls few.
#[derive(Default)]
pub(super) struct Callees(Mutex<Vec<(Py<PyAny>, Shape, Prefix)>>);

const REMEMBERED: usize = 4;

impl Callees {
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Ok(last) = self.0.try_lock() else { return Ok(()) };
        last.iter().try_for_each(|(function, ..)| visit.call(function))
    }

    /// Forgets all; what is returned is to be dropped by the caller.
    pub(super) fn clear(&self) -> impl Sized + use<> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A function that is called from here, with those options.
    pub(super) fn get(
        &self,
        function: &Bound<'_, PyAny>,
        shape: Shape,
        options: Option<Bound<'_, Options>>,
    ) -> PyResult<Callee> {
        let mut callee = self.find(function, shape);
        if let Some(options) = options {
            callee = callee.with_options(options.unbind());
        }
        callee.prefix = with_context(function.py(), callee.prefix)?;
        Ok(callee)
    }

    fn find(&self, function: &Bound<'_, PyAny>, shape: Shape) -> Callee {
        let callee = |prefix, named| {
            let function = function.clone().unbind();
            Callee { function, named, prefix, options: None }
        };
        {
            let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let found = last.iter().find(|(known, of, _)| known.is(function) && *of == shape);
            if let Some((.., prefix)) = found {
                return callee(Arc::clone(prefix), true);
            }
        }
        let Some(name) = global_name(function) else { return callee(prefix(shape, &[]), false) };
        let prefix = prefix(shape, &name);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = (last.len() == REMEMBERED).then(|| last.remove(0));
        last.push((function.clone().unbind(), shape, Arc::clone(&prefix)));
        drop(last);
        // With no lock held, as an object may come to its end.
        drop(dropped);
        callee(prefix, true)
    }
}

/// The pickle of a function or class that is a global of a module, if that is all that is in it.
fn global_name(function: &Bound<'_, PyAny>) -> Option<Vec<u8>> {
    let plain = function.is_exact_instance_of::<PyFunction>()
        || function.is_exact_instance_of::<PyCFunction>()
        || function.is_instance_of::<PyType>();
    if !plain {
        return None;
    }
    // What goes wrong is told when it is sent with its arguments.
    let name =
        with_encoder(|encoder| encode(function, encoder).ok().map(|()| encoder.head().to_vec()))?;
    let fits = u16::try_from(name.len()).is_ok();
    (fits && is_global(name.get(1..)?)).then_some(name)
}

/// Whether a pickle is that of a global: two strings, and what they name.
fn is_global(pickle: &[u8]) -> bool {
    const FRAME: u8 = 0x95;
    const STRING: u8 = 0x8c;
    const MEMOIZE: u8 = 0x94;
    const GLOBAL: u8 = 0x93;
    let Some(mut rest) = pickle.strip_prefix(&[0x80, 5]) else { return false };
    if rest.first() == Some(&FRAME) {
        rest = rest.get(9..).unwrap_or(&[]);
    }
    for _ in 0..2 {
        let [STRING, len, ..] = rest else { return false };
        let Some([MEMOIZE, after @ ..]) = rest.get(2 + usize::from(*len)..) else { return false };
        rest = after;
    }
    matches!(rest, [GLOBAL, b'.'] | [GLOBAL, MEMOIZE, b'.'])
}

/// The functions that a worker has been told the names of.
#[derive(Default)]
pub(super) struct Known(HashMap<Box<[u8]>, Py<PyAny>>);

/// What a task's message says before its object.
pub(super) struct Told<'a> {
    pub(super) shape: Shape,
    pub(super) name: &'a [u8],
    /// How many bytes more it may have than there are, 0 for any number, if it has limits.
    pub(super) memory: Option<u64>,
    /// The context variables, if any were set.
    pub(super) context: &'a [u8],
    /// Where the object begins.
    pub(super) object: usize,
    /// Whether originals are named after it; see `repeats::named`.
    pub(super) has_originals: bool,
}

impl Told<'_> {
    pub(super) fn read(head: &[u8]) -> Option<Told<'_>> {
        let (&[shape, low, high], _) = head.get(TASK..)?.split_first_chunk()?;
        let begin = TASK + 3;
        let mut object = begin + usize::from(u16::from_ne_bytes([low, high]));
        let name = head.get(begin..object)?;
        let mut memory = None;
        if shape & LIMITED != 0 {
            memory = Some(u64::from_ne_bytes(*head.get(object..)?.first_chunk::<LIMITS>()?));
            object += LIMITS;
        }
        let mut context = &[][..];
        if shape & WITH_CONTEXT != 0 {
            let (len, rest) = head.get(object..)?.split_first_chunk()?;
            let len = usize::try_from(u32::from_ne_bytes(*len)).ok()?;
            context = rest.get(..len)?;
            object += size_of::<u32>() + len;
        }
        let has_originals = shape & WITH_ORIGINALS != 0;
        let shape = Shape::of(shape & !(LIMITED | WITH_CONTEXT | WITH_ORIGINALS))?;
        Some(Told { shape, name, memory, context, object, has_originals })
    }
}

impl Known {
    /// The function of that name.
    pub(super) fn get<'py>(&mut self, py: Python<'py>, name: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        if let Some(function) = self.0.get(name) {
            return Ok(function.bind(py).clone());
        }
        let keeper: Keeper = Arc::new(());
        let function = decode(py, name, &Buffers { ranges: &[], keeper: &keeper })?;
        self.0.insert(name.into(), function.clone().unbind());
        Ok(function)
    }
}

/// The items of a sequence, or of an iterable that is as long, so many at a time; as tuples.
pub(super) struct Chunks<'a, 'py> {
    iterable: &'a Bound<'py, PyAny>,
    /// Where it is no list or tuple; made when the first items are asked for.
    iterator: Option<Bound<'py, PyIterator>>,
    begin: usize,
    len: usize,
    chunk: usize,
}

impl<'a, 'py> Chunks<'a, 'py> {
    pub(super) fn new(iterable: &'a Bound<'py, PyAny>, len: usize, chunk: usize) -> Self {
        Chunks { iterable, iterator: None, begin: 0, len, chunk }
    }

    fn items(&mut self, from: usize, to: usize) -> PyResult<Bound<'py, PyAny>> {
        if let Some(items) = slice(self.iterable, from, to) {
            return Ok(items);
        }
        if self.iterator.is_none() {
            self.iterator = Some(self.iterable.try_iter()?);
        }
        self.iterator.as_mut().map_or_else(
            || Ok(PyTuple::empty(self.iterable.py()).into_any()),
            |iterator| take(iterator, to - from),
        )
    }
}

impl<'py> Iterator for Chunks<'_, 'py> {
    type Item = PyResult<Bound<'py, PyAny>>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.begin;
        if from >= self.len {
            return None;
        }
        self.begin = self.len.min(from + self.chunk);
        Some(self.items(from, self.begin))
    }
}

/// A slice of a list or tuple, as a tuple.
fn slice<'py>(sequence: &Bound<'py, PyAny>, from: usize, to: usize) -> Option<Bound<'py, PyAny>> {
    if let Ok(tuple) = sequence.cast_exact::<PyTuple>() {
        return Some(tuple.get_slice(from, to).into_any());
    }
    let list = sequence.cast_exact::<PyList>().ok()?;
    Some(list.get_slice(from, to).into_any())
}

/// The next items of an iterator, at most so many, as a tuple.
pub(super) fn take<'py>(
    iterator: &mut Bound<'py, PyIterator>,
    count: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let py = iterator.py();
    let items = iterator.take(count).collect::<PyResult<Vec<_>>>()?;
    Ok(PyTuple::new(py, items)?.into_any())
}
