"""`multiprocessing` with threads for processes: the standard library's module itself."""

import sys

from manyhands._stdlib import original

# Both, since the name of one leads to the other.
sys.modules[f"{__name__}.connection"] = original("multiprocessing.dummy.connection")
sys.modules[__name__] = original("multiprocessing.dummy")
