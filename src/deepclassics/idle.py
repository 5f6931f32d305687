"""How many cores other processes leave idle, and how much memory.

Imported first by the command line, so that it sees a second or more.

Threads that wait for a core make each other spin: two runs with a thread for each of two cores take 9 to 48 times as
long as with one thread each. So a run takes as many threads as there are idle cores, unless it is told how many.
"""

import os
import time
from pathlib import Path

LEAST_SECONDS = 0.2  # of watching: /proc/stat counts in hundredths of a second
MEMORY = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # where a container says what it may take
# Its limit, what it uses, and of that the files kept in memory that are given up first; of both forms of such groups.
LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def idle_cores() -> int:
    """The cores that others have left idle since this module was imported, one at least; all where none can tell."""
    seconds = time.monotonic() - _BEGUN
    if _BUSY is None or seconds < LEAST_SECONDS:
        return cores()
    busy = _busy_seconds()
    assert busy is not None
    others = busy - _BUSY - (time.process_time() - _OWN)
    return max(1, cores() - round(others / seconds))


def idle_memory() -> int:
    """The bytes of memory that are free for this process; 4 GiB where nothing tells."""
    try:
        rows = dict(line.split(":") for line in MEMORY.read_text(encoding="ascii").splitlines())
        free = int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return 4 << 30
    for *names, kept in LIMITS:
        try:
            limit, used, told = ((GROUP / name).read_text(encoding="ascii") for name in names)
        except OSError:
            continue
        if limit.strip() != "max":
            files = dict(row.split() for row in told.splitlines())
            free = min(free, int(limit) - int(used) + int(files[kept]))
    return max(0, free)


def _busy_seconds() -> float | None:
    """The time that all cores together have worked since the machine began; None where there is no /proc/stat."""
    try:
        user, nice, system = Path("/proc/stat").read_text(encoding="ascii").split()[1:4]
    except OSError:
        return None
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


_BEGUN, _BUSY, _OWN = time.monotonic(), _busy_seconds(), time.process_time()
