"""Workers begin with the filters of warnings, the path and the directory of their program."""

from __future__ import annotations

import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import traveltasks
from manyhands import multiprocessing
from manyhands.concurrent.futures import ProcessPoolExecutor
from support import run_file
from traveltasks import TableWarning

METHODS = ["fork", "forkserver", "spawn"]

pytestmark = pytest.mark.usefixtures("pools_are_collected")


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


def ask_pool(context: Any, function: Any, *args: Any) -> Any:
    with context.Pool(1) as pool:
        return pool.apply(function, args)


def ask_executor(context: Any, function: Any, *args: Any) -> Any:
    with ProcessPoolExecutor(1, context) as executor:
        return executor.submit(function, *args).result()


@pytest.fixture(params=[ask_pool, ask_executor], ids=["Pool", "ProcessPoolExecutor"])
def ask(request: pytest.FixtureRequest) -> Any:
    """Has a new worker make a call, and gives what that comes to."""
    return request.param


def test_workers_begin_with_the_filters_of_warnings(context: Any, ask: Any) -> None:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        # Of forks while other threads run.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "the soup .*", TableWarning)
        warnings.filterwarnings("error", category=TableWarning, module="traveltasks", append=True)
        warnings.simplefilter("ignore", UserWarning, append=True)
        assert ask(context, traveltasks.filters) == list(warnings.filters)
        assert ask(context, traveltasks.warn, "the soup is cold") is None
        assert ask(context, traveltasks.warn, "no table", UserWarning) is None
        with pytest.raises(TableWarning, match="no table"):
            ask(context, traveltasks.warn, "no table")


def test_filters_are_as_they_are_when_a_worker_is_started(context: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", TableWarning)
        with context.Pool(1, maxtasksperchild=1) as pool:
            with pytest.raises(TableWarning):
                pool.apply(traveltasks.warn, ("no table",))
            # The next worker may be there already, but not the one after it.
            warnings.simplefilter("ignore", TableWarning)
            outcomes = [pool.apply_async(traveltasks.warn, ("no table",)) for _ in range(2)]
            for outcome in outcomes:
                outcome.wait()
            assert outcomes[1].get() is None


def test_a_category_that_a_worker_cannot_have_is_no_harm(context: Any) -> None:
    local = type("LocalWarning", (UserWarning,), {})
    with warnings.catch_warnings():
        warnings.resetwarnings()
        # Of forks while other threads run.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("error", TableWarning)
        warnings.simplefilter("ignore", local)
        with pytest.raises(TableWarning, match="no table"):
            ask_pool(context, traveltasks.warn, "no table")


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_worker_imports_nothing_for_the_sake_of_filters(tmp_path: Path, method: str) -> None:
    """The category is of a module that only the program has loaded: the filter waits for it."""
    package = tmp_path / "soup"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import warnings\n"
        "from .kinds import ColdWarning\n"
        "warnings.filterwarnings('ignore', 'thin .*')\n"
        "class SoupWarning(UserWarning): pass\n"
    )
    (package / "kinds.py").write_text("class ColdWarning(UserWarning): pass\n")
    (package / "stale.py").write_text("class StaleWarning(UserWarning): pass\n")
    out = run_file(
        tmp_path / "program.py",
        """
        import sys, warnings
        from manyhands import multiprocessing

        def loaded():
            return sorted(name for name in sys.modules if name.startswith("soup"))

        def eat():
            before = list(warnings.filters)
            warnings.simplefilter("once", BytesWarning)
            import soup
            return before, warnings.filters

        def all_of_it():
            import soup.stale
            finders = [each for each in sys.meta_path if "manyhands" in type(each).__module__]
            return warnings.filters, finders

        if __name__ == "__main__":
            import soup.stale

            warnings.resetwarnings()
            for category in [soup.SoupWarning, UserWarning,
                             soup.kinds.ColdWarning, soup.stale.StaleWarning, RuntimeWarning]:
                warnings.simplefilter("error", category, append=True)
            warnings.filterwarnings("ignore", "thin .*", append=True)
            soups, user, cold, stale, runtime, thin = warnings.filters
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                assert pool.apply(loaded) == []
                before, now = pool.apply(eat)
                assert before == [user, runtime, thin], before
                assert now[0][:3] == ("once", None, BytesWarning), now
                assert now[1:] == [soups, user, cold, runtime, thin], now
                now, finders = pool.apply(all_of_it)
                assert now[1:] == [soups, user, cold, stale, runtime, thin], now
                assert finders == []
                print("as it should be")
        """,
        method,
    )
    assert out == "as it should be\n"


def test_warnings_are_logged_where_the_program_logs_them(tmp_path: Path) -> None:
    for method in METHODS:
        out = run_file(
            tmp_path / "program.py",
            """
            import logging, sys, warnings
            from manyhands import multiprocessing

            def warn(text):
                warnings.warn(text)

            if __name__ == "__main__":
                logging.basicConfig(stream=sys.stdout, format="%(name)s %(message)s")
                logging.captureWarnings(True)
                with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                    pool.apply(warn, ("cold soup",))
            """,
            method,
        )
        assert re.match(r"py\.warnings .*: UserWarning: cold soup", out)


def test_workers_begin_where_the_program_is(
    context: Any, ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "more"))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "travelled.py").touch()
    folder, path = ask(context, traveltasks.place)
    assert folder == os.getcwd() == str(tmp_path)
    assert path == sys.path
    found = ask(context, traveltasks.imported, "travelled")
    assert found == str(tmp_path / "more" / "travelled.py")
