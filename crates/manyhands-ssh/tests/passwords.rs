//! Passwords and questions, which a server of the system would look up in its own tables: so the server is one of ours, over
//! a pair of sockets.

use std::borrow::Cow;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use manyhands_ssh::{Authentication, Error, Options, PrivateKey, Question, Session, Wire};
use manyhands_sync::Patient;
use russh::server::{self, Auth, Response};
use russh::{MethodKind, MethodSet};
use support::{Folder, make_key, soon};

mod support;

/// Lets in who knows `secret`, or `half` and the answer `blue`; never says anything about `later`.
struct Doorkeeper;

impl server::Handler for Doorkeeper {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(match password {
            "secret" => Auth::Accept,
            "half" => Auth::Reject {
                proceed_with_methods: Some(MethodSet::from(
                    [MethodKind::KeyboardInteractive].as_slice(),
                )),
                partial_success: true,
            },
            "later" => std::future::pending().await,
            _ => Auth::reject(),
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(response) = response else {
            return Ok(Auth::Partial {
                name: "Riddle".into(),
                instructions: "Think.".into(),
                prompts: Cow::Owned(vec![("Colour? ".into(), true), ("PIN? ".into(), false)]),
            });
        };
        let answers: Vec<_> = response.collect();
        Ok(if answers == ["blue", "1234"] { Auth::Accept } else { Auth::reject() })
    }
}

/// A connection to a server that is guarded so.
fn connect() -> Session {
    let (here, there) = UnixStream::pair().unwrap();
    thread::spawn(move || serve(there));
    let options = Options::default();
    Session::start(Wire::Unix(here), "the doorkeeper", &options, &Patient, soon()).unwrap()
}

fn serve(stream: UnixStream) {
    let folder = Folder::new();
    let path = make_key(&folder.0, "host", &["ed25519"]);
    let key = PrivateKey::from_openssh(std::fs::read(path).unwrap()).unwrap();
    drop(folder);
    let config = server::Config {
        keys: vec![key],
        auth_rejection_time: Duration::from_millis(1),
        ..server::Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::UnixStream::from_std(stream).unwrap();
        let running = server::run_stream(Arc::new(config), stream, Doorkeeper).await;
        // How it ends is for the other side to say.
        let _ = running.unwrap().await;
    });
}

#[test]
fn the_right_password_opens_and_a_wrong_one_does_not() {
    let session = connect();
    let refused = session.auth_password("ann", "wrong", &Patient, soon()).unwrap();
    assert!(
        matches!(&refused, Authentication::Failure(methods) if methods.len() > 1),
        "{refused:?}"
    );
    let outcome = session.auth_password("ann", "secret", &Patient, soon()).unwrap();
    assert_eq!(outcome, Authentication::Success);
    assert!(session.is_authenticated());
    let again = session.auth_password("ann", "secret", &Patient, soon());
    let words = Error::from(again.unwrap_err()).to_string();
    assert!(words.contains("the doorkeeper") && words.contains("authenticated already"), "{words}");
}

#[test]
fn a_partial_success_names_what_is_wanted_next_and_questions_are_asked() {
    let session = connect();
    let outcome = session.auth_password("ann", "half", &Patient, soon()).unwrap();
    assert_eq!(outcome, Authentication::Partial(vec!["keyboard-interactive".to_owned()]));
    let mut asked = Vec::new();
    let answer = |question: Question| {
        asked.push(question);
        Ok(vec!["blue".to_owned(), "1234".to_owned()])
    };
    let outcome = session.auth_interactive("ann", "", answer, &Patient, soon()).unwrap();
    assert_eq!(outcome, Authentication::Success);
    let [question] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((question.title.as_str(), question.instructions.as_str()), ("Riddle", "Think."));
    let echoes: Vec<_> = question.prompts.iter().map(|prompt| prompt.echo).collect();
    assert_eq!(echoes, [true, false]);
}

#[test]
fn no_proof_is_refused_with_the_methods_that_there_are() {
    let session = connect();
    let outcome = session.auth_none("ann", &Patient, soon()).unwrap();
    let Authentication::Failure(methods) = outcome else { panic!("{outcome:?}") };
    assert!(methods.contains(&"password".to_owned()), "{methods:?}");
}

#[test]
fn a_gate_that_gives_up_ends_the_authentication_and_the_connection() {
    use manyhands_ssh::Stop;
    use manyhands_sync::{Deadline, Gate, Waiter};

    /// Gives up at the first wait.
    struct Hasty;

    impl Gate for Hasty {
        type Error = &'static str;

        fn wait(&self, _: &Arc<Waiter>, _: Option<Deadline>) -> Result<bool, &'static str> {
            Err("no time")
        }
    }

    let session = connect();
    let stop = session.auth_password("ann", "later", &Hasty, soon());
    assert!(matches!(stop, Err(Stop::Interrupted("no time"))));
    assert!(!session.is_active());
    session.auth_password("ann", "secret", &Patient, soon()).unwrap_err();
}
