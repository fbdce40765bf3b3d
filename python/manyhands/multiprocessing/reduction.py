"""How what is sent to other processes is pickled: the standard library's module itself."""

import sys

from manyhands._stdlib import original

sys.modules[__name__] = original("multiprocessing.reduction")
