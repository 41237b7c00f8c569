"""What processes hold: this one by itself, or another with all that it started."""

import re
from dataclasses import dataclass
from pathlib import Path


def own_memory() -> int:
    """Bytes of anonymous memory: not the files that other processes map too."""
    found = re.search(r"^RssAnon:\s+(\d+) kB$", Path("/proc/self/status").read_text(), flags=re.M)
    assert found is not None
    return int(found[1]) * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a process and all that it started hold together."""

    num_processes: int
    resident_bytes: int
    num_files: int


def held_by(process_id: int) -> Held:
    """What the process and its descendants hold now, as Linux counts it."""
    processes = _with_descendants(process_id)
    return Held(
        num_processes=len(processes),
        resident_bytes=sum(map(_resident, processes)),
        num_files=sum(len(list(Path(f"/proc/{number}/fd").iterdir())) for number in processes),
    )


def _with_descendants(process_id: int) -> list[int]:
    children = " ".join(
        (task / "children").read_text() for task in Path(f"/proc/{process_id}/task").iterdir()
    )
    return [process_id, *(n for child in children.split() for n in _with_descendants(int(child)))]


def _resident(process_id: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB$", _status_of(process_id), flags=re.M)
    assert found is not None
    return int(found[1]) * 1024


def _status_of(process_id: int) -> str:
    return Path(f"/proc/{process_id}/status").read_text()
