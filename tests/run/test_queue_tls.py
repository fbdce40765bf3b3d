"""`manyhands serve` and `manyhands worker` by TLS."""

import signal
import sys
import textwrap

import pytest
from certificates import made
from queue_programs import MANYHANDS, in_one_line, refused, running, serving


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return made(tmp_path_factory.mktemp("ours"), "ours", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    return made(tmp_path_factory.mktemp("others"), "others", "IP:127.0.0.1")


#: What a program does that uses the queues.
PROGRAM = """
    import sys
    from manyhands.multiprocessing.managers import TLS, BaseManager

    class Queues(BaseManager):
        pass

    host, _, port = sys.argv[1].removeprefix("tcp://").rpartition(":")
    for name in ("tasks", "results"):
        Queues.register(name)
    manager = Queues((host, int(port)), b"a key of these tests", tls=TLS(ca=sys.argv[2]))
    manager.connect()
    tasks, results = manager.tasks(), manager.results()
    for number in range(10):
        tasks.put(number)
    print(sorted(results.get() for number in range(10)))
    tasks._callmethod("shutdown")
"""


def test_workers_take_tasks(place, key, files):
    tls = ("--tls-cert", files[0], "--tls-key", files[1])
    arguments = ("--queue", "tasks", "--queue", "results", "--authkey-file", key, *tls)
    with serving(place.folder, *arguments) as (server, address):
        worker = ("worker", address, "operator:neg", "--take", "tasks", "--give", "results")
        worker += ("-n", "2", "--authkey-file", key, "--tls-ca", files[0])
        with running(place.folder, *worker) as workers:
            (place.folder / "program.py").write_text(textwrap.dedent(PROGRAM))
            done = place.call([sys.executable, "program.py", address, files[0]])
            assert done.stdout == f"{[-number for number in range(9, -1, -1)]}\n", done.stderr
            assert workers.end() == 0
        assert server.end(signal.SIGTERM) == 0


def test_who_trusts_another_does_not_take_tasks(place, key, files, others):
    tls = ("--tls-cert", files[0], "--tls-key", files[1])
    with serving(place.folder, "--queue", "tasks", "--authkey-file", key, *tls) as (_, address):
        worker = (*MANYHANDS, "worker", address, "operator:neg", "--take", "tasks")
        done = place.call([*worker, "--authkey-file", key, "--tls-ca", others[0]])
        in_one_line(done, "is not trusted")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tls-cert", "no.pem"], "given together"),
        (["--tls-cert", "no.pem", "--tls-key", "no.key"], "cannot read"),
        (["--tls-cert", __file__, "--tls-key", __file__], "no certificate"),
    ],
)
def test_what_is_no_identity(place, arguments, words):
    bind = ("serve", "--bind", "tcp://127.0.0.1:0", "--queue", "tasks")
    assert words in refused(place, *bind, *arguments)
