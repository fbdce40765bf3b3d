//! A process that is asked, forks, and closes what it does not know.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use manyhands_watch::{Kind, Subject, begin, client};

/// Forks and descriptors are of the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn me() -> u32 {
    std::process::id()
}

/// The sockets of this process, by their descriptors.
fn sockets() -> Vec<(i32, String)> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let numbers: Vec<i32> = numbers.collect();
    let target = |number: &i32| std::fs::read_link(format!("/proc/self/fd/{number}")).ok();
    let socket = |number| target(&number)?.to_str().map(|name| (number, name.to_owned()));
    numbers.into_iter().filter_map(socket).filter(|(_, name)| name.starts_with("socket:")).collect()
}

/// Runs it in a forked child; its exit status is 0 if it returns.
#[expect(unsafe_code, reason = "a test of forks forks")]
fn in_child(body: impl FnOnce()) {
    // SAFETY: the child does what any process may, and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(done.is_err())) };
    }
    let mut status = -1;
    // SAFETY: the child is ours.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
}

#[test]
fn it_tells_who_waits() {
    let _alone = ALONE.lock();
    begin();
    begin();
    let subject = Subject::register(Kind::Event);
    let (told, news) = channel();
    let (end, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let subject = &subject;
        scope.spawn(move || {
            let _waiting = subject.begin_wait("wait", false, None);
            told.send(()).unwrap();
            ended.recv().unwrap();
        });
        news.recv().unwrap();
        let processes = client::tree(me(), true).unwrap();
        let thread = processes[0].threads.iter().find(|thread| thread.wait.is_some()).unwrap();
        let wait = thread.wait.as_ref().unwrap();
        assert_eq!((wait.operation.as_str(), wait.limited), ("wait", false));
        let object = processes[0].objects.iter().find(|object| object.id == wait.object).unwrap();
        assert_eq!((object.kind.as_str(), object.waits), ("Event", 1));
        end.send(()).unwrap();
    });
    assert!(
        client::programs().iter().any(|(pid, _)| *pid == me()) || client::ask(me(), false).is_ok()
    );
}

#[test]
fn a_forked_child_has_nothing_of_it() {
    let _alone = ALONE.lock();
    begin();
    client::ask(me(), false).unwrap();
    in_child(|| {
        assert_eq!(sockets(), []);
        assert!(matches!(client::ask(me(), false), Err(client::Error::NotOurs(_))));
        begin();
        assert_eq!(client::ask(me(), false).unwrap().pid, me());
    });
    client::ask(me(), false).unwrap();
}

#[test]
fn a_number_that_is_anothers_now_is_left_alone() {
    let _alone = ALONE.lock();
    in_child(|| {
        begin();
        client::ask(me(), false).unwrap();
        let [(number, _)] = sockets()[..] else { panic!("{:?}", sockets()) };
        #[expect(unsafe_code, reason = "what a program does that closes all that it finds")]
        // SAFETY: what has it does not depend on it.
        unsafe {
            libc::close(number);
        }
        let path = std::env::temp_dir().join(format!("other-{}", me()));
        let other = UnixListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(other.as_raw_fd(), number);
        // The last one is answered; then it is seen that the socket is not ours any more.
        let _ = client::ask(me(), false);
        assert!(client::ask(me(), false).is_err());
        in_child(|| assert_eq!(sockets().len(), 1));
    });
}
