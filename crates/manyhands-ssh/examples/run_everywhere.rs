//! Runs a command on many hosts at the same time, and says for each what came of it.
//!
//! `run_everywhere user@host[:port] ... -- command`, with the key of the file that `SSH_KEY` names (without a passphrase).
//! It shows the calls, and takes any host for the one that it says it is: a program has to compare
//! `Session::host_key` with what it knows before it authenticates.

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use manyhands_ssh::{Authentication, Error, Exit, Options, Output, PrivateKey, Request, Session};
use manyhands_sync::{Limit, Patient};

/// Who is to be where.
struct Target {
    user: String,
    host: String,
    port: u16,
}

fn target(words: &str) -> Option<Target> {
    let (user, place) = words.split_once('@')?;
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (place, 22),
    };
    Some(Target { user: user.to_owned(), host: host.to_owned(), port })
}

/// What the command printed, and whether it went well.
fn run(target: &Target, key: &Arc<PrivateKey>, command: &str) -> Result<(String, bool), Error> {
    let limit = Limit::after(Duration::from_secs(60));
    let options = Options::default();
    let session = Session::connect(&target.host, target.port, &options, &Patient, limit)?;
    let outcome = session.auth_key(&target.user, key, None, &Patient, limit)?;
    if outcome != Authentication::Success {
        return Ok((format!("{}: the key was not accepted\n", session.host()), false));
    }
    let request = Request::Exec(command.as_bytes().to_vec());
    let channel = session.open(vec![request], &Patient, limit)?;
    let mut printed = channel.recv_all(Output::Standard, &Patient, limit)?;
    printed.extend(channel.recv_all(Output::Error, &Patient, limit)?);
    let exit = channel.exit(&Patient, limit)?;
    Ok((String::from_utf8_lossy(&printed).into_owned(), exit == Exit::Status(0)))
}

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let targets: Option<Vec<Target>> =
        words.by_ref().take_while(|word| word != "--").map(|word| target(&word)).collect();
    let command = words.collect::<Vec<_>>().join(" ");
    let key = env::var_os("SSH_KEY")
        .and_then(|path| std::fs::read(path).ok())
        .and_then(|text| PrivateKey::from_openssh(text).ok());
    let (Some(targets), Some(key), false) = (targets, key, command.is_empty()) else {
        eprintln!("usage: SSH_KEY=file run_everywhere user@host[:port] ... -- command");
        return ExitCode::from(2);
    };
    let key = Arc::new(key);
    let results: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = targets
            .iter()
            .map(|target| (target, scope.spawn(|| run(target, &key, &command))))
            .collect();
        runs.into_iter().map(|(target, run)| (target, run.join())).collect()
    });
    let mut all_well = true;
    for (target, result) in results {
        println!("== {}@{}", target.user, target.host);
        match result {
            Ok(Ok((printed, well))) => {
                print!("{printed}");
                all_well &= well;
            }
            Ok(Err(error)) => {
                println!("{error}");
                all_well = false;
            }
            Err(_) => all_well = false,
        }
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
