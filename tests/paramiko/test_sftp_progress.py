"""Progress of transfers, and transfers in greenlets."""

import io
import os
import subprocess
import sys
import textwrap

import pytest
from tqdm import tqdm

SIZE = 3 << 20


@pytest.fixture
def sftp(client):
    with client.open_sftp() as sftp:
        yield sftp


class Bar(tqdm):
    """One of tqdm's, in the usual way to use it with paramiko; without its own thread."""

    monitor_interval = 0

    def show(self, done, whole):
        self.total = whole
        self.update(done - self.n)


def test_bars_of_tqdm(sftp, server, tmp_path):
    local, remote = tmp_path / "local", server.path("bar")
    local.write_bytes(os.urandom(SIZE))
    for transfer in (
        lambda show: sftp.put(str(local), remote, callback=show),
        lambda show: sftp.get(remote, str(tmp_path / "back"), callback=show),
        lambda show: sftp.getfo(remote, io.BytesIO(), callback=show),
        lambda show: sftp.putfo(io.BytesIO(bytes(SIZE)), remote, SIZE, callback=show),
    ):
        shown = io.StringIO()
        with Bar(file=shown, unit="B", unit_scale=True, mininterval=0, miniters=1) as bar:
            transfer(bar.show)
            assert (bar.n, bar.total) == (SIZE, SIZE)
        assert "100%" in shown.getvalue()
    pairs = [(remote, tmp_path / str(number)) for number in range(20)]
    with Bar(file=io.StringIO(), unit="file") as bar:
        assert sftp.get_many(pairs, callback=bar.show) == [SIZE] * 20
        assert (bar.n, bar.total) == (20, 20)


def test_a_bar_that_is_interrupted_ends_the_transfer(sftp, server, tmp_path):
    local, remote = tmp_path / "local", server.path("interrupted")
    local.write_bytes(bytes(SIZE))

    def show(done, whole):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sftp.put(str(local), remote, callback=show)
    with pytest.raises(KeyboardInterrupt):
        sftp.getfo(server.path("config"), io.BytesIO(), callback=show)
    assert sftp.stat(remote).st_size <= SIZE


GREENLETS = """
import hashlib, os, sys
from manyhands import gevent, paramiko
from manyhands.gevent import event

port, user, key, folder = int(sys.argv[1]), *sys.argv[2:]

def work(number):
    content = os.urandom(300_000 + number)
    name = f"{folder}/{number}"
    with open(f"{name}.local", "wb") as file:
        file.write(content)
    seen = []
    sftp.put(f"{name}.local", f"{name}.there", callback=lambda done, whole: seen.append(done))
    assert seen[-1] == len(content)
    into = []
    class Target:
        def write(self, data):
            # Another greenlet has its turn within a transfer.
            gevent.sleep(0)
            into.append(data)
    assert sftp.getfo(f"{name}.there", Target()) == len(content)
    assert b"".join(into) == content
    with sftp.open(f"{name}.there", "r+b") as file:
        assert file.read(1000) == content[:1000]
        file.seek(10)
        file.write(b"changed")
        file.flush()
        file.seek(0)
        assert file.read(17) == content[:10] + b"changed"
    pairs = [(f"{name}.there", f"{name}.{copy}") for copy in range(5)]
    assert sftp.get_many(pairs) == [len(content)] * 5
    return number

def wait():
    ticks.append(1)
    if not all(worker.ready() for worker in workers):
        gevent.spawn_later(0.001, wait)

with paramiko.SSHClient() as client:
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
    client.connect("127.0.0.1", port, user, key_filename=key, allow_agent=False, timeout=30)
    with client.open_sftp() as sftp:
        ticks = []
        workers = [gevent.spawn(work, number) for number in range(10)]
        wait()
        gevent.joinall(workers, timeout=40, raise_error=True)
        assert [worker.value for worker in workers] == list(range(10))
        assert len(ticks) > 5
        # One that is killed in the middle of a transfer leaves the session as it was.
        begun = event.Event()
        with open(f"{folder}/large", "wb") as file:
            file.truncate(64 << 20)
        def stop(done, whole):
            begun.set()
            gevent.sleep(0)
        victim = gevent.spawn(sftp.put, f"{folder}/large", f"{folder}/half", stop)
        assert begun.wait(30)
        victim.kill(timeout=30)
        assert victim.dead
        assert sorted(sftp.listdir(folder))[0] == "0.0"
print("done")
"""


@pytest.mark.parametrize("patched", [False, True], ids=["plain", "patched"])
def test_greenlets(server, tmp_path, patched):
    patch = "from manyhands.gevent import monkey; monkey.patch_all()\n" if patched else ""
    program = patch + textwrap.dedent(GREENLETS)
    where = (server.port, server.user, server.path("user"), tmp_path)
    command = [sys.executable, "-c", program, *map(str, where)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
