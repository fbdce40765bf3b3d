"""Logging, finalizers and other tools of the package: the standard library's module itself."""

import sys

from manyhands._stdlib import original

sys.modules[__name__] = original("multiprocessing.util")
