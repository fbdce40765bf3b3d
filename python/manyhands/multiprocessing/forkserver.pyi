from multiprocessing.forkserver import *
from multiprocessing.forkserver import __all__ as __all__
