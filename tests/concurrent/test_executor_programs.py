"""Programs that do not shut down their executors: their work is done before they end."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import PATIENCE, kill_group

PREFACE = """
import atexit, sys, threading, time
from importlib import import_module

futures, multiprocessing = map(import_module, sys.argv[1:3])
kind = sys.argv[3]

def make(workers):
    if kind == "thread":
        return futures.ThreadPoolExecutor(workers)
    return futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(kind))

def write(word, path="words"):
    with open(path, "ab", buffering=0) as file:
        file.write(f"{word}\\n".encode())
    return word

"""


@dataclass
class Ended:
    """What came of a program."""

    status: int
    out: str
    err: str
    words: list[str]


def run(kind: Any, folder: Path, source: str) -> Ended:
    """Runs a program that ends by itself; files take what it prints, as children may go on."""
    path, out, err, words = (folder / name for name in ("program.py", "out", "err", "words"))
    path.write_text(PREFACE + textwrap.dedent(source))
    words.touch()
    multiprocessing = "multiprocessing"
    if kind.owner == "manyhands":
        multiprocessing = "manyhands.multiprocessing"
    command = [sys.executable, str(path), kind.futures.__name__, multiprocessing, kind.name]
    with (
        out.open("w") as stdout,
        err.open("w") as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=folder,
            start_new_session=True,
        ) as process,
    ):
        try:
            status = process.wait(PATIENCE)
        finally:
            kill_group(process.pid)
    return Ended(status, out.read_text(), err.read_text(), words.read_text().split())


def test_a_program_ends_when_all_work_is_done(kind: Any, tmp_path: Path) -> None:
    ended = run(
        kind,
        tmp_path,
        """
        if __name__ == "__main__":
            executor = make(2)
            for number in range(20):
                executor.submit(write, number)
        """,
    )
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    assert sorted(map(int, ended.words)) == list(range(20))


def test_an_error_ends_a_program_when_all_work_is_done(quick_kind: Any, tmp_path: Path) -> None:
    ended = run(
        quick_kind,
        tmp_path,
        """
        if __name__ == "__main__":
            executor = make(2)
            for number in range(20):
                executor.submit(write, number)
            raise LookupError("salt")
        """,
    )
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert ended.err.endswith("\nLookupError: salt\n")
    assert ended.err.count("Traceback") == 1
    assert sorted(map(int, ended.words)) == list(range(20))


def test_an_exit_status_is_kept(quick_kind: Any, tmp_path: Path) -> None:
    ended = run(
        quick_kind,
        tmp_path,
        """
        if __name__ == "__main__":
            make(1).submit(write, "done")
            sys.exit(7)
        """,
    )
    assert (ended.status, ended.err, ended.words) == (7, "", ["done"])


def test_callbacks_are_called_before_a_program_ends(quick_kind: Any, tmp_path: Path) -> None:
    ended = run(
        quick_kind,
        tmp_path,
        """
        if __name__ == "__main__":
            executor = make(1)
            future = executor.submit(write, "soup")
            future.add_done_callback(lambda given: write("called with " + given.result()))
        """,
    )
    assert (ended.status, ended.err) == (0, "")
    assert sorted(ended.words) == ["called", "soup", "soup", "with"]


def test_an_executor_that_was_dropped_does_its_work_before_a_program_ends(
    quick_kind: Any, tmp_path: Path
) -> None:
    ended = run(
        quick_kind,
        tmp_path,
        """
        if __name__ == "__main__":
            for number in range(3):
                executor = make(1)
                executor.submit(write, number)
                executor.submit(write, number)
            del executor
        """,
    )
    assert (ended.status, ended.err) == (0, "")
    assert sorted(ended.words) == ["0", "0", "1", "1", "2", "2"]


def test_a_shutdown_that_was_not_waited_for_ends_before_the_program(
    quick_kind: Any, tmp_path: Path
) -> None:
    ended = run(
        quick_kind,
        tmp_path,
        """
        if __name__ == "__main__":
            executor = make(1)
            for number in range(10):
                executor.submit(write, number)
            executor.shutdown(wait=False)
        """,
    )
    assert (ended.status, ended.err) == (0, "")
    assert ended.words == [str(number) for number in range(10)]


def test_nothing_is_submitted_when_a_program_has_ended(quick_kind: Any, tmp_path: Path) -> None:
    ended = run(
        quick_kind,
        tmp_path,
        """
        def submit_late():
            for late in (used, make(1)):
                try:
                    late.submit(write, "late")
                except RuntimeError as error:
                    print(error)

        if __name__ == "__main__":
            used = make(1)
            used.submit(write, "early")
            atexit.register(submit_late)
        """,
    )
    assert (ended.status, ended.err, ended.words) == (0, "", ["early"])
    used, new = ended.out.splitlines()
    assert used.startswith("cannot schedule new futures after ")
    assert new == "cannot schedule new futures after interpreter shutdown"


def test_a_thread_that_still_runs_may_submit(thread_kind: Any, tmp_path: Path) -> None:
    """It waits until the main thread has come to its end."""
    ended = run(
        thread_kind,
        tmp_path,
        """
        def outlive(executor):
            threading.main_thread().join()
            write("begun")
            try:
                executor.submit(write, "late")
            except RuntimeError as error:
                write("refused" if "after" in str(error) else error)

        if __name__ == "__main__":
            threading.Thread(target=outlive, args=(make(1),)).start()
        """,
    )
    assert (ended.status, ended.err) == (0, "")
    assert ended.words in (["begun", "late"], ["begun", "refused"])


@pytest.mark.parametrize("operation", ["terminate_workers", "kill_workers"])
def test_ours_ends_with_a_program_whose_workers_were_killed(
    our_fork_kind: Any, tmp_path: Path, operation: str
) -> None:
    ended = run(
        our_fork_kind,
        tmp_path,
        f"""
        if __name__ == "__main__":
            executor = make(1)
            future = executor.submit(time.sleep, 3600)
            while not future.running():
                time.sleep(0.001)
            executor.{operation}()
        """,
    )
    assert (ended.status, ended.err) == (0, "")


@pytest.mark.parametrize("way", ["with executor:", "if True:"])
def test_ours_ends_on_ctrl_c(our_process_kind: Any, tmp_path: Path, way: str) -> None:
    """The program sends to all of its group what the terminal would; nobody waits for the rest."""
    ended = run(
        our_process_kind,
        tmp_path,
        f"""
        import os, signal

        if __name__ == "__main__":
            executor = make(2)
            {way}
                futures = [executor.submit(time.sleep, 3600) for _ in range(10)]
                while not all(future.running() for future in futures[:2]):
                    time.sleep(0.001)
                os.killpg(0, signal.SIGINT)
                futures[0].result()
        """,
    )
    assert ended.status == -signal.SIGINT, ended
    assert ended.err.count("Traceback") == 1, ended
    assert "KeyboardInterrupt" in ended.err


def test_a_child_that_a_program_forks_ends_beside_its_executor(
    process_kind: Any, tmp_path: Path
) -> None:
    """It leaves the workers alone, which are its parent's; at its end, too."""
    ended = run(
        process_kind,
        tmp_path,
        """
        import os

        def stay(path):
            write("begun")
            with open(path) as file:
                return file.read()

        if __name__ == "__main__":
            os.mkfifo("gate")
            executor = make(1)
            future = executor.submit(stay, "gate")
            while not os.path.getsize("words"):
                time.sleep(0.001)
            context = multiprocessing.get_context("fork")
            child = context.Process(target=executor.shutdown)
            child.start()
            child.join()
            pid = os.fork()
            if not pid:
                # Of the standard library one hears of that it is not its child's parent.
                sys.stderr = None
                sys.exit(3)
            _, status = os.waitpid(pid, 0)
            with open("gate", "w") as file:
                file.write("done")
            print(child.exitcode, os.waitstatus_to_exitcode(status), future.result())
        """,
    )
    assert (ended.out, ended.status) == ("0 3 done\n", 0)


def test_threads_of_ours_leave_sigint_to_those_of_the_program(
    our_fork_kind: Any, tmp_path: Path
) -> None:
    """One that they took the main thread would notice late. What the program does in such a thread,
    and what is started there, takes it."""
    ended = run(
        our_fork_kind,
        tmp_path,
        """
        import os, signal

        def blocked(task="self"):
            with open(f"/proc/self/task/{task}/status") as file:
                fields = dict(line.split(":", 1) for line in file)
            return int(fields["SigBlk"], 16) >> signal.SIGINT - 1 & 1

        def here():
            return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])

        if __name__ == "__main__":
            executor = make(1)
            executor.submit(int).result()
            others = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
            while not all(map(blocked, others)):
                time.sleep(0.001)
            write(len(others))
            executor.submit(os._exit, 3).exception()
            later = executor.submit(here)
            heard = threading.Event()
            later.add_done_callback(lambda _: (write(here()), heard.set()))
            heard.wait()
            write(later.result())
            executor.shutdown()
        """,
    )
    assert (ended.status, ended.err) == (0, "")
    threads, *blocked = ended.words
    assert int(threads) >= 1
    assert blocked == ["False", "False"]
