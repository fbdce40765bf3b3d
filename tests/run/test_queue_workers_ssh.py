"""`manyhands worker --ssh`: workers on another machine; here, this one by SSH."""

import os
import signal
import sys

import pytest
import sshd
from queue_programs import KEY, SHUT_DOWN, client, key_file, running, serving
from support import until

BARE = f"{sys.executable} -S"

PUT = "for n in range(20): tasks.put(n)\n"
TAKE = "print(sorted(results.get() for _ in range(20)))"


@pytest.fixture(scope="module")
def places(tmp_path_factory, runtime):
    places = sshd.Places(tmp_path_factory.mktemp("home"))
    try:
        places.add("there")
        yield places
    finally:
        places.stop()


@pytest.fixture(autouse=True)
def home(places, monkeypatch):
    monkeypatch.setenv("HOME", str(places.home))


@pytest.fixture
def key(place):
    return key_file(place.folder, KEY)


@pytest.fixture(params=["tcp", "unix"])
def queues(request, place, key):
    """Queues that are served here; their address."""
    bind = "tcp://127.0.0.1:0" if request.param == "tcp" else f"unix://{place.folder}/socket"
    arguments = ("--queue", "tasks", "--queue", "results", "--authkey-file", key)
    with serving(place.folder, *arguments, bind=bind) as (_, address):
        yield address


def by_ssh(place, key, address, function, *more, python=sys.executable):
    given = ("--take", "tasks", "--give", "results", "-n", "1", "--authkey-file", key)
    ssh = ("--ssh", "there", "--python", python, *more)
    return running(place.folder, "worker", address, function, *given, *ssh)


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_tasks_are_done_there(place, key, queues):
    with by_ssh(place, key, queues, "operator:neg") as run:
        printed = client(place, PUT + TAKE + SHUT_DOWN, queues, "tasks,results")
        assert printed == f"{sorted(-number for number in range(20))}\n"
        assert run.end() == 0, run.said
    assert run.said == "manyhands: 20 tasks done, 0 failed\n"


@pytest.mark.parametrize("queues", ["tcp"], indirect=True)
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 143), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["interrupted", "killed"],
)
def test_it_ends_there_with_the_command_here(place, key, queues, number, status):
    # The leader of the group of the worker is the command there.
    with by_ssh(place, key, queues, "os:getpgid") as run:
        printed = client(place, "tasks.put(0)\nprint(results.get())", queues, "tasks,results")
        assert run.end(number) == status, run.said
    until(lambda: is_gone(int(printed)), "the end of the command there")


@pytest.mark.parametrize("queues", ["unix"], indirect=True)
def test_the_package_is_brought_along_if_that_is_asked_for(place, key, queues):
    with by_ssh(place, key, queues, "operator:neg", python=BARE) as run:
        assert run.end() == 1
    assert run.said.startswith(f"manyhands: there: {BARE} has no manyhands")
    assert "--bootstrap" in run.said
    with by_ssh(place, key, queues, "manyhands:__getattr__", "--bootstrap", python=BARE) as run:
        text = "tasks.put('__version__')\nprint(results.get())"
        assert client(place, text + SHUT_DOWN, queues, "tasks,results").strip()
        assert run.end() == 0, run.said


@pytest.mark.parametrize("queues", ["unix"], indirect=True)
def test_what_is_wrong_there_is_said_here(place, key, queues):
    with by_ssh(place, key, queues, "no_such_module:call") as run:
        assert run.end() == 2
    assert "No module named 'no_such_module'" in run.said
    with by_ssh(place, key, queues, "operator:neg", "--tls-ca", os.devnull) as run:
        assert run.end() == 2
    assert "--tls-ca cannot be used with --ssh" in run.said
