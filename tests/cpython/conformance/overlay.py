"""A throw-away virtual environment whose interpreter redirects the imports of test code."""

import json
import shutil
import subprocess
from pathlib import Path

from .processes import Worker

_INSIDE = Path(__file__).parent / "inside"

# Some releases are installed without these modules, though with the package that they wrap.
_WRAPPER = """\
import unittest
from test._test_multiprocessing import install_tests_in_module_dict
install_tests_in_module_dict(globals(), {method!r}, {selection})
"""
_WRAPPED_PARTS = {
    "test_processes": "only_type='processes'",
    "test_threads": "only_type='threads'",
    "test_manager": "only_type='manager'",
    "test_misc": "exclude_types=True",
}

_DESCRIBE = """
import json, platform, sys, sysconfig
paths = sysconfig.get_paths()
print(json.dumps({
    "version": platform.python_version(),
    "base": getattr(sys, "_base_executable", None) or sys.executable,
    "site": sorted({paths["purelib"], paths["platlib"]}),
    "stdlib": paths["stdlib"],
}))
"""


class Interpreter:
    """The interpreter (of a virtual environment, usually) that has the replacement installed."""

    def __init__(self, python):
        described = json.loads(
            subprocess.run(
                [python, "-I", "-c", _DESCRIBE], stdout=subprocess.PIPE, text=True, check=True
            ).stdout
        )
        self.version = described["version"]
        self.minor_version = ".".join(self.version.split(".")[:2])
        self.base = Path(described["base"]).resolve()
        self.site = described["site"]
        self.tests = Path(described["stdlib"], "test")


class Overlay:
    """An environment upon an interpreter's, in which test code imports what `mapping` says.

    It has what is installed beside the interpreter only if the mapping replaces anything: the
    originals' results are those of a bare interpreter. `paths` are appended to sys.path;
    `test_directories` have test modules that the interpreter's package `test` lacks.
    """

    def __init__(self, interpreter, root, mapping, paths=(), test_directories=()):
        self.mapping = mapping
        self._scratch = Path(root, "w")
        self._tests = [interpreter.tests, *map(Path, test_directories)]
        environment = Path(root, "venv")
        subprocess.run(
            [interpreter.base, "-I", "-m", "venv", "--without-pip", environment], check=True
        )
        self._python = environment / "bin" / "python"
        (site,) = environment.glob("lib/python*/site-packages")
        for module in _INSIDE.glob("*.py"):
            shutil.copy(module, site)
        start_up = ["import conformance_redirect"]
        if any(source != target for source, target in mapping.items()):
            start_up += [f"import site; site.addsitedir({path!r})" for path in interpreter.site]
        (site / "conformance.pth").write_text("\n".join(start_up) + "\n", encoding="utf-8")
        wrappers = Path(root, "tests")
        _write_missing_wrappers(interpreter.tests, wrappers)
        self._tests.append(wrappers)
        settings = [f"map {source}={target}" for source, target in mapping.items()]
        settings += [f"path {Path(path).resolve()}" for path in paths]
        settings += [f"tests {path.resolve()}" for path in self._tests[1:]]
        settings += [f"scratch {self._scratch.resolve()}"]
        (environment / "conformance.cfg").write_text("\n".join(settings) + "\n", encoding="utf-8")

    def worker(self, module, tests):
        """A worker that runs these tests of a module; None: that lists them all."""
        return Worker(self._python, self._scratch, {"module": module, "tests": tests})

    def expanded(self, module):
        """The test modules that a name stands for: itself, or those of the package."""
        for directory in self._tests:
            path = directory.joinpath(*module.split(".")[1:])
            if (path / "__init__.py").is_file():
                return [f"{module}.{part.stem}" for part in sorted(path.glob("test_*.py"))]
            if path.with_suffix(".py").is_file():
                return [module]
        return []


def _write_missing_wrappers(installed, directory):
    for method in ("fork", "forkserver", "spawn"):
        name = f"test_multiprocessing_{method}"
        if (installed / name).exists() or (installed / f"{name}.py").exists():
            continue
        package = directory / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        for part, selection in _WRAPPED_PARTS.items():
            text = _WRAPPER.format(method=method, selection=selection)
            (package / f"{part}.py").write_text(text, encoding="utf-8")
