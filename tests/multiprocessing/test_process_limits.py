"""What a program hears that has reached a limit of the system: which one; and that it goes on."""

from __future__ import annotations

import os
from pathlib import Path

import children
import pytest
from support import run_script

METHODS = ["fork", "spawn", "forkserver"]

PROGRAM = f"""
import errno, os, resource, sys
sys.modules['cloudpickle'] = None  # otherwise it could be the one that does not get a descriptor
sys.path.insert(0, {str(Path(children.__file__).parent)!r})
import children
from manyhands import multiprocessing
method = sys.argv[1]
context = multiprocessing.get_context(method)
def start():
    process = context.Process(target=children.end_by, args=('exit',))
    process.start()
    return process
def works():
    process = start()
    process.join()
    assert process.exitcode == 7
    process.close()
def numbers():
    return {{n for n in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + n)}}
def limit(what, number):
    resource.setrlimit(what, (number, resource.getrlimit(what)[1]))
"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("when", ["at first", "later"])
def test_the_limit_of_descriptors_is_named(method: str, when: str) -> None:
    script = PROGRAM + (
        "if sys.argv[2] == 'later': works()\n"
        "else: from manyhands.multiprocessing import popen_forkserver; multiprocessing.Lock()\n"
        "soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]\n"
        "most = max(map(int, numbers())) + 1\n"
        "hold = []\n"
        "limit(resource.RLIMIT_NOFILE, most)\n"
        "try:\n"
        "    while True: hold.append(os.open('/dev/null', os.O_RDONLY))\n"
        "except OSError: pass\n"
        "failed = 0\n"
        "for room in range(24):\n"
        "    limit(resource.RLIMIT_NOFILE, most + room)\n"
        "    try:\n"
        "        process = start()\n"
        "    except OSError as error:\n"
        "        failed += 1\n"
        "        assert error.errno == errno.EMFILE, error\n"
        "        assert 'RLIMIT_NOFILE' in str(error), error\n"
        "    else:\n"
        "        process.join()\n"
        "        assert process.exitcode in (7, 1), process.exitcode\n"
        "        if process.exitcode == 7: break\n"
        "assert failed\n"
        "limit(resource.RLIMIT_NOFILE, soft)\n"
        "for fd in hold: os.close(fd)\n"
        "works(); works()\n"
        "before = numbers()\n"
        "for _ in range(5): works()\n"
        "assert len(numbers()) <= len(before)\n"
    )
    run_script(script, method, when)


@pytest.mark.parametrize("method", METHODS if os.getuid() else ["fork"])
def test_the_limit_of_processes_is_named(method: str) -> None:
    # It does not hold for root, and who is not root cannot always run an interpreter of root's.
    script = PROGRAM + (
        "works()\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "soft = resource.getrlimit(resource.RLIMIT_NPROC)[0]\n"
        "limit(resource.RLIMIT_NPROC, 0)\n"
        "before = numbers()\n"
        "for _ in range(5):\n"
        "    try: start()\n"
        "    except OSError as error:\n"
        "        assert error.errno == errno.EAGAIN, error\n"
        "        assert 'RLIMIT_NPROC' in str(error), error\n"
        "    else: raise AssertionError('no limit')\n"
        "assert len(numbers()) <= len(before) + 1\n"
        "limit(resource.RLIMIT_NPROC, soft)\n"
        "works()\n"
    )
    run_script(script, method)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_executable_that_is_not_there_is_named(method: str) -> None:
    script = PROGRAM + (
        "multiprocessing.set_executable('/nowhere/python')\n"
        "try: start()\n"
        "except FileNotFoundError as error: assert error.filename == '/nowhere/python', error\n"
        "else: raise AssertionError\n"
        "multiprocessing.set_executable(sys.executable)\n"
        "works()\n"
    )
    run_script(script, method)
