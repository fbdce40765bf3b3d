//! Deaths while processes come and go.

use manyhands_shm::{Limit, reserve_child};

use crate::books::{Books, FIRST, Form, SECOND};
use crate::support::{alone, fork};
use crate::{at_every_step, at_every_two_steps, size};

/// Forks; the child uses the queue, and dies or not like its parent, by the same count of steps.
fn fork_and_use(books: &Books) {
    let child = fork(|| {
        books.put(SECOND, Form::Bytes(5000), Limit::Never);
        0
    });
    books.put(FIRST, Form::Bytes(10), Limit::Never);
    // SAFETY: a child of ours.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
}

#[test]
fn forking() {
    let _alone = alone();
    at_every_step(
        "fork",
        || Books::new(0),
        fork_and_use,
        |books, deaths| {
            // The grandchild, an orphan, may be about to put still.
            crate::reap_all();
            books.check(false, deaths + 1);
        },
    );
}

#[test]
fn keeping_a_place_for_a_child() {
    let _alone = alone();
    let act = |(): &()| drop([reserve_child().unwrap(), reserve_child().unwrap()]);
    let check = |(), _| drop(reserve_child().unwrap());
    at_every_step("tickets", || (), act, check);
    let repair = |(): &()| {
        drop(reserve_child().unwrap());
        size();
    };
    at_every_two_steps("tickets", || (), act, repair, check);
}

#[test]
fn a_started_child_that_never_joined_is_buried() {
    let _alone = alone();
    let act = |(): &()| {
        let ticket = reserve_child().unwrap();
        let child = fork(|| 0);
        ticket.started(child.cast_unsigned());
        // SAFETY: a child of ours.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        size();
    };
    // Where it dies between the two, nobody knows which process the place was for: given up later.
    let before = size();
    act(&());
    assert_eq!(size(), before);
}
