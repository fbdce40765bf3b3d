//! What is in a queue, and which comes next.

use std::collections::VecDeque;

use super::heap::Heap;
use crate::objects::Value;
use crate::objects::arguments::{Found, GIVE, values};
use crate::pickle::Payload;

/// Which item comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::objects) enum Order {
    /// The first that came.
    First,
    /// The last that came.
    Last,
    /// The least.
    Least,
}

/// The items.
#[derive(Debug)]
pub(super) enum Store {
    Line(VecDeque<Payload>),
    Stack(VecDeque<Payload>),
    Heap(Heap),
}

impl Store {
    pub(super) fn new(order: Order) -> Store {
        match order {
            Order::First => Store::Line(VecDeque::new()),
            Order::Last => Store::Stack(VecDeque::new()),
            Order::Least => Store::Heap(Heap::default()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Store::Line(items) | Store::Stack(items) => items.len(),
            Store::Heap(heap) => heap.len(),
        }
    }

    /// # Errors
    /// Only the interpreter can say where the item belongs: nothing has changed.
    pub(super) fn push(&mut self, item: Payload) -> Found<()> {
        match self {
            Store::Line(items) | Store::Stack(items) => items.push_back(item),
            Store::Heap(heap) => heap.push((item.plain(), item)).map_err(|_| GIVE)?,
        }
        Ok(())
    }

    /// # Errors
    /// Only the interpreter can say which comes after it: nothing has changed.
    pub(super) fn pop(&mut self) -> Found<Option<Payload>> {
        match self {
            Store::Line(items) => Ok(items.pop_front()),
            Store::Stack(items) => Ok(items.pop_back()),
            Store::Heap(heap) => heap.pop(),
        }
    }

    /// Puts one that was taken where it is taken next.
    pub(super) fn put_back(&mut self, item: Payload) {
        match self {
            Store::Line(items) => items.push_front(item),
            Store::Stack(items) => items.push_back(item),
            Store::Heap(heap) => heap.put_back(item),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Store::Line(items) | Store::Stack(items) => items.clear(),
            Store::Heap(heap) => heap.clear(),
        }
    }

    /// As Python's queue has them: the deque or list.
    pub(super) fn all(&self) -> Value {
        Value::List(match self {
            Store::Line(items) | Store::Stack(items) => values(items),
            Store::Heap(heap) => values(heap.iter()),
        })
    }
}
