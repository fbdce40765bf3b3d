"""The command line of `manyhands` itself, and what it refuses."""

import os
import shutil
import sys

import pytest
from manyhands._start_stand_ins import STAND_INS
from manyhands.cli import scan
from programs import COMMAND, OFF, ON, WHICH, Clone, environment


@pytest.mark.parametrize(
    ("arguments", "options", "letters"),
    [
        ([], 0, ""),
        (["app.py", "-u"], 0, ""),
        (["-", "-u"], 0, ""),
        (["--", "-u"], 0, ""),
        (["-uO", "app.py", "-I"], 1, "uO"),
        (["-W", "-u", "app.py"], 2, "W"),
        (["-W-u", "app.py"], 1, "W"),
        (["-OWerror", "-X", "dev", "-I", "x"], 4, "OWXI"),
        (["-uX", "-S", "-m", "x", "-S"], 2, "uX"),
        (["-uXS", "-umS", "-S"], 1, "uXu"),
        (["-uc", "1", "-S"], 0, "u"),
        (["-c1", "-S"], 0, ""),
        (["--check-hash-based-pycs", "-S", "-B", "x"], 3, "B"),
        (["--engine", "-S"], 0, ""),
        (["-X"], 1, "X"),
        (["--check-hash-based-pycs"], 1, ""),
    ],
)
def test_options_of_python_end_where_the_program_begins(arguments, options, letters):
    assert scan(arguments) == (options, letters)


def test_the_command_and_the_module_are_the_same(place):
    command = shutil.which("manyhands", path=os.path.dirname(sys.executable))
    for arguments in (["--version"], ["--help"], ["run", "--help"], ["run", "-u", "-h"], []):
        script = place.call([command, *arguments])
        module = place.call([sys.executable, "-m", "manyhands", *arguments])
        assert (script.stdout, script.stderr) == (module.stdout, module.stderr)
        assert script.returncode == module.returncode == (0 if arguments else 2)
    assert place.call([command, "run", "-c", WHICH]).stdout == ON


def test_the_help_names_the_packages_that_are_served(place):
    told = place.call([sys.executable, "-m", "manyhands", "run", "--help"]).stdout
    for package in STAND_INS:
        assert f"imports {package}" in " ".join(told.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fly"], "there is no command 'fly'"),
        (["run", "--fly", "app.py"], "there is no option --fly;"),
        (["run", "--engines"], "there is no option --engines;"),
        (["run", "-S", "app.py"], "the option -S "),
        (["run", "-uSO", "-c", "1"], "the option -S "),
        (["run", "--engine", "-S", "-m", "x"], "the option -S "),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(place, arguments, words):
    done = place.call([sys.executable, "-m", "manyhands", *arguments])
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"manyhands: {words}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_program_may_use_the_same_options_as_the_command(place):
    place.write("program.py", "import sys; print(sys.argv[1:])")
    assert place.run("program.py", "-S", "--fly", "--engine").stdout == (
        "['-S', '--fly', '--engine']\n"
    )


def test_an_installation_without_the_start_up_file_is_refused(clone):
    (clone.site / "00-manyhands.pth").unlink()
    done = clone.run("-c", WHICH)
    assert (done.returncode, done.stdout) == (2, "")
    assert "start-up file 00-manyhands.pth is not where" in done.stderr
    assert f"{clone.python} -m pip install manyhands" in done.stderr


def test_a_package_away_from_its_start_up_file_is_refused(bare):
    elsewhere = bare.folder / "elsewhere"
    elsewhere.mkdir()
    whole = Clone(bare.folder / "whole")
    for item in whole.site.iterdir():
        shutil.move(item, elsewhere)
    path = environment(PYTHONPATH=str(elsewhere))
    done = bare.run("-c", WHICH, env=path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not where" in done.stderr
    shutil.copy(elsewhere / "00-manyhands.pth", bare.site)
    done = bare.run("-c", WHICH, env=path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "install it as a whole" in done.stderr


def test_a_package_of_the_user_is_refused_where_python_leaves_it_out(bare, tmp_path):
    config = bare.folder / "venv" / "pyvenv.cfg"
    config.write_text(config.read_text().replace("packages = false", "packages = true"))
    user = environment(PYTHONUSERBASE=str(tmp_path / "user"))
    folder = bare.plain("-m", "site", "--user-site", env=user).stdout.strip()
    whole = Clone(bare.folder / "whole")
    shutil.copytree(whole.site, folder)
    assert bare.run("-c", WHICH, env=user).stdout == ON
    for option in ("-s", "-I", "-uI"):
        done = bare.run(option, "-c", WHICH, env=user)
        assert (done.returncode, done.stdout) == (2, "")
        assert "installed for this user only" in done.stderr


def test_a_native_module_that_cannot_be_loaded_is_told_before_the_program_runs(clone):
    (native,) = (clone.site / "manyhands").glob("_native*.so")
    native.write_bytes(b"nothing of a library")
    done = clone.run("-c", WHICH)
    assert (done.returncode, done.stdout) == (2, "")
    assert "manyhands: the engine cannot be loaded: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_program_on_the_engine_may_run_the_command(place):
    place.write("program.py", f"import subprocess\nsubprocess.run({[*COMMAND, '-c', WHICH]!r})")
    assert place.run("program.py").stdout == ON


def test_plain_python_beside_the_engine_stays_plain(place):
    assert place.plain("-c", WHICH).stdout == OFF
    seen = place.plain("-c", "import sys; print([m for m in sys.modules if 'manyhands' in m])")
    assert (seen.stdout, seen.stderr) == ("[]\n", "")
