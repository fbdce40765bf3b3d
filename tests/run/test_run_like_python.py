"""All that a program can see of how it was started is as with `python`."""

import os
import sys
import zipfile

import pytest
from programs import COMMAND, environment

SHOW = """
import os, sys
print(sys.argv, sys.path[0], __name__, __file__, __package__, sys.flags)
print(__spec__ and (__spec__.name, __spec__.origin))
print(sys.warnoptions, sys._xoptions, sys.orig_argv[1:], sorted(vars()))
print(sys.executable, sys.prefix, os.getcwd(), os.listdir("/proc/self/fd"))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["program.py"],
        ["program.py", "one", "--engine", "-c", "three four", ""],
        ["./program.py", "--help"],
        ["--", "program.py", "--", "-x"],
        ["-u", "program.py"],
        ["-uO", "program.py"],
        ["-OO", "-B", "program.py"],
        ["-X", "dev", "program.py"],
        ["-Xdev", "-bb", "program.py"],
        ["-W", "error", "program.py"],
        ["-Werror", "-Wignore::ImportWarning", "program.py"],
        ["-uWerror", "program.py"],
        ["-E", "program.py"],
        ["-I", "program.py"],
        ["-s", "-q", "program.py"],
        ["--check-hash-based-pycs", "always", "program.py"],
        ["-m", "program", "a", "-b"],
        ["-mprogram", "a"],
        ["-um", "program"],
        ["-m", "package", "x"],
        ["-m", "package.inner"],
        ["-x", "program.py"],
        ["folder", "a"],
        ["bundle.zip", "a"],
    ],
    ids=" ".join,
)
def test_a_program_sees_what_python_shows_it(place, arguments):
    program = place.write("program.py", "# a line that -x leaves out" + SHOW).read_text()
    place.write("package/__init__.py", "")
    place.write("package/__main__.py", SHOW)
    place.write("package/inner.py", SHOW)
    place.write("folder/__main__.py", SHOW)
    with zipfile.ZipFile(place.folder / "bundle.zip", "w") as bundle:
        bundle.writestr("__main__.py", program)
    assert place.same(*arguments).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [["-c", "import sys; print(sys.argv, sys.path[0])", "a", "-b"], ["-cprint(1)"], ["-uc", "1/0"]],
    ids=" ".join,
)
def test_code_on_the_command_line_runs_as_with_python(place, arguments):
    place.same(*arguments)


def test_a_program_is_read_from_stdin_as_with_python(place):
    program = "import sys\nprint(sys.argv, sys.path[0], __name__)\n1/0\n"
    for arguments in ([], ["-"], ["-", "a", "--engine"], ["-u"]):
        assert "ZeroDivisionError" in place.same(*arguments, stdin=program).stderr


def test_a_program_reads_its_stdin_from_the_first_byte(place):
    place.write("program.py", "import sys\nprint(sys.stdin.read())")
    assert place.same("program.py", stdin="one\ntwo\n").stdout == "one\ntwo\n\n"


@pytest.mark.parametrize(
    "program",
    [
        "pass",
        "import sys; sys.exit(7)",
        "import sys; sys.exit('a message')",
        "import sys; sys.exit(None)",
        "raise SystemExit(2.5)",
        "import os; os._exit(9)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "raise KeyboardInterrupt",
        "import os; os.abort()",
        "import atexit, threading; atexit.register(print, 'bye'); raise SystemExit(3)",
        "def f():\n    raise ValueError('deep')\n\ntry:\n    f()\nfinally:\n    f()",
        "import threading\nt = threading.Thread(target=lambda: 1/0, name='t')\nt.start(); t.join()",
        "import nothing_of_this_name",
        "import threading, queue, warnings; warnings.warn('here')",
        "print('half'",
        "if True:\nprint()",
        "x = '\\N{nothing}'",
        "# -*- coding: nonsense -*-",
        "raise Exception('\\udc80')",
    ],
)
def test_a_program_ends_with_the_status_and_the_words_of_python(place, program):
    place.write("program.py", program)
    place.same("program.py")
    place.same("-c", program)


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.py"],
        ["missing/missing.py", "a"],
        ["empty"],
        ["-m", "missing"],
        ["-m", "missing.inner"],
        ["-m", "package"],
        ["-m", "broken"],
        ["broken.py"],
        ["null.py"],
        ["bytes.py"],
        ["unreadable.zip"],
        [""],
        ["-m", ""],
        ["-c", ""],
        ["-c"],
        ["-m"],
        ["-X"],
        ["-W", "nonsense", "-c", "1"],
        ["-Z", "broken.py"],
        ["--check-hash-based-pycs", "nonsense", "-c", "1"],
        ["--check-hash-based-pycs"],
        ["-V"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_run_fails_as_with_python(place, arguments):
    (place.folder / "empty").mkdir()
    place.write("package/__init__.py", "")
    place.write("broken.py", "def f(:\n")
    (place.folder / "null.py").write_bytes(b"print(1)\0\n")
    (place.folder / "bytes.py").write_bytes(b"print('\xff')\n")
    (place.folder / "unreadable.zip").write_bytes(b"PK\3\4 no more")
    place.same(*arguments)


def test_a_path_that_is_not_utf_8_works_as_with_python(place):
    folder = os.fsencode(place.folder) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/b\xfcn.py", "w") as file:
        file.write("import sys\nprint(ascii(sys.argv), ascii(sys.path[0]), ascii(__file__))\n")
    name = os.fsdecode(folder + b"/b\xfcn.py")
    assert "\\udcfc" in place.same(name, os.fsdecode(b"\xff")).stdout
    place.same(os.fsdecode(folder + b"/missing.py"))
    place.same(os.fsdecode(folder))


@pytest.mark.parametrize(
    "locale",
    [
        {"LANG": "C", "LC_ALL": None, "LC_CTYPE": None},
        {"LANG": None, "LC_ALL": None, "LC_CTYPE": None},
        {"LC_ALL": "C"},
        {"LC_ALL": None, "LC_CTYPE": "C.UTF-8"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_the_locale_acts_as_with_python(place, locale):
    place.write(
        "program.py",
        """
        import locale, os, sys
        print(sys.flags.utf8_mode, sys.getfilesystemencoding(), sys.stdout.encoding)
        print(sys.stdin.errors, os.environ.get("LC_CTYPE"), locale.setlocale(locale.LC_CTYPE))
        print(ascii(sys.argv))
        """,
    )
    place.same("program.py", "b\N{LATIN SMALL LETTER U WITH DIAERESIS}n", env=environment(**locale))


def test_the_environment_gains_only_the_switch(place):
    place.write("program.py", "import os\nprint(*sorted(os.environ.items()), sep='\\n')")
    for options in ([], ["--engine"]):
        plain, ours = place.plain("program.py"), place.run(*options, "program.py")
        added = set(ours.stdout.splitlines()) ^ set(plain.stdout.splitlines())
        assert added == {"('MANYHANDS_RUN', '1')"}


def test_options_of_the_outer_python_are_the_programs_too(place):
    program = "import sys; print(sys.flags.optimize, sys.flags.dev_mode, sys.warnoptions)"
    command = [sys.executable, "-OX", "dev", "-Wignore", "-Om", *COMMAND[2:]]
    done = place.call([*command, "-c", program])
    assert (done.stdout, done.stderr) == ("2 True ['default', 'ignore']\n", "")


@pytest.mark.parametrize("stream", ["0", "1", "2", "012"])
def test_streams_that_are_closed_do_no_harm(place, stream):
    program = place.write(
        "program.py",
        """
        import os, queue, sys, threading
        made = queue.Queue()
        thread = threading.Thread(target=made.put, args=(1,))
        thread.start()
        open("result", "w").write(repr([made.get(), sys.stdin, sys.stdout, sys.stderr]))
        sys.exit(5)
        """,
    )
    closing = " ".join(f"{number}>&-" for number in stream)
    results = []
    for command in ([sys.executable], COMMAND, [*COMMAND, "--engine"]):
        done = place.call(["sh", "-c", f'exec "$@" {closing}', "sh", *command, program])
        assert done.returncode == 5
        results.append((place.folder / "result").read_text())
    assert results[0] == results[1] == results[2]
    assert results[0].count("None") == len(stream)


def test_output_that_nobody_reads_ends_a_program_as_with_python(place):
    place.write("program.py", "import threading\nprint('x' * 1_000_000)")
    command = '{ "$@"; echo "status $?" >&2; } | true'
    ends = [
        place.call(["sh", "-c", command, "sh", *python, "program.py"])
        for python in ([sys.executable], COMMAND)
    ]
    assert ends[0].stderr == ends[1].stderr
    assert "BrokenPipeError" in ends[1].stderr
