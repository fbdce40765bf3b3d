from multiprocessing.popen_fork import *
from multiprocessing.popen_fork import __all__ as __all__
