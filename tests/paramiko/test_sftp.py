"""`SFTPClient` against an OpenSSH server."""

import errno
import io
import os
import stat
import threading

import pytest
from manyhands import paramiko
from support import alarm


@pytest.fixture
def sftp(client):
    with client.open_sftp() as sftp:
        yield sftp


@pytest.fixture
def there(tmp_path):
    """A folder on the server, which is this machine."""
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


def test_names(sftp, there):
    (there / "one").write_bytes(b"1")
    (there / "two").mkdir()
    assert sorted(sftp.listdir(str(there))) == ["one", "two"]
    sftp.chdir(str(there))
    assert sftp.getcwd() == str(there) == sftp.normalize(".")
    assert sorted(sftp.listdir()) == ["one", "two"]
    entries = {entry.filename: entry for entry in sftp.listdir_attr()}
    assert entries["one"].st_size == 1
    assert stat.S_ISDIR(entries["two"].st_mode)
    assert entries["one"].longname.startswith("-rw")
    assert {entry.filename for entry in sftp.listdir_iter()} == {"one", "two"}
    with pytest.raises(paramiko.SFTPError) as caught:
        sftp.chdir("one")
    assert caught.value.args[0] == errno.ENOTDIR
    sftp.chdir(None)
    assert sftp.getcwd() is None


def test_directories_and_links(sftp, there):
    sftp.chdir(str(there))
    sftp.mkdir("folder", 0o700)
    assert stat.S_IMODE((there / "folder").stat().st_mode) == 0o700
    sftp.symlink("folder", "link")
    assert sftp.readlink("link") == "folder"
    assert stat.S_ISLNK(sftp.lstat("link").st_mode)
    assert stat.S_ISDIR(sftp.stat("link").st_mode)
    sftp.unlink("link")
    sftp.rmdir("folder")
    assert os.listdir(there) == []


def test_renaming(sftp, there):
    sftp.chdir(str(there))
    (there / "a").write_text("a")
    (there / "b").write_text("b")
    with pytest.raises(OSError, match="Failure"):
        sftp.rename("a", "b")
    sftp.posix_rename("a", "b")
    sftp.rename("b", "c")
    assert (there / "c").read_text() == "a"
    assert sftp.listdir() == ["c"]


def test_attributes(sftp, there):
    path = there / "file"
    path.write_bytes(b"0123456789")
    name = str(path)
    sftp.chmod(name, 0o640)
    sftp.chown(name, os.getuid(), os.getgid())
    sftp.utime(name, (1_000_000_000, 1_100_000_000.5))
    sftp.truncate(name, 4)
    found = sftp.stat(name)
    assert (found.st_size, stat.S_IMODE(found.st_mode)) == (4, 0o640)
    assert (found.st_uid, found.st_gid) == (os.getuid(), os.getgid())
    sftp.utime(name, (1_000_000_000, 1_100_000_000))
    assert (path.stat().st_atime, path.stat().st_mtime) == (1_000_000_000, 1_100_000_000)
    sftp.utime(name, None)
    assert path.stat().st_mtime > 1_700_000_000


@pytest.mark.parametrize("call", ["open", "stat", "lstat", "remove", "rmdir", "listdir"])
def test_what_is_not_there(sftp, there, call):
    with pytest.raises(FileNotFoundError) as caught:
        getattr(sftp, call)(str(there / "nothing"))
    assert caught.value.errno == errno.ENOENT
    assert "No such file" in str(caught.value)


def test_names_that_are_no_text(sftp, there):
    name = b"\xff\xfe\n"
    with open(os.fsencode(there) + b"/" + name, "wb") as file:
        file.write(b"data")
    (found,) = sftp.listdir(str(there))
    assert os.fsencode(found) == name
    assert sftp.open(f"{there}/{found}").read() == b"data"
    assert sftp.open(os.fsencode(there) + b"/" + name).read() == b"data"
    sftp.remove(there / found)
    assert sftp.listdir(there) == []


def test_ten_thousand_names(sftp, there):
    names = {f"{number:05}" for number in range(10_000)}
    for name in names:
        (there / name).touch()
    assert set(sftp.listdir(str(there))) == names
    assert {entry.filename for entry in sftp.listdir_iter(str(there))} == names


def test_reading(sftp, there):
    data = os.urandom(1_000_000)
    (there / "file").write_bytes(data)
    with sftp.open(str(there / "file"), "rb") as file:
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        assert file.read(10) == data[:10]
        assert file.tell() == 10
        file.seek(500_000)
        room = bytearray(1000)
        assert file.readinto(room) == 1000
        assert room == data[500_000:501_000]
        file.seek(-1000, file.SEEK_CUR)
        assert file.read(20) == data[500_000:500_020]
        file.seek(-10, file.SEEK_END)
        assert file.read(100) == data[-10:]
        assert file.read(1) == b""
        file.seek(0)
        assert file.read() == data
        file.seek(0)
        file.prefetch(len(data), 3)
        assert b"".join(iter(lambda: file.read(70_000), b"")) == data
        stretches = [(0, 10), (999_990, 100), (300_000, 200_000), (2_000_000, 5)]
        expected = [data[begin : begin + length] for begin, length in stretches]
        assert list(file.readv(stretches)) == expected
        with pytest.raises(OSError, match="not open for writing"):
            file.write(b"x")
    with pytest.raises(OSError, match="closed"):
        file.read()


def test_lines(sftp, there):
    (there / "file").write_bytes("one\ntwö\nthree".encode())
    with sftp.open(str(there / "file")) as file:
        assert file.readline() == "one\n"
        assert file.tell() == 4
        assert list(file) == ["twö\n", "three"]
    with sftp.open(str(there / "file"), "r+b") as file:
        assert file.readline() == b"one\n"
        file.write(b"TW")
        assert file.read() == "ö\nthree".encode()
    assert (there / "file").read_text() == "one\nTWö\nthree"


def test_writing(sftp, there):
    path = str(there / "file")
    with sftp.file(path, "w") as file:
        file.write("one\n")
        file.writelines(["two\n", b"three\n"])
        file.flush()
        assert (there / "file").read_text() == "one\ntwo\nthree\n"
        assert file.stat().st_size == 14
        file.truncate(4)
        file.chmod(0o600)
        file.utime((5, 6))
    assert (there / "file").read_text() == "one\n"
    assert (there / "file").stat().st_mtime == 6
    with sftp.open(path, "a") as file:
        assert file.tell() == 4
        file.write("four\n")
    with sftp.open(path, "r+", bufsize=100) as file:
        file.seek(4)
        file.write(b"F")
        assert file.read(3) == b"our"
    assert (there / "file").read_text() == "one\nFour\n"
    with pytest.raises(OSError, match="Failure"):
        sftp.open(path, "wx")


def test_an_error_of_a_write_is_told_by_close(sftp):
    file = sftp.open("/dev/full", "w")
    file.write(b"x" * 100_000)
    with pytest.raises(OSError, match="Failure"):
        file.close()
    assert file.closed
    file.close()


def test_check(sftp, there):
    (there / "file").write_bytes(b"x")
    with sftp.open(str(there / "file")) as file, pytest.raises(OSError, match="unsupported"):
        file.check("sha1")


def test_whole_files(sftp, there, tmp_path):
    data = os.urandom(64 << 20)
    (tmp_path / "here").write_bytes(data)
    told = []
    attributes = sftp.put(tmp_path / "here", str(there / "file"), lambda *it: told.append(it))
    assert attributes.st_size == len(data)
    assert told[-1] == (len(data), len(data))
    assert (there / "file").read_bytes() == data
    told.clear()
    sftp.get(str(there / "file"), tmp_path / "back", callback=lambda *it: told.append(it))
    assert (tmp_path / "back").read_bytes() == data
    assert told[-1] == (len(data), len(data))
    assert told == sorted(told)
    target = io.BytesIO()
    assert sftp.getfo(str(there / "file"), target, prefetch=False) == len(data)
    assert target.getvalue() == data
    attributes = sftp.putfo(io.BytesIO(data[:100]), str(there / "file"), confirm=False)
    assert attributes.st_size is None
    assert (there / "file").read_bytes() == data[:100]


def test_text_goes_as_utf_8(sftp, there):
    text = "täxt€" * 100_000
    sftp.putfo(io.StringIO(text), str(there / "file"))
    assert (there / "file").read_text("utf-8") == text


def test_a_callback_that_raises_ends_the_transfer(sftp, there, tmp_path):
    (there / "file").write_bytes(bytes(10 << 20))

    def stop(done, all):
        raise KeyError(done)

    with pytest.raises(KeyError):
        sftp.get(str(there / "file"), tmp_path / "back", callback=stop)
    with pytest.raises(KeyError):
        sftp.put(there / "file", str(there / "other"), callback=stop)
    assert sftp.stat(str(there / "file")).st_size == 10 << 20


def test_errors_of_files_on_this_side(sftp, there, tmp_path):
    (there / "file").write_bytes(bytes(1 << 20))
    with pytest.raises(OSError, match="No space") as caught:
        sftp.get(str(there / "file"), "/dev/full")
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(FileNotFoundError):
        sftp.put(tmp_path / "nothing", str(there / "other"))

    class Odd:
        def read(self, count):
            return 5

        def write(self, data):
            raise ZeroDivisionError

    with pytest.raises(TypeError, match="bytes or text"):
        sftp.putfo(Odd(), str(there / "other"))
    with pytest.raises(ZeroDivisionError):
        sftp.getfo(str(there / "file"), Odd())
    with pytest.raises(FileNotFoundError):
        sftp.get(str(there / "nothing"), tmp_path / "back")


def test_many_files(sftp, there, tmp_path):
    pairs = []
    for number in range(200):
        (tmp_path / f"{number}").write_bytes(b"%d" % number * number)
        pairs.append((tmp_path / f"{number}", str(there / f"{number}")))
    told = []
    sizes = sftp.put_many(pairs, callback=lambda *it: told.append(it))
    assert sizes == [len(b"%d" % number) * number for number in range(200)]
    assert told == [(done, 200) for done in range(1, 201)]
    back = [(remote, tmp_path / f"back{number}") for number, (_, remote) in enumerate(pairs)]
    back[7] = (str(there / "nothing"), tmp_path / "back7")
    outcomes = sftp.get_many(back, at_once=10)
    assert isinstance(outcomes.pop(7), FileNotFoundError)
    assert outcomes == sizes[:7] + sizes[8:]
    assert (tmp_path / "back150").read_bytes() == b"150" * 150


def test_threads_share_a_session(sftp, there):
    data = {number: os.urandom(300_000) for number in range(20)}

    def work(number):
        path = str(there / f"{number}")
        with sftp.open(path, "wb") as file:
            file.write(data[number])
        results[number] = sftp.open(path, "rb").read()

    results = {}
    threads = [threading.Thread(target=work, args=(number,)) for number in data]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == data


def test_time_limit_and_end(sftp, there):
    sftp.get_channel().settimeout(30)
    with sftp.open(str(there / "file"), "w") as file:
        assert file.gettimeout() == 30
        file.settimeout(None)
    assert sftp.get_channel().gettimeout() is None
    sftp.close()
    with pytest.raises(OSError, match="closed"):
        sftp.listdir()


def test_a_channel_is_needed():
    with pytest.raises(TypeError, match="Channel"):
        paramiko.SFTPClient(object())


def test_server_that_dies_in_a_transfer(start):
    server = start()
    with server.client() as client:
        sftp = client.open_sftp()

        class Sink:
            def write(self, data):
                # It is in the middle of what never ends.
                server.stop()

        with pytest.raises(paramiko.SSHException, match="dropped"):
            sftp.getfo("/dev/zero", Sink())
        with pytest.raises(paramiko.SSHException, match="dropped"):
            sftp.stat("/")


def test_ctrl_c_ends_a_transfer(sftp):
    done = []

    def interrupt():
        raise KeyboardInterrupt

    class Sink:
        def write(self, data):
            done.append(len(data))

    with alarm(interrupt, after=0.2), pytest.raises(KeyboardInterrupt):
        sftp.getfo("/dev/zero", Sink())
    assert done
    assert sftp.stat("/").st_mode
