//! Whole messages over descriptors, for those who have a way of their own to block.

use std::convert::Infallible;
use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, Instant};

use manyhands_sync::Habit;
use manyhands_sys::descriptor::{Descriptor, Reading, Room, is_writable, wait_readable};

use crate::errors::{Malformed, ReceiveError, SendError};
use crate::frame::{Header, Prefix};

/// The most that is moved without leaving: what takes about as long as leaving and coming back.
const SMALL: usize = 32 * 1024;

/// What a pipe takes without waiting if it is writable: `PIPE_BUF`.
const AT_ONCE: usize = 4096;

/// How many slices the kernel takes at once.
const MOST_SLICES: usize = 1024;

thread_local! {
    /// Whether to look for a moment for what may come soon before sleeping.
    static LOOKING: Habit = const { Habit::new() };
}

/// How a thread makes calls that may block, and what it does when a signal interrupts one.
pub trait Gate {
    /// What a signal handler gives a wait up with.
    type Error;

    /// Whether going outside costs so much that what can be written without waiting is written first.
    const IS_DEAR: bool;

    /// How long a wait may last before [`interrupted`](Self::interrupted) is called without a
    /// signal, for those who would miss one that comes just before the wait; None for ever.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// Makes a call that may block.
    fn outside<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T;

    /// Whether the thread has other things to do while one of them waits: then no call is made that may block, and
    /// [`until_ready`](Self::until_ready) is called instead.
    fn has_others(&self) -> bool {
        false
    }

    /// Does other things until the descriptor may be read from, or written to; may come back before.
    ///
    /// # Errors
    /// If the wait is to be given up.
    fn until_ready(&self, _descriptor: Descriptor, _to_write: bool) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Called when a call came back before its work was done, perhaps because of a signal.
    ///
    /// # Errors
    /// If the wait is to be given up.
    fn interrupted(&self) -> Result<(), Self::Error>;
}

/// The gate of plain threads: just blocks, and goes on after a signal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Gate for Plain {
    type Error = Infallible;

    const IS_DEAR: bool = false;

    fn outside<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        call()
    }

    fn interrupted(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Sends one message, which is all the parts one after the other.
///
/// # Errors
/// If the other end is closed, the descriptor is none for this, or the gate gave up; then some of
/// the message may have been sent.
pub fn send<G: Gate>(to: Descriptor, parts: &[&[u8]], gate: &G) -> Result<(), SendError<G::Error>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let header = Header::of(length as u64);
    let mut few = [IoSlice::new(&[]); 4];
    let mut many = Vec::new();
    let slices = match few.get_mut(..=parts.len()) {
        Some(few) => few,
        None => {
            many.resize(parts.len() + 1, IoSlice::new(&[]));
            many.as_mut_slice()
        }
    };
    let all = std::iter::once(header.as_bytes()).chain(parts.iter().copied());
    for (slice, part) in slices.iter_mut().zip(all) {
        *slice = IoSlice::new(part);
    }
    write_all(to, slices, gate)
}

/// Writes all the slices.
fn write_all<G: Gate>(
    to: Descriptor,
    mut slices: &mut [IoSlice<'_>],
    gate: &G,
) -> Result<(), SendError<G::Error>> {
    // Drops those that are empty, which would be nothing to write for ever.
    IoSlice::advance_slices(&mut slices, 0);
    let mut total: usize = slices.iter().map(|slice| slice.len()).sum();
    while total > 0 {
        let next = slices.get(..MOST_SLICES).unwrap_or(slices);
        let now = G::IS_DEAR && total <= SMALL;
        let written = match now.then(|| to.write_now(next)) {
            Some(result) if !would_block(&result) => result,
            _ if gate.has_others() => {
                write_beside(to, next, gate).map_err(SendError::Interrupted)?
            }
            _ => gate.outside(|| to.write(next)),
        };
        match written {
            Ok(written) => {
                total -= written;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if total > 0 {
            gate.interrupted().map_err(SendError::Interrupted)?;
        }
    }
    Ok(())
}

/// As much as can be written without blocking, once that is something.
#[cold]
fn write_beside<G: Gate>(
    to: Descriptor,
    slices: &[IoSlice<'_>],
    gate: &G,
) -> Result<io::Result<usize>, G::Error> {
    loop {
        let written = to.write_now(slices);
        if !would_block(&written) {
            return Ok(written);
        }
        match is_writable(to) {
            // Older kernels do not say of a pipe whether a call would block. One that is writable has room for so much.
            Ok(true) if !to.is_socket() => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                let first = first.map_or(&[][..], |slice| slice);
                let little = first.get(..AT_ONCE).unwrap_or(first);
                return Ok(to.write(&[IoSlice::new(little)]));
            }
            Ok(true) => {}
            Ok(false) => gate.until_ready(to, true)?,
            Err(error) => return Ok(Err(error)),
        }
    }
}

fn would_block<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Waits for a message and returns its length; what is to be read next, with [`fill`], is the
/// message.
///
/// # Errors
/// [`ReceiveError::End`] if there will be no message; [`ReceiveError::Malformed`] if it is longer
/// than `limit`.
pub fn receive_length<G: Gate>(
    from: Descriptor,
    limit: Option<u64>,
    gate: &G,
) -> Result<u64, ReceiveError<G::Error>> {
    let length = match Prefix::parse(receive_array(from, gate)?)? {
        Prefix::Length(length) => u64::from(length),
        Prefix::Wide => u64::from_be_bytes(receive_array(from, gate)?),
    };
    match limit {
        Some(limit) if length > limit => Err(Malformed::TooLong { length, limit }.into()),
        _ => Ok(length),
    }
}

/// As [`receive_length`], from who sends just one message when he is asked for it: reads with the header what comes of
/// the message, as much as there is memory for. Returns the message's length, and how it begins.
///
/// # Errors
/// As [`receive_length`]; [`ReceiveError::Malformed`] also if something comes after the message.
pub fn receive_begun<'a, G: Gate>(
    from: Descriptor,
    memory: &'a mut [u8],
    gate: &G,
) -> Result<(u64, &'a [u8]), ReceiveError<G::Error>> {
    let mut filled = 0;
    loop {
        let mut room = Room::from(memory.get_mut(filled..).unwrap_or_default());
        match read(from, &mut room, gate, Wanted::Something).map_err(ReceiveError::Interrupted)? {
            Ok(0) if filled == 0 => return Err(ReceiveError::End),
            Ok(0) => return Err(ReceiveError::Torn),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                gate.interrupted().map_err(ReceiveError::Interrupted)?;
            }
            Err(error) => return Err(error.into()),
        }
        if let Some((header, length)) = header_of(memory.get(..filled).unwrap_or_default())? {
            let begun = memory.get(header..filled).unwrap_or_default();
            return match begun.len() as u64 > length {
                true => Err(Malformed::Unasked.into()),
                false => Ok((length, begun)),
            };
        }
    }
}

/// The lengths of the header and of the message that begins so, if the header is there whole.
fn header_of(bytes: &[u8]) -> Result<Option<(usize, u64)>, Malformed> {
    let Some((first, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    Ok(match Prefix::parse(*first)? {
        Prefix::Length(length) => Some((4, u64::from(length))),
        Prefix::Wide => rest.first_chunk::<8>().map(|wide| (12, u64::from_be_bytes(*wide))),
    })
}

fn receive_array<const N: usize, G: Gate>(
    from: Descriptor,
    gate: &G,
) -> Result<[u8; N], ReceiveError<G::Error>> {
    let mut bytes = [0; N];
    fill(from, &mut Room::from(bytes.as_mut_slice()), gate)?;
    Ok(bytes)
}

/// Reads until the room is full.
///
/// # Errors
/// [`ReceiveError::End`] if not one byte came, [`ReceiveError::Torn`] if not all came.
pub fn fill<G: Gate>(
    from: Descriptor,
    room: &mut Room<'_>,
    gate: &G,
) -> Result<(), ReceiveError<G::Error>> {
    let whole = room.left();
    while room.left() > 0 {
        match read(from, room, gate, Wanted::All).map_err(ReceiveError::Interrupted)? {
            Ok(0) if room.left() == whole => return Err(ReceiveError::End),
            Ok(0) => return Err(ReceiveError::Torn),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if room.left() > 0 {
            gate.interrupted().map_err(ReceiveError::Interrupted)?;
        }
    }
    Ok(())
}

/// How much a read waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// What there is room for, as far as the kernel does that.
    All,
    /// Anything, from a socket.
    Something,
}

fn read<G: Gate>(
    from: Descriptor,
    room: &mut Room<'_>,
    gate: &G,
    wanted: Wanted,
) -> Result<io::Result<usize>, G::Error> {
    let is_small = room.left() <= SMALL;
    // What has just been asked for cannot be there yet.
    if is_small && wanted == Wanted::All {
        // What is there already says nothing about waits; and going outside may be dear.
        let result = from.read(room, Reading::Now);
        if !would_block(&result) {
            return Ok(result);
        }
    }
    if gate.has_others() {
        return read_beside(from, room, gate);
    }
    let patience = gate.patience();
    Ok(gate.outside(|| {
        let looks = is_small && LOOKING.with(Habit::is_ready);
        if looks {
            let mut early = Err(ErrorKind::WouldBlock.into());
            let is_there = || {
                early = from.read(room, Reading::Now);
                !would_block(&early)
            };
            if LOOKING.with(|looking| looking.spin(Habit::WAKE, is_there)) {
                return early;
            }
        }
        let begun = Instant::now();
        // Who sleeps in recv(2) on a Unix socket is woken also when what he has sent is read; in poll(2), not.
        let polls = patience.is_some() || wanted == Wanted::Something;
        if polls && wait_readable(&[from.number()], &mut [false], patience)? == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        let result = match wanted {
            Wanted::All => from.read(room, Reading::All),
            Wanted::Something => {
                from.read(room, Reading::Now).map_err(|error| match error.kind() {
                    // Somebody else has taken it.
                    ErrorKind::WouldBlock => ErrorKind::Interrupted.into(),
                    _ => error,
                })
            }
        };
        if is_small && !looks && result.is_ok() {
            LOOKING.with(|looking| looking.learn(begun.elapsed()));
        }
        result
    }))
}

/// What can be read without blocking, once that is something.
#[cold]
fn read_beside<G: Gate>(
    from: Descriptor,
    room: &mut Room<'_>,
    gate: &G,
) -> Result<io::Result<usize>, G::Error> {
    loop {
        let result = from.read(room, Reading::Now);
        if !would_block(&result) {
            return Ok(result);
        }
        match wait_readable(&[from.number()], &mut [false], Some(Duration::ZERO)) {
            Ok(0) => gate.until_ready(from, false)?,
            // Older kernels do not say of a pipe whether a call would block. What is there comes at once.
            Ok(_) if !from.is_socket() => return Ok(from.read(room, Reading::All)),
            Ok(_) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}
