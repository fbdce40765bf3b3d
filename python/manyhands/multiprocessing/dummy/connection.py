"""Pipes between threads: the standard library's module itself."""

import sys

from manyhands._stdlib import original

sys.modules[__name__] = original("multiprocessing.dummy.connection")
