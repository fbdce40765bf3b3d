"""A handler of `logging` that keeps what it handles."""

from __future__ import annotations

import logging


class Kept(logging.Handler):
    """Keeps what it handles."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def texts(self, name: str = "kitchen") -> list[str]:
        return [record.getMessage() for record in self.records if record.name.startswith(name)]
