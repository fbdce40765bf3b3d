//! How fast files go to a local `sftp-server` and back, beside `cp`: `throughput [MiB]`.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use manyhands_sftp::packet::OpenFlags;
use manyhands_sftp::{Error, Options, Pair, stream};

fn main() -> Result<(), Error> {
    let size: usize = std::env::args().nth(1).and_then(|size| size.parse().ok()).unwrap_or(256);
    let folder = std::env::temp_dir().join(format!("manyhands-throughput-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let measured = measure(size, &folder);
    fs::remove_dir_all(&folder)?;
    measured
}

fn timed<T>(what: &str, size: usize, run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let begun = Instant::now();
    let result = run()?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what:<32} {:9.1} MB/s  {seconds:8.3} s", size as f64 / seconds / 1e6);
    Ok(result)
}

fn measure(mebibytes: usize, folder: &std::path::Path) -> Result<(), Error> {
    let size = mebibytes << 20;
    let path = |name: &str| folder.join(name);
    let remote = |name: &str| path(name).as_os_str().as_bytes().to_vec();
    fs::write(path("source"), vec![7; size])?;
    let mut server = Command::new("/usr/lib/openssh/sftp-server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(reader), Some(writer)) = (server.stdout.take(), server.stdin.take()) else {
        return Ok(());
    };
    let sftp = stream::connect(reader, writer)?;
    let silent = &mut |_, _| ControlFlow::Continue(());
    let options = Options::default();
    timed("cp", size, || Ok(Command::new("cp").args([path("source"), path("copy")]).status()?))?;
    timed("put", size, || {
        let mut source = fs::File::open(path("source"))?;
        sftp.put(&mut source, &remote("there"), size as u64, options, silent)
    })?;
    timed("get", size, || {
        let mut target = fs::File::create(path("back"))?;
        sftp.get(&remote("there"), &mut target, options, silent)
    })?;
    timed("read, 32 KiB at a time", size, || {
        let mut file = sftp.open_file(&remote("there"), OpenFlags::READ)?;
        while !file.read_up_to(32 << 10)?.is_empty() {}
        Ok(())
    })?;
    timed("write, 32 KiB at a time", size, || {
        let mut file = sftp.open_file(&remote("written"), OpenFlags::from_mode("w"))?;
        let piece = vec![7; 32 << 10];
        for _ in 0..size / piece.len() {
            file.write_data(&piece)?;
        }
        file.close()
    })?;
    let files: Vec<Pair> = (0..500)
        .map(|number| Pair {
            remote: remote(&format!("r{number}")),
            local: path(&format!("l{number}")),
        })
        .collect();
    for pair in &files {
        fs::write(&pair.local, vec![7; 4096])?;
    }
    let count = &mut |_, result: Result<u64, Error>| match result {
        Ok(_) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    timed("put_many, 500 of 4 KiB", 500 << 12, || sftp.put_many(&files, 64, count))?;
    timed("get_many, 500 of 4 KiB", 500 << 12, || sftp.get_many(&files, 64, count))?;
    timed("get, 500 of 4 KiB one by one", 500 << 12, || {
        for pair in &files {
            let mut target = fs::File::create(&pair.local)?;
            sftp.get(&pair.remote, &mut target, options, silent)?;
        }
        Ok(())
    })?;
    drop(sftp);
    server.wait()?;
    Ok(())
}
