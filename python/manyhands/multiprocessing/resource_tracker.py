"""The process that cleans up named resources after others: the standard library's module itself."""

import sys

from manyhands._stdlib import original

sys.modules[__name__] = original("multiprocessing.resource_tracker")
