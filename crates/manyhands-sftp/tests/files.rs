//! Files that are read and written as ones here.

mod support;

use std::fs;
use std::io::{BufRead, Read, Seek, SeekFrom, Write};

use manyhands_sftp::packet::{OpenFlags, StatusCode};
use manyhands_sftp::{Attributes, Ended, Error, File};
use support::{Served, noise, serve};

const MIB: usize = 1 << 20;

fn open(served: &Served, name: &str, mode: &str) -> File {
    served.client.open_file(&served.path(name), OpenFlags::from_mode(mode)).unwrap()
}

#[test]
fn who_reads_on_gets_more_and_more_ahead() {
    let served = serve();
    let data = noise(20 * MIB + 11, 1);
    fs::write(served.folder.path("file"), &data).unwrap();
    let mut file = open(&served, "file", "r");
    let mut got = Vec::new();
    loop {
        let piece = file.read_up_to(5_000).unwrap();
        got.extend_from_slice(&piece);
        assert_eq!(file.position(), got.len() as u64);
        if piece.len() < 5_000 {
            break;
        }
    }
    assert!(got == data);
    assert_eq!(file.read_up_to(1).unwrap(), b"");
    file.seek_to(SeekFrom::Start(5)).unwrap();
    assert!(file.read_rest().unwrap() == data[5..]);
}

#[test]
fn a_read_in_one_place_asks_for_little() {
    let served = serve();
    let data = noise(8 * MIB, 2);
    fs::write(served.folder.path("file"), &data).unwrap();
    let mut file = open(&served, "file", "r");
    for place in [5 * MIB, 77, 8 * MIB - 3, 3 * MIB] {
        file.seek_to(SeekFrom::Start(place as u64)).unwrap();
        let expected = &data[place..data.len().min(place + 10)];
        assert_eq!(file.read_up_to(10).unwrap(), expected);
    }
    // At the end of the file: what is missing of the first answer, and whether there is more.
    assert!(served.client.most_in_flight() <= 2);
}

#[test]
fn positions_within_what_is_here_are_free() {
    let served = serve();
    let data = noise(4 * MIB, 3);
    fs::write(served.folder.path("file"), &data).unwrap();
    let mut file = open(&served, "file", "r");
    file.prefetch(None, None).unwrap();
    for place in [0, 10, 300_000, 2 * MIB, 2 * MIB + 100, 100, 4 * MIB - 1, 4 * MIB + 50] {
        file.seek_to(SeekFrom::Start(place as u64)).unwrap();
        let expected = &data[place.min(data.len())..data.len().min(place + 50)];
        assert_eq!(file.read_up_to(50).unwrap(), expected, "{place}");
    }
    assert_eq!(file.seek_to(SeekFrom::End(-7)).unwrap(), data.len() as u64 - 7);
    assert_eq!(file.seek_to(SeekFrom::Current(-3)).unwrap(), data.len() as u64 - 10);
    assert_eq!(file.read_rest().unwrap(), data[data.len() - 10..]);
    assert!(file.seek_to(SeekFrom::Current(-(5 * MIB as i64))).is_err());
}

#[test]
fn a_prefetch_keeps_its_limit() {
    let served = serve();
    let data = noise(4 * MIB, 4);
    fs::write(served.folder.path("file"), &data).unwrap();
    let mut file = open(&served, "file", "r");
    file.prefetch(Some(data.len() as u64), Some(2)).unwrap();
    assert!(file.read_up_to(data.len()).unwrap() == data);
    assert!(served.client.most_in_flight() <= 2);
}

#[test]
fn stretches_come_in_the_order_of_their_asking() {
    let served = serve();
    let data = noise(3 * MIB, 5);
    fs::write(served.folder.path("file"), &data).unwrap();
    let mut file = open(&served, "file", "r");
    let mut ranges: Vec<(u64, u64)> = (0..200).map(|at| (at * 7919, 13 + at)).collect();
    ranges.extend([(2_000_000, 1_000_000), (0, 0), (3 << 20, 5), ((3 << 20) - 2, 5), (9 << 30, 1)]);
    let got: Vec<Vec<u8>> = file.read_ranges(ranges.clone()).unwrap().map(Result::unwrap).collect();
    assert_eq!(got.len(), ranges.len());
    for ((offset, length), got) in ranges.into_iter().zip(got) {
        let begin = data.len().min(usize::try_from(offset).unwrap());
        let end = data.len().min(begin + usize::try_from(length).unwrap());
        assert!(got == data[begin..end], "{offset} {length}");
    }
    assert_eq!(file.position(), 0);
}

#[test]
fn lines_are_read_as_of_any_reader() {
    let served = serve();
    fs::write(served.folder.path("file"), "first\nsecond\nlast").unwrap();
    let file = open(&served, "file", "r");
    let lines: Vec<String> = file.lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["first", "second", "last"]);
}

#[test]
fn writes_are_many_at_once_and_seen_by_who_asks_later() {
    let served = serve();
    let mut file = open(&served, "file", "w");
    let data = noise(3 * MIB, 6);
    for piece in data.chunks(1_000) {
        file.write_data(piece).unwrap();
    }
    // Without any wait for the writes: requests are served one after the other.
    assert_eq!(served.client.stat(&served.path("file")).unwrap().size, Some(data.len() as u64));
    file.settle().unwrap();
    assert_eq!(served.client.in_flight(), 0);
    file.close().unwrap();
    assert!(fs::read(served.folder.path("file")).unwrap() == data);
}

#[test]
fn one_file_is_read_and_written() {
    let served = serve();
    let mut file = open(&served, "file", "w+");
    file.write_all(b"one two three").unwrap();
    file.seek(SeekFrom::Start(4)).unwrap();
    let mut word = [0; 3];
    file.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"two");
    file.write_all(b"-2-").unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(file.read_rest().unwrap(), b"one two-2-ree");
    file.set_stat(&Attributes { size: Some(3), ..Attributes::default() }).unwrap();
    file.rewind().unwrap();
    assert_eq!(file.read_rest().unwrap(), b"one");
    assert_eq!(file.stat().unwrap().size, Some(3));
}

#[test]
fn what_is_appended_goes_to_the_end() {
    let served = serve();
    fs::write(served.folder.path("file"), b"begin").unwrap();
    let mut file = open(&served, "file", "a");
    assert_eq!(file.position(), 5);
    file.write_data(b" and end").unwrap();
    assert_eq!(file.position(), 13);
    file.close().unwrap();
    assert_eq!(fs::read(served.folder.path("file")).unwrap(), b"begin and end");
}

#[test]
fn a_file_that_has_grown_is_read_on() {
    let served = serve();
    fs::write(served.folder.path("file"), b"begin").unwrap();
    let mut file = open(&served, "file", "r");
    assert_eq!(file.read_up_to(100).unwrap(), b"begin");
    assert_eq!(file.read_up_to(100).unwrap(), b"");
    let mut other = open(&served, "file", "a");
    other.write_data(b", end").unwrap();
    assert_eq!(file.read_up_to(100).unwrap(), b", end");
}

#[test]
fn an_exclusive_file_is_made_once() {
    let served = serve();
    drop(open(&served, "file", "wx"));
    let again = served.client.open_file(&served.path("file"), OpenFlags::from_mode("wx"));
    assert_eq!(again.unwrap_err().code(), Some(StatusCode::FAILURE));
}

#[test]
fn an_error_of_a_write_comes_with_the_next_wait() {
    let served = serve();
    let flags = OpenFlags::from_mode("w");
    let mut file = served.client.open_file(b"/dev/full", flags).unwrap();
    file.write_data(b"lost").unwrap();
    assert_eq!(file.settle().unwrap_err().code(), Some(StatusCode::FAILURE));
    // It was told.
    file.settle().unwrap();
    file.write_data(b"lost").unwrap();
    assert_eq!(file.close().unwrap_err().code(), Some(StatusCode::FAILURE));
    assert_eq!(served.client.in_flight(), 0);
}

#[test]
fn a_file_does_what_it_was_opened_for() {
    let served = serve();
    let mut file = open(&served, "file", "w");
    assert!(matches!(file.read_up_to(1), Err(Error::Mode("reading"))));
    file.close().unwrap();
    file.close().unwrap();
    let closed = [
        file.read_up_to(1).map(drop),
        file.write_data(b"x"),
        file.settle(),
        file.stat().map(drop),
        file.seek_to(SeekFrom::Start(0)).map(drop),
    ];
    for result in closed {
        assert!(matches!(result, Err(Error::Ended(Ended::Closed))), "{result:?}");
    }
    let mut file = open(&served, "file", "r");
    assert!(matches!(file.write_data(b"x"), Err(Error::Mode("writing"))));
}
