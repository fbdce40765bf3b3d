//! Commands on a real server: outputs, exit, ends.

use std::thread;

use manyhands_ssh::{Cause, Error, Exit, Output, Request, Session, Step, Stop};
use manyhands_sync::{Limit, Patient};
use support::{Server, soon, wait_until};

mod support;

fn exec(session: &Session, command: &str) -> manyhands_ssh::Channel {
    let request = Request::Exec(command.as_bytes().to_vec());
    session.open(vec![request], &Patient, soon()).unwrap()
}

fn output(session: &Session, command: &str) -> String {
    let channel = exec(session, command);
    let bytes = channel.recv_all(Output::Standard, &Patient, soon()).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_command_has_output_errors_and_a_status() {
    let server = Server::start(&[]);
    let session = server.login();
    let channel = exec(&session, "echo out; echo err >&2; exit 7");
    assert_eq!(channel.recv_all(Output::Standard, &Patient, soon()).unwrap(), b"out\n");
    assert_eq!(channel.recv_all(Output::Error, &Patient, soon()).unwrap(), b"err\n");
    assert_eq!(channel.exit(&Patient, soon()).unwrap(), Exit::Status(7));
    assert!(session.remote_version().starts_with("SSH-2.0-OpenSSH"));
}

#[test]
fn five_mebibytes_of_errors_do_not_stop_a_read_of_output() {
    let server = Server::start(&[]);
    let session = server.login();
    let channel = exec(&session, "head -c 5242880 /dev/zero >&2; echo done");
    assert_eq!(channel.recv_all(Output::Standard, &Patient, soon()).unwrap(), b"done\n");
    assert_eq!(channel.exit(&Patient, soon()).unwrap(), Exit::Status(0));
    let errors = channel.recv_all(Output::Error, &Patient, soon()).unwrap();
    assert_eq!(errors.len(), 5 << 20);
}

#[test]
fn the_status_comes_before_output_is_read_and_other_channels_stay_live() {
    let server = Server::start(&[]);
    let session = server.login();
    // More than what is kept in memory, and than the window.
    let size: usize = 100 << 20;
    let channel = exec(&session, &format!("head -c {size} /dev/zero; exit 3"));
    assert_eq!(channel.exit(&Patient, soon()).unwrap(), Exit::Status(3));
    assert_eq!(output(&session, "echo live"), "live\n");
    // A server tells the status when the command is gone, with output of it still to be sent.
    wait_until(|| channel.is_ended());
    assert_eq!(channel.unread(Output::Standard), size as u64);
    assert!(resident() < 400 << 20, "{} bytes", resident());
    let mut room = vec![1; 1 << 20];
    let mut total = 0;
    loop {
        let count = channel.recv(Output::Standard, &mut room, &Patient, soon()).unwrap();
        if count == 0 {
            break;
        }
        assert!(room[..count].iter().all(|byte| *byte == 0));
        total += count;
    }
    assert_eq!(total, size);
}

/// How much memory this process has that is no file's.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn input_goes_in_and_its_end_is_seen() {
    let server = Server::start(&[]);
    let session = server.login();
    let channel = exec(&session, "cat | md5sum; wc -c </dev/null");
    let data: Vec<u8> = (0..10_000_000_u32).map(|number| (number % 251) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            channel.send_all(&data, &Patient, soon()).unwrap();
            channel.send_eof(&Patient, soon()).unwrap();
        });
        let out = channel.recv_all(Output::Standard, &Patient, soon()).unwrap();
        assert!(out.ends_with(b"-\n0\n"), "{out:?}");
    });
    let echo = exec(&session, "cat");
    thread::scope(|scope| {
        scope.spawn(|| {
            echo.send_all(&data, &Patient, soon()).unwrap();
            echo.send_eof(&Patient, soon()).unwrap();
        });
        assert!(echo.recv_all(Output::Standard, &Patient, soon()).unwrap() == data);
    });
    let late = echo.send(b"more", &Patient, soon());
    assert!(matches!(late, Err(Stop::Failed(Error { cause: Cause::ChannelClosed, .. }))));
}

#[test]
fn a_command_that_reads_nothing_lets_a_send_time_out() {
    let server = Server::start(&[]);
    let session = server.login();
    let channel = exec(&session, "sleep 100");
    let limit = Limit::after(std::time::Duration::from_millis(300));
    let error = channel.send_all(&vec![0; 64 << 20], &Patient, limit).unwrap_err();
    assert!(Error::from(error).is_timeout());
    assert_eq!(output(&session, "echo live"), "live\n");
    // What could not go is not in the way of the end.
    channel.close();
    assert!(channel.is_closed());
}

#[test]
fn outputs_can_be_combined() {
    let server = Server::start(&[]);
    let session = server.login();
    let channel = session.open(vec![], &Patient, soon()).unwrap();
    assert!(!channel.combine_outputs(true).unwrap());
    let request = Request::Exec(b"echo out; echo err >&2".to_vec());
    channel.request(request, &Patient, soon()).unwrap();
    let mut all = channel.recv_all(Output::Standard, &Patient, soon()).unwrap();
    all.sort_unstable();
    let mut expected = b"out\nerr\n".to_vec();
    expected.sort_unstable();
    assert_eq!(all, expected);
    assert_eq!(channel.recv_all(Output::Error, &Patient, soon()).unwrap(), b"");
}

#[test]
fn a_signal_ends_a_command_and_is_told() {
    let server = Server::start(&[]);
    let session = server.login();
    let channel = exec(&session, "kill -TERM $$");
    match channel.exit(&Patient, soon()).unwrap() {
        Exit::Signal(signal) => assert_eq!(signal.name, "TERM"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_terminal_has_a_size_and_variables_are_set_or_refused() {
    let server = Server::start(&["AcceptEnv GREETING"]);
    let session = server.login();
    let size = manyhands_ssh::Size { columns: 91, rows: 33, ..Default::default() };
    let requests = vec![
        Request::Env("GREETING".to_owned(), "hello".to_owned()),
        Request::Env("REFUSED".to_owned(), "hello".to_owned()),
        Request::Pty { term: "vt100".to_owned(), size },
        Request::Exec(b"stty size; echo $TERM $GREETING $REFUSED".to_vec()),
    ];
    let channel = session.open(requests, &Patient, soon()).unwrap();
    let bytes = channel.recv_all(Output::Standard, &Patient, soon()).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), "33 91\r\nvt100 hello\r\n");
}

#[test]
fn a_subsystem_that_is_not_there_is_an_error_with_its_name() {
    let server = Server::start(&[]);
    let session = server.login();
    let request = vec![Request::Subsystem("nonsense".to_owned())];
    let error = Error::from(session.open(request, &Patient, soon()).unwrap_err());
    let words = error.to_string();
    assert_eq!(error.step, Step::Request);
    assert!(words.contains("nonsense") && words.contains("127.0.0.1"), "{words}");
    assert_eq!(output(&session, "echo live"), "live\n");
}

#[test]
fn the_descriptor_says_when_there_is_something_to_read() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let server = Server::start(&[]);
    let session = server.login();
    let channel = exec(&session, "read line; echo $line");
    let number = channel.readiness().unwrap();
    let path = format!("/proc/self/fd/{number}");
    assert!(std::fs::read_link(path).unwrap().to_str().unwrap().contains("eventfd"));
    let watched = own_copy(number);
    let is_ready = |wait: i64| {
        let mut polled = [PollFd::new(&watched, PollFlags::IN)];
        let wait = Timespec { tv_sec: wait, tv_nsec: 0 };
        poll(&mut polled, Some(&wait)).unwrap() == 1
    };
    assert!(!is_ready(0));
    channel.send_all(b"hello\n", &Patient, soon()).unwrap();
    assert!(is_ready(60));
    assert_eq!(channel.recv_all(Output::Standard, &Patient, soon()).unwrap(), b"hello\n");
    assert!(is_ready(0), "the end is something to read, too");
}

fn own_copy(number: i32) -> std::os::fd::OwnedFd {
    let process = rustix::process::Pid::from_raw(std::process::id() as i32).unwrap();
    let this = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()).unwrap();
    rustix::process::pidfd_getfd(this, number, rustix::process::PidfdGetfdFlags::empty()).unwrap()
}

#[test]
fn fifty_threads_share_a_connection() {
    let server = Server::start(&["MaxSessions 200"]);
    let session = server.login();
    thread::scope(|scope| {
        for number in 0..50 {
            let session = &session;
            scope.spawn(move || {
                for round in 0..10 {
                    let words = format!("{number} {round}");
                    assert_eq!(output(session, &format!("echo {words}")).trim_end(), words);
                }
            });
        }
    });
}

#[test]
fn more_sessions_than_the_server_allows_are_refused_and_the_others_live() {
    let server = Server::start(&["MaxSessions 2"]);
    let session = server.login();
    let first = exec(&session, "cat");
    let second = exec(&session, "cat");
    let error = Error::from(session.open(vec![], &Patient, soon()).unwrap_err());
    assert!(matches!(error.cause, Cause::Refused { .. }), "{error}");
    assert_eq!(error.step, Step::OpenChannel);
    drop(second);
    first.send_eof(&Patient, soon()).unwrap();
    assert_eq!(first.exit(&Patient, soon()).unwrap(), Exit::Status(0));
}
