//! Deaths while originals are made, held, let go of, and inherited.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use manyhands_shm::{Handle, Image, Kind, Original, Plain, Ref, reserve_for_fork};
use manyhands_sys::step::die_at;

use crate::support::{alone, fork, fork_outliving, kill, reach, reap, reap_all, wait};
use crate::{KILLED, at_every_step, at_every_two_steps, size};

/// Of more than one page.
const LEN: usize = 10_000;

fn original(byte: u8) -> Original {
    Original::of(&[byte; LEN]).unwrap()
}

/// Writes to an image, whose bytes have to be those.
fn use_up(image: &Image, byte: u8) {
    assert_eq!(image.len(), LEN);
    // SAFETY: nobody else has the image, or writes to it.
    let bytes = unsafe { std::slice::from_raw_parts(image.start(), LEN) };
    assert!(bytes == [byte; LEN], "somebody else's");
    if image.is_writable() {
        // SAFETY: as above.
        unsafe { image.start().write_bytes(!byte, LEN) };
    }
}

/// What is freed is used again at once, with other contents.
fn reuse() {
    for byte in [7, 8] {
        let others = [original(byte), original(byte)];
        for other in &others {
            use_up(&Image::of(other.reference(), true).unwrap(), byte);
        }
    }
}

fn of(reference: Ref) -> Image {
    Image::of(reference, true).unwrap()
}

fn words() -> Handle<Plain> {
    Handle::with_tail(Kind::Plain, 16).unwrap()
}

fn word(words: &Handle<Plain>, index: usize) -> &AtomicU32 {
    // SAFETY: 16 bytes, aligned, and used as atomics only.
    unsafe { &*words.tail().0.cast::<AtomicU32>().add(index) }
}

fn is_running(child: i32) -> bool {
    let now = manyhands_sys::liveness::now();
    manyhands_sys::liveness::is_running(child.cast_unsigned(), now)
}

/// Waits for a child to say that it has its image; or to die, by the same count of steps as its parent.
fn has_begun(words: &Handle<Plain>, child: i32) {
    while word(words, 0).load(Ordering::Acquire) == 0 && is_running(child) {
        std::thread::yield_now();
    }
}

/// Has a child look at its image and end: well, or by that death.
fn end(words: &Handle<Plain>, child: i32) {
    word(words, 1).store(1, Ordering::Release);
    let ended = wait(child);
    assert!(ended == 0 || ended == KILLED, "its bytes are others");
}

/// A child that has an image, and looks at it, writes to it and ends when it is told.
fn holder(words: &Handle<Plain>, reference: Ref) -> i32 {
    fork(|| {
        let image = of(reference);
        word(words, 0).store(1, Ordering::Release);
        reach(word(words, 1), 1);
        use_up(&image, 1);
        0
    })
}

#[test]
fn making_one_and_images_of_it() {
    let _alone = alone();
    let act = |(): &()| {
        let one = original(3);
        for writable in [true, false] {
            let image = Image::of(one.reference(), writable).unwrap();
            use_up(&image, 3);
            let another = Image::of(one.reference(), true).unwrap();
            drop(image);
            use_up(&another, 3);
        }
    };
    at_every_step("originals", || (), act, |(), _| reuse());
    let act = |(): &()| drop(of(original(3).reference()));
    at_every_two_steps("originals", || (), act, act, |(), _| reuse());
}

#[test]
fn an_image_outlives_its_maker_which_dies_at_any_step() {
    let _alone = alone();
    let prepare = || (words(), original(2));
    let act = |(words, _): &(Handle<Plain>, Original)| {
        let one = original(1);
        let reference = one.reference();
        let child = fork_outliving(|| {
            let image = of(reference);
            word(words, 0).store(1, Ordering::Release);
            reach(word(words, 1), 1);
            die_at(0);
            use_up(&image, 1);
            word(words, 2).store(1, Ordering::Release);
            0
        });
        has_begun(words, child);
        drop(one);
        end(words, child);
    };
    at_every_step("a maker", prepare, act, |(words, two), _| {
        reuse();
        use_up(&of(two.reference()), 2);
        word(&words, 1).store(1, Ordering::Release);
        reap_all();
        let [begun, ended] = [0, 2].map(|index| word(&words, index).load(Ordering::Acquire));
        assert_eq!(begun, ended, "its bytes are others");
    });
}

#[test]
fn images_are_let_go_of_after_the_maker_has() {
    let _alone = alone();
    // The maker has let go, or does while somebody dies who has an image; another one has one still.
    let prepare = || {
        let words = words();
        let one = original(1);
        let child = holder(&words, one.reference());
        reach(word(&words, 0), 1);
        (words, one, child)
    };
    let act = |(_, one, _): &(Handle<Plain>, Original, i32)| {
        let images = [of(one.reference()), of(one.reference())];
        images.iter().for_each(|image| use_up(image, 1));
    };
    let check = |(words, one, child): (Handle<Plain>, Original, i32), _| {
        let reference = one.reference();
        drop(one);
        reuse();
        assert!(size().1 > 0, "the child has it");
        use_up(&of(reference), 1);
        end(&words, child);
        assert!(Image::of(reference, true).is_err(), "it is gone");
    };
    at_every_step("images", prepare, act, check);
    at_every_two_steps("images", prepare, act, |_| drop(original(2)), check);
}

#[test]
fn the_last_to_let_go_dies_at_any_step() {
    let _alone = alone();
    let prepare = || {
        let words = words();
        let one = original(1);
        let reference = one.reference();
        // Freed by the death of who has the last image, or by that one.
        let child = holder(&words, reference);
        reach(word(&words, 0), 1);
        drop(one);
        (words, reference, child)
    };
    let act = |&(_, reference, child): &(Handle<Plain>, Ref, i32)| {
        let image = of(reference);
        kill(child);
        while is_running(child) {
            std::thread::yield_now();
        }
        size();
        use_up(&image, 1);
    };
    at_every_step("the last", prepare, act, |(_words, reference, child), _| {
        kill(child);
        reap(child);
        size();
        assert!(Image::of(reference, true).is_err(), "it is gone");
        reuse();
    });
}

#[test]
fn children_have_what_their_parents_had() {
    inherit("heirs", || {}, || {});
}

#[test]
fn children_with_a_place_ahead_have_what_their_parents_had_before() {
    inherit("heirs of before", || {}, reserve_for_fork);
}

#[test]
fn children_with_a_place_ahead_have_what_their_parents_came_to_have() {
    inherit("heirs of after", reserve_for_fork, || {});
}

/// A child is forked while there is an image, before and after the making of which something else is done.
fn inherit(name: &str, before: fn(), after: fn()) {
    let _alone = alone();
    let prepare = || (words(), original(1));
    let act = |(words, one): &(Handle<Plain>, Original)| {
        before();
        let image = Cell::new(Some(of(one.reference())));
        after();
        let child = fork(|| {
            let image = image.take().unwrap();
            word(words, 0).store(1, Ordering::Release);
            reach(word(words, 1), 1);
            use_up(&image, 1);
            drop(image);
            reuse();
            0
        });
        drop(image.take());
        reuse();
        end(words, child);
    };
    at_every_step(name, prepare, act, |(_words, one), _| {
        // Of a child that lives its bytes are the same until it dies of its parent's death.
        drop(one);
        reuse();
    });
}

#[test]
fn one_that_nobody_holds_is_freed_with_its_maker_and_not_found_any_more() {
    let _alone = alone();
    let before = size();
    let words = words();
    let child = fork(|| {
        let one = original(1);
        // SAFETY: as in `word`, of eight bytes.
        let place = unsafe { &*words.tail().0.cast::<AtomicU64>() };
        place.store(one.reference().to_bits(), Ordering::Release);
        loop {
            std::thread::park();
        }
    });
    // SAFETY: as above.
    let place = unsafe { &*words.tail().0.cast::<AtomicU64>() };
    let reference = loop {
        if let Some(reference) = Ref::from_bits(place.load(Ordering::Acquire)) {
            break reference;
        }
        std::thread::yield_now();
    };
    drop(of(reference));
    kill(child);
    wait(child);
    assert!(Image::of(reference, true).is_err());
    reuse();
    assert!(Image::of(reference, true).is_err(), "it is another by now");
    drop(words);
    assert_eq!(size(), before);
}
