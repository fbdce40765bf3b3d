//! Pickles of the usual requests and answers: calls with plain arguments, and what they return.
//!
//! What has any other shape goes through `pickle`. Nothing that could be in a message twice is written here, so
//! that there is nothing to remember.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyString, PyTuple};

use crate::multiprocessing::connection::OPENING;

const PROTO: u8 = 0x80;
const FRAME: u8 = 0x95;
const MEMOIZE: u8 = 0x94;
const MARK: u8 = b'(';
const STOP: u8 = b'.';
const NONE: u8 = b'N';
const TRUE: u8 = 0x88;
const FALSE: u8 = 0x89;
const INT_OF_1: u8 = b'K';
const INT_OF_2: u8 = b'M';
const INT_OF_4: u8 = b'J';
const LONG: u8 = 0x8a;
const FLOAT: u8 = b'G';
const SHORT_STR: u8 = 0x8c;
const STR: u8 = b'X';
const SHORT_BYTES: u8 = b'C';
const BYTES: u8 = b'B';
const EMPTY_TUPLE: u8 = b')';
const TUPLE: u8 = b't';
const TUPLE_OF_1: u8 = 0x85;
const TUPLE_OF_2: u8 = 0x86;
const TUPLE_OF_3: u8 = 0x87;
const EMPTY_DICT: u8 = b'}';

/// What is longer is not copied to be written.
const LONGEST: usize = 4096;

/// A pickled request.
pub(super) struct Request<'py> {
    /// All but the bytes of one large argument.
    pub(super) pickle: Vec<u8>,
    /// That argument, and where it belongs.
    pub(super) large: Option<(usize, Bound<'py, PyBytes>)>,
}

/// The pickled request, if it is one of plain arguments.
pub(super) fn request<'py>(
    ident: &Bound<'py, PyAny>,
    method: &Bound<'py, PyAny>,
    args: &Bound<'py, PyAny>,
    kwds: &Bound<'py, PyAny>,
    number: Option<u64>,
) -> Option<Request<'py>> {
    let args = args.cast_exact::<PyTuple>().ok()?;
    if !kwds.cast_exact::<PyDict>().ok()?.is_empty() {
        return None;
    }
    let mut pickle = Vec::with_capacity(128);
    let mut large = None;
    pickle.extend([PROTO, 4, MARK]);
    scalar(&mut pickle, ident)?;
    scalar(&mut pickle, method)?;
    if args.len() > 3 {
        pickle.push(MARK);
    }
    for argument in args.iter_borrowed() {
        match argument.cast_exact::<PyBytes>() {
            Ok(bytes) if large.is_none() && bytes.as_bytes().len() > LONGEST => {
                pickle.push(BYTES);
                pickle.extend(u32::try_from(bytes.as_bytes().len()).ok()?.to_le_bytes());
                large = Some((pickle.len(), bytes.to_owned()));
            }
            _ => scalar(&mut pickle, &argument)?,
        }
    }
    pickle.push(match args.len() {
        0 => EMPTY_TUPLE,
        1 => TUPLE_OF_1,
        2 => TUPLE_OF_2,
        3 => TUPLE_OF_3,
        _ => TUPLE,
    });
    pickle.push(EMPTY_DICT);
    if let Some(number) = number {
        integer(&mut pickle, i64::try_from(number).ok()?);
    }
    pickle.extend([TUPLE, STOP]);
    Some(Request { pickle, large })
}

fn scalar(pickle: &mut Vec<u8>, object: &Bound<'_, PyAny>) -> Option<()> {
    if let Ok(text) = object.cast_exact::<PyString>() {
        sized(pickle, SHORT_STR, STR, text.to_str().ok()?.as_bytes())?;
    } else if let Ok(number) = object.cast_exact::<PyInt>() {
        integer(pickle, number.extract().ok()?);
    } else if object.is_none() {
        pickle.push(NONE);
    } else if let Ok(truth) = object.cast_exact::<PyBool>() {
        pickle.push(if truth.is_true() { TRUE } else { FALSE });
    } else if let Ok(number) = object.cast_exact::<PyFloat>() {
        pickle.push(FLOAT);
        pickle.extend(number.value().to_be_bytes());
    } else {
        sized(pickle, SHORT_BYTES, BYTES, object.cast_exact::<PyBytes>().ok()?.as_bytes())?;
    }
    Some(())
}

fn integer(pickle: &mut Vec<u8>, number: i64) {
    if let Ok(number) = u8::try_from(number) {
        pickle.extend([INT_OF_1, number]);
    } else if let Ok(number) = u16::try_from(number) {
        pickle.push(INT_OF_2);
        pickle.extend(number.to_le_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        pickle.push(INT_OF_4);
        pickle.extend(number.to_le_bytes());
    } else {
        pickle.extend([LONG, 8]);
        pickle.extend(number.to_le_bytes());
    }
}

fn sized(pickle: &mut Vec<u8>, short: u8, long: u8, bytes: &[u8]) -> Option<()> {
    if bytes.len() > LONGEST {
        return None;
    }
    if let Ok(length) = u8::try_from(bytes.len()) {
        pickle.extend([short, length]);
    } else {
        pickle.push(long);
        pickle.extend(u32::try_from(bytes.len()).ok()?.to_le_bytes());
    }
    pickle.extend_from_slice(bytes);
    Some(())
}

/// The result that a pickled answer tells, if it tells a plain one.
pub(super) fn result<'py>(py: Python<'py>, pickle: &[u8]) -> Option<Bound<'py, PyAny>> {
    let mut rest = Rest(pickle);
    if rest.byte()? != PROTO {
        return None;
    }
    rest.byte()?;
    if rest.skip(FRAME) {
        rest.take(8)?;
    }
    let is_marked = rest.skip(MARK);
    if rest.take(9)? != b"\x8c\x07#RETURN" {
        return None;
    }
    rest.skip(MEMOIZE);
    let result = rest.scalar(py)?;
    rest.skip(MEMOIZE);
    if rest.byte()? != if is_marked { TUPLE } else { TUPLE_OF_2 } {
        return None;
    }
    rest.skip(MEMOIZE);
    (rest.0 == [STOP]).then_some(result)
}

/// How many bytes come after the opening of an answer that returns a large bytes object, until its end.
pub(super) fn opening(opening: &[u8; OPENING]) -> Option<u64> {
    let mut rest = Rest(opening);
    if rest.byte()? != PROTO {
        return None;
    }
    rest.byte()?;
    if rest.take(9)? != b"\x8c\x07#RETURN" || rest.byte()? != BYTES {
        return None;
    }
    Some(u32::from_le_bytes(rest.array()?).into())
}

/// Whether such an answer is over with that.
pub(super) fn is_end(end: &[u8]) -> bool {
    let mut rest = Rest(end);
    rest.skip(MEMOIZE);
    rest.0 == [TUPLE_OF_2, STOP]
}

/// What is left to read of a pickle.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// Goes past the opcode if it is next.
    fn skip(&mut self, opcode: u8) -> bool {
        let is_next = self.0.first() == Some(&opcode);
        if is_next {
            self.0 = self.0.get(1..).unwrap_or_default();
        }
        is_next
    }

    fn scalar<'py>(&mut self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let number = match self.byte()? {
            NONE => return Some(py.None().into_bound(py)),
            TRUE => return Some(PyBool::new(py, true).to_owned().into_any()),
            FALSE => return Some(PyBool::new(py, false).to_owned().into_any()),
            FLOAT => {
                return Some(PyFloat::new(py, f64::from_be_bytes(self.array()?)).into_any());
            }
            SHORT_STR => {
                let length = self.byte()?.into();
                return self.text(py, length);
            }
            STR => {
                let length = u32::from_le_bytes(self.array()?);
                return self.text(py, usize::try_from(length).ok()?);
            }
            SHORT_BYTES => {
                let length = self.byte()?.into();
                return Some(PyBytes::new(py, self.take(length)?).into_any());
            }
            INT_OF_1 => self.byte()?.into(),
            INT_OF_2 => u16::from_le_bytes(self.array()?).into(),
            INT_OF_4 => i32::from_le_bytes(self.array()?),
            _ => return None,
        };
        Some(PyInt::new(py, number).into_any())
    }

    fn text<'py>(&mut self, py: Python<'py>, length: usize) -> Option<Bound<'py, PyAny>> {
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        Some(PyString::new(py, text).into_any())
    }
}
