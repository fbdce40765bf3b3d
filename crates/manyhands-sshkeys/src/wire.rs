//! Numbers and strings as SSH writes them.

use crate::Error;
use crate::error::TRUNCATED;

/// Reads from bytes; everything is checked against their end.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        let bytes = self.take(4)?.try_into().map_err(|_| TRUNCATED)?;
        Ok(u32::from_be_bytes(bytes))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        let bytes = self.take(8)?.try_into().map_err(|_| TRUNCATED)?;
        Ok(u64::from_be_bytes(bytes))
    }

    pub(crate) fn string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| TRUNCATED)?)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.string()?).map_err(|_| Error::Malformed("text is not UTF-8"))
    }

    /// The bytes of a number that is not negative, without zeros in front.
    pub(crate) fn number(&mut self) -> Result<Vec<u8>, Error> {
        let bytes = self.string()?;
        if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
            return Err(Error::Malformed("a number is negative"));
        }
        Ok(trimmed(bytes).to_vec())
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Appends to bytes.
pub(crate) trait Write {
    fn put_u32(&mut self, value: u32);
    fn put_string(&mut self, value: &[u8]);
    fn put_number(&mut self, value: &[u8]);
}

impl Write for Vec<u8> {
    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_string(&mut self, value: &[u8]) {
        // No part of a key comes near 4 GiB.
        self.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.extend_from_slice(value);
    }

    fn put_number(&mut self, value: &[u8]) {
        self.put_string(&signed(value));
    }
}

/// A number without zeros in front.
pub(crate) fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    &number[zeros..]
}

/// A number with one zero in front if it would be negative otherwise.
pub(crate) fn signed(number: &[u8]) -> Vec<u8> {
    let number = trimmed(number);
    let mut written = Vec::with_capacity(number.len() + 1);
    if number.first().is_some_and(|byte| byte & 0x80 != 0) {
        written.push(0);
    }
    written.extend_from_slice(number);
    written
}

/// A number as so many bytes.
pub(crate) fn padded(number: &[u8], size: usize) -> Result<Vec<u8>, Error> {
    let number = trimmed(number);
    let zeros = size.checked_sub(number.len()).ok_or(Error::Malformed("a number is too large"))?;
    let mut written = vec![0; zeros];
    written.extend_from_slice(number);
    Ok(written)
}

/// How many bits a number has.
pub(crate) fn bits(number: &[u8]) -> usize {
    let number = trimmed(number);
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}
