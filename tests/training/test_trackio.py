"""Trackio's own database holds the run and its samples. Needs no torch; skipped without Trackio."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own, because Trackio learns where to write when it is imported.
SCRIPT = """
from pathlib import Path
from penstock.tracking.tracker import TrackedRun, start_trackers

run = TrackedRun(name="small", project="stories", folder=Path(), config={"a": {"b": 1}}, step=0)
(tracker,) = start_trackers(["trackio"], run)
tracker.log(1, {"train/loss": 2.5})
tracker.log(7, {"train/loss": 2.25})
tracker.sample(7, "Once", "Once upon a crocodile")
tracker.finish()
"""


def test_trackio_holds_the_run_and_its_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(
        "trackio", reason="Trackio wants an older Pillow than the tested set has (see pyproject)."
    )
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))

    command = [sys.executable, "-W", "error::UserWarning", "-c", SCRIPT]
    subprocess.run(command, check=True, timeout=120)

    with sqlite3.connect(tmp_path / "stories.db") as database:
        rows = database.execute(
            "select run_name, step, metrics from metrics order by id"
        ).fetchall()
        ((config,),) = database.execute("select config from configs").fetchall()
    assert [(name, step, json.loads(metrics)) for name, step, metrics in rows] == [
        ("small", 1, {"train/loss": 2.5}),
        ("small", 7, {"train/loss": 2.25}),
        ("small", 7, {"prompt": "Once", "sample": "Once upon a crocodile"}),
    ]
    assert json.loads(config)["a"] == {"b": 1}
