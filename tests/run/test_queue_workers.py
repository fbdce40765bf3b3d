"""`manyhands worker`: processes that take tasks from a queue somewhere."""

import re
import signal
import socket
import sys

import pytest
from programs import finish, start
from queue_programs import (
    KEY,
    MANYHANDS,
    SHUT_DOWN,
    TASKS,
    client,
    in_one_line,
    refused,
    serving,
    worker,
)
from support import until


@pytest.fixture(params=["unix"])
def queues(request, place, key):
    """Queues that are served; their address. A server knows the processes of its own machine that
    use a Unix socket, and hears at once when one dies."""
    bind = "tcp://127.0.0.1:0" if request.param == "tcp" else f"unix://{place.folder}/socket"
    place.write("tasks_of_tests.py", TASKS)
    arguments = ("--ack-queue", "tasks", "--queue", "plain", "--queue", "results")
    arguments += ("--authkey-file", key)
    with serving(place.folder, *arguments, bind=bind) as (server, address):
        yield address
        assert server.end(signal.SIGTERM) == 0


GIVE = ("--give", "results", "-n", "2")


def test_workers_do_what_is_put_and_end_when_the_queue_is_shut_down(place, key, queues):
    with worker(place, key, queues, "square", *GIVE) as run:
        text = "for n in range(50): tasks.put(n)\n"
        text += "print(sorted(results.get() for _ in range(50)) == [n * n for n in range(50)])"
        assert client(place, text + SHUT_DOWN, queues, "tasks,results") == "True\n"
        assert run.end() == 0, run.said
    assert run.said == "manyhands: 50 tasks done, 0 failed\n"


def test_a_task_that_fails_is_shown_and_the_worker_goes_on(place, key, queues):
    with worker(place, key, queues, "careful", "--give", "results", "-n", "1") as run:
        text = "for n in range(12, 18): tasks.put(n)\ntasks.join()\n"
        text += "print([results.get() for _ in range(results.qsize())])"
        assert client(place, text + SHUT_DOWN, queues, "tasks,results") == "[12, 16, 17]\n"
        assert run.end() == 0, run.said
    assert "in careful" in run.said
    assert "ValueError: thirteen is not for me" in run.said
    assert "SystemExit: nor is fourteen" in run.said
    assert "<lambda>" in run.said
    assert run.said.endswith("manyhands: 3 tasks done, 3 failed\n")


def test_a_task_that_cannot_be_read_fails_and_the_worker_goes_on(place, key, queues):
    place.write("elsewhere/only_there.py", "class Job: pass")
    with worker(place, key, queues, "square", "--give", "results", "-n", "1") as run:
        text = "sys.path.append('elsewhere')\nimport only_there\ntasks.put(only_there.Job())\n"
        text += "tasks.put(4)\nprint(results.get())\ntasks.join()"
        assert client(place, text + SHUT_DOWN, queues, "tasks,results") == "16\n"
        assert run.end() == 0, run.said
    assert "No module named 'only_there'" in run.said
    assert run.said.endswith("manyhands: 1 tasks done, 1 failed\n")


@pytest.mark.parametrize("queues", ["unix", "tcp"], indirect=True)
def test_the_task_of_a_worker_that_is_killed_is_done_by_another(place, key, queues):
    with worker(place, key, queues, "once", *GIVE) as run:
        text = f"tasks.put({str(place.folder)!r})\nprint(results.get())\ntasks.join()\n"
        text += "print(results.qsize())"
        printed = client(place, text + SHUT_DOWN, queues, "tasks,results")
        assert printed == "done by another\n0\n"
        assert run.end() == 0, run.said
    assert re.search("a worker has ended: .*SIGKILL", run.said), run.said
    assert run.said.endswith("manyhands: 1 tasks done, 0 failed\n")


def test_without_acknowledgement_the_task_of_a_killed_worker_is_gone(place, key, queues):
    with worker(place, key, queues, "once", *GIVE, take="plain") as run:
        client(place, f"plain.put({str(place.folder)!r})", queues, "plain")
        run.says("a worker has ended")
        text = f"plain.put({str(place.folder)!r})\nprint(results.get(), results.qsize())\n"
        text += "plain._callmethod('shutdown')"
        assert client(place, text, queues, "plain,results") == "done by another 0\n"
        assert run.end() == 0, run.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_workers_in_the_middle_of_tasks(place, key, queues, number):
    path = place.folder / "begun"
    with worker(place, key, queues, "slow", "-n", "2") as run:
        client(place, f"tasks.put({str(path)!r})", queues, "tasks")
        until(path.exists, "the task's begin")
        assert run.end(number) == 128 + number
        assert run.said.endswith("manyhands: 0 tasks done, 0 failed\n")
        assert "Traceback" not in run.said
    # And the task is there for others.
    text = "print(tasks.get(timeout=30))"
    assert client(place, text, queues, "tasks") == f"{path}\n"


def test_workers_end_with_the_command_that_started_them(place, key, queues):
    path = place.folder / "begun"
    with worker(place, key, queues, "slow", "-n", "1") as run:
        client(place, f"tasks.put({str(path)!r})", queues, "tasks")
        until(path.exists, "the task's begin")
        run.process.kill()
        text = "print(tasks.get(timeout=30))"
        assert client(place, text, queues, "tasks") == f"{path}\n"


def test_workers_of_a_server_that_ends_say_so(place, key):
    place.write("tasks_of_tests.py", TASKS)
    path = place.folder / "socket"
    arguments = ("--queue", "tasks", "--authkey-file", key)
    with serving(place.folder, *arguments, bind=f"unix://{path}") as (server, address):
        client(place, "tasks.put(1)", address, "tasks")
        with worker(place, key, address, "square", "-n", "1") as run:
            client(place, "tasks.join()", address, "tasks")
            assert server.end(signal.SIGTERM) == 0
            assert run.end() == 1
    assert "a worker has ended: lost the manager's server" in run.said
    assert "Traceback" not in run.said
    assert run.said.endswith("manyhands: 1 tasks done, 0 failed\n")


def test_workers_take_from_a_server_of_the_standard_library(place, key):
    place.write("tasks_of_tests.py", TASKS)
    program = f"""
        import queue, threading
        from multiprocessing.managers import BaseManager

        class Queues(BaseManager):
            pass

        tasks, results = queue.Queue(), queue.Queue()
        Queues.register("tasks", lambda: tasks)
        Queues.register("results", lambda: results)
        server = Queues(("127.0.0.1", 0), {KEY.encode()!r}).get_server()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.address[1], flush=True)
        for number in range(10):
            tasks.put(number)
        tasks.join()
        print(sorted(results.get() for _ in range(10)), flush=True)
        input()
    """
    place.write("stock.py", program)
    stock = start([sys.executable, "stock.py"], cwd=place.folder)
    try:
        address = f"tcp://127.0.0.1:{stock.stdout.readline().strip()}"
        with worker(place, key, address, "square", *GIVE) as run:
            assert stock.stdout.readline() == f"{[n * n for n in range(10)]}\n"
            assert run.end(signal.SIGINT) == 128 + signal.SIGINT
        assert run.said.endswith("manyhands: 10 tasks done, 0 failed\n")
    finally:
        finish(stock, "\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tasks_of_tests:fly", "--take", "tasks"], "there is no function tasks_of_tests:fly"),
        (["nowhere:fly", "--take", "tasks"], "No module named 'nowhere'"),
        (["os:name", "--take", "tasks"], "name in os is no function"),
        (["os.getpid", "--take", "tasks"], "is no MODULE:FUNCTION"),
        (["os:getpid", "--take", "tasks", "-n", "0"], "at least one process"),
        (["os:getpid"], "--take"),
    ],
)
def test_a_worker_that_makes_no_sense_is_refused(place, arguments, words):
    place.write("tasks_of_tests.py", TASKS)
    assert words in refused(place, "worker", "tcp://127.0.0.1:1", *arguments)


def test_workers_of_no_address_are_refused(place):
    arguments = ("worker", "here", "os:getpid", "--take", "tasks")
    assert "is no address" in refused(place, *arguments)


def test_a_worker_without_a_server_or_a_queue_is_an_error_of_one_line(place, key, queues):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        command = [*MANYHANDS, "worker", nobody, "os:getpid", "--take", "tasks"]
        in_one_line(place.call(command), f"cannot use the queue tasks at {nobody}: .*refused")
    command = [*MANYHANDS, "worker", queues, "os:getpid", "--authkey-file", key]
    done = place.call([*command, "--take", "buns"])
    in_one_line(done, "cannot use the queue buns at .*'?\"?buns")
    done = place.call([*command, "--take", "tasks", "--give", "buns"])
    in_one_line(done, "cannot use the queue buns at ")
