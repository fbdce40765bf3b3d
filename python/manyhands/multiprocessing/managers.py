"""Objects in a server process, and proxies of them: the standard library's module itself."""

import sys

from manyhands._stdlib import original

sys.modules[__name__] = original("multiprocessing.managers")
