//! What `iter(dict)` gives: "Iterator".

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::arguments::{ASK, nothing, raise, raise_bare, values};
use super::{Answers, Call, Object, Outcome, State, Value};
use crate::pickle::Payload;

/// The present size of a dict or set, for those who iterate over it. Written by the object, read by iterators, both
/// under the server's lock.
pub(super) type Size = Arc<AtomicUsize>;

/// An iterator over the members that there were when it was made. Its state is a [`Value::List`] of those that are left.
#[derive(Debug)]
pub(super) struct Iterating {
    items: std::vec::IntoIter<Payload>,
    /// Of what it goes over: the size then and now, and what it is called.
    watched: Option<(usize, Size, &'static str)>,
}

impl Iterating {
    /// Over members that nobody changes.
    pub(super) fn over_copy(items: Vec<Payload>) -> Box<dyn Object> {
        Box::new(Iterating { items: items.into_iter(), watched: None })
    }

    /// Over the keys of a dict or set: an error when its size changes before the end.
    pub(super) fn over(items: Vec<Payload>, size: &Size, message: &'static str) -> Box<dyn Object> {
        let watched = Some((items.len(), Arc::clone(size), message));
        Box::new(Iterating { items: items.into_iter(), watched })
    }
}

impl Object for Iterating {
    fn kind(&self) -> &'static str {
        "Iterator"
    }

    #[doc(alias = "multiprocessing.managers.IteratorProxy")]
    fn call(&mut self, call: &Call<'_>, _answers: &mut Answers) -> Outcome {
        if call.method != "__next__" {
            return ASK;
        }
        if nothing(call).is_err() {
            return ASK;
        }
        if let Some((then, now, message)) = &mut self.watched
            && *then != now.load(Ordering::Relaxed)
        {
            // The error stays, whatever size it has later.
            *then = usize::MAX;
            return raise("RuntimeError", message);
        }
        match self.items.next() {
            Some(item) => Outcome::Return(Value::Payload(item)),
            None => {
                self.watched = None;
                raise_bare("builtins", "StopIteration")
            }
        }
    }

    fn state(&self) -> State {
        State { kind: "Iterator", value: Value::List(values(self.items.as_slice())) }
    }
}
