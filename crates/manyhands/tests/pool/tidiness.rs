//! Pools begin and end, and leave nothing.

use manyhands::Pool;
use manyhands::pool::{BuildError, ExitStatus, Kind, PoolError};
use manyhands::process::Process;

use crate::support::{Scratch, children, pool, until};
use crate::tasks::{double, end, reversed, wait_at};

pub fn a_pool_without_workers_is_none() {
    for kind in [Kind::Processes, Kind::Threads] {
        let none = Pool::builder().kind(kind).workers(0).build();
        assert!(matches!(none, Err(BuildError::NoWorkers)));
    }
    assert_eq!(Pool::new().unwrap().workers(), std::thread::available_parallelism().unwrap().get());
}

pub fn nothing_is_left_of_a_dropped_pool(kind: Kind) {
    let look = || {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
        let blocks = manyhands_shm::arena().unwrap().statistics().unwrap().blocks;
        (descriptors, threads, blocks, children().len())
    };
    let use_it = |round| {
        let pool = pool(kind, 2);
        let mut handles = Vec::new();
        for _ in 0..20 {
            handles.push(pool.submit(reversed::task(vec![1; 6000])).unwrap());
        }
        drop(pool.submit(double::task(1)).unwrap());
        assert_eq!(pool.imap(double::task, 0..).take(3).count(), 3);
        assert_eq!(pool.imap_unordered(double::task, 0..).take(3).count(), 3);
        let gate = Scratch::gate();
        if kind == Kind::Processes {
            // One is killed, one is still at it in the end.
            let killed = pool.submit(end::task(9)).unwrap().join();
            assert!(matches!(killed, Err(PoolError::WorkerDied { .. })));
            handles.push(pool.submit(reversed::task(vec![])).unwrap());
            drop(pool.submit(wait_at::task(gate.path())).unwrap());
        }
        if round % 2 == 0 {
            drop(pool);
            // What came before that is there still.
            handles.into_iter().for_each(|handle| _ = handle.join());
        } else {
            drop(handles);
            drop(pool);
        }
        assert!(children().is_empty());
    };
    use_it(0);
    use_it(1);
    let before = settled(look);
    (0..10).for_each(use_it);
    until(|| settled(look) == before);
}

/// What there is when the engine's threads have gone; the one that reaps children stays for a moment.
fn settled<R>(look: impl Fn() -> R) -> R {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        || threads().map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")));
    until(|| names().flatten().all(|name| !name.starts_with("manyhands")));
    look()
}

pub fn a_forked_copy_has_no_pool() {
    for kind in [Kind::Processes, Kind::Threads] {
        let pool = pool(kind, 1);
        let handle = pool.submit(double::task(1)).unwrap();
        let mut ours = Some(pool);
        let copy = Process::fork(|| {
            let pool = ours.take().unwrap();
            assert!(matches!(pool.submit(double::task(1)), Err(PoolError::Foreign)));
            pool.close();
            pool.join();
            drop(pool);
            0
        });
        assert_eq!(copy.unwrap().join(None), Some(ExitStatus::Exited(0)));
        let pool = ours.unwrap();
        assert_eq!(handle.join().unwrap(), 2);
        assert_eq!(pool.map(double::task, 0..3).unwrap(), [0, 2, 4]);
    }
}
