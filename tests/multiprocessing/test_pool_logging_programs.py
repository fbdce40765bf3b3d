"""Programs whose workers log, in whatever way they have chosen for that."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import run_file

METHODS = ["fork", "forkserver", "spawn"]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_done_where_nobody_logs(tmp_path: Path, method: str) -> None:
    out = run_file(
        tmp_path / "program.py",
        """
        import sys
        from manyhands import multiprocessing

        def loaded(name):
            return name in sys.modules

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            with context.Pool(1) as pool:
                print(pool.apply(loaded, ("logging",)), "logging" in sys.modules)
            import logging
            if sys.argv[1] == "forkserver":
                with context.Pool(1) as pool:
                    print(pool.apply(loaded, ("logging",)))
        """,
        method,
    )
    assert set(out.split()) == {"False"}


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_that_imports_logging_late_logs_as_its_parent(tmp_path: Path, method: str) -> None:
    out = run_file(
        tmp_path / "program.py",
        """
        import sys
        from manyhands import multiprocessing

        def log(text):
            import logging
            logging.info(text)
            return len(logging.root.handlers), logging.root.level

        if __name__ == "__main__":
            import logging
            logging.basicConfig(level="INFO", stream=sys.stdout, format="<%(message)s>")
            context = multiprocessing.get_context(sys.argv[1])
            with context.Pool(1) as pool:
                print(pool.apply(log, ("soup",)))
        """,
        method,
    )
    assert out == "<soup>\n(1, 20)\n"


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_may_choose_where_its_program_has_not(tmp_path: Path, method: str) -> None:
    out = run_file(
        tmp_path / "program.py",
        """
        import logging, sys
        from manyhands import multiprocessing

        def log(text):
            logging.basicConfig(stream=sys.stdout, format="<%(message)s>", level="INFO")
            logging.info(text)
            sys.stdout.flush()

        if __name__ == "__main__":
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                pool.apply(log, ("soup",))
        """,
        method,
    )
    assert out == "<soup>\n"


@pytest.mark.parametrize("method", METHODS)
def test_a_main_module_that_says_how_it_logs_says_it_once(tmp_path: Path, method: str) -> None:
    """Whether children run it again or not."""
    out = run_file(
        tmp_path / "program.py",
        """
        import logging, sys
        from manyhands import multiprocessing

        logging.basicConfig(stream=sys.stdout, format="<%(message)s>", level="INFO")
        logger = logging.getLogger("kitchen")
        logger.addHandler(logging.StreamHandler(sys.stdout))

        def log(text):
            logger.info(text)

        if __name__ == "__main__":
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                pool.apply(log, ("soup",))
        """,
        method,
    )
    assert out == "soup\n<soup>\n"


@pytest.mark.parametrize("method", METHODS)
def test_a_program_may_have_a_module_of_that_name(tmp_path: Path, method: str) -> None:
    (tmp_path / "logging.py").write_text("cabin = 'of logs'\n")
    out = run_file(
        tmp_path / "program.py",
        """
        import sys
        import logging
        from manyhands import multiprocessing

        def cabin():
            return logging.cabin

        if __name__ == "__main__":
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                print(pool.apply(cabin))
        """,
        method,
    )
    assert out == "of logs\n"
