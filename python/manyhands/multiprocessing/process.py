"""Processes as such, and which one this is: the standard library's module itself."""

import sys

from manyhands._stdlib import original

sys.modules[__name__] = original("multiprocessing.process")
