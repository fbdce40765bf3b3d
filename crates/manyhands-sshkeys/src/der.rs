//! The part of DER that keys are written in.

use crate::Error;
use crate::error::TRUNCATED;
use crate::wire::{signed, trimmed};

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OBJECT: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Reads elements one after the other.
pub(crate) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Der(bytes)
    }

    /// The tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let (&first, rest) = self.0.split_first().ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(first)
    }

    fn length(&mut self) -> Result<usize, Error> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(first.into());
        }
        let count = first & 0x7f;
        if count == 0 || count > 4 {
            return Err(Error::Malformed("a length in DER is out of range"));
        }
        (0..count).try_fold(0, |length: usize, _| Ok(length << 8 | usize::from(self.byte()?)))
    }

    /// The content of the next element, which has to have this tag.
    pub(crate) fn take(&mut self, tag: u8) -> Result<&'a [u8], Error> {
        if self.byte()? != tag {
            return Err(Error::Malformed("an element in DER is of another type"));
        }
        let length = self.length()?;
        let (content, rest) = self.0.split_at_checked(length).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(content)
    }

    /// The next element, with its tag and length.
    pub(crate) fn raw(&mut self) -> Result<&'a [u8], Error> {
        let all = self.0;
        let tag = self.peek().ok_or(TRUNCATED)?;
        self.take(tag)?;
        Ok(&all[..all.len() - self.0.len()])
    }

    pub(crate) fn sequence(&mut self) -> Result<Der<'a>, Error> {
        self.take(SEQUENCE).map(Der)
    }

    /// A number that is not negative, without zeros in front.
    pub(crate) fn number(&mut self) -> Result<Vec<u8>, Error> {
        let content = self.take(INTEGER)?;
        if content.first().is_none_or(|byte| byte & 0x80 != 0) {
            return Err(Error::Malformed("a number in DER is negative or empty"));
        }
        Ok(trimmed(content).to_vec())
    }
}

/// Appends an element.
pub(crate) fn put(to: &mut Vec<u8>, tag: u8, content: &[u8]) {
    to.push(tag);
    let length = content.len();
    if length < 0x80 {
        to.push(length.to_le_bytes()[0]);
    } else {
        let bytes = length.to_be_bytes();
        let bytes = trimmed(&bytes);
        to.push(0x80 | bytes.len().to_le_bytes()[0]);
        to.extend_from_slice(bytes);
    }
    to.extend_from_slice(content);
}

/// Appends a number that is not negative.
pub(crate) fn put_number(to: &mut Vec<u8>, number: &[u8]) {
    let mut content = signed(number);
    if content.is_empty() {
        content.push(0);
    }
    put(to, INTEGER, &content);
}
