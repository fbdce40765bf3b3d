//! What else the public types are: for which threads, and with which other traits.

use std::fmt::Debug;

use manyhands_sync::{
    Barrier, BarrierError, Condition, Deadline, Event, Limit, Lock, LockGuard, Locked, NotHeld,
    NotOwner, Parked, Patient, RLock, Saved, Semaphore, ThreadId, Ticket, TooManyReleases, Waiter,
    Waits, Wakes,
};

fn is_send_and_sync<T: Send + Sync>() {}

fn is_an_error<T: std::error::Error + Send + Sync + 'static>() {}

fn is_plain_data<T: Copy + Eq + Debug + Send + Sync>() {}

fn is_debug<T: Debug>() {}

#[test]
fn all_may_be_sent_to_and_used_by_any_thread() {
    is_send_and_sync::<Lock>();
    is_send_and_sync::<LockGuard<'_>>();
    is_send_and_sync::<RLock>();
    is_send_and_sync::<Semaphore>();
    is_send_and_sync::<Event>();
    is_send_and_sync::<Condition>();
    is_send_and_sync::<Ticket>();
    is_send_and_sync::<Barrier>();
    is_send_and_sync::<Waiter>();
    is_send_and_sync::<Waits<3>>();
    is_send_and_sync::<Wakes>();
    is_send_and_sync::<Locked>();
    is_send_and_sync::<Patient>();
}

#[test]
fn small_ones_are_plain_data() {
    is_plain_data::<Limit>();
    is_plain_data::<Deadline>();
    is_plain_data::<ThreadId>();
    is_plain_data::<Parked>();
    is_plain_data::<Saved>();
}

#[test]
fn failures_are_errors() {
    is_an_error::<NotHeld>();
    is_an_error::<NotOwner>();
    is_an_error::<TooManyReleases>();
    is_an_error::<BarrierError<std::io::Error, std::fmt::Error>>();
}

#[test]
fn the_parts_can_be_shown() {
    is_debug::<Ticket>();
    is_debug::<Waiter>();
    is_debug::<Wakes>();
    assert_eq!(
        format!("{Locked:?} {Patient:?} {:?}", Waits::<1>::default()),
        "Locked Patient Waits(None)"
    );
}
