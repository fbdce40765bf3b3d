"""`manyhands serve`: queues for programs of whatever kind."""

import signal
import socket

import pytest
from programs import finish
from queue_programs import (
    KEY,
    MANYHANDS,
    client,
    in_one_line,
    key_file,
    refused,
    serving,
    start_client,
)


@pytest.mark.parametrize("bind", ["tcp://127.0.0.1:0", "unix"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_programs_of_the_standard_library_use_the_queues(place, key, bind, number):
    path = place.folder / "socket"
    bind = f"unix://{path}" if bind == "unix" else bind
    arguments = ("--queue", "tasks", "--queue", "results", "--authkey-file", key)
    with serving(place.folder, *arguments, bind=bind) as (server, address):
        waiting = start_client(place, "print(results.get())", address, "results")
        client(place, "for n in range(3): tasks.put((n, 'a'))", address, "tasks")
        text = """
assert tasks.qsize() == 3
for n in range(3):
    assert tasks.get() == (n, "a")
    tasks.task_done()
tasks.join()
try:
    tasks.get(timeout=0.01)
except queue.Empty:
    results.put({"nothing": [None, 1.5, b"more"]})
"""
        client(place, text, address, "tasks,results")
        assert finish(waiting).stdout == "{'nothing': [None, 1.5, b'more']}\n"
        assert path.exists() == (address == f"unix://{path}")
        assert server.end(number) == 0
    assert not path.exists()
    assert "Traceback" not in server.said


def test_who_does_not_know_the_key_gets_nothing(place, key):
    with serving(place.folder, "--queue", "tasks", "--authkey-file", key) as (server, address):
        other = key_file(place.folder, "another key")
        done = place.call(
            [
                *MANYHANDS,
                "worker",
                address,
                "os:getpid",
                *("--take", "tasks"),
                "--authkey-file",
                other,
            ]
        )
        in_one_line(done, "digest sent was rejected")
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--queue", "tasks", "--bind", "tcp://0.0.0.0:0"], "without a key"),
        (["--queue", "tasks", "--bind", "tcp://[::1]:0"], "IPv6"),
        (["--queue", "tasks", "--bind", "localhost:1"], "is no address"),
        (["--queue", "tasks", "--bind", "tcp://localhost"], "is no address"),
        (["--queue", "tasks", "--bind", "tcp://localhost:70000"], "is no address"),
        (["--queue", "tasks", "--bind", "unix://here"], "is no address"),
        (["--bind", "tcp://127.0.0.1:0"], "nothing to serve"),
        (["--queue", "a", "--ack-queue", "a", "--bind", "tcp://127.0.0.1:0"], "the same name"),
        (["--queue", "a b", "--bind", "tcp://127.0.0.1:0"], "'a b' is not"),
        (["--queue", "tasks", "--bind", "tcp://127.0.0.1:0", "--silence", "0"], "1 to 86400"),
        (["--queue", "tasks"], "--bind"),
    ],
)
def test_a_server_that_makes_no_sense_is_refused(place, arguments, words):
    assert words in refused(place, "serve", *arguments)


def test_a_key_that_is_none_is_refused(place):
    arguments = ["serve", "--queue", "tasks", "--bind", "tcp://127.0.0.1:0", "--authkey-file"]
    assert "No such file" in refused(place, *arguments, "nowhere")
    assert "there is no key in" in refused(place, *arguments, key_file(place.folder, "\n"))


def test_a_key_that_others_can_read_is_warned_of(place):
    path = key_file(place.folder, KEY, 0o644)
    with serving(place.folder, "--queue", "tasks", "--authkey-file", path) as (server, _):
        assert server.end(signal.SIGTERM) == 0
        assert f"chmod 600 {path}" in server.said
    path.chmod(0o600)
    with serving(place.folder, "--queue", "tasks", "--authkey-file", path) as (server, _):
        assert server.end(signal.SIGTERM) == 0
        assert "warning" not in server.said


def test_without_a_key_the_queues_are_for_this_user_only(place):
    path = place.folder / "socket"
    with serving(place.folder, "--queue", "tasks", bind=f"unix://{path}") as (server, _):
        assert path.stat().st_mode & 0o077 == 0
        assert server.end(signal.SIGTERM) == 0
        assert "warning" not in server.said
    with serving(place.folder, "--queue", "tasks") as (server, _):
        assert server.end(signal.SIGTERM) == 0
        assert "every user of this machine" in server.said


def test_an_address_that_is_taken_is_an_error_of_one_line(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = place.call([*MANYHANDS, "serve", "--queue", "tasks", "--bind", bind])
        in_one_line(done, f"cannot listen at {bind}: Address already in use")
