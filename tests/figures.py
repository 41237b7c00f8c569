"""Where tests at their full count tell their figures: `docs/reliability.md` is made of them."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from fcntl import LOCK_EX, flock
from pathlib import Path
from tempfile import gettempdir
from typing import Any


def record(test: str, case: str, figures: Mapping[str, Any]) -> None:
    """Print the figures, and note them in the file that PENSTOCK_STRESS_REPORT names."""
    print(json.dumps({"test": test, "case": case, **figures}))
    report = os.environ.get("PENSTOCK_STRESS_REPORT")
    if report is None:
        return
    with (Path(gettempdir()) / "penstock-figures.lock").open("w") as lock:
        flock(lock, LOCK_EX)  # tests run side by side
        _note(Path(report), test, case, figures)


def _note(path: Path, test: str, case: str, figures: Mapping[str, Any]) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    known.setdefault(test, {})[case] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}",
        "figures": dict(figures),
    }
    path.write_text(json.dumps(known, indent=2) + "\n")
