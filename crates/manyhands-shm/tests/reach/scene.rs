//! Processes with an arena of their own, and with no room for more of it.

use manyhands_shm::{ArenaError, Handle, Kind, Plain, Semaphore, arena};

use crate::support::{alone, fork, reap};

/// Runs a scene in a process that has no arena yet; whether it returns 1, and not 0.
pub fn stage(scene: impl FnOnce() -> i32) -> bool {
    let _alone = alone();
    let code = reap(fork(scene));
    assert!([0, 1].contains(&code), "see above: {code}");
    code == 1
}

/// As [`stage`], of a scene that returns nothing.
pub fn fresh(scene: impl FnOnce()) {
    stage(|| {
        scene();
        0
    });
}

pub fn semaphore() -> Handle<Semaphore> {
    let semaphore = Handle::<Semaphore>::new(Kind::Semaphore).unwrap();
    semaphore.set_up(0, Semaphore::MAX);
    semaphore
}

/// Blocks that are in use, or kept for somebody.
pub fn blocks() -> u64 {
    let statistics = arena().unwrap().statistics().unwrap();
    statistics.blocks + statistics.lingering
}

fn place(block: &Handle<Plain>) -> u64 {
    block.reference().block >> 32
}

/// Has whatever is made next lie where no other process has been, for as long as the result is kept.
pub fn go_far() -> Vec<Handle<Plain>> {
    let make = |size| Handle::<Plain>::with_tail(Kind::Plain, size).unwrap();
    let far = make(20 << 20);
    let begin = place(&far);
    let mut all = vec![far];
    for class in 7..18 {
        // What was freed is used up first.
        loop {
            let block = make((1 << class) - 64);
            let is_far = place(&block) > begin;
            all.push(block);
            if is_far {
                break;
            }
        }
    }
    all
}

/// This process has no address space left, until this is dropped.
pub struct Narrow(libc::rlimit);

impl Narrow {
    pub fn new() -> Narrow {
        let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writes to the struct.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut old) }, 0);
        let sizes = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = sizes.split(' ').next().unwrap().parse().unwrap();
        // A little for the test itself; a part of the arena is more.
        set(libc::rlimit { rlim_cur: pages * 4096 + (4 << 20), ..old });
        Narrow(old)
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        set(self.0);
    }
}

fn set(limit: libc::rlimit) {
    // SAFETY: reads the struct.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

/// The error is what a narrow process is to get.
pub fn is_the_limit(error: ArenaError) {
    assert!(error.to_string().contains("RLIMIT_AS"), "{error}");
    assert_eq!(error.os_error(), Some(libc::ENOMEM));
}
