//! Segments with names, and the families that they go with.
#![expect(unsafe_code, reason = "processes are forked, descriptors closed")]

mod support;

use std::convert::Infallible;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use manyhands_shm::segment::{self, CreateError, Opening, Place, leave};
use rustix::fs::OFlags;

use support::{alone, fork, wait};

const NEW: Opening =
    Opening { flags: (OFlags::CREATE.union(OFlags::EXCL).union(OFlags::RDWR)).bits(), mode: 0o600 };
const THERE: Opening = Opening { flags: OFlags::RDWR.bits(), mode: 0 };

/// A place of this test's own, and a segment's name.
struct Scene {
    folder: PathBuf,
    place: Place,
    name: String,
}

impl Scene {
    fn new() -> Scene {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("manyhands-test-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        Scene { place: Place::at(&folder), folder, name: format!("/{name}") }
    }

    fn create(&self) -> OwnedFd {
        self.create_of(4096).unwrap()
    }

    fn create_of(&self, size: u64) -> Result<OwnedFd, CreateError<Infallible>> {
        segment::create(&self.name, NEW, size, Some(&self.place), || Ok(()))
    }

    /// The segment's file.
    fn file(&self) -> PathBuf {
        Path::new("/dev/shm").join(&self.name[1..])
    }

    /// The folders of families that are there.
    fn families(&self) -> Vec<PathBuf> {
        let entries = self.folder.read_dir().unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// What the only family has listed.
    fn listed(&self) -> Vec<PathBuf> {
        let [family] = &self.families()[..] else { panic!("{:?}", self.families()) };
        family.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        leave();
        let _ = std::fs::remove_file(self.file());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Waits until the other end is closed by all who have it.
fn until_closed(mut reader: &std::io::PipeReader) {
    use std::io::Read as _;

    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

/// A child that ends in that way when its parent has left, and takes everything along.
fn outlives_its_parent(end: impl FnOnce() -> i32) {
    let _alone = alone();
    let scene = Scene::new();
    scene.create();
    let (reader, writer) = std::io::pipe().unwrap();
    let child = fork(|| {
        // SAFETY: the copy of the parent's end, which nobody uses here.
        unsafe { libc::close(writer.as_raw_fd()) };
        until_closed(&reader);
        end()
    });
    leave();
    assert!(scene.file().exists());
    drop(writer);
    assert_eq!(wait(child), 0);
    assert!(!scene.file().exists());
    assert!(scene.families().is_empty());
}

#[test]
fn a_segment_is_listed_until_it_is_unlinked() {
    let _alone = alone();
    let scene = Scene::new();
    let file = scene.create();
    let [entry] = &scene.listed()[..] else { panic!("{:?}", scene.listed()) };
    let status = rustix::fs::fstat(&file).unwrap();
    assert_eq!(status.st_size, 4096);
    assert!(status.st_blocks >= 8, "there is no memory behind it");
    let target = std::fs::read_link(entry).unwrap();
    assert_eq!(target.to_str().unwrap(), format!("{}:{}", status.st_dev, status.st_ino));
    segment::attach(&scene.name, THERE, &scene.place).unwrap();
    segment::unlink(&scene.name, &scene.place).unwrap();
    assert!(scene.listed().is_empty());
    let error = segment::attach(&scene.name, THERE, &scene.place).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn who_leaves_alone_takes_everything_along() {
    let _alone = alone();
    let scene = Scene::new();
    scene.create();
    leave();
    assert!(!scene.file().exists());
    assert!(scene.families().is_empty());
    // And may come back.
    scene.create();
    assert_eq!(scene.listed().len(), 1);
}

#[test]
fn a_forked_child_keeps_a_segment_until_it_leaves() {
    outlives_its_parent(|| {
        leave();
        0
    });
}

#[test]
fn a_child_that_is_killed_keeps_nothing() {
    let _alone = alone();
    let scene = Scene::new();
    scene.create();
    let child = fork(|| std::process::abort());
    wait(child);
    leave();
    assert!(!scene.file().exists());
}

#[test]
fn a_process_leaves_when_it_exits() {
    outlives_its_parent(|| std::process::exit(0));
}

#[test]
fn of_all_who_leave_at_once_one_tidies_up() {
    let _alone = alone();
    for _ in 0..50 {
        let scene = Scene::new();
        scene.create();
        let (reader, writer) = std::io::pipe().unwrap();
        let children: Vec<i32> = (0..6)
            .map(|_| {
                fork(|| {
                    // SAFETY: the copy of the parent's end, which nobody uses here.
                    unsafe { libc::close(writer.as_raw_fd()) };
                    until_closed(&reader);
                    leave();
                    0
                })
            })
            .collect();
        drop(writer);
        leave();
        assert!(children.into_iter().all(|child| wait(child) == 0));
        assert!(!scene.file().exists());
        assert!(scene.families().is_empty());
    }
}

#[test]
fn families_that_are_gone_are_tidied_up_behind() {
    let _alone = alone();
    let scene = Scene::new();
    let gone = scene.folder.join("00000000deadbeef");
    std::fs::create_dir_all(&gone).unwrap();
    let free = segment::create(&scene.name, NEW, 1, None, || Ok::<(), Infallible>(())).unwrap();
    let status = rustix::fs::fstat(&free).unwrap();
    let target = format!("{}:{}", status.st_dev, status.st_ino);
    std::os::unix::fs::symlink(target, gone.join(&scene.name[1..])).unwrap();
    std::os::unix::fs::symlink("1:2", gone.join("long-gone")).unwrap();
    // SAFETY: a number that open(2) gave.
    let holder = unsafe {
        let path = std::ffi::CString::new(gone.to_str().unwrap()).unwrap();
        OwnedFd::from_raw_fd(libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC))
    };
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockShared).unwrap();
    segment::attach(&scene.name, THERE, &scene.place).expect("its family is there");
    drop(holder);
    let error = segment::attach(&scene.name, THERE, &scene.place).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!gone.exists());
}

#[test]
fn files_that_take_the_descriptors_number_are_not_touched() {
    let _alone = alone();
    let scene = Scene::new();
    scene.create();
    let child = fork(|| {
        let (reader, writer) = std::io::pipe().unwrap();
        // As daemons begin; the folder's number is that of a pipe's end then.
        for number in 3..100 {
            if ![reader.as_raw_fd(), writer.as_raw_fd()].contains(&number) {
                // SAFETY: closes what this process has not opened, and puts something else there.
                unsafe { libc::dup2(writer.as_raw_fd(), number) };
            }
        }
        segment::unlink(&scene.name, &scene.place).unwrap();
        let file = scene.create();
        assert!(file.as_raw_fd() >= 100);
        assert_eq!(scene.listed().len(), 1);
        leave();
        // SAFETY: asks whether the number is one of an open file.
        let is_open = |number| unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
        i32::from(!(3..100).all(is_open))
    });
    assert_eq!(wait(child), 0);
    assert_eq!(scene.listed().len(), 1, "this process is still there");
}

#[test]
fn a_name_that_was_unlinked_by_a_stranger_is_listed_anew() {
    let _alone = alone();
    let scene = Scene::new();
    let first = scene.create();
    std::fs::remove_file(scene.file()).unwrap();
    let second = scene.create();
    let [entry] = &scene.listed()[..] else { panic!("{:?}", scene.listed()) };
    let inode = |file| rustix::fs::fstat(file).unwrap().st_ino;
    assert_ne!(inode(&first), inode(&second));
    let target = std::fs::read_link(entry).unwrap();
    assert!(target.to_str().unwrap().ends_with(&format!(":{}", inode(&second))));
}

#[test]
fn who_has_no_descriptor_left_leaves_as_well() {
    let _alone = alone();
    let scene = Scene::new();
    let child = fork(|| {
        scene.create();
        // SAFETY: two numbers to be filled in, and copies of standard input until there are no more.
        unsafe {
            libc::setrlimit(libc::RLIMIT_NOFILE, &libc::rlimit { rlim_cur: 64, rlim_max: 64 });
            while libc::dup(0) >= 0 {}
        }
        leave();
        0
    });
    assert_eq!(wait(child), 0);
    assert!(!scene.file().exists());
    assert!(scene.families().is_empty());
}

#[test]
fn without_a_folder_segments_live_until_they_are_unlinked() {
    let _alone = alone();
    let scene = Scene::new();
    std::fs::write(&scene.folder, "no folder").unwrap();
    scene.create();
    segment::attach(&scene.name, THERE, &scene.place).unwrap();
    leave();
    assert!(scene.file().exists());
    segment::unlink(&scene.name, &scene.place).unwrap();
    assert!(!scene.file().exists());
    std::fs::remove_file(&scene.folder).unwrap();
}

#[test]
fn what_cannot_be_had_leaves_nothing() {
    let _alone = alone();
    let scene = Scene::new();
    let Err(CreateError::Memory(error)) = scene.create_of(1 << 50) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert!(!scene.file().exists());
    scene.create();
    let Err(CreateError::Name(error)) = scene.create_of(1) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(scene.file().metadata().unwrap().len(), 4096);
}

#[test]
fn the_making_of_a_large_segment_can_be_given_up() {
    let _alone = alone();
    let scene = Scene::new();
    let size = 96 << 20;
    let mut count = 0;
    let counting = || {
        count += 1;
        Ok::<(), Infallible>(())
    };
    let file = segment::create(&scene.name, NEW, size, Some(&scene.place), counting).unwrap();
    assert_eq!(rustix::fs::fstat(&file).unwrap().st_size.cast_unsigned(), size);
    assert!(count > 1);
    segment::unlink(&scene.name, &scene.place).unwrap();
    let made = segment::create(&scene.name, NEW, size, Some(&scene.place), || Err("enough"));
    assert!(matches!(made, Err(CreateError::Interrupted("enough"))));
    assert!(!scene.file().exists());
}
