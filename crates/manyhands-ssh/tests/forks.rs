//! Connections and forked children. Alone in its file: a child has only the thread that forked.

use std::time::Duration;

use manyhands_process::{ExitStatus, Process};
use manyhands_ssh::{Cause, Error, Exit, Output, Request, Session};
use manyhands_sync::Patient;
use support::{LIMIT, Server, soon};

mod support;

fn runs(session: &Session) -> bool {
    let request = vec![Request::Exec(b"echo works".to_vec())];
    let Ok(channel) = session.open(request, &Patient, soon()) else { return false };
    let out = channel.recv_all(Output::Standard, &Patient, soon());
    out.is_ok_and(|out| out == b"works\n")
        && matches!(channel.exit(&Patient, soon()), Ok(Exit::Status(0)))
}

fn is_foreign<T, I>(result: Result<T, manyhands_ssh::Stop<I>>) -> bool {
    match result {
        Err(manyhands_ssh::Stop::Failed(Error { cause: Cause::State(words), .. })) => {
            words.contains("parent")
        }
        _ => false,
    }
}

#[test]
fn a_child_is_refused_the_connections_of_its_parent_and_makes_its_own() {
    let server = Server::start(&[]);
    let session = server.login();
    session.set_keepalive(Duration::from_millis(20), 1000).unwrap();
    let request = vec![Request::Exec(b"cat".to_vec())];
    let channel = session.open(request, &Patient, soon()).unwrap();
    for _ in 0..10 {
        let child = Process::fork(|| {
            let mut room = [0; 9];
            let foreign = is_foreign(session.open(vec![], &Patient, soon()))
                && is_foreign(channel.recv(Output::Standard, &mut room, &Patient, soon()))
                && is_foreign(channel.send(b"stray", &Patient, soon()))
                && !session.is_active()
                && channel.is_closed();
            channel.close();
            session.close();
            // A clone that is dropped here must not end the parent's connection either.
            drop(session.clone());
            if !foreign {
                return 1;
            }
            if runs(&server.login()) { 0 } else { 2 }
        });
        let child = child.unwrap();
        assert_eq!(child.join(Some(LIMIT)), Some(ExitStatus::Exited(0)));
        assert!(runs(&session), "the parent's goes on");
    }
    channel.send_all(b"still here", &Patient, soon()).unwrap();
    channel.send_eof(&Patient, soon()).unwrap();
    let came = channel.recv_all(Output::Standard, &Patient, soon()).unwrap();
    assert_eq!(came, b"still here");
}
