"""How much memory there is and who holds it, as Linux counts it. Knows no models."""

import ctypes
import os
from pathlib import Path

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")


def total_memory() -> int:
    """Bytes of memory in this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def free_memory(proc: Path = PROC, cgroup: Path = CGROUP) -> int:
    """Bytes that can be taken without swapping and without breaking a container's limit."""
    machine = _amounts(proc / "meminfo").get("MemAvailable", total_memory())
    return min(machine, _room_in_container(cgroup, machine))


def memory_of_process(process_id: int, proc: Path = PROC) -> int:
    """Bytes that a process holds, with its share of what it has in common; 0 if it is gone."""
    return _amounts(proc / str(process_id) / "smaps_rollup").get("Pss", 0)


def give_back_freed_memory() -> None:
    """Have the C library return what was freed in this process, where it can (glibc).

    What lives on among things that are gone would keep all of them: hundreds of megabytes after a
    model was loaded.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _room_in_container(cgroup: Path, otherwise: int) -> int:
    """What a container's limit leaves. Memory that only mirrors files can be taken back."""
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        counts = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return otherwise
    if not limit.isdigit():
        return otherwise
    return max(int(limit) - used + int(counts.get("inactive_file", 0)), 0)


def _amounts(file: Path) -> dict[str, int]:
    """The lines `Name: 12 kB` of a file, in bytes; none where there is no such file."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    parts = (line.split() for line in lines)
    return {p[0].rstrip(":"): int(p[1]) * 1024 for p in parts if len(p) == 3 and p[2] == "kB"}
