//! What a primitive of one's own is made of: [`Waits`], [`block`] and what observers see of it.

use manyhands_sync::{
    Exclusion, Limit, Locked, Patient, Protected, ThreadId, Waitable, Waits, Wakes, block,
};
use manyhands_watch::{Kind, Seen, snapshot};

use crate::gates::{GivesUp, Notified, TimesOut, in_an_hour, soon};

/// A heap of coins: threads wait for as many as they want.
#[derive(Default)]
struct Coins {
    count: u32,
    owner: Option<ThreadId>,
    waits: Waits<2>,
}

impl Waitable<2> for Coins {
    fn kind(&self) -> Kind {
        Kind::Semaphore
    }

    fn waits(&mut self) -> &mut Waits<2> {
        &mut self.waits
    }

    fn owner(&self) -> Option<ThreadId> {
        self.owner
    }
}

type Cell = <Locked as Exclusion>::Cell<Coins>;

fn cell() -> Cell {
    Protected::new(Coins { owner: Some(ThreadId::current()), ..Coins::default() })
}

fn take(count: u32) -> impl FnMut(&mut Coins, &mut Wakes) -> Option<u32> {
    move |coins, wakes| {
        coins.count = coins.count.checked_sub(count)?;
        coins.waits.wake_one(0, wakes);
        Some(count)
    }
}

fn add(cell: &Cell, count: u32) {
    let mut wakes = Wakes::default();
    cell.with(|coins| {
        coins.count += count;
        coins.waits.wake_one(0, &mut wakes);
    });
    wakes.send();
}

/// What observers see that the calling thread waits for.
fn seen() -> Vec<Seen> {
    let mut seen = snapshot();
    seen.retain(|seen| seen.waiters.iter().any(|waiter| waiter.thread == ThreadId::current()));
    seen
}

#[test]
fn an_attempt_that_succeeds_does_not_wait() {
    let cell = cell();
    add(&cell, 3);
    assert_eq!(block(&cell, 0, "take", &GivesUp(|| ()), Limit::Forever, take(2)), Ok(Some(2)));
    assert_eq!(block(&cell, 0, "take", &Patient, Limit::Never, take(2)), Ok(None));
    assert!(cell.with(|coins| coins.waits.is_empty(0) && coins.waits.len(1) == 0));
}

#[test]
fn an_attempt_is_made_again_after_each_notification() {
    let cell = cell();
    let one_more = Notified(|| add(&cell, 1));
    assert_eq!(block(&cell, 0, "take", &one_more, Limit::Forever, take(3)), Ok(Some(3)));
    assert_eq!(cell.with(|coins| (coins.count, coins.waits.len(0))), (0, 0));
}

#[test]
fn the_last_attempt_is_made_when_the_time_is_out() {
    let cell = cell();
    let gate = TimesOut(|| cell.with(|coins| coins.count = 1));
    assert_eq!(block(&cell, 0, "take", &gate, in_an_hour(), take(1)), Ok(Some(1)));
    assert_eq!(block(&cell, 0, "take", &Patient, soon(), take(1)), Ok(None));
    assert!(cell.with(|coins| coins.waits.is_empty(0)));
}

#[test]
fn one_wake_up_is_on_its_way_at_a_time() {
    let cell = cell();
    let [first, second] =
        [(); 2].map(|()| cell.with(|coins| coins.waits.enlist(Kind::Semaphore, 0, false)));
    let waiting = || cell.with(|coins| coins.waits.len(0));
    add(&cell, 1);
    add(&cell, 1);
    assert_eq!(waiting(), 1);
    cell.with(|coins| coins.waits.landed(0));
    add(&cell, 1);
    assert_eq!(waiting(), 0);
    // Both were taken out in order to be notified.
    assert!(!cell.with(|coins| coins.waits.withdraw(0, &first)));
    assert!(!cell.with(|coins| coins.waits.withdraw(0, &second)));
}

#[test]
fn who_comes_back_stands_in_front() {
    let cell = cell();
    let enlist = |front| cell.with(|coins| coins.waits.enlist(Kind::Semaphore, 0, front));
    let (behind, front) = (enlist(false), enlist(true));
    let mut wakes = Wakes::default();
    cell.with(|coins| coins.waits.wake(0, 1, &mut wakes));
    wakes.send();
    assert!(!cell.with(|coins| coins.waits.withdraw(0, &front)));
    assert!(cell.with(|coins| coins.waits.withdraw(0, &behind)));
}

#[test]
fn lines_do_not_touch_each_other() {
    let cell = cell();
    let other = cell.with(|coins| coins.waits.enlist(Kind::Semaphore, 1, false));
    let mut wakes = Wakes::default();
    cell.with(|coins| {
        coins.waits.wake_one(0, &mut wakes);
        coins.waits.wake_all(0, &mut wakes);
    });
    wakes.send();
    assert!(!cell.with(|coins| coins.waits.withdraw(0, &other)));
    assert!(cell.with(|coins| coins.waits.withdraw(1, &other)));
}

#[test]
fn observers_see_who_waits_for_what_and_whom() {
    let cell = cell();
    assert_eq!(seen(), []);
    let looks = TimesOut(|| {
        let [coins] = &seen()[..] else { panic!("one wait is seen") };
        assert_eq!((coins.kind, coins.owner), (Kind::Semaphore, Some(ThreadId::current())));
        assert_eq!(coins.waiters.len(), 1);
        assert_eq!(coins.waiters[0].operation, "take");
    });
    assert_eq!(block(&cell, 0, "take", &looks, soon(), take(1)), Ok(None));
    assert_eq!(seen(), []);
}
