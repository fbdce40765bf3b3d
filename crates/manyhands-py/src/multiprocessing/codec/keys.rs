//! The keys of dicts: message after message has the same.

use std::cell::RefCell;

use pyo3::prelude::*;

use super::objects;
use crate::green::guest::Kept;

/// Longer keys are not kept.
const LONGEST: usize = 32;

/// How many keys are kept at most, each in the one place that its characters give.
const PLACES: usize = 256;

thread_local! {
    static KEPT: Kept<RefCell<Vec<Option<Py<PyAny>>>>> = const { Kept::new(RefCell::new(Vec::new())) };
}

/// A str of ASCII characters, which have been checked: the same one as last time, if it is kept still.
/// Its hash is known then, which is most of what it costs to make a key.
pub(super) fn key<'py>(py: Python<'py>, characters: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if !(2..=LONGEST).contains(&characters.len()) {
        return objects::new_ascii(py, characters);
    }
    let place = place(characters);
    // Nothing in here runs Python code: the end of a str does not.
    KEPT.with(|kept| {
        let kept = &mut *kept.borrow_mut();
        if kept.is_empty() {
            kept.resize_with(PLACES, || None);
        }
        if let Some(text) = &kept[place]
            && objects::is_ascii_text(text.bind(py), characters)
        {
            return Ok(text.bind(py).clone());
        }
        let text = objects::new_ascii(py, characters)?;
        kept[place] = Some(text.clone().unbind());
        Ok(text)
    })
}

fn place(characters: &[u8]) -> usize {
    // FNV-1a, eight bytes at a time.
    let mut hash = characters.len() as u64;
    for chunk in characters.chunks(8) {
        let mut eight = [0; 8];
        eight[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_ne_bytes(eight)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (hash >> 32) as usize % PLACES
}
