from concurrent.futures.process import BrokenProcessPool
from multiprocessing.pool import *
from multiprocessing.pool import __all__ as __all__

class WorkerDied(BrokenProcessPool):
    pid: int
    exitcode: int | None
    def __init__(self, pid: int, exitcode: int | None, text: str) -> None: ...
