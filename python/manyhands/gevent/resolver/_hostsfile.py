"""The names that a hosts file gives to addresses."""

import os

__all__ = ["HostsFile"]


class HostsFile:
    """A hosts file, read anew when it has changed."""

    def __init__(self, fname="/etc/hosts"):
        self.fname = fname
        self.last_stat = None
        self.v4 = {}
        self.v6 = {}

    def load(self):
        """Read the file, if it has changed since."""
        status = os.stat(self.fname)
        state = (status.st_mtime_ns, status.st_size)
        if state == self.last_stat:
            return
        self.v4, self.v6 = {}, {}
        with open(self.fname, encoding="utf-8", errors="replace") as file:
            for line in file:
                address, *names = line.partition("#")[0].split() or [""]
                table = self.v6 if ":" in address else self.v4
                for name in names:
                    table.setdefault(name.lower(), address)
        self.last_stat = state

    def iter_all_host_addr_pairs(self):
        """All pairs of a name and its address."""
        self.load()
        yield from self.v4.items()
        yield from self.v6.items()
