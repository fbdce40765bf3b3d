//! A session over a reader and a writer, with a thread for each.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::client::{Client, Feeder, Output};
use crate::errors::{Ended, Error};

/// What is to be written, until it is closed.
struct Queue(Mutex<Option<Sender<Vec<u8>>>>);

impl Output for Queue {
    fn send(&self, packet: Vec<u8>) -> io::Result<()> {
        let queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = queue.as_ref().map(|queue| queue.send(packet));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Begins a session with the server that `reader` reads from and `writer` writes to.
///
/// The writer is dropped when the session has ended; the reader, when there is nothing more to read.
///
/// # Errors
/// Those of [`Client::begin`], and of starting threads.
pub fn connect(
    reader: impl Read + Send + 'static,
    writer: impl Write + Send + 'static,
) -> Result<Client, Error> {
    let client = open(reader, writer)?;
    client.begin()?;
    Ok(client)
}

/// As [`connect`], without greeting the server.
///
/// # Errors
/// Those of starting threads.
pub fn open(
    reader: impl Read + Send + 'static,
    writer: impl Write + Send + 'static,
) -> io::Result<Client> {
    let (sender, receiver) = channel();
    let client = Client::new(Queue(Mutex::new(Some(sender))));
    let ends = client.feeder();
    thread::Builder::new()
        .name("sftp-writer".into())
        .spawn(move || write_all(&ends, writer, &receiver))?;
    let fed = client.feeder();
    thread::Builder::new().name("sftp-reader".into()).spawn(move || read_all(&fed, reader))?;
    Ok(client)
}

fn write_all(feeder: &Feeder, mut writer: impl Write, queue: &Receiver<Vec<u8>>) {
    for packet in queue {
        if let Err(error) = writer.write_all(&packet) {
            feeder.end(Ended::Broken(error.to_string()));
            return;
        }
    }
}

fn read_all(feeder: &Feeder, mut reader: impl Read) {
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return feeder.end_of_input(),
            Ok(count) => {
                if feeder.feed(buffer.get(..count).unwrap_or_default()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return feeder.end(Ended::Broken(error.to_string())),
        }
    }
}
