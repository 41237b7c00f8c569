"""What a training run left in its folder. The one place that knows how such a folder looks.

`model/` or `adapter/` (else the folder itself), `recipe.yaml`, `run.json`, `log.jsonl`, and the
held-out text; that which lies there as tokens is read in `registry/held_out.py`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from penstock.errors import UnknownRun
from penstock.model.adapter_folder import CONFIG_FILE as ADAPTER_CONFIG
from penstock.model.folder import CONFIG_FILE
from penstock.text.json_object import read_json_object

Kind = Literal["model", "adapter", "unfinished"]
RUNS = Path("runs")
LOG, RECIPE, STATE = "log.jsonl", "recipe.yaml", "run.json"
LOSSES = ("validation_loss", "loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run. `result` is the folder of its model or adapter; none while it is unfinished."""

    name: str
    folder: Path
    kind: Kind
    result: Path | None
    base: str | None  # what an adapter was made for, as its training called it
    recipe: Mapping[str, Any]
    step: int | None
    loss: float | None  # the last that was logged for held-out text, else for training


def find_run(name: str, runs: Path = RUNS) -> Run:
    """The run in a folder, or that with this name among the runs."""
    places = [Path(name).expanduser(), runs / name]
    for folder in places:
        if folder.is_dir():
            return read_run(folder)
    known = ", ".join(run.name for run in list_runs(runs)) or "none"
    raise UnknownRun(
        f"There is no run {name!r}.",
        f"Give its folder, or a name from {runs}: {known}.",
        param="run",
    )


def list_runs(runs: Path = RUNS) -> list[Run]:
    """Every run in a folder of runs."""
    folders = sorted(runs.iterdir()) if runs.is_dir() else []
    found = [read_run(folder) for folder in folders if folder.is_dir()]
    return [run for run in found if run.kind != "unfinished" or run.step is not None or run.recipe]


def read_run(folder: Path) -> Run:
    """What is in a run's folder."""
    folder = folder.resolve()
    kind, result = _result(folder)
    events = _events(folder / LOG)
    base = None
    if kind == "adapter" and result is not None:
        named = read_json_object(result / ADAPTER_CONFIG).get("base_model_name_or_path")
        base = named if isinstance(named, str) else None
    return Run(
        name=folder.name,
        folder=folder,
        kind=kind,
        result=result,
        base=base,
        recipe=_recipe(folder),
        step=max((e["step"] for e in events if isinstance(e.get("step"), int)), default=None),
        loss=_last_loss(events),
    )


def data_digests(run: Run) -> dict[str, str]:
    """The SHA-256 of each data file that the recipe names and that is still there."""
    sources = run.recipe.get("data")
    entries = sources if isinstance(sources, list) else [sources]
    paths = [e.get("path") if isinstance(e, dict) else e for e in entries]
    found: dict[str, str] = {}
    for path in (Path(p) for p in paths if isinstance(p, str)):
        for place in (path, run.folder / path):
            if place.is_file():
                found[path.name] = _digest(place)
                break
    prepared = _object(run.folder / STATE).get("data_digest")
    if isinstance(prepared, str):
        found["prepared"] = prepared
    return found


def _result(folder: Path) -> tuple[Kind, Path | None]:
    for place in (folder / "adapter", folder / "model", folder):
        if (place / ADAPTER_CONFIG).is_file():
            return "adapter", place
        if (place / CONFIG_FILE).is_file():
            return "model", place
    return "unfinished", None


def _object(path: Path) -> Mapping[str, Any]:
    return read_json_object(path) if path.is_file() else {}


def _recipe(folder: Path) -> Mapping[str, Any]:
    path = folder / RECIPE
    if not path.is_file():
        return {}
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def _events(path: Path) -> list[dict[str, Any]]:
    """The log's events; a last line that a crash cut off is left out."""
    if not path.is_file():
        return []
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def _last_loss(events: Sequence[Mapping[str, Any]]) -> float | None:
    for kind in ("validation", "train"):
        for event in reversed(events):
            if event.get("event") == kind:
                found = [event[k] for k in LOSSES if isinstance(event.get(k), int | float)]
                if found:
                    return float(found[0])
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
