"""Registers versions of tuned models and goes back to earlier ones. Files and their order only."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from penstock.errors import InvalidParameter, PromotionRefused, UnknownRun
from penstock.model.catalog import CATALOG
from penstock.model.tuned import FOLDER, NAME, RECORD, TunedModel, read_record, write_record


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version that is being made. What is in `folder` counts once it was registered."""

    name: str
    number: int
    folder: Path


def check_name(name: str) -> None:
    """Refuse what cannot be a model's name, and names that stand for another model."""
    taken = {taken for entry in CATALOG for taken in (entry.id, *entry.aliases)}
    if not NAME.fullmatch(name) or name in taken:
        raise InvalidParameter(
            f"{name[:80]!r} cannot be the name of a tuned model.",
            "Name another with --as: letters, digits, '.', '_' and '-', and not another model's.",
            param="name",
        )


def find_tuned(data_dir: Path, name: str) -> TunedModel:
    """What is recorded of a tuned model."""
    folder = data_dir / FOLDER / name
    if not NAME.fullmatch(name) or not (folder / RECORD).is_file():
        known = ", ".join(found.name for found in list_tuned(data_dir)) or "none"
        raise UnknownRun(f"No tuned model is called {name[:80]!r}.", f"There is {known}.")
    return read_record(folder)


def list_tuned(data_dir: Path) -> list[TunedModel]:
    """All that is recorded."""
    return [read_record(path.parent) for path in sorted((data_dir / FOLDER).glob(f"*/{RECORD}"))]


@contextmanager
def new_version(data_dir: Path, name: str) -> Iterator[NewVersion]:
    """A folder to make the next version in; gone at the end unless it was registered."""
    check_name(name)
    parent = data_dir / FOLDER / name
    parent.mkdir(parents=True, exist_ok=True)
    record = read_record(parent) if (parent / RECORD).is_file() else None
    number = max(record.lineages, default=0) + 1 if record else 1
    folder = parent / f"{number}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield NewVersion(name, number, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not any(parent.iterdir()):
            parent.rmdir()


def register(version: NewVersion, lineage: Mapping[str, Any]) -> TunedModel:
    """Make a version the current one. Until the record is replaced, nothing has changed."""
    parent = version.folder.parent
    shutil.rmtree(parent / str(version.number), ignore_errors=True)  # never recorded
    version.folder.rename(parent / str(version.number))
    model = TunedModel(name=version.name, folder=parent, lineages={}, history=())
    if (parent / RECORD).is_file():
        model = read_record(parent)
    plain = json.loads(json.dumps(dict(lineage), default=str))
    model = replace(
        model,
        lineages={**model.lineages, version.number: plain},
        history=(*model.history, version.number),
    )
    write_record(model)
    return model


def roll_back(data_dir: Path, name: str, *, to: int | None = None) -> TunedModel:
    """Make the version that was current before current again, or the one that is named."""
    model = find_tuned(data_dir, name)
    if to is not None and to not in model.lineages:
        versions = ", ".join(map(str, model.lineages))
        raise InvalidParameter(f"{name} has no version {to}.", f"It has {versions}.", param="to")
    if to is None and len(model.history) < 2:
        raise PromotionRefused(
            f"{name} has had no version before {model.current}.",
            f"Delete {model.folder} if it shall not be served at all.",
        )
    history = model.history[:-1] if to is None else (*model.history, to)
    model = replace(model, history=history)
    write_record(model)
    return model
