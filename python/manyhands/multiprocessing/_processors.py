"""How many processors this process may use."""

import contextlib
import os


def count() -> int:
    """Return the interpreter's own number, lowered to what affinity and control groups allow."""
    known = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    with contextlib.suppress(AttributeError, OSError):
        known = min(known, len(os.sched_getaffinity(0)))
    return max(1, min([known, *_quotas()]))


def _quotas() -> "list[int]":
    """The limits of the control groups that this process is in, in processors."""
    found = []
    with contextlib.suppress(OSError, ValueError), open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            names = controllers.split(",")
            if controllers and "cpu" not in names:
                continue
            folder = f"/sys/fs/cgroup/{controllers}" if controllers else "/sys/fs/cgroup"
            while True:
                quota = _quota(folder + path.rstrip("/"), bool(controllers))
                if quota is not None:
                    found.append(quota)
                if path in ("", "/"):
                    break
                path = path.rpartition("/")[0]
    return found


def _quota(folder: str, is_first_version: bool) -> "int | None":
    try:
        if is_first_version:
            with open(f"{folder}/cpu.cfs_quota_us") as file:
                quota = file.read()
            with open(f"{folder}/cpu.cfs_period_us") as file:
                period = file.read()
        else:
            with open(f"{folder}/cpu.max") as file:
                quota, period = file.read().split()
        return max(1, -(-int(quota) // int(period))) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None
