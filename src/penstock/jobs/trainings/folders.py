"""Where training runs lie in the data directory, and what is in one. Knows files, no database.

A run's folder holds what it was asked (`asked.json`), its data, what `penstock train` writes, and
once it has ended for good how (`outcome.json`).
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from penstock.tracking.durable import write_durably
from penstock.tracking.run_log import read_log

FOLDER = "runs"  # in the data directory
ASKED, OUTCOME, NEWS, LOG = "asked.json", "outcome.json", "process.log", "log.jsonl"
DATA = "data"
ID = re.compile(r"job_[0-9a-f]{32}")
ARTEFACTS = (
    "report.html",
    "loss.png",
    LOG,
    "run.json",
    "adapter/*",
    "model/*",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    model: str | None = None  # by what id it is served
    problem: Mapping[str, Any] | None = None  # message, code and param; or it succeeded
    tokens_seen: int | None = None
    exported: str | None = None  # the checkpoint that the model was made of


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder."""

    path: Path

    def ask(self, asked: Mapping[str, Any]) -> None:
        """Say what is to be done, whole or not at all."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self.path / ASKED, json.dumps(asked, indent=1, ensure_ascii=False))

    def asked(self) -> dict[str, Any]:
        """What is to be done."""
        value: dict[str, Any] = json.loads((self.path / ASKED).read_text(encoding="utf-8"))
        return value

    def take_data(self, source: Path, name: str) -> Path:
        """Copy a file of data in, so that the run does not depend on it; where it is then."""
        target = self.path / DATA / name
        if not target.is_file():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = target.with_name(f"{name}.partial")
            shutil.copyfile(source, partial)
            partial.replace(target)
        return target

    def end(self, outcome: Outcome) -> None:
        """Note how it ended."""
        write_durably(self.path / OUTCOME, json.dumps(asdict(outcome), ensure_ascii=False))

    def outcome(self) -> Outcome | None:
        """How it ended, if it has."""
        path = self.path / OUTCOME
        if not path.is_file():
            return None
        return Outcome(**json.loads(path.read_text(encoding="utf-8")))

    def events(self) -> list[dict[str, Any]]:
        """What the run logged so far."""
        return read_log(self.path / LOG)

    def record(self) -> dict[str, Any]:
        """How the run stands; nothing before it has begun."""
        path = self.path / "run.json"
        if not path.is_file():
            return {}
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return value

    def last_news(self) -> str:
        """The last line that its process wrote."""
        path = self.path / NEWS
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")

    def artefacts(self) -> Sequence[Path]:
        """The files worth having, relative to the folder."""
        found = [path for pattern in ARTEFACTS for path in sorted(self.path.glob(pattern))]
        return [path.relative_to(self.path) for path in found if path.is_file()]


@dataclass(frozen=True, slots=True)
class RunFolders:
    """The folders of all runs of one data directory."""

    data_dir: Path

    def of(self, job_id: str) -> RunFolder:
        """The folder of a job's run, whether or not it is there."""
        assert ID.fullmatch(job_id)
        return RunFolder(self.data_dir / FOLDER / job_id)
