//! Large buffers that are in many messages of one map: copied once.
//!
//! Of a map it is known which buffers its last messages had, by address and length; that says nothing of what
//! is there by now, so a copy is used again only if it has the same bytes. What comes again is copied into
//! an [`Original`], as is what the first message has, which may come again; all else goes with its message.
//! A place where each message finds other bytes, as of a generator that fills one buffer again and
//! again, is left alone for longer each time.
//!
//! A message names its originals after its object: for each its block, the number of the payload and whether
//! it can be written to; then how many there are. They are kept by the [`Tag`](super::scheduler::Tag) of
//! the task until that has an outcome, and by this while they may come again.

use std::ops::Range as Span;
use std::sync::{Arc, Mutex};

use manyhands_shm::{ArenaError, Image, Original, Parcel, Ref};
use pyo3::prelude::*;

use super::scheduler::locked;
use crate::multiprocessing::codec::{Buffers, Encoder, Keeper, Payload, Range, decode};
use crate::multiprocessing::queue::ranges;

/// What is smaller is copied as fast as it is compared.
const LEAST: usize = 128 << 10;

/// How many originals are kept for the messages to come, and for how many in which they are not, if they came
/// again before.
const KNOWN: usize = 4;
const UNUSED: u64 = 8;

/// How many places are remembered that had something else.
const SEEN: usize = 16;

/// The most messages for which a place is left alone.
const LONGEST: u32 = 1 << 12;

/// The buffers that the last messages of a map had.
#[pyclass(frozen, module = "manyhands._native.multiprocessing")]
#[derive(Default)]
pub(crate) struct Repeats(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    /// How many messages had large buffers.
    messages: u64,
    known: Vec<Known>,
    seen: Vec<Seen>,
}

/// Where a buffer was: its address and length.
type Place = (usize, usize);

struct Known {
    place: Place,
    original: Arc<Original>,
    /// In which message it was last, and from how many messages without it on it is not kept.
    used: u64,
    kept_for: u64,
}

struct Seen {
    place: Place,
    /// For how many times more it is left alone, and for how many it was when it had other bytes again.
    rest: u32,
    penalty: u32,
}

/// A payload that does not go with its message.
pub(super) struct Apart {
    number: usize,
    writable: bool,
    pub(super) original: Arc<Original>,
    /// Whether it was copied for this message.
    is_new: bool,
}

#[pymethods]
impl Repeats {
    #[new]
    fn __new__() -> Repeats {
        Repeats::default()
    }
}

impl Repeats {
    /// The payloads that are, or may be, in other messages, too.
    pub(super) fn find(&self, py: Python<'_>, payloads: &[Payload]) -> Vec<Apart> {
        let is_large = |payload: &Payload| payload.len() >= LEAST && payload.is_of_object();
        if !payloads.iter().any(is_large) {
            return Vec::new();
        }
        // Not locked meanwhile: the interpreter is left, and what is dropped may have to wait.
        let mut recent = std::mem::take(&mut *locked(&self.0));
        recent.messages += 1;
        let large = payloads.iter().enumerate().filter(|(_, payload)| is_large(payload));
        let apart = large
            .filter_map(|(number, payload)| {
                let (original, is_new) = recent.look(py, payload)?;
                Some(Apart { number, writable: payload.is_writable(), original, is_new })
            })
            .collect();
        recent.forget_unused();
        let other = std::mem::replace(&mut *locked(&self.0), recent);
        drop(other);
        apart
    }

    /// There are no more messages.
    pub(super) fn clear(&self) {
        let recent = std::mem::take(&mut *locked(&self.0));
        drop(recent);
    }
}

impl Recent {
    /// An original with the bytes of a payload, and whether it is new; `None` if it goes with its message.
    fn look(&mut self, py: Python<'_>, payload: &Payload) -> Option<(Arc<Original>, bool)> {
        let place = (payload.as_ptr() as usize, payload.len());
        if let Some(index) = self.known.iter().position(|known| known.place == place) {
            let known = &mut self.known[index];
            if py.detach(|| is_of(&known.original, payload)) {
                (known.used, known.kept_for) = (self.messages, UNUSED);
                return Some((Arc::clone(&known.original), false));
            }
            self.known.swap_remove(index);
            self.leave_alone(place);
            return None;
        }
        match self.seen.iter_mut().find(|seen| seen.place == place) {
            Some(seen) if seen.rest > 0 => {
                seen.rest -= 1;
                return None;
            }
            Some(_) => {}
            None if self.messages == 1 && self.known.len() < KNOWN => {}
            None => {
                self.remember(Seen { place, rest: 0, penalty: 0 });
                return None;
            }
        }
        // Without memory for it the message tells.
        let original = py.detach(|| original_of(payload)).ok()?;
        if self.known.len() == KNOWN {
            let oldest = (0..KNOWN).min_by_key(|&index| self.known[index].used)?;
            self.known.swap_remove(oldest);
        }
        let (used, original) = (self.messages, Arc::new(original));
        // What was never seen before may well not come again: its memory is wanted for others.
        let kept_for = if used == 1 { 1 } else { UNUSED };
        self.known.push(Known { place, original: Arc::clone(&original), used, kept_for });
        Some((original, true))
    }

    /// Lets go of what has not come again.
    fn forget_unused(&mut self) {
        let messages = self.messages;
        let is_unused = |known: &mut Known| messages - known.used >= known.kept_for;
        let unused: Vec<Known> = self.known.extract_if(.., is_unused).collect();
        for known in unused {
            if self.seen.iter().all(|seen| seen.place != known.place) {
                self.remember(Seen { place: known.place, rest: 0, penalty: 0 });
            }
        }
    }

    fn remember(&mut self, seen: Seen) {
        if self.seen.len() == SEEN {
            self.seen.remove(0);
        }
        self.seen.push(seen);
    }

    fn leave_alone(&mut self, place: Place) {
        let index = self.seen.iter().position(|seen| seen.place == place);
        let penalty = index.map_or(0, |index| self.seen.remove(index).penalty);
        let penalty = (2 * penalty).clamp(1, LONGEST);
        self.remember(Seen { place, rest: penalty, penalty });
    }
}

#[expect(unsafe_code, reason = "a payload keeps its memory")]
fn is_of(original: &Original, payload: &Payload) -> bool {
    // SAFETY: see there.
    unsafe { original.is_of(payload.as_ptr(), payload.len()) }
}

#[expect(unsafe_code, reason = "a payload keeps its memory")]
fn original_of(payload: &Payload) -> Result<Original, ArenaError> {
    // SAFETY: see there.
    unsafe { Original::of_memory(payload.as_ptr(), payload.len()) }
}

/// How many bytes were copied for them.
pub(super) fn copied(apart: &[Apart]) -> usize {
    apart.iter().filter(|each| each.is_new).map(|each| each.original.len()).sum()
}

/// The payloads that go with the message.
pub(super) fn rest<'a>(encoder: &'a Encoder, apart: &[Apart]) -> Vec<&'a Payload> {
    let payloads = encoder.payloads().iter().enumerate();
    let stays = |number| apart.iter().all(|each: &Apart| each.number != number);
    payloads.filter(|&(number, _)| stays(number)).map(|(_, payload)| payload).collect()
}

const ENTRY: usize = 16;
const COUNT: usize = 4;

/// What names them at the end of a message.
pub(super) fn names(apart: &[Apart]) -> Vec<u8> {
    let mut names = Vec::with_capacity(apart.len() * ENTRY + COUNT);
    for each in apart {
        names.extend_from_slice(&each.original.reference().to_bits().to_ne_bytes());
        names.extend_from_slice(&(each.number as u64).to_ne_bytes()[..4]);
        names.extend_from_slice(&u32::from(each.writable).to_ne_bytes());
    }
    names.extend_from_slice(&(apart.len() as u32).to_ne_bytes());
    names
}

/// An original that a message names: its block, the number of the payload, and whether it can be written to.
pub(super) type Named = (Ref, usize, bool);

/// Where the object of a message ends, and the originals that it names.
pub(super) fn named(head: &[u8]) -> Option<(usize, Vec<Named>)> {
    let (rest, count) = head.split_last_chunk::<COUNT>()?;
    let bytes = usize::try_from(u32::from_ne_bytes(*count)).ok()?.checked_mul(ENTRY)?;
    let end = rest.len().checked_sub(bytes)?;
    let entries = rest[end..].chunks_exact(ENTRY).map(|entry| {
        let (block, rest) = entry.split_first_chunk::<8>()?;
        let (number, writable) = rest.split_first_chunk::<4>()?;
        let block = Ref::from_bits(u64::from_ne_bytes(*block))?;
        let number = usize::try_from(u32::from_ne_bytes(*number)).ok()?;
        Some((block, number, writable != [0; 4]))
    });
    Some((end, entries.collect::<Option<_>>()?))
}

/// Has images of all that a message names, with the numbers of the payloads.
pub(super) fn images(named: &[Named]) -> Result<Vec<(usize, Image)>, ArenaError> {
    let image = |&(block, number, writable)| Ok((number, Image::of(block, writable)?));
    named.iter().map(image).collect()
}

/// The object of a message that names originals, whose images these are.
pub(super) fn decode_with<'py>(
    py: Python<'py>,
    scratch: &[u8],
    parcel: Option<Parcel>,
    object: Span<usize>,
    images: Vec<(usize, Image)>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut with_message = parcel.as_ref().map(ranges).unwrap_or_default().into_iter();
    let count = with_message.len() + images.len();
    let of_image = |image: &Image| {
        #[expect(unsafe_code, reason = "an image's memory becomes that of Python objects")]
        // SAFETY: the image keeps it, nobody else uses it if it is writable, and it is with the keeper.
        let range = unsafe { Range::new(image.start(), image.len(), image.is_writable()) };
        range
    };
    let ranges = (0..count)
        .filter_map(|number| match images.iter().find(|(of, _)| *of == number) {
            Some((_, image)) => Some(of_image(image)),
            None => with_message.next(),
        })
        .collect::<Vec<_>>();
    let kept = Arc::new((parcel, images));
    let keeper: Keeper = Arc::<(Option<Parcel>, Vec<(usize, Image)>)>::clone(&kept);
    let head = kept.0.as_ref().map_or(scratch, Parcel::head);
    decode(py, &head[object], &Buffers { ranges: &ranges, keeper: &keeper })
}
