"""Python's whole concurrency toolbox on one Rust engine.

The modules of this package have the names and the meaning of the standard library's: write
``from manyhands import queue`` for ``import queue``, or run an unmodified program with
``manyhands run app.py``.
"""

from importlib.metadata import version as _version

__all__ = ["__version__"]

__version__ = _version("manyhands")
