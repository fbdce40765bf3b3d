"""What a spawned child finds loaded, and that it is what it would have loaded itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support import run_file

#: Each process prints what it finds when it begins to run the program, and starts a child.
MAIN = """
import sys
found = [name for name in {names!r} if name in sys.modules]
{imports}
print(__name__, found, {tell}, flush=True)

def work():
    pass

if __name__ == "__main__":
    from manyhands import multiprocessing
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0, process.exitcode
"""


def run(tmp_path: Path, imports: str, *names: str, tell: str = "0", **options: object) -> list[str]:
    source = MAIN.format(imports=imports, names=names, tell=tell)
    return run_file(tmp_path / "main.py", source, **options).splitlines()


def test_modules_of_the_standard_library_that_the_program_has_are_there(tmp_path: Path) -> None:
    lines = run(
        tmp_path, "import colorsys, xml.dom.minidom", "colorsys", "xml.dom.minidom", "chunk"
    )
    assert lines == ["__main__ [] 0", "__mp_main__ ['colorsys', 'xml.dom.minidom'] 0"]


@pytest.mark.parametrize("where", ["beside the program", "on the path"])
def test_a_module_of_the_programs_own_by_such_a_name_is_its_own(where: str, tmp_path: Path) -> None:
    folder = tmp_path if where == "beside the program" else tmp_path / "other"
    folder.mkdir(exist_ok=True)
    (folder / "colorsys.py").write_text("OWN = 'own'\n")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    lines = run(tmp_path, "import colorsys", "colorsys", tell="colorsys.OWN", env=environment)
    assert lines == ["__main__ [] own", "__mp_main__ [] own"]


def test_a_module_by_such_a_name_in_the_working_folder_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "program").mkdir()
    (tmp_path / "colorsys.py").write_text("raise SystemExit('the wrong module')\n")
    source = MAIN.format(imports="import colorsys", names=("colorsys",), tell="colorsys.ONE_THIRD")
    lines = run_file(tmp_path / "program" / "main.py", source, cwd=tmp_path).splitlines()
    assert [line.split()[-1] for line in lines] == [str(1 / 3)] * 2


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="no module of this version is deprecated")
def test_a_module_that_warns_warns_in_the_child(tmp_path: Path) -> None:
    module = "cgi" if sys.version_info >= (3, 12) else "imp"
    imports = "import warnings\nwith warnings.catch_warnings(record=True) as caught:\n"
    imports += f"    warnings.simplefilter('always')\n    import {module}\n"
    lines = run(tmp_path, imports, module, tell="[each.category.__name__ for each in caught]")
    said = "[] ['DeprecationWarning']"
    assert lines == [f"__main__ {said}", f"__mp_main__ {said}"]


CHANGING = """
import os
import sys
from manyhands import multiprocessing

TEXT = "first"

def work():
    print(TEXT, flush=True)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    os.dup2(os.open("errors", os.O_CREAT | os.O_WRONLY), 2)
    text = open(__file__).read()
    for new in (text, text.replace("fir" + "st", "second"), "(" + text):
        with open(__file__, "w") as file:
            file.write(new)
        process = context.Process(target=work)
        process.start()
        process.join()
        print(process.exitcode, flush=True)
"""


def test_a_child_runs_the_main_script_as_it_is_then(tmp_path: Path) -> None:
    out = run_file(tmp_path / "main.py", CHANGING)
    assert out.split() == ["first", "0", "second", "0", "1"]
    assert "SyntaxError" in (tmp_path / "errors").read_text()


def test_a_main_script_that_is_gone_fails_the_child(tmp_path: Path) -> None:
    source = CHANGING.replace(
        "        with open", "        os.remove(__file__)\n        break\n        with open"
    )
    source += "    process = context.Process(target=work); process.start(); process.join()\n"
    source += "    print(process.exitcode)\n"
    assert run_file(tmp_path / "main.py", source) == "1\n"
    assert "FileNotFoundError" in (tmp_path / "errors").read_text()


def test_a_module_that_came_into_a_folder_later_is_found(tmp_path: Path) -> None:
    source = """
        import os
        from pathlib import Path
        from manyhands import multiprocessing

        def work(name):
            __import__(name)

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            for count in range(5):
                Path(f"late{count}.py").write_text("print(__name__, flush=True)")
                if count == 0:
                    # Not so new that nothing would be noted of it.
                    os.utime(".", (1, 1))
                process = context.Process(target=work, args=(f"late{count}",))
                process.start()
                process.join()
    """
    out = run_file(tmp_path / "main.py", source)
    assert out.split() == [f"late{count}" for count in range(5)]


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize(
    ("needed", "imported"),
    [
        ("manyhands.multiprocessing._pool_worker", None),
        ("manyhands.multiprocessing._logs", "logging"),
    ],
)
def test_what_workers_of_pools_need_is_there(
    method: str, needed: str, imported: str | None, tmp_path: Path
) -> None:
    # Without a pool as yet: the first children of a program are often no workers.
    (tmp_path / "looker.py").write_text(
        f"import sys\ndef look(queue):\n    queue.put({needed!r} in sys.modules)\n"
    )
    (tmp_path / "used.py").write_text(f"import {imported or 'looker'}\n")
    source = f"""
        from looker import look
        from manyhands import multiprocessing
        if __name__ == "__main__":
            import used
            multiprocessing.set_forkserver_preload(["__main__", "used"])
            context = multiprocessing.get_context({method!r})
            queue = context.SimpleQueue()
            process = context.Process(target=look, args=(queue,))
            process.start()
            print(queue.get())
            process.join()
        """
    assert run_file(tmp_path / "main.py", source) == "True\n"
