from abc import ABCMeta
from collections.abc import Callable
from typing import Any

__all__ = ["ManyhandsBackend"]

NAME: str

class ManyhandsBackend(metaclass=ABCMeta):
    supports_retrieve_callback: bool
    supports_inner_max_num_threads: bool
    def effective_n_jobs(self, n_jobs: int | None) -> int: ...
    def configure(
        self,
        n_jobs: int | None = 1,
        parallel: Any = None,
        prefer: Any = None,
        require: Any = None,
        start_method: str | None = None,
        **_ignored: Any,
    ) -> int: ...
    def submit(
        self, func: Callable[[], Any], callback: Callable[[Any], object] | None = None
    ) -> Any: ...
    def apply_async(
        self, func: Callable[[], Any], callback: Callable[[Any], object] | None = None
    ) -> Any: ...
    def retrieve_result_callback(self, out: Any) -> Any: ...
    def terminate(self) -> None: ...
    def abort_everything(self, ensure_ready: bool = True) -> None: ...
