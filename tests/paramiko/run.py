"""Run paramiko's own tests, out of its source package, against what stands in its place.

    python tests/paramiko/run.py --python VENV/bin/python --sdist paramiko-5.1.0.tar.gz

`pip download --no-binary :all: --no-deps paramiko` gets the package. Servers that the tests talk to
are paramiko's own, out of it too, under the name `peerparamiko`. VENV has Manyhands and what the
tests need: pytest, pytest-relaxed, icecream, invoke, cryptography, pynacl, bcrypt.

The last line is `N passed, M failed, ...`. Exit status: 0 all fair tests passed, 1 some did not, 2
it could not be run, 3 it is refused: the tests cannot be shown to have used the replacement.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(1, str(HERE.parent))

from cpython.conformance.rules import MalformedRule, Rules  # noqa: E402

PACKAGES = {"stock": "paramiko", "manyhands": "manyhands.paramiko"}


class CannotRun(Exception):
    """Something is missing that the run needs."""


class Refused(Exception):
    """The tests have not used what they are to test."""


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--python", default=sys.executable, help="interpreter that has Manyhands installed")
    add("--sdist", type=Path, required=True, metavar="FILE", help="paramiko's source package")
    add("--implementation", choices=PACKAGES, default="manyhands", help="what is tested")
    add("--tests", nargs="+", metavar="FILE", help="only these, say test_client.py")
    add("--exclude", type=Path, default=HERE / "exclude.txt", help="tests that are no fair measure")
    add("--xfail", type=Path, default=HERE / "xfail.txt", help="tests that must fail")
    add("--timeout", type=float, default=300, help="seconds that a file of tests may take")
    add("--verbose", action="store_true", help="show what pytest says of what fails")
    return parser.parse_args(argv)


def unpack(sdist, root):
    """The folder of the tests; `peerparamiko` is in `root` then."""
    with tarfile.open(sdist) as archive:
        archive.extractall(root, filter="data")
    (source,) = (path for path in root.iterdir() if path.is_dir())
    package = root / "peerparamiko"
    (source / "paramiko").rename(package)
    # The server that tests of files talk to is one of paramiko's, too.
    for file in (*package.glob("*.py"), source / "tests" / "_stub_sftp.py"):
        text = file.read_text(encoding="utf-8")
        text = re.sub(r"^(\s*)(from|import) paramiko\b", r"\1\2 peerparamiko", text, flags=re.M)
        text = text.replace('metadata.version("paramiko")', repr(version(source)))
        file.write_text(text.replace("paramiko.__version__", "peerparamiko.__version__"))
    return source


def version(source):
    return re.search(r'^version = "(.+)"', (source / "pyproject.toml").read_text(), re.M)[1]


class Run:
    """The tests, against one implementation."""

    def __init__(self, options, root):
        self.options = options
        self.source = unpack(options.sdist, root)
        self.env = dict(os.environ)
        folders = [root, HERE / "inside", self.env.get("PYTHONPATH", "")]
        if options.implementation == "stock":
            shutil.copytree(root / "peerparamiko", root / "stock" / "paramiko")
            folders.insert(0, root / "stock")
        self.env["PYTHONPATH"] = os.pathsep.join(map(str, filter(None, folders)))
        minor = self.output("import sys; print('%d.%d' % sys.version_info[:2])").strip()
        self.excluded = Rules(options.exclude, minor)
        self.expected = Rules(options.xfail, minor)

    def output(self, program):
        command = [self.options.python, "-c", program]
        return subprocess.run(
            command, check=True, timeout=60, text=True, stdout=subprocess.PIPE
        ).stdout

    def files(self):
        folder = self.source / "tests"
        there = [path.name for path in sorted(folder.glob("*.py")) if "def " in path.read_text()]
        known = [name for name in there if not name.startswith(("_", "conftest"))]
        if unknown := set(self.options.tests or ()) - set(known):
            raise CannotRun(f"there is no {', '.join(unknown)}")
        return self.options.tests or known

    def outcomes(self, file):
        """What came of each test of a file: "passed", "failed" or "skipped"."""
        plugin = "stand_in" if self.options.implementation == "manyhands" else "outcomes"
        command = [self.options.python, "-m", "pytest", "-p", plugin, "-p", "no:cacheprovider"]
        command += ["--tb=short", "-o", "faulthandler_timeout=60", f"tests/{file}"]
        log = self.source / "log"
        with open(log, "w") as out:
            process = subprocess.Popen(
                command, cwd=self.source, env=self.env, stdout=out, stderr=subprocess.STDOUT
            )
            try:
                process.wait(self.options.timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        text = log.read_text(errors="replace")
        found = {}
        for outcome, phase, test in re.findall(r"^@@ (\w+) (\w+) (\S.*)$", text, re.M):
            if found.get(test) != "failed":
                found[test] = outcome if phase == "call" or outcome != "passed" else found.get(test)
        package = re.search(r"^@@ paramiko (\S+)$", text, re.M)
        if package is None or not found:
            raise CannotRun(f"{file} cannot be run:\n{text[-3000:]}")
        if package[1] != PACKAGES[self.options.implementation]:
            raise Refused(f"{file} has used {package[1]}")
        # Killed or crashed, it has not come to its end, and those that are left are not there.
        if process.returncode not in (0, 1):
            found[f"tests/{file}::(the run)"] = "failed"
        if self.options.verbose:
            print(text)
        return found

    def judge(self, file):
        """How many tests of a file there are of each sort, after saying which have failed."""
        counts = Counter()
        if rule := self.excluded.find(f"tests/{file}::"):
            print(f"{file}: excluded, {rule}")
            return counts
        found = self.outcomes(file)
        wrong = []
        for test, outcome in found.items():
            if self.excluded.find(test):
                counts["excluded"] += 1
            elif outcome == "skipped":
                counts["skipped"] += 1
            elif rule := self.expected.find(test):
                sort = "expected failures" if outcome == "failed" else "failed"
                counts[sort] += 1
                if outcome != "failed":
                    wrong.append(f"{test} passes, though it is expected not to: {rule}")
            else:
                counts[outcome] += 1
                if outcome == "failed":
                    wrong.append(test)
        named = [rule for rules in (self.excluded, self.expected) for rule in rules.rules]
        for rule in named:
            mine = rule.pattern.startswith(f"tests/{file}::")
            if mine and not any(fnmatchcase(test, rule.pattern) for test in found):
                wrong.append(f"no test is named {rule.pattern}")
                counts["failed"] += 1
        print(f"{file}: {told(counts)}", flush=True)
        for line in wrong:
            print(f"  FAILED {line}")
        return counts


def told(counts):
    sorts = ("passed", "failed", "expected failures", "excluded", "skipped")
    return ", ".join(f"{counts[sort]} {sort}" for sort in sorts)


def main(argv=None):
    options = arguments(argv)
    total = Counter()
    try:
        with tempfile.TemporaryDirectory() as root:
            run = Run(options, Path(root))
            for file in run.files():
                total += run.judge(file)
    except (CannotRun, MalformedRule, OSError, subprocess.SubprocessError) as problem:
        print(f"cannot run: {problem}")
        return 2
    except Refused as problem:
        print(f"refused: {problem}")
        return 3
    print(told(total))
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
