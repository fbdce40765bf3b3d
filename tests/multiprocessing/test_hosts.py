"""Pools whose workers are on other machines: here, this one by SSH."""

import contextlib
import logging
import operator
import os
import signal
import subprocess
import sys
import textwrap
import time
import weakref

import pytest
import sshd
from manyhands import multiprocessing
from manyhands.multiprocessing import _host_worker
from manyhands.multiprocessing._hosts import HostError
from manyhands.multiprocessing.pool import TaskTimeout, WorkerDied

cloudpickle = pytest.importorskip("cloudpickle")

# The other side does not have this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

LIMIT = 30

#: A Python that has nothing installed.
BARE = f"{sys.executable} -S"


@pytest.fixture(scope="module")
def places(tmp_path_factory, runtime):
    places = sshd.Places(tmp_path_factory.mktemp("home"))
    try:
        places.add("one", "two")
        yield places
    finally:
        places.stop()


@pytest.fixture(autouse=True)
def home(places, monkeypatch):
    monkeypatch.setenv("HOME", str(places.home))


def pool_of(*hosts, procs=1, method="fork", **options):
    context = multiprocessing.get_context(method)
    return context.Pool(hosts=hosts, python=sys.executable, procs=procs, **options)


@pytest.fixture
def pool():
    with pool_of("one", "two") as pool:
        # Until all is put away pytest keeps what it was given.
        yield weakref.proxy(pool)


def place(_=None):
    return os.getpid(), os.environ["SSH_CONNECTION"]


def ends(pid):
    """Whether a process of that number is gone, or soon is."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_calls_are_done_there(method):
    with pool_of("one", "two", procs=2, method=method) as pool:
        assert pool.map(operator.neg, range(100)) == [-number for number in range(100)]
        assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
        assert list(pool.imap(abs, [-1, -2, -3])) == [1, 2, 3]
        assert sorted(pool.imap_unordered(abs, range(-5, 0), 2)) == [1, 2, 3, 4, 5]
        assert pool.apply(int, ("ff",), {"base": 16}) == 255
        assert pool.apply_async(bytes, (5 << 20,)).get(LIMIT) == bytes(5 << 20)
        pid, connection = pool.apply(place)
        assert connection.startswith("127.0.0.1 ")
        assert pid not in [worker.pid for worker in pool._pool]
        assert len(pool._pool) == 4
        assert sorted(host.address for host in pool._last_words.hosts.values()) == [
            *("one", "one", "two", "two")
        ]


def wrong(number):
    return {}[number]


def test_what_is_raised_there_is_raised_here(pool):
    with pytest.raises(KeyError) as caught:
        pool.apply(wrong, (7,))
    assert caught.value.args == (7,)
    assert "in wrong" in str(caught.value.__cause__)
    with pytest.raises(multiprocessing.pool.MaybeEncodingError, match="lambda"):
        pool.apply(eval, ("lambda: 1",))


def test_a_module_that_is_not_there_is_named(pool, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def call(): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pool_of("one") as other, pytest.raises(ModuleNotFoundError, match="only_here"):
        other.apply(__import__("only_here").call)


KITCHEN = """
from contextvars import ContextVar
dish = ContextVar("dish", default="soup")
def served(_=None):
    return dish.get()
"""


def test_context_variables_go_along(tmp_path, monkeypatch):
    (tmp_path / "kitchen_of_hosts.py").write_text(KITCHEN)
    monkeypatch.syspath_prepend(tmp_path)
    kitchen = __import__("kitchen_of_hosts")
    there = f"env PYTHONPATH={tmp_path} {sys.executable}"
    with multiprocessing.Pool(hosts="one", python=there, procs=1) as pool:
        assert pool.apply(kitchen.served) == "soup"
        token = kitchen.dish.set("pie")
        assert pool.map(kitchen.served, range(2)) == ["pie", "pie"]
        kitchen.dish.reset(token)
        assert pool.apply(kitchen.served) == "soup"


def test_what_a_shell_writes_at_its_start_is_no_answer(places):
    # The server has a shell read this before a command.
    there = places.servers["one"].folder / ".bashrc"
    there.write_text("echo Welcome to this machine\n")
    try:
        with pool_of("one") as pool:
            assert pool.map(abs, [-1, -2]) == [1, 2]
        with multiprocessing.Pool(hosts="one", python=BARE, procs=1, bootstrap=True) as pool:
            assert pool.map(abs, [-1, -2]) == [1, 2]
    finally:
        there.unlink()


def speak(words):
    print(words, flush=True)
    subprocess.run(["echo", "from below", words], check=True)
    print("error", words, file=sys.stderr, flush=True)


def test_what_is_written_there_is_written_here(capfd):
    with pool_of("one") as pool:
        pool.apply(speak, ("of mine",))
        deadline = time.monotonic() + LIMIT
        out = err = ""
        while "below" not in out or "error" not in err:
            more = capfd.readouterr()
            out, err = out + more.out, err + more.err
            assert time.monotonic() < deadline, (out, err)
            time.sleep(0.01)
        pool.close()
        pool.join()
    assert out.splitlines() == ["of mine", "from below of mine"]
    assert err == "error of mine\n"


def test_what_is_logged_there_is_handled_here(caplog):
    with caplog.at_level(logging.INFO), pool_of("one") as pool:
        pool.apply(logging.getLogger("far").info, ("%s apples", 3))
        assert ("far", logging.INFO, "3 apples") in caplog.record_tuples


def test_an_initializer_is_called_there():
    with pool_of("one", initializer=os.putenv, initargs=("FRUIT", "pear")) as pool:
        assert pool.apply(subprocess.getoutput, ("echo $FRUIT",)) == "pear"
    with pool_of("one", initializer=wrong, initargs=("seed",)) as pool, pytest.raises(KeyError):
        pool.apply(abs, (1,))


def test_workers_are_replaced_after_their_tasks():
    with pool_of("one", maxtasksperchild=2) as pool:
        pids = [pool.apply(os.getpid) for _ in range(6)]
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [2, 2, 2]
        pool.close()
        pool.join()
    assert all(map(ends, pids))


def test_limits_hold_there(pool):
    pid = pool.apply(os.getpid)
    with pytest.raises(TaskTimeout, match=r"^(one|two): .*longer than 0.2 s"):
        pool.with_options(timeout=0.2).map(time.sleep, [LIMIT] * 2, 1)
    assert ends(pid)
    with pytest.raises(MemoryError, match="more than 1000000 bytes"):
        pool.with_options(memory=1_000_000).apply(bytes, (100 << 20,))
    # Each item has that time.
    pool.with_options(timeout=5).map(time.sleep, [1.7] * 3, 3)


def once(path):
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def test_a_worker_that_is_killed_there_takes_one_call_with_it(pool, tmp_path):
    with pytest.raises(
        WorkerDied, match=r"(one|two): .*killed by a signal while it did kill"
    ) as caught:
        pool.apply(os.kill, (0, signal.SIGKILL))
    assert caught.value.host in ("one", "two")
    assert pool.with_options(retries=1).apply(once, (str(tmp_path / "mark"),)) == "done"
    assert pool.map(abs, [-1] * 10) == [1] * 10


def test_a_worker_ends_with_what_stands_for_it(pool):
    pid = pool.apply(os.getpid)
    for worker in list(pool._pool):
        os.kill(worker.pid, signal.SIGKILL)
    assert ends(pid)
    assert pool.apply(abs, (-1,)) == 1


def sleep_long(path):
    with open(path, "x"):
        while True:
            signal.pause()


def test_connections_that_are_lost_are_made_again(places, tmp_path):
    server = places.add("three")
    with pool_of("three") as pool:
        begun = tmp_path / "begun"
        asleep = pool.apply_async(sleep_long, (str(begun),))
        next_one = pool.apply_async(abs, (-1,))
        while not begun.exists():
            time.sleep(0.01)
        server.send(signal.SIGKILL)
        with pytest.raises(WorkerDied, match=r"three: .*lost"):
            asleep.get(LIMIT)
        assert next_one.get(LIMIT) == 1


def until_it_fails(pool):
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        with contextlib.suppress(WorkerDied):
            pool.apply(abs, (-1,))


def test_a_host_that_is_gone_is_given_up_and_then_the_pool(places, monkeypatch):
    monkeypatch.setattr(_host_worker, "RECONNECT", 0.5)
    four, five = places.add("four"), places.add("five")
    with pool_of("four", "five") as pool:
        assert pool.map(abs, [-1] * 10) == [1] * 10
        four.stop()
        # What is lost with it is lost, and the others go on.
        deadline = time.monotonic() + LIMIT
        while len(pool._seats_of) > 1:
            with contextlib.suppress(WorkerDied):
                pool.apply(abs, (-1,))
            assert time.monotonic() < deadline
        assert pool.map(abs, [-1] * 10) == [1] * 10
        five.stop()
        with pytest.raises(HostError, match=r"no host is left.*five"):
            until_it_fails(pool)


def test_what_cannot_be_used_is_said_at_once(places):
    def refused(*hosts, python=sys.executable):
        with pytest.raises(HostError) as caught:
            multiprocessing.Pool(hosts=hosts, python=python)
        return str(caught.value)

    assert "one: python9 cannot be run there (exit status 127)" in refused("one", python="python9")
    needs = refused("two", python=BARE)
    assert needs.startswith(f"two: {BARE} has no manyhands")
    assert "-m pip install manyhands==" in needs
    assert "bootstrap=True" in needs
    port = places.servers["one"].port
    assert "localhost" in refused(f"localhost:{port}"), "its key is only known for 127.0.0.1"
    nobody = f"127.0.0.1:{sshd.free_port()}"
    assert refused(nobody).startswith(f"{nobody}: Unable to connect to port")
    with pytest.raises(ValueError, match="at least one host"):
        multiprocessing.Pool(hosts=[])
    with pytest.raises(ValueError, match="procs"):
        multiprocessing.Pool(2, hosts=["one"])
    with pytest.raises(ValueError, match="procs must be"):
        multiprocessing.Pool(hosts="one", procs=0)


def home_of_package(_):
    import manyhands

    return manyhands.__file__


def test_the_package_is_brought_along_and_taken_away():
    with multiprocessing.Pool(hosts="one", python=BARE, procs=2, bootstrap=True) as pool:
        (path,) = set(pool.map(home_of_package, range(4), 1))
        folder = os.path.dirname(os.path.dirname(path))
        assert os.path.basename(folder).startswith("manyhands-")
        pool.close()
        pool.join()
    deadline = time.monotonic() + LIMIT
    while os.path.exists(folder):
        assert time.monotonic() < deadline, f"{folder} was left"
        time.sleep(0.01)


PROGRAM = """
    import os, signal, sys
    from manyhands import multiprocessing

    def tell(_):
        import manyhands
        print(os.getpid(), manyhands.__file__, flush=True)
        while True:
            signal.pause()

    if __name__ == "__main__":
        bare, bring = sys.argv[1], sys.argv[2] == "bring"
        with multiprocessing.Pool(hosts="one", python=bare, procs=1, bootstrap=bring) as pool:
            pool.map(tell, [1])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", ["bring", "as it is"])
def test_nothing_is_left_there_of_a_program_that_is_killed(tmp_path, number, how):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    python = BARE if how == "bring" else sys.executable
    command = [sys.executable, program, python, how]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        pid, path = process.stdout.readline().decode().split()
        process.send_signal(number)
        process.wait(LIMIT)
    assert ends(int(pid))
    if how == "bring":
        deadline = time.monotonic() + LIMIT
        while os.path.exists(path):
            assert time.monotonic() < deadline, f"{path} was left"
            time.sleep(0.01)
