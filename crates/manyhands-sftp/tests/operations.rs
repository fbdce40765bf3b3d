//! Each operation, against OpenSSH's server.

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use manyhands_sftp::packet::{OpenFlags, StatusCode};
use manyhands_sftp::{Attributes, Error, Extensions};
use support::{noise, serve, serve_with};

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> StatusCode {
    result.unwrap_err().code().unwrap()
}

#[test]
fn the_server_offers_its_extensions_and_says_its_limits() {
    let served = serve();
    assert!(served.client.extensions().has(Extensions::POSIX_RENAME));
    assert!(!served.client.extensions().has("posix-rename@example.com"));
    let limits = served.client.limits();
    assert!(limits.read > 32 * 1024 && u64::from(limits.read) < limits.packet, "{limits:?}");
}

#[test]
fn a_server_that_refuses_to_tell_its_limits_gets_small_requests() {
    let served = serve_with(&["-P", "limits"]);
    assert_eq!(served.client.limits().read, 32 * 1024);
    let data = noise(100_000, 1);
    std::fs::write(served.folder.path("file"), &data).unwrap();
    let mut file = served.client.open_file(&served.path("file"), OpenFlags::READ).unwrap();
    assert_eq!(file.read_rest().unwrap(), data);
}

#[test]
fn attributes_are_told_and_changed() {
    let served = serve();
    let path = served.path("file");
    std::fs::write(served.folder.path("file"), b"12345").unwrap();
    let change = |attributes| served.client.set_stat(&path, &attributes).unwrap();
    change(Attributes { mode: Some(0o640), ..Attributes::default() });
    change(Attributes { size: Some(3), ..Attributes::default() });
    change(Attributes { times: Some((1_000_000, 2_000_000)), ..Attributes::default() });
    let metadata = std::fs::metadata(served.folder.path("file")).unwrap();
    assert_eq!((metadata.atime(), metadata.mtime()), (1_000_000, 2_000_000));
    let told = served.client.stat(&path).unwrap();
    assert_eq!(told.size, Some(3));
    assert_eq!(told.mode, Some(metadata.mode()));
    assert_eq!(told.owner, Some((metadata.uid(), metadata.gid())));
    assert!(!told.is_directory());
    change(Attributes { owner: told.owner, ..Attributes::default() });
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_handle_has_attributes_too() {
    let served = serve();
    let flags = OpenFlags::WRITE | OpenFlags::CREATE;
    let attributes = Attributes { mode: Some(0o600), ..Attributes::default() };
    let handle = served.client.open_handle(&served.path("file"), flags, &attributes).unwrap();
    handle.write(2, b"abc").unwrap();
    assert_eq!(handle.stat().unwrap().size, Some(5));
    handle.set_stat(&Attributes { size: Some(4), ..Attributes::default() }).unwrap();
    handle.sync().unwrap();
    assert!(handle.file_system().unwrap().block_size > 0);
    handle.close().unwrap();
    assert_eq!(std::fs::read(served.folder.path("file")).unwrap(), b"\0\0ab");
    let metadata = std::fs::metadata(served.folder.path("file")).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
}

#[test]
fn links_say_where_they_lead() {
    let served = serve();
    let (target, link) = (served.path("target"), served.path("link"));
    std::fs::write(served.folder.path("target"), b"x").unwrap();
    served.client.symlink(b"target", &link).unwrap();
    assert_eq!(std::fs::read_link(served.folder.path("link")).unwrap().to_str(), Some("target"));
    assert_eq!(served.client.read_link(&link).unwrap(), &b"target"[..]);
    assert_eq!(served.client.real_path(&link).unwrap(), target);
    assert_eq!(served.client.stat(&link).unwrap().size, Some(1));
    assert_eq!(served.client.lstat(&link).unwrap().mode.unwrap() & 0o170_000, 0o120_000);
    let times = Attributes { times: Some((5, 6)), ..Attributes::default() };
    served.client.set_lstat(&link, &times).unwrap();
    assert_eq!(served.client.lstat(&link).unwrap().times.unwrap().1, 6);
    served.client.hard_link(&target, &served.path("twin")).unwrap();
    assert_eq!(std::fs::metadata(served.folder.path("twin")).unwrap().nlink(), 2);
}

#[test]
fn names_are_changed_with_and_without_what_is_there() {
    let served = serve();
    let (old, new) = (served.path("old"), served.path("new"));
    std::fs::write(served.folder.path("old"), b"old").unwrap();
    std::fs::write(served.folder.path("new"), b"new").unwrap();
    assert_eq!(code(served.client.rename(&old, &new)), StatusCode::FAILURE);
    served.client.posix_rename(&old, &new).unwrap();
    assert_eq!(std::fs::read(served.folder.path("new")).unwrap(), b"old");
    served.client.rename(&new, &old).unwrap();
    served.client.remove(&old).unwrap();
    assert_eq!(code(served.client.remove(&old)), StatusCode::NO_SUCH_FILE);
}

#[test]
fn directories_come_and_go() {
    let served = serve();
    let path = served.path("directory");
    served.client.make_directory(&path, Some(0o700)).unwrap();
    assert!(served.client.stat(&path).unwrap().is_directory());
    std::fs::write(served.folder.path("directory/file"), b"").unwrap();
    assert_eq!(code(served.client.remove_directory(&path)), StatusCode::FAILURE);
    std::fs::remove_file(served.folder.path("directory/file")).unwrap();
    served.client.remove_directory(&path).unwrap();
    assert_eq!(code(served.client.stat(&path)), StatusCode::NO_SUCH_FILE);
    assert_eq!(code(served.client.list(&path)), StatusCode::NO_SUCH_FILE);
}

#[test]
fn names_that_are_no_utf8_stay_what_they_are() {
    let served = serve();
    let name = b"\xff\xfe caf\xe9\n".to_vec();
    let path = served.path(&name);
    let mut file = served.client.open_file(&path, OpenFlags::from_mode("w")).unwrap();
    file.write_data(b"x").unwrap();
    file.close().unwrap();
    assert!(served.folder.path(&name).exists());
    let names = served.client.list(&served.path("")).unwrap();
    assert_eq!(names.iter().map(|entry| entry.name.to_vec()).collect::<Vec<_>>(), [name]);
    served.client.symlink(&path, &served.path(b"\xf0link")).unwrap();
    assert_eq!(served.client.read_link(&served.path(b"\xf0link")).unwrap(), path);
    assert_eq!(served.client.real_path(&path).unwrap(), path);
}

#[test]
fn a_directory_of_ten_thousand_is_listed_whole() {
    let served = serve();
    for number in 0..10_000 {
        std::fs::write(served.folder.path(format!("{number}")), b"").unwrap();
    }
    let entries = served.client.list(&served.path("")).unwrap();
    let mut numbers: Vec<u32> = entries
        .iter()
        .map(|entry| std::str::from_utf8(&entry.name).unwrap().parse().unwrap())
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..10_000));
    assert!(entries.iter().all(|entry| entry.attributes.size == Some(0)));
    assert!(entries.iter().all(|entry| entry.long_name.starts_with(b"-rw")));
    // Who stops in the middle leaves nothing under way.
    let some = served.client.entries(&served.path("")).unwrap().take(150).count();
    assert_eq!(some, 150);
    assert_eq!(served.client.real_path(b"/").unwrap(), &b"/"[..]);
    assert_eq!(served.client.in_flight(), 0);
}

#[test]
fn file_systems_are_measured() {
    let served = serve();
    let system = served.client.file_system(&served.path("")).unwrap();
    assert!(system.blocks >= system.available_blocks && system.longest_name >= 255, "{system:?}");
}

#[test]
fn data_is_copied_on_the_server() {
    let served = serve();
    let data = noise(300_000, 2);
    std::fs::write(served.folder.path("from"), &data).unwrap();
    let open = |name, mode| {
        let flags = OpenFlags::from_mode(mode);
        served.client.open_handle(&served.path(name), flags, &Attributes::default()).unwrap()
    };
    let (from, to) = (open("from", "r"), open("to", "w"));
    from.copy_to(1_000, 200_000, &to, 10).unwrap();
    to.close().unwrap();
    let copied = std::fs::read(served.folder.path("to")).unwrap();
    assert_eq!(copied[10..], data[1_000..201_000]);
}

#[test]
fn what_the_server_does_not_offer_is_named() {
    let served = serve_with(&["-P", "posix-rename,statvfs"]);
    let renamed = served.client.posix_rename(b"/a", b"/b");
    assert!(matches!(renamed, Err(Error::NotOffered(Extensions::POSIX_RENAME))));
    let names = served.client.owner_names(&[0], &[0]);
    if served.client.extensions().has(Extensions::USERS_GROUPS) {
        assert_eq!(names.unwrap().0, [&b"root"[..]]);
    } else {
        assert!(matches!(names, Err(Error::NotOffered(name)) if name.starts_with("users")));
    }
}

#[test]
fn paths_of_the_home_are_expanded() {
    let served = serve();
    let home = served.client.expand_path(b"~").unwrap();
    assert_eq!(served.client.expand_path(b"~/x").unwrap(), [&home[..], b"/x"].concat());
}

#[test]
fn a_read_only_server_says_no() {
    let served = serve_with(&["-R"]);
    let opened = served.client.open_file(&served.path("file"), OpenFlags::from_mode("w"));
    assert_eq!(code(opened), StatusCode::PERMISSION_DENIED);
}

#[test]
fn a_name_that_no_packet_holds_is_refused_here() {
    let served = serve();
    let error = served.client.stat(&vec![b'x'; 1 << 20]).unwrap_err();
    assert!(matches!(error, Error::TooLong(_)), "{error}");
    served.client.stat(b"/").unwrap();
}

#[test]
fn a_handle_that_is_dropped_is_closed() {
    let served = serve();
    std::fs::write(served.folder.path("file"), b"").unwrap();
    for _ in 0..served.client.limits().handles.min(3_000) {
        served.client.open_file(&served.path("file"), OpenFlags::READ).unwrap();
    }
    let opened = format!("/proc/{}/fd", served.child.id());
    served.client.stat(b"/").unwrap();
    assert!(std::fs::read_dir(opened).unwrap().count() < 10);
}
