"""Python's whole concurrency toolbox on one Rust engine.

The modules of this package have the names and the meaning of the standard library's: write
``from manyhands import queue`` for ``import queue``, or run an unmodified program with
``manyhands run app.py``.
"""

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    # Looked up when somebody asks: `importlib.metadata` imports half of the standard library,
    # `threading` among it, and this package is imported when an interpreter starts.
    if name == "__version__":
        from importlib.metadata import version

        globals()["__version__"] = found = version("manyhands")
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
