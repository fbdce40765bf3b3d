"""Sends file descriptors to other processes on demand: the standard library's module itself."""

import sys

from manyhands._stdlib import original

sys.modules[__name__] = original("multiprocessing.resource_sharer")
