"""A run in a file: everything that was measured, before anything is made of it.

It is written anew after every round, so that neither a report that fails nor a run that is stopped
loses what was measured; `python -m benchmarks --report FILE` makes the report of it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases import Size
from benchmarks.load import About, run_of
from benchmarks.machine import Machine
from benchmarks.measure import Measured, Turn
from benchmarks.models import BenchmarkModel
from benchmarks.server_process import Start


@dataclass(frozen=True, slots=True)
class KeptRun:
    """What was measured on one machine, model by model."""

    date: str
    machine: Machine
    size: Size
    models: list[Measured]

    def save(self, path: Path) -> None:
        """Replace the file in one go."""
        written = {
            "date": self.date,
            "machine": asdict(self.machine),
            "size": asdict(self.size),
            "models": [_fields_of(measured) for measured in self.models],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".unfinished")
        unfinished.write_text(json.dumps(written, separators=(",", ":")) + "\n")
        unfinished.replace(path)


def load_kept_run(path: Path) -> KeptRun:
    fields = json.loads(path.read_text())
    machine = fields["machine"]
    machine["instruction_sets"] = tuple(machine["instruction_sets"])
    size = Size(**fields["size"])
    models = [_measured_of(model, size) for model in fields["models"]]
    return KeptRun(fields["date"], Machine(**machine), size, models)


def _fields_of(measured: Measured) -> dict[str, Any]:
    model = measured.model
    return {
        "model": {"id": model.id, "label": model.label, "folder": str(model.folder)},
        "abouts": {name: asdict(about) for name, about in measured.abouts.items()},
        "turns": [
            {"case": turn.case, "contender": turn.contender, "runs": [asdict(run) for run in runs]}
            for turn, runs in measured.runs.items()
        ],
        "bandwidths": measured.bandwidths,
        "peaks": measured.peaks,
        "starts": [asdict(start) for start in measured.starts],
    }


def _measured_of(fields: dict[str, Any], size: Size) -> Measured:
    model = BenchmarkModel(**fields["model"] | {"folder": Path(fields["model"]["folder"])})
    measured = Measured(model, size, bandwidths=fields["bandwidths"])
    measured.abouts.update({name: About(**about) for name, about in fields["abouts"].items()})
    for turn in fields["turns"]:
        runs = [run_of(run) for run in turn["runs"]]
        measured.runs[Turn(turn["case"], turn["contender"])] = runs
    measured.peaks.update(fields["peaks"])
    measured.starts.extend(Start(**start) for start in fields["starts"])
    return measured
