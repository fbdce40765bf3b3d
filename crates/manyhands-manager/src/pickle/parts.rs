//! Opcodes in the making: small ones in one buffer, large runs as slices of where they came from.

use bytes::Bytes;

use super::opcode as op;

/// Runs of at least as many bytes are not copied.
pub(super) const LARGE: usize = 4096;

/// Opcodes in the making. Every part ends at the end of an opcode.
#[derive(Debug, Default)]
pub(super) struct Parts {
    done: Vec<Bytes>,
    pub(super) buffer: Vec<u8>,
}

impl Parts {
    pub(super) fn with_capacity(capacity: usize) -> Parts {
        Parts { done: Vec::new(), buffer: Vec::with_capacity(capacity) }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.buffer.push(byte);
    }

    /// Part of `source`: whole opcodes.
    pub(super) fn run(&mut self, source: &Bytes, start: usize, end: usize, share: bool) {
        if share && end.saturating_sub(start) >= LARGE && end <= source.len() {
            self.flush();
            self.done.push(source.slice(start..end));
        } else {
            self.buffer.extend_from_slice(source.get(start..end).unwrap_or_default());
        }
    }

    fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.done.push(std::mem::take(&mut self.buffer).into());
        }
    }

    pub(super) fn get(&mut self, number: u32) {
        if let Ok(small) = u8::try_from(number) {
            self.buffer.extend_from_slice(&[op::BINGET, small]);
        } else {
            self.byte(op::LONG_BINGET);
            self.buffer.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(super) fn finish(mut self) -> Vec<Bytes> {
        if self.done.is_empty() {
            return vec![self.buffer.into()];
        }
        self.flush();
        self.done
    }
}

/// An opcode with data: the shortest of those for lengths of 1, 4 and 8 bytes.
pub(super) fn counted(buffer: &mut Vec<u8>, opcodes: [Option<u8>; 3], data: &[u8]) {
    let length = data.len();
    let [short, medium, long] = opcodes;
    if let (Some(opcode), Ok(length)) = (short, u8::try_from(length)) {
        buffer.extend_from_slice(&[opcode, length]);
    } else if let (Some(opcode), Ok(length)) = (medium, u32::try_from(length)) {
        buffer.push(opcode);
        buffer.extend_from_slice(&length.to_le_bytes());
    } else if let Some(opcode) = long {
        buffer.push(opcode);
        buffer.extend_from_slice(&(length as u64).to_le_bytes());
    }
    buffer.extend_from_slice(data);
}
