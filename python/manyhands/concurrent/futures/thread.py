"""Executors of threads: as yet the standard library's, with our futures' module around them.

Source: https://docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor
"""

from manyhands._mirror import forward
from manyhands._stdlib import original

_original = original("concurrent.futures.thread")

ThreadPoolExecutor = _original.ThreadPoolExecutor

forward(globals(), _original)
