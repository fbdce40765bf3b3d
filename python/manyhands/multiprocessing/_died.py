"""What a call raises whose worker process has died."""

from manyhands._stdlib import original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures.process import BrokenProcessPool
else:
    BrokenProcessPool = original("concurrent.futures.process").BrokenProcessPool


class WorkerDied(BrokenProcessPool):
    """The worker process that did the call has died, and only this call with it.

    `pid` is the process's number, `exitcode` its exit code (negative: the signal that killed it;
    None: unknown).
    """

    def __init__(self, pid: int, exitcode: "int | None", text: str) -> None:
        super().__init__(text)
        self.pid = pid
        self.exitcode = exitcode

    def __reduce__(self) -> "tuple[type[WorkerDied], tuple[int, int | None, str]]":
        return type(self), (self.pid, self.exitcode, str(self))


WorkerDied.__module__ = "manyhands.multiprocessing.pool"
