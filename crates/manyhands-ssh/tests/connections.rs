//! Making connections to a real server, and how they end.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use manyhands_ssh::{
    Algorithms, Authentication, Cause, Error, Options, Output, Request, Session, Step,
};
use manyhands_sync::{Limit, Patient};
use support::{Server, make_key, signal, soon, user};

mod support;

fn output(session: &Session, command: &str) -> String {
    let request = vec![Request::Exec(command.as_bytes().to_vec())];
    let channel = session.open(request, &Patient, soon()).unwrap();
    let bytes = channel.recv_all(Output::Standard, &Patient, soon()).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Connects with each of the names alone; returns those that the server has, too.
fn in_common(
    server: &Server,
    names: &[String],
    list: impl Fn(&mut Algorithms) -> &mut Vec<String>,
    negotiated: impl Fn(&Session) -> String,
) -> Vec<String> {
    let mut common = Vec::new();
    for name in names {
        let mut options = Options::default();
        *list(&mut options.algorithms) = vec![name.clone()];
        let session = Session::connect("127.0.0.1", server.port, &options, &Patient, soon());
        let session = match session.map_err(Error::from) {
            Ok(session) => session,
            Err(Error { cause: Cause::NoCommonAlgorithm { theirs, .. }, .. }) => {
                assert!(!theirs.contains(name) && !theirs.is_empty(), "{name}: {theirs:?}");
                continue;
            }
            Err(error) => panic!("{name}: {error}"),
        };
        assert_eq!(&negotiated(&session), name);
        let key = server.key("user");
        let outcome = session.auth_key(&user(), &key, None, &Patient, soon()).unwrap();
        assert_eq!(outcome, Authentication::Success, "{name}");
        assert_eq!(output(&session, "echo works"), "works\n", "{name}");
        common.push(name.clone());
    }
    common
}

#[test]
fn every_cipher_that_both_sides_have_works() {
    let server = Server::start(&[]);
    let names = Algorithms::default().ciphers;
    let common = in_common(
        &server,
        &names,
        |all| &mut all.ciphers,
        |session| session.negotiated().unwrap().cipher,
    );
    assert_eq!(common, names, "a server of Debian has all of them");
    assert_eq!(server.login().negotiated().unwrap().cipher, "aes128-gcm@openssh.com");
}

#[test]
fn every_key_exchange_that_both_sides_have_works_and_is_strict() {
    let server = Server::start(&[]);
    let names = Algorithms::default().kex;
    let common = in_common(
        &server,
        &names,
        |all| &mut all.kex,
        |session| {
            assert!(session.negotiated().unwrap().strict || !server_is_strict(session));
            session.negotiated().unwrap().kex
        },
    );
    assert!(common.len() >= 9, "{common:?}");
}

/// Servers since 9.6, and older ones that distributions have mended.
fn server_is_strict(session: &Session) -> bool {
    let version = session.remote_version();
    let number = version.trim_start_matches("SSH-2.0-OpenSSH_").split(['p', ' ']).next();
    let (major, minor) = number.and_then(|number| number.split_once('.')).unwrap();
    (major.parse::<u32>().unwrap(), minor.parse::<u32>().unwrap()) >= (9, 6)
}

#[test]
fn every_type_of_host_key_that_both_sides_have_works() {
    let server = Server::start(&[]);
    let names = Algorithms::default().host_keys;
    let common = in_common(
        &server,
        &names,
        |all| &mut all.host_keys,
        |session| {
            let key = session.host_key().unwrap();
            let negotiated = session.negotiated().unwrap().host_key;
            assert!(
                key.algorithm.starts_with(negotiated.split("-sha2").next().unwrap_or_default())
                    || key.algorithm == "ssh-rsa",
                "{key:?}"
            );
            negotiated
        },
    );
    assert_eq!(common, names);
}

#[test]
fn every_mac_that_both_sides_have_works() {
    let server = Server::start(&["Ciphers aes128-ctr"]);
    let names = Algorithms::default().macs;
    let common = in_common(
        &server,
        &names,
        |all| &mut all.macs,
        |session| session.negotiated().unwrap().mac,
    );
    assert_eq!(common, names);
}

#[test]
fn compression_works() {
    let server = Server::start(&["Compression yes"]);
    let mut options = Options::default();
    options.algorithms.compress();
    let session = server.login_with(&options);
    assert_eq!(output(&session, "seq 1 20000").len(), 108_894);
}

#[test]
fn no_common_algorithm_is_told_with_what_was_offered() {
    let server = Server::start(&["Ciphers aes256-ctr"]);
    let mut options = Options::default();
    options.algorithms.ciphers.retain(|name| name.contains("gcm"));
    let stop = Session::connect("127.0.0.1", server.port, &options, &Patient, soon());
    let error = Error::from(stop.unwrap_err());
    let words = error.to_string();
    assert_eq!(error.step, Step::Handshake);
    assert!(words.contains("aes128-gcm@openssh.com") && words.contains("aes256-ctr"), "{words}");
}

#[test]
fn users_with_keys_of_all_types_are_let_in_and_others_not() {
    let server = Server::start(&[]);
    for (name, kind) in [
        ("rsa", vec!["rsa", "-b", "2048"]),
        ("ecdsa", vec!["ecdsa", "-b", "256"]),
        ("ecdsa384", vec!["ecdsa", "-b", "384"]),
        ("other", vec!["ed25519"]),
    ] {
        make_key(&server.folder.0, name, &kind);
        let session = server.connect(&Options::default());
        let key = server.key(name);
        let refused = session.auth_key(&user(), &key, None, &Patient, soon()).unwrap();
        let Authentication::Failure(methods) = refused else { panic!("{refused:?}") };
        assert!(methods.contains(&"publickey".to_owned()));
        assert!(session.is_active() && !session.is_authenticated());
        server.authorize(name);
        let outcome = session.auth_key(&user(), &key, None, &Patient, soon()).unwrap();
        assert_eq!(outcome, Authentication::Success, "{name}");
        assert_eq!(output(&session, "echo in"), "in\n");
    }
}

#[test]
fn a_failure_to_sign_leaves_the_connection_usable() {
    let server = Server::start(&[]);
    let session = server.connect(&Options::default());
    let key = server.key("user");
    let failing = |_: &[u8], _: Option<&str>| Err("the card is out".to_owned());
    let public = key.public_key().clone();
    let stop = session.auth_key_with(&user(), &public, None, failing, &Patient, soon());
    let words = Error::from(stop.unwrap_err()).to_string();
    assert!(words.contains("the card is out"), "{words}");
    let outcome = session.auth_key(&user(), &key, None, &Patient, soon()).unwrap();
    assert_eq!(outcome, Authentication::Success);
}

#[test]
fn nothing_is_possible_before_authentication() {
    let server = Server::start(&[]);
    let session = server.connect(&Options::default());
    let error = Error::from(session.open(vec![], &Patient, soon()).unwrap_err());
    assert!(matches!(error.cause, Cause::State(_)), "{error}");
}

#[test]
fn a_banner_is_kept() {
    let server = Server::start(&["Banner /etc/os-release"]);
    let session = server.login();
    let words = std::fs::read_to_string("/etc/os-release").unwrap();
    assert_eq!(session.banner().unwrap().replace("\r\n", "\n"), words);
}

#[test]
fn a_port_without_a_server_is_an_error_of_connecting() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let options = Options::default();
    let stop = Session::connect("127.0.0.1", port, &options, &Patient, soon());
    let error = Error::from(stop.unwrap_err());
    assert_eq!(error.step, Step::Connect);
    assert!(matches!(error.cause, Cause::Io(std::io::ErrorKind::ConnectionRefused, ..)));
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let limit = Limit::after(Duration::from_millis(200));
    let stop = Session::connect("127.0.0.1", port, &Options::default(), &Patient, limit);
    let error = Error::from(stop.unwrap_err());
    assert_eq!((error.step, error.is_timeout()), (Step::Handshake, true));
}

#[test]
fn a_server_that_dies_in_the_middle_is_told_with_host_and_step() {
    let server = Server::start(&[]);
    let session = server.login();
    let request = vec![Request::Exec(b"echo begun; sleep 1000".to_vec())];
    let channel = session.open(request, &Patient, soon()).unwrap();
    let mut room = [0; 100];
    let count = channel.recv(Output::Standard, &mut room, &Patient, soon()).unwrap();
    assert_eq!(&room[..count], b"begun\n");
    thread::scope(|scope| {
        let reader = scope.spawn(|| channel.recv(Output::Standard, &mut [0; 9], &Patient, soon()));
        let waiter = scope.spawn(|| channel.exit(&Patient, soon()));
        for process in server.tree() {
            signal("KILL", process);
        }
        let error = Error::from(reader.join().unwrap().unwrap_err());
        assert_eq!(error.step, Step::Receive);
        assert!(error.to_string().contains(&format!("127.0.0.1:{}", server.port)), "{error}");
        assert!(matches!(error.cause, Cause::Closed(_) | Cause::Io(..)), "{error}");
        waiter.join().unwrap().unwrap_err();
    });
    assert!(!session.is_active());
    let error = Error::from(session.open(vec![], &Patient, soon()).unwrap_err());
    assert_eq!(error.step, Step::OpenChannel);
}

#[test]
fn a_server_that_is_stopped_is_noticed_by_its_silence() {
    let server = Server::start(&[]);
    let session = server.login();
    let request = vec![Request::Exec(b"cat".to_vec())];
    let channel = session.open(request, &Patient, soon()).unwrap();
    session.set_keepalive(Duration::from_millis(50), 3).unwrap();
    let stopped = server.connections();
    assert!(!stopped.is_empty());
    for process in &stopped {
        signal("STOP", *process);
    }
    let stop = channel.recv(Output::Standard, &mut [0; 9], &Patient, soon());
    for process in &stopped {
        signal("CONT", *process);
    }
    let error = Error::from(stop.unwrap_err());
    assert!(matches!(error.cause, Cause::Lifeless(_)), "{error}");
    assert!(!session.is_active());
}

#[test]
fn a_live_server_survives_signs_of_life_and_new_keys() {
    let server = Server::start(&[]);
    let session = server.login();
    session.set_keepalive(Duration::from_millis(20), 100).unwrap();
    session.ping(&Patient, soon()).unwrap();
    let request = vec![Request::Exec(b"cat".to_vec())];
    let channel = session.open(request, &Patient, soon()).unwrap();
    let data = vec![7; 3_000_000];
    thread::scope(|scope| {
        scope.spawn(|| {
            channel.send_all(&data, &Patient, soon()).unwrap();
            channel.send_eof(&Patient, soon()).unwrap();
        });
        for _ in 0..3 {
            session.rekey(&Patient, soon()).unwrap();
        }
        let came = channel.recv_all(Output::Standard, &Patient, soon()).unwrap();
        assert!(came == data);
    });
}

#[test]
fn closing_releases_who_waits() {
    let server = Server::start(&[]);
    let session = server.login();
    let request = vec![Request::Exec(b"cat".to_vec())];
    let channel = session.open(request, &Patient, soon()).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| channel.recv(Output::Standard, &mut [0; 9], &Patient, soon()));
        session.close();
        let error = Error::from(reader.join().unwrap().unwrap_err());
        assert!(error.to_string().contains("closed on this side"), "{error}");
    });
    assert!(!session.is_active());
}

#[test]
fn ports_are_forwarded_both_ways_and_connections_jump() {
    let server = Server::start(&[]);
    let session = server.login();
    // There.
    let port = session.forward("127.0.0.1", 0, &Patient, soon()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (channel, _) = session.accept(&Patient, soon()).unwrap();
            let asked = channel.recv_all(Output::Standard, &Patient, soon()).unwrap();
            channel.send_all(&asked, &Patient, soon()).unwrap();
            channel.send_eof(&Patient, soon()).unwrap();
        });
        let channel =
            session.open_direct("127.0.0.1", port, ("127.0.0.1", 9), &Patient, soon()).unwrap();
        channel.send_all(b"round trip", &Patient, soon()).unwrap();
        channel.send_eof(&Patient, soon()).unwrap();
        let came = channel.recv_all(Output::Standard, &Patient, soon()).unwrap();
        assert_eq!(came, b"round trip");
    });
    session.cancel_forward("127.0.0.1", port, &Patient, soon()).unwrap();
    // And through.
    let options = Options::default();
    let far = session.connect_through("127.0.0.1", server.port, &options, &Patient, soon());
    let far = far.unwrap();
    let outcome = far.auth_key(&user(), &server.key("user"), None, &Patient, soon()).unwrap();
    assert_eq!(outcome, Authentication::Success);
    assert_eq!(output(&far, "seq 1 20000").len(), 108_894);
}

#[test]
fn a_connection_through_another_sends_and_receives_much_at_once() {
    const SIZE: usize = 24 << 20;
    let server = Server::start(&[]);
    let near = server.login();
    let far = near
        .connect_through("127.0.0.1", server.port, &Options::default(), &Patient, soon())
        .unwrap();
    far.auth_key(&user(), &server.key("user"), None, &Patient, soon()).unwrap();
    let cat = far.open(vec![Request::Exec(b"cat".to_vec())], &Patient, soon()).unwrap();
    // The window of the near connection is used up again and again, while there is output for the far one.
    thread::scope(|scope| {
        scope.spawn(|| {
            cat.send_all(&vec![7; SIZE], &Patient, soon()).unwrap();
            cat.send_eof(&Patient, soon()).unwrap();
        });
        let came = cat.recv_all(Output::Standard, &Patient, soon()).unwrap();
        assert_eq!(came.len(), SIZE);
    });
    drop(cat);
    far.close();
    assert_eq!(output(&near, "echo near"), "near\n");
}

#[test]
fn a_server_that_is_silent_at_first_is_given_up_before_the_limit() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = Options { banner_time: Some(Duration::from_millis(50)), ..Options::default() };
    let error = Session::connect("127.0.0.1", port, &options, &Patient, soon())
        .map_err(Error::from)
        .unwrap_err();
    assert!(matches!(error.cause, Cause::NoBanner), "{error}");
    assert_eq!(error.step, Step::Handshake);
    // One that has answered has the whole limit.
    let server = Server::start(&[]);
    let session = server.login_with(&options);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(output(&session, "echo here"), "here\n");
}

#[test]
fn old_algorithms_have_names_that_can_be_offered() {
    let server = Server::start(&["Ciphers +aes256-cbc", "MACs +hmac-sha1"]);
    let old = Algorithms::old();
    let mut options = Options::default();
    options.algorithms.kex.extend(old.kex);
    options.algorithms.host_keys.extend(old.host_keys);
    options.algorithms.ciphers = old.ciphers;
    options.algorithms.macs = vec!["hmac-sha1".to_owned()];
    let session = server.login_with(&options);
    let negotiated = session.negotiated().unwrap();
    assert_eq!((&*negotiated.cipher, &*negotiated.mac), ("aes256-cbc", "hmac-sha1"));
    assert_eq!(output(&session, "echo old"), "old\n");
}

#[test]
fn requests_to_the_server_are_answered_or_refused() {
    let server = Server::start(&[]);
    let session = server.login();
    let ask = |answered| {
        session.global_request("none@example.org", b"", answered, &Patient, soon()).unwrap()
    };
    assert_eq!(ask(true), None);
    assert_eq!(ask(false), None);
    let refused = session.open_x11(("127.0.0.1", 6000), &Patient, soon());
    let error = refused.map(drop).map_err(Error::from).unwrap_err();
    assert!(matches!(error.cause, Cause::Refused { .. }), "{error}");
    assert_eq!(output(&session, "echo still"), "still\n");
}

#[test]
fn a_channel_knows_whether_it_can_be_written() {
    let server = Server::start(&[]);
    let session = server.login();
    let request = vec![Request::Exec(b"sleep 60".to_vec())];
    let channel = session.open(request, &Patient, soon()).unwrap();
    assert!(channel.is_writable());
    let limit = Limit::after(Duration::from_millis(200));
    let error = channel.send_all(&vec![0; 64 << 20], &Patient, limit);
    assert!(Error::from(error.unwrap_err()).is_timeout());
    assert!(!channel.is_writable());
    channel.close();
    assert!(!channel.is_writable());
}
