//! Servers that die, are late, or say what is no answer; threads that share a session.

mod support;

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use manyhands_sftp::packet::{OpenFlags, Reply, Request, Splitter, Status, StatusCode};
use manyhands_sftp::{Attributes, Cancel, Client, Ended, Error, Malformed, Options, Pair, stream};
use support::{LONG, noise, serve, silent, spawn};

const VERSION: &[u8] = b"\0\0\0\x05\x02\0\0\0\x03";

fn status(code: StatusCode) -> Reply {
    Reply::Status(Status { code, message: Bytes::new(), language: Bytes::new() })
}

/// The writing half of a socket: what is dropped with it is the connection.
struct Half(UnixStream);

impl Write for Half {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.0.shutdown(Shutdown::Both));
    }
}

fn connect(socket: UnixStream) -> Result<Client, Error> {
    stream::connect(socket.try_clone().unwrap(), Half(socket))
}

/// A server that answers as `answer` does: what it returns is sent; it ends where there is nothing.
fn fake(
    mut answer: impl FnMut(u32, Request) -> Option<Vec<u8>> + Send + 'static,
) -> (Client, thread::JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let (mut reader, mut writer) = (theirs.try_clone().unwrap(), theirs);
        let mut greeting = [0; 9];
        reader.read_exact(&mut greeting).unwrap();
        writer.write_all(VERSION).unwrap();
        let mut splitter = Splitter::default();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = reader.read(&mut buffer).unwrap_or(0);
            let mut is_over = count == 0;
            let mut answers = Vec::new();
            splitter
                .feed(&buffer[..count], |packet| {
                    let (id, request) = Request::decode(packet)?;
                    match answer(id, request) {
                        Some(bytes) => answers.push(bytes),
                        None => is_over = true,
                    }
                    Ok(())
                })
                .unwrap();
            // The last first: whoever asks for much at once gets it out of order.
            answers.reverse();
            is_over |= writer.write_all(&answers.concat()).is_err();
            if is_over {
                // The other descriptor is open as well.
                drop(writer.shutdown(Shutdown::Both));
                return;
            }
        }
    });
    let client = connect(ours).unwrap();
    (client.with_timeout(Some(LONG)), server)
}

fn ended(result: Result<impl std::fmt::Debug, Error>) -> Ended {
    match result {
        Err(Error::Ended(ended)) => ended,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_to_nobody_ends_the_session() {
    let (client, server) = fake(|id, _| Some(status(StatusCode::OK).encode(id + 1)));
    let reason = Ended::Malformed(Malformed::Unasked(1));
    assert_eq!(ended(client.stat(b"/")), reason);
    assert_eq!(ended(client.remove(b"/")), reason);
    server.join().unwrap();
}

#[test]
fn what_is_no_packet_ends_the_session() {
    for (bytes, reason) in [
        (&b"\0\0\0\0"[..], Malformed::Empty),
        (b"\0\0\0\x01\x65", Malformed::Short),
        (b"\0\0\0\x05\x02\0\0\0\x03", Malformed::Version),
        (b"\0\0\0\x05\x77\0\0\0\0", Malformed::Type(0x77)),
        (b"\0\0\0\x0a\x65\0\0\0\0\0\0\0\0\x01", Malformed::Short),
        (b"SSH-2.0-OpenSSH", Malformed::TooLong { length: 0x5353_482d, limit: Splitter::LIMIT }),
    ] {
        let (client, server) = fake(move |_, _| Some(bytes.to_vec()));
        assert_eq!(ended(client.stat(b"/")), Ended::Malformed(reason));
        server.join().unwrap();
    }
}

#[test]
fn a_long_packet_that_never_comes_holds_up_nobody_for_ever() {
    let (client, server) = fake(|_, _| Some(b"\0\x80\0\0\x67\0\0\0\0".to_vec()));
    let client = client.with_timeout(Some(Duration::from_millis(50)));
    assert!(matches!(client.stat(b"/"), Err(Error::TimedOut)));
    client.close();
    assert_eq!(ended(client.stat(b"/")), Ended::Closed);
    server.join().unwrap();
}

#[test]
fn an_answer_of_the_wrong_kind_is_an_error_of_that_request() {
    let (client, server) = fake(|id, request| match request {
        Request::Stat { .. } => Some(Reply::Data(Bytes::from_static(b"x")).encode(id)),
        Request::Remove { .. } => Some(Reply::Names(Vec::new()).encode(id)),
        _ => Some(Reply::Attributes(Attributes::default()).encode(id)),
    });
    let message = client.stat(b"/").unwrap_err().to_string();
    assert_eq!(message, "attributes was expected of the SFTP server, and data came");
    assert!(matches!(client.remove(b"/"), Err(Error::Unexpected { .. })));
    assert!(matches!(client.real_path(b"/"), Err(Error::Unexpected { .. })));
    assert!(matches!(client.list(b"/"), Err(Error::Unexpected { .. })));
    client.lstat(b"/").unwrap();
    drop(client);
    server.join().unwrap();
}

/// Serves `data` as the one file, and now and then less of it than was asked for.
fn meagre(data: Vec<u8>) -> (Client, thread::JoinHandle<()>) {
    let mut count = 0;
    fake(move |id, request| {
        let reply = match request {
            Request::Open { .. } => Reply::Handle(Bytes::from_static(b"file")),
            Request::FStat { .. } | Request::Stat { .. } => {
                let size = Some(data.len() as u64);
                Reply::Attributes(Attributes { size, ..Attributes::default() })
            }
            Request::Read { offset, length, .. } => {
                let begin = usize::try_from(offset).unwrap().min(data.len());
                count += 1;
                let length = if count % 3 == 0 { length / 2 + 1 } else { length } as usize;
                match begin < data.len() {
                    true => {
                        let end = data.len().min(begin + length);
                        Reply::Data(Bytes::copy_from_slice(&data[begin..end]))
                    }
                    false => status(StatusCode::EOF),
                }
            }
            _ => status(StatusCode::OK),
        };
        Some(reply.encode(id))
    })
}

#[test]
fn answers_out_of_order_and_short_ones_are_put_together() {
    let data = noise(3_000_001, 5);
    let (client, server) = meagre(data.clone());
    let mut got = Vec::new();
    let count = client.get(b"file", &mut got, Options::default(), &mut silent).unwrap();
    assert_eq!(count, data.len() as u64);
    assert!(got == data);
    client.close();
    server.join().unwrap();
}

#[test]
fn more_data_than_was_asked_for_is_refused() {
    let (client, server) = fake(|id, request| {
        let reply = match request {
            Request::Open { .. } => Reply::Handle(Bytes::from_static(b"file")),
            Request::FStat { .. } => Reply::Attributes(Attributes::default()),
            Request::Read { length, .. } => Reply::Data(vec![0; length as usize + 1].into()),
            _ => status(StatusCode::OK),
        };
        Some(reply.encode(id))
    });
    let got = client.get(b"file", &mut io::sink(), Options::default(), &mut silent);
    assert!(matches!(got, Err(Error::Unexpected { .. })), "{got:?}");
    let mut file = client.open_file(b"file", OpenFlags::READ).unwrap();
    assert!(matches!(file.read_up_to(10), Err(Error::Unexpected { .. })));
    drop(file);
    client.close();
    server.join().unwrap();
}

#[test]
fn an_old_server_is_refused() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        // It speaks when it was spoken to.
        (&theirs).read_exact(&mut [0; 9]).unwrap();
        (&theirs).write_all(b"\0\0\0\x05\x02\0\0\0\x02").unwrap();
        theirs
    });
    let reason = ended(connect(ours));
    assert_eq!(reason, Ended::Version(2));
    drop(server.join().unwrap());
}

#[test]
fn a_server_that_says_nothing_and_goes_is_an_error() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ended(connect(ours)), Ended::ByServer);
    let (ours, theirs) = UnixStream::pair().unwrap();
    (&theirs).write_all(b"\0\0\0").unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ended(connect(ours)), Ended::Torn);
}

#[test]
fn a_server_that_is_killed_fails_all_who_wait() {
    let mut served = serve();
    let data = noise(64 << 20, 6);
    std::fs::write(served.folder.path("file"), &data).unwrap();
    let path = served.path("file");
    let (begun, wait) = channel();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (client, path, begun) = (served.client.clone(), path.clone(), begun.clone());
            thread::spawn(move || {
                let mut count = 0;
                client.get(&path, &mut io::sink(), Options::default(), &mut |_, _| {
                    count += 1;
                    if count == 3 {
                        begun.send(()).unwrap();
                    }
                    ControlFlow::Continue(())
                })
            })
        })
        .collect();
    let (client, put) = (served.client.clone(), served.path("put"));
    let writer = thread::spawn(move || {
        let options = Options::default();
        client.put(&mut io::repeat(7), &put, 0, options, &mut silent)
    });
    for _ in 0..4 {
        wait.recv_timeout(LONG).unwrap();
    }
    served.child.kill().unwrap();
    for reader in readers {
        // One may have been done before.
        if let Err(error) = reader.join().unwrap() {
            assert!(matches!(error, Error::Ended(_)), "{error}");
        }
    }
    ended(writer.join().unwrap());
    ended(served.client.stat(b"/"));
    assert_eq!(served.client.in_flight(), 0);
}

#[test]
fn threads_share_a_session() {
    let served = Arc::new(serve());
    let workers: Vec<_> = (0..16_u64)
        .map(|number| {
            let served = Arc::clone(&served);
            thread::spawn(move || {
                let path = served.path(format!("file{number}"));
                let data = noise(300_000 + usize::try_from(number).unwrap() * 1_111, number);
                for _ in 0..5 {
                    let (client, options) = (&served.client, Options::default());
                    client.put(&mut &data[..], &path, 0, options, &mut silent).unwrap();
                    let mut got = Vec::new();
                    client.get(&path, &mut got, options, &mut silent).unwrap();
                    assert!(got == data);
                    assert!(client.list(&served.path("")).unwrap().len() <= 16);
                    client.remove(&path).unwrap();
                    assert!(client.stat(&path).is_err());
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(served.client.in_flight(), 0);
}

/// What comes from `reader`, `delay` later, without holding up what comes next.
fn delayed(mut reader: impl Read + Send + 'static, delay: Duration) -> impl Read + Send + 'static {
    struct Late(std::sync::mpsc::Receiver<(std::time::Instant, Vec<u8>)>, io::Cursor<Vec<u8>>);
    impl Read for Late {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            if self.1.position() == self.1.get_ref().len() as u64 {
                let Ok((due, bytes)) = self.0.recv() else { return Ok(0) };
                thread::sleep(due.saturating_duration_since(std::time::Instant::now()));
                self.1 = io::Cursor::new(bytes);
            }
            self.1.read(room)
        }
    }
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            let due = std::time::Instant::now() + delay;
            if sender.send((due, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    Late(receiver, io::Cursor::default())
}

/// How far away a far server is: for so long, many times what it takes to send as much as may be under way.
const FAR: Duration = Duration::from_millis(200);

/// How many requests are under way at most when `work` is done on a far server.
fn busy(work: impl FnOnce(&Client, &dyn Fn(&str) -> Vec<u8>, &support::Folder)) -> usize {
    let mut child = spawn(&[]);
    let folder = support::Folder::new();
    let reader = delayed(child.stdout.take().unwrap(), FAR);
    let session = stream::connect(reader, child.stdin.take().unwrap());
    // The one without a limit goes here: the session ends with its last clone.
    let client = session.unwrap().with_timeout(Some(LONG));
    let path =
        |name: &str| std::os::unix::ffi::OsStrExt::as_bytes(folder.path(name).as_os_str()).to_vec();
    work(&client, &path, &folder);
    let most = client.most_in_flight();
    drop(client);
    child.wait().unwrap();
    most
}

#[test]
fn a_far_server_is_kept_busy_by_transfers() {
    let data = noise(20 << 20, 8);
    let most = busy(|client, path, folder| {
        std::fs::write(folder.path("file"), &data).unwrap();
        let mut got = Vec::new();
        client.get(&path("file"), &mut got, Options::default(), &mut silent).unwrap();
        assert!(got == data);
    });
    assert!(most > 30, "get: {most}");
    let most = busy(|client, path, folder| {
        let options = Options::default();
        client.put(&mut &data[..], &path("file"), 0, options, &mut silent).unwrap();
        assert!(std::fs::read(folder.path("file")).unwrap() == data);
    });
    assert!(most > 20, "put: {most}");
}

#[test]
fn a_far_server_is_kept_busy_by_files() {
    let data = noise(20 << 20, 9);
    let most = busy(|client, path, folder| {
        std::fs::write(folder.path("file"), &data).unwrap();
        let mut file = client.open_file(&path("file"), OpenFlags::READ).unwrap();
        let mut got = Vec::new();
        while got.len() < data.len() {
            got.extend_from_slice(&file.read_up_to(20_000).unwrap());
        }
        assert!(got == data);
    });
    assert!(most > 20, "read: {most}");
    let most = busy(|client, path, folder| {
        let mut file = client.open_file(&path("file"), OpenFlags::from_mode("w")).unwrap();
        for piece in data.chunks(20_000) {
            file.write_data(piece).unwrap();
        }
        file.close().unwrap();
        assert!(std::fs::read(folder.path("file")).unwrap() == data);
    });
    assert!(most > 40, "write: {most}");
    let most = busy(|client, path, folder| {
        std::fs::write(folder.path("file"), &data).unwrap();
        let mut file = client.open_file(&path("file"), OpenFlags::READ).unwrap();
        let ranges = (0..500).map(|at| (at * 40_000, 10)).collect();
        assert_eq!(file.read_ranges(ranges).unwrap().map(Result::unwrap).count(), 500);
    });
    assert!(most > 32, "ranges: {most}");
}

#[test]
fn a_far_server_is_kept_busy_by_batches() {
    let most = busy(|client, path, folder| {
        let pair = |number| {
            let name = format!("file{number}");
            std::fs::write(folder.path(&name), b"data").unwrap();
            Pair { remote: path(&name), local: folder.path(format!("got{number}")) }
        };
        let files: Vec<Pair> = (0..200).map(pair).collect();
        let done = &mut |_, result: Result<u64, Error>| {
            assert_eq!(result.unwrap(), 4);
            ControlFlow::Continue(())
        };
        client.get_many(&files, 64, done).unwrap();
    });
    assert!(most >= 60, "{most}");
}

#[test]
fn who_runs_out_of_time_leaves_nothing_behind() {
    let mut late = Vec::new();
    let (sender, closed) = channel();
    let (client, server) = fake(move |id, request| match request {
        Request::Open { .. } => {
            late = Reply::Handle(Bytes::from_static(b"late")).encode(id);
            Some(Vec::new())
        }
        Request::Close { handle } => {
            sender.send(handle).unwrap();
            Some(status(StatusCode::OK).encode(id))
        }
        _ => Some([&late[..], &Reply::Attributes(Attributes::default()).encode(id)].concat()),
    });
    let hasty = client.with_timeout(Some(Duration::from_millis(20)));
    assert!(matches!(hasty.open_file(b"file", OpenFlags::READ), Err(Error::TimedOut)));
    // The session goes on, and what was opened for nobody is closed.
    client.stat(b"/").unwrap();
    assert_eq!(closed.recv_timeout(LONG).unwrap(), &b"late"[..]);
    client.close();
    server.join().unwrap();
}

#[test]
fn a_wait_is_cancelled_from_another_thread() {
    let (sender, asked) = channel();
    let (client, server) = fake(move |_, _| {
        sender.send(()).unwrap();
        Some(Vec::new())
    });
    let cancel = Cancel::default();
    let patient = client.with_patience(Arc::new(cancel.clone()));
    let waiting = thread::spawn(move || patient.stat(b"/"));
    asked.recv_timeout(LONG).unwrap();
    cancel.cancel();
    let error = waiting.join().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the operation was cancelled");
    client.close();
    server.join().unwrap();
}

#[test]
fn the_last_clone_takes_the_session_with_it() {
    let mut child = spawn(&[]);
    let client = stream::connect(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let file = client.unwrap().open_file(b"/dev/null", OpenFlags::READ).unwrap();
    assert!(child.try_wait().unwrap().is_none());
    drop(file);
    assert!(child.wait().unwrap().success());
}
