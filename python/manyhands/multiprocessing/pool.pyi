from multiprocessing.pool import *
from multiprocessing.pool import __all__ as __all__
