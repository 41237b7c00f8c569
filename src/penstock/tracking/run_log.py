"""The run's log: one JSON object per line, appended as things happen.

Knows nothing of what is logged; a resumed run forgets the lines after its checkpoint.
"""

import json
from pathlib import Path
from typing import Any

from penstock.tracking.durable import write_durably


class RunLog:
    """Appends events to a file. Owns the file at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, event: str, step: int, **values: Any) -> None:
        """Append one event."""
        line = {"event": event, "step": step, **values}
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")

    def forget_after(self, step: int) -> None:
        """Drop the events of steps that are about to be done again, and a line cut off."""
        if not self.path.is_file():
            return
        kept = [event for event in read_log(self.path) if event["step"] <= step]
        text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in kept)
        write_durably(self.path, text)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the events; a line that was cut off by a crash is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return [event for line in lines if (event := _event(line)) is not None]


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event and "step" in event else None
