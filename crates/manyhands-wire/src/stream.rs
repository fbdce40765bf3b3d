//! Whole messages over descriptors, for those who have a way of their own to block.

use std::convert::Infallible;
use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, Instant};

use manyhands_sync::Habit;
use manyhands_sys::descriptor::{Descriptor, Reading, Room, wait_readable};

use crate::errors::{Malformed, ReceiveError, SendError};
use crate::frame::{Header, Prefix};

/// The most that is moved without leaving: what takes about as long as leaving and coming back.
const SMALL: usize = 32 * 1024;

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
            Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                gate.outside(|| to.write(next))
            }
            Some(result) => result,
            None => gate.outside(|| to.write(next)),
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
        match read(from, room, gate) {
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

fn read<G: Gate>(from: Descriptor, room: &mut Room<'_>, gate: &G) -> io::Result<usize> {
    let is_small = room.left() <= SMALL;
    if is_small {
        // What is there already says nothing about waits; and going outside may be dear.
        match from.read(room, Reading::Now) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
    let patience = gate.patience();
    gate.outside(|| {
        let looks = is_small && LOOKING.with(Habit::is_ready);
        if looks {
            let mut early = Err(ErrorKind::WouldBlock.into());
            let is_there = || {
                early = from.read(room, Reading::Now);
                !matches!(&early, Err(error) if error.kind() == ErrorKind::WouldBlock)
            };
            if LOOKING.with(|looking| looking.spin(Habit::WAKE, is_there)) {
                return early;
            }
        }
        let begun = Instant::now();
        if patience.is_some() && wait_readable(&[from.number()], &mut [false], patience)? == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        let result = from.read(room, Reading::All);
        if is_small && !looks && result.is_ok() {
            LOOKING.with(|looking| looking.learn(begun.elapsed()));
        }
        result
    })
}
