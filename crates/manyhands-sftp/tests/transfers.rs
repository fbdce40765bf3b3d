//! Whole files to and fro, against OpenSSH's server.

mod support;

use std::fs;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use manyhands_sftp::packet::{OpenFlags, StatusCode};
use manyhands_sftp::{Error, Options, Pair};
use support::{noise, serve, serve_with, silent};

const MIB: usize = 1 << 20;

/// Sizes around what fits into one request, or into as many as are under way.
const SIZES: [usize; 9] =
    [0, 1, 1000, 32 * 1024, 32 * 1024 + 1, 261_119, 261_120, 261_121, 5 * MIB + 3];

#[test]
fn files_of_all_sizes_are_put_and_got() {
    for served in [serve(), serve_with(&["-P", "limits"])] {
        for (number, size) in SIZES.into_iter().enumerate() {
            let data = noise(size, number as u64 + 1);
            let path = served.path("file");
            let put = served.client.put(
                &mut &data[..],
                &path,
                size as u64,
                Options::default(),
                &mut silent,
            );
            assert_eq!(put.unwrap().size, Some(size as u64));
            assert!(fs::read(served.folder.path("file")).unwrap() == data, "put of {size}");
            let mut got = Vec::new();
            let count = served.client.get(&path, &mut got, Options::default(), &mut silent);
            assert_eq!(count.unwrap(), size as u64);
            assert!(got == data, "get of {size}");
        }
        // A `get` does not wait for its close, which is answered before this.
        served.client.stat(&served.path("file")).unwrap();
        assert_eq!(served.client.in_flight(), 0);
    }
}

#[test]
fn a_quarter_of_a_gibibyte_goes_there_and_back() {
    let served = serve();
    let (size, piece) = (256 * MIB, noise(MIB, 7));
    let source = fs::File::create(served.folder.path("source")).unwrap();
    source.set_len(size as u64).unwrap();
    for at in [0, 100 * MIB + 17, size - MIB] {
        source.write_all_at(&piece, at as u64).unwrap();
    }
    let mut source = fs::File::open(served.folder.path("source")).unwrap();
    let path = served.path("there");
    let size = size as u64;
    served.client.put(&mut source, &path, size, Options::default(), &mut silent).unwrap();
    let mut target = fs::File::create(served.folder.path("back")).unwrap();
    let mut last = 0;
    let count = served.client.get(&path, &mut target, Options::default(), &mut |done, all| {
        assert!(done > last && done <= all && all == size);
        last = done;
        ControlFlow::Continue(())
    });
    assert_eq!((count.unwrap(), last), (size, size));
    let same = std::process::Command::new("cmp")
        .args(["source", "back"].map(|name| served.folder.path(name)))
        .status();
    assert!(same.unwrap().success());
    assert!(served.client.most_in_flight() <= 70, "{:?}", served.client.most_in_flight());
}

#[test]
fn a_file_without_a_size_is_read_whole() {
    let served = serve();
    for path in ["/proc/self/status", "/proc/cpuinfo", "/proc/self/maps"] {
        let mut got = Vec::new();
        let options = Options::default();
        let count = served.client.get(path.as_bytes(), &mut got, options, &mut silent).unwrap();
        assert!(count > 0 && count == got.len() as u64, "{path}");
    }
    let environment = served.client.open_file(b"/proc/self/environ", OpenFlags::READ);
    let expected = fs::read(format!("/proc/{}/environ", served.child.id())).unwrap();
    assert_eq!(environment.unwrap().read_rest().unwrap(), expected);
}

/// Changes the file when the first data arrives.
struct Meddler<'a> {
    file: &'a fs::File,
    size: u64,
    data: Vec<u8>,
}

impl Write for Meddler<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.data.is_empty() {
            self.file.set_len(self.size).unwrap();
        }
        self.data.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_grows_or_shrinks_meanwhile_ends_where_it_ends() {
    let served = serve();
    let begin = 40 * MIB;
    for size in [10 * MIB + 5, 41 * MIB + 7] {
        let file = fs::File::create(served.folder.path("file")).unwrap();
        let data = noise(begin, 3);
        file.write_all_at(&data, 0).unwrap();
        let mut meddler = Meddler { file: &file, size: size as u64, data: Vec::new() };
        let path = served.path("file");
        let count = served.client.get(&path, &mut meddler, Options::default(), &mut silent);
        let got = meddler.data;
        assert_eq!(count.unwrap(), got.len() as u64);
        assert!(got[..size.min(begin)] == data[..size.min(begin)]);
        if size > begin {
            assert_eq!(got.len(), size);
            assert!(got[begin..].iter().all(|byte| *byte == 0));
        } else {
            // What was under way when it shrank may have been read before.
            assert!(got.len() >= size && got.len() < begin, "{}", got.len());
        }
    }
}

/// Fails after some bytes.
struct Broken(usize);

impl Write for Broken {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(data.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Broken {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(room.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(room.len())
    }
}

#[test]
fn an_error_on_this_side_leaves_nothing_behind() {
    let served = serve();
    let path = served.path("file");
    fs::write(served.folder.path("file"), noise(20 * MIB, 9)).unwrap();
    let options = Options::default();
    let got = served.client.get(&path, &mut Broken(5 * MIB), options, &mut silent);
    assert!(matches!(got, Err(Error::Local(error)) if error.kind() == io::ErrorKind::StorageFull));
    let put = served.client.put(&mut Broken(5 * MIB), &path, 0, options, &mut silent);
    assert!(matches!(put, Err(Error::Local(_))), "{put:?}");
    assert_nothing_is_open(&served);
}

fn assert_nothing_is_open(served: &support::Served) {
    // What is under way is answered before the first, and what that closes before the second.
    served.client.stat(b"/").unwrap();
    served.client.stat(b"/").unwrap();
    assert_eq!(served.client.in_flight(), 0);
    let open = fs::read_dir(format!("/proc/{}/fd", served.child.id())).unwrap();
    let links = open.map(|entry| fs::read_link(entry.unwrap().path()).unwrap());
    let ours = served.folder.path("");
    assert_eq!(links.filter(|link| link.starts_with(&ours)).count(), 0);
}

#[test]
fn a_progress_that_stops_leaves_nothing_behind() {
    let served = serve();
    let path = served.path("file");
    let data = noise(20 * MIB, 9);
    fs::write(served.folder.path("file"), &data).unwrap();
    let mut stop = |done: u64, _: u64| match done > 3 << 20 {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let options = Options::default();
    let got = served.client.get(&path, &mut io::sink(), options, &mut stop);
    assert!(matches!(got, Err(Error::Interrupted(_))), "{got:?}");
    let put = served.client.put(&mut &data[..], &path, 0, options, &mut stop);
    assert!(matches!(put, Err(Error::Interrupted(_))), "{put:?}");
    assert_nothing_is_open(&served);
}

#[test]
fn what_is_not_there_or_not_writable_is_an_error_of_the_server() {
    let served = serve();
    let options = Options::default();
    let got = served.client.get(&served.path("none"), &mut io::sink(), options, &mut silent);
    assert_eq!(got.unwrap_err().code(), Some(StatusCode::NO_SUCH_FILE));
    let put = served.client.put(&mut &b"x"[..], b"/dev/full", 1, options, &mut silent);
    assert_eq!(put.unwrap_err().code(), Some(StatusCode::FAILURE));
    let got = served.client.get(&served.path(""), &mut io::sink(), options, &mut silent);
    assert_eq!(got.unwrap_err().code(), Some(StatusCode::FAILURE));
    assert_nothing_is_open(&served);
}

#[test]
fn a_file_that_does_not_keep_what_it_is_sent_is_a_mismatch() {
    let served = serve();
    let put =
        served.client.put(&mut &b"gone"[..], b"/dev/null", 4, Options::default(), &mut silent);
    let message = put.unwrap_err().to_string();
    assert_eq!(message, "size mismatch in put!  0 != 4");
    let unconfirmed = Options { confirm: false, ..Options::default() };
    served.client.put(&mut &b"gone"[..], b"/dev/null", 4, unconfirmed, &mut silent).unwrap();
}

#[test]
fn reads_are_as_few_at_once_as_is_asked() {
    let served = serve();
    fs::write(served.folder.path("file"), noise(8 * MIB, 4)).unwrap();
    let options = Options { most_reads: Some(3), ..Options::default() };
    served.client.get(&served.path("file"), &mut io::sink(), options, &mut silent).unwrap();
    assert!(served.client.most_in_flight() <= 3);
}

fn pairs(served: &support::Served, count: usize, remote: &str, local: &str) -> Vec<Pair> {
    let pair = |number| Pair {
        remote: served.path(format!("{remote}{number}")),
        local: served.folder.path(format!("{local}{number}")),
    };
    (0..count).map(pair).collect()
}

#[test]
fn a_batch_of_files_goes_there_and_back() {
    let served = serve();
    let size = |number: usize| match number {
        7 => 3 * MIB,
        8 => 261_120,
        9 => 261_119,
        _ => number * 37,
    };
    for number in 0..300 {
        let data = noise(size(number), number as u64);
        fs::write(served.folder.path(format!("a{number}")), data).unwrap();
    }
    let mut seen = vec![0; 300];
    let put = served.client.put_many(&pairs(&served, 300, "b", "a"), 64, &mut |index, result| {
        assert_eq!(result.unwrap(), size(index) as u64);
        seen[index] += 1;
        ControlFlow::Continue(())
    });
    put.unwrap();
    let got = served.client.get_many(&pairs(&served, 300, "b", "c"), 64, &mut |index, result| {
        assert_eq!(result.unwrap(), size(index) as u64);
        seen[index] += 1;
        ControlFlow::Continue(())
    });
    got.unwrap();
    assert!(seen.iter().all(|count| *count == 2));
    for number in 0..300 {
        let read = |letter| fs::read(served.folder.path(format!("{letter}{number}"))).unwrap();
        assert!(read("a") == read("b") && read("a") == read("c"), "{number}");
    }
    assert_nothing_is_open(&served);
}

#[test]
fn a_batch_goes_on_after_a_file_that_fails() {
    let served = serve();
    for number in [0, 1, 3, 4] {
        fs::write(served.folder.path(format!("a{number}")), b"data").unwrap();
    }
    let mut failed = Vec::new();
    let mut note = |index, result: Result<u64, Error>| {
        if let Err(error) = result {
            failed.push((index, error.code()));
        }
        ControlFlow::Continue(())
    };
    served.client.get_many(&pairs(&served, 5, "a", "b"), 8, &mut note).unwrap();
    served.client.put_many(&pairs(&served, 5, "c", "a"), 8, &mut note).unwrap();
    assert_eq!(failed, [(2, Some(StatusCode::NO_SUCH_FILE)), (2, None)]);
    assert_eq!(fs::read(served.folder.path("c4")).unwrap(), b"data");
}

#[test]
fn a_batch_that_is_stopped_leaves_nothing_behind() {
    let served = serve();
    for number in 0..100 {
        fs::write(served.folder.path(format!("a{number}")), b"data").unwrap();
    }
    let mut left = 10;
    let stopped = served.client.get_many(&pairs(&served, 100, "a", "b"), 32, &mut |_, _| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(Error::Interrupted(_))));
    assert_nothing_is_open(&served);
}

#[test]
fn a_size_that_is_not_known_stays_no_obstacle() {
    let served = serve();
    let mut got = Vec::new();
    let pair = [Pair { remote: b"/proc/cpuinfo".to_vec(), local: served.folder.path("cpu") }];
    served
        .client
        .get_many(&pair, 4, &mut |_, result| {
            assert!(result.unwrap() > 0);
            ControlFlow::Continue(())
        })
        .unwrap();
    served.client.get(&served.path("cpu"), &mut got, Options::default(), &mut silent).unwrap();
    assert!(got.starts_with(b"processor"));
}
