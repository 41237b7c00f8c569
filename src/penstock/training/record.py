"""What a run is and how it stands, in `run.json`, for persons and programs that come later."""

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from penstock import __version__
from penstock.tracking.durable import write_durably

RECORD_FILE = "run.json"
LIBRARIES = ("torch", "transformers", "tokenizers")
Status = Literal["running", "stopped", "finished", "failed"]


def read_record(run_dir: Path) -> dict[str, Any]:
    """Return what `run.json` says, or nothing where there is none yet."""
    path = run_dir / RECORD_FILE
    if not path.is_file():
        return {}
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def update_record(run_dir: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Write the record with these values changed, whole or not at all; return it."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"started": now, **read_record(run_dir), **values, "updated": now}
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    write_durably(run_dir / RECORD_FILE, text)
    return record


def versions() -> dict[str, str]:
    """The versions of what computed a run."""
    found = {name: version(name) for name in LIBRARIES}
    return {"penstock": __version__, "python": platform.python_version(), **found}
