"""How much memory a process has held at most, as the operating system counts it."""

import os
from pathlib import Path


def peak_bytes_of_family(process_id: int) -> int | None:
    """The same of a process and the workers it has now, added up though they may differ in time."""
    peaks = map(peak_bytes, family_of(process_id))
    return sum(peak for peak in peaks if peak is not None) or None


def family_of(process_id: int) -> list[int]:
    """A process and all that it started and that live."""
    try:
        tasks = list(Path(f"/proc/{process_id}/task").iterdir())
        children = {int(c) for task in tasks for c in (task / "children").read_text().split()}
    except OSError:
        children = set()
    return [process_id, *(one for child in children for one in family_of(child))]


def peak_bytes(process_id: int | None = None) -> int | None:
    """The most resident memory so far of a process, this one by default; `None` off Linux."""
    status = Path(f"/proc/{process_id or os.getpid()}/status")
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
