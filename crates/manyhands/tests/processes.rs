//! Processes of a Rust program, what they share, and that any of them may be killed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use manyhands::process::{
    Barrier, Broken, Condition, Event, ExitStatus, GetError, Limit, Lock, Process, PutError, Queue,
    Semaphore,
};
use manyhands::wire::{ReceiveError, pair};
use serde::{Deserialize, Serialize};

/// A test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// One test at a time: they fork. Whoever hangs ends the run.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static TURNS: AtomicU32 = AtomicU32::new(0);
    static WATCHDOG: Once = Once::new();

    WATCHDOG.call_once(|| {
        std::thread::spawn(|| {
            loop {
                let before = TURNS.load(Ordering::Relaxed);
                std::thread::sleep(PATIENCE);
                if TURNS.load(Ordering::Relaxed) == before {
                    eprintln!("a test hangs");
                    std::process::abort();
                }
            }
        });
    });
    let turn = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    TURNS.fetch_add(1, Ordering::Relaxed);
    turn
}

/// A process that dies with this one, and ends by the exit code 0 if nothing in it fails.
fn start(function: impl FnOnce()) -> Process {
    Process::fork_daemon(|| {
        function();
        0
    })
    .unwrap()
}

fn finish(process: &Process) {
    assert_eq!(process.join(Some(PATIENCE)), Some(ExitStatus::Exited(0)));
}

fn kill(process: &Process) {
    process.kill();
    assert_eq!(process.join(Some(PATIENCE)), Some(ExitStatus::Killed(9)));
}

fn sleep() -> ! {
    loop {
        std::thread::park();
    }
}

fn until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn soon() -> Limit {
    Limit::after(Duration::from_millis(20))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Order {
    Buns { filling: String, count: u32 },
    Tea(Option<Vec<f64>>),
    Bill,
}

fn orders() -> [Order; 4] {
    [
        Order::Buns { filling: "leek".to_owned(), count: 3 },
        Order::Tea(None),
        Order::Tea(Some(vec![0.5; 100_000])),
        Order::Bill,
    ]
}

#[test]
fn a_process_ends_as_its_function_says() {
    let _alone = alone();
    let codes = [0, 7, 255].map(|code| Process::fork(move || code).unwrap());
    for (process, code) in codes.iter().zip([0, 7, 255]) {
        assert_eq!(process.join(Some(PATIENCE)), Some(ExitStatus::Exited(code)));
        assert!(!process.is_alive());
    }
    let panics = Process::fork(|| {
        std::panic::set_hook(Box::new(|_| ()));
        panic!("as expected")
    });
    assert_eq!(panics.unwrap().join(Some(PATIENCE)), Some(ExitStatus::Exited(101)));
    let process = start(|| sleep());
    assert_eq!(process.join(Some(Duration::from_millis(20))), None);
    process.terminate();
    assert_eq!(process.join(Some(PATIENCE)), Some(ExitStatus::Killed(15)));
}

#[test]
fn items_of_all_sorts_go_from_process_to_process() {
    let _alone = alone();
    let (there, back) = (Queue::<Order>::new(2).unwrap(), Queue::<(u32, Order)>::new(0).unwrap());
    let echo = start(|| {
        for number in 0.. {
            match there.get() {
                Ok(order) => back.put(&(number, order)).unwrap(),
                Err(GetError::ShutDown) => return,
                Err(error) => panic!("{error}"),
            }
            there.task_done().unwrap();
        }
    });
    for order in orders() {
        there.put(&order).unwrap();
    }
    there.join().unwrap();
    for (number, order) in (0..).zip(orders()) {
        assert_eq!(back.get().unwrap(), (number, order));
    }
    there.shut_down(false).unwrap();
    finish(&echo);
    assert!(matches!(there.put(&Order::Bill), Err(PutError::ShutDown)));
    assert!(matches!(back.get_within(soon()), Err(GetError::Empty)));
    assert_eq!((there.len().unwrap(), back.len().unwrap(), there.lost()), (0, 0, 0));
}

#[test]
fn a_full_queue_waits_for_another_process() {
    let _alone = alone();
    let queue = Queue::<u64>::new(1).unwrap();
    queue.put(&0).unwrap();
    assert!(queue.is_full().unwrap());
    assert!(matches!(queue.try_put(&1), Err(PutError::Full)));
    assert!(matches!(queue.put_within(&1, soon()), Err(PutError::Full)));
    let reader = start(|| (0..1000).for_each(|number| assert_eq!(queue.get().unwrap(), number)));
    (1..1000).for_each(|number| queue.put(&number).unwrap());
    finish(&reader);
}

#[test]
fn what_is_under_a_lock_is_changed_by_one_at_a_time() {
    let _alone = alone();
    let counts = Lock::new([0_u64; 2]).unwrap();
    let processes = [(); 4].map(|()| {
        start(|| {
            for _ in 0..5000 {
                let mut counts = counts.lock();
                counts[0] += 1;
                assert_eq!(counts[0], counts[1] + 1);
                counts[1] += 1;
            }
        })
    });
    processes.iter().for_each(finish);
    assert_eq!(*counts.lock(), [20_000, 20_000]);
    let held = counts.lock();
    finish(&start(|| assert!(counts.is_locked() && counts.try_lock().is_none())));
    drop(held);
}

#[test]
fn a_killed_holders_lock_passes_on_and_says_so() {
    let _alone = alone();
    let (half_done, held) = (Lock::new([0_u64; 2]).unwrap(), Event::new().unwrap());
    let holder = start(|| {
        half_done.lock()[0] += 1;
        let mut numbers = half_done.lock();
        numbers[0] += 1;
        held.set();
        sleep();
    });
    held.wait();
    assert!(half_done.lock_within(soon()).is_none());
    kill(&holder);
    let mut numbers = half_done.lock();
    assert!(numbers.is_abandoned());
    assert_eq!(*numbers, [2, 0]);
    numbers[1] = numbers[0];
    numbers.repaired();
    drop(numbers);
    assert!(!half_done.lock().is_abandoned());
}

#[test]
fn who_waits_for_a_change_is_told() {
    let _alone = alone();
    let (buns, more) = (Lock::new(0_u32).unwrap(), Condition::new().unwrap());
    let guests = [(); 3].map(|()| {
        start(|| {
            let mut there = buns.lock();
            while *there == 0 {
                more.wait(&mut there).unwrap();
            }
            *there -= 1;
        })
    });
    until(|| more.waiters() == 3);
    // One is killed who waits: what is for him goes to another.
    kill(&guests[0]);
    for _ in 0..2 {
        *buns.lock() += 1;
        more.notify(1).unwrap();
    }
    guests[1..].iter().for_each(finish);
    let mut there = buns.lock();
    assert_eq!(*there, 0);
    assert!(!more.wait_within(&mut there, soon()).unwrap());
}

#[test]
fn semaphores_events_and_barriers_are_shared() {
    let _alone = alone();
    let (seats, open) = (Semaphore::bounded(2).unwrap(), Event::new().unwrap());
    let meeting = Barrier::new(3).unwrap();
    assert!(seats.acquire_within(Limit::Never) && seats.acquire_within(soon()));
    assert!(!seats.acquire_within(soon()) && !open.wait_within(soon()));
    let others = [(); 2].map(|()| {
        start(|| {
            open.wait();
            seats.acquire();
            meeting.wait().unwrap();
            seats.release().unwrap();
        })
    });
    open.set();
    seats.release().unwrap();
    seats.release().unwrap();
    meeting.wait().unwrap();
    others.iter().for_each(finish);
    assert_eq!(seats.value(), 2);
    assert!(seats.release().is_err());
    let waiter = start(|| assert_eq!(meeting.wait(), Err(Broken)));
    until(|| meeting.waiting() == 1);
    meeting.abort();
    finish(&waiter);
}

#[test]
fn who_is_killed_with_a_message_takes_no_other_along() {
    let _alone = alone();
    let queue = Queue::<(u32, Vec<u8>)>::new(0).unwrap();
    let mut begun = 0;
    for round in 0..20 {
        let writer = start(|| {
            for number in begun.. {
                queue.put(&(number, vec![number as u8; (number % 7) as usize * 900])).unwrap();
                while queue.len().unwrap() > 500 {
                    std::thread::yield_now();
                }
            }
        });
        until(|| queue.len().unwrap() > 100);
        std::thread::sleep(Duration::from_micros(97 * round));
        kill(&writer);
        let mut next = begun;
        while let Ok((number, bytes)) = queue.try_get() {
            assert_eq!(number, next, "one was lost");
            assert!(bytes == vec![number as u8; (number % 7) as usize * 900], "torn");
            next += 1;
        }
        assert!(next > begun);
        begun = next;
    }
    assert!(queue.lost() <= 20);
}

#[test]
fn a_connection_ends_with_the_process_at_its_other_end() {
    let _alone = alone();
    let (here, there) = pair().unwrap();
    let mut ours = Some(here);
    let echo = start(|| {
        drop(ours.take());
        while let Ok(message) = there.receive() {
            there.send(&message).unwrap();
        }
    });
    drop(there);
    let here = ours.unwrap();
    for size in [0, 1, 100, 1 << 20] {
        here.send(&vec![7; size]).unwrap();
        assert!(here.receive().unwrap() == vec![7; size]);
    }
    kill(&echo);
    assert!(matches!(here.receive(), Err(ReceiveError::End)));
    assert!(here.send(b"?").is_err());
}

#[test]
fn a_daemon_dies_with_a_killed_parent() {
    let _alone = alone();
    let (ready, alive) = (Event::new().unwrap(), Semaphore::new(0).unwrap());
    let numbers = Queue::<u32>::new(0).unwrap();
    let parent = start(|| {
        let daemon = start(|| {
            numbers.put(&std::process::id()).unwrap();
            ready.set();
            sleep();
        });
        alive.release().unwrap();
        daemon.join(None);
    });
    ready.wait();
    alive.acquire();
    let daemon = numbers.get().unwrap();
    kill(&parent);
    until(|| {
        let status = std::fs::read_to_string(format!("/proc/{daemon}/stat")).unwrap_or_default();
        status.is_empty() || status.contains(") Z")
    });
}

#[test]
fn a_limit_of_the_system_is_named() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let _alone = alone();
    let limited = start(|| {
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum }).unwrap();
        let error = Process::fork(|| 0).unwrap_err().to_string();
        assert!(error.contains("RLIMIT_NOFILE"), "{error}");
        assert!(pair().is_err());
        // What is there goes on.
        let queue = Queue::<u8>::new(0).unwrap();
        queue.put(&1).unwrap();
        assert_eq!(queue.get().unwrap(), 1);
    });
    finish(&limited);
}

#[test]
fn nothing_is_left_behind() {
    let _alone = alone();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let use_all = || {
        let (queue, lock) = (Queue::<Vec<u8>>::new(0).unwrap(), Lock::new([0_u8; 4096]).unwrap());
        let process = start(|| {
            queue.put(&vec![1; 50_000]).unwrap();
            lock.lock()[4095] = 1;
        });
        finish(&process);
        assert_eq!(queue.get().unwrap().len(), 50_000);
    };
    use_all();
    let before = descriptors();
    (0..20).for_each(|_| use_all());
    assert_eq!(descriptors(), before);
}
