"""Tuned models that were promoted: which there are, and which version of each is current.

Read anew each time, so a server sees what `penstock runs` does beside it. Knows no tensors.
"""

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.errors import PenstockError
from penstock.model.catalog import CatalogEntry
from penstock.model.folder import read_config

logger = logging.getLogger(__name__)

FOLDER = "tuned"  # in the data directory
RECORD = "versions.json"
MODEL = "model"  # in a version's folder
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSIONED = re.compile(rf"(?P<name>{NAME.pattern})@(?P<version>[1-9][0-9]{{0,5}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedModel:
    """What is recorded of one name: all its versions, and those that were current, in order."""

    name: str
    folder: Path
    lineages: Mapping[int, Mapping[str, Any]]  # by version
    history: tuple[int, ...]  # the last is current

    @property
    def current(self) -> int:
        return self.history[-1]

    def version_folder(self, version: int) -> Path:
        """Where a version lies: its model, and the report of its evaluation."""
        return self.folder / str(version)

    def entry(self, version: int | None = None) -> CatalogEntry:
        """The catalog entry of a version, else of the current one, which has the bare name too."""
        number = version or self.current
        lineage = self.lineages[number]
        folder = self.version_folder(number) / MODEL
        return CatalogEntry(
            id=f"{self.name}@{number}",
            label=f"{self.name}, version {number}",
            family=read_config(folder)["model_type"],
            description=f"Tuned from {lineage.get('base') or 'nothing'} by {lineage.get('run')}.",
            aliases=(self.name,) if number == self.current else (),
            folder=folder,
            lineage=lineage,
        )


class TunedModels:
    """Those in one data directory."""

    def __init__(self, data_dir: Path | None) -> None:
        self._folder = None if data_dir is None else data_dir / FOLDER

    def current(self) -> list[CatalogEntry]:
        """The current version of each; one whose files are broken is left out and logged."""
        if self._folder is None or not self._folder.is_dir():
            return []
        entries = []
        for record in sorted(self._folder.glob(f"*/{RECORD}")):
            try:
                entries.append(read_record(record.parent).entry())
            except (PenstockError, OSError, ValueError, LookupError) as error:
                logger.warning("The tuned model in %s cannot be used: %s", record.parent, error)
        return entries

    def find(self, name: str) -> CatalogEntry | None:
        """The version that `NAME` or `NAME@VERSION` stands for, if there is one."""
        match = _VERSIONED.fullmatch(name)
        bare = match["name"] if match else name
        if self._folder is None or not NAME.fullmatch(bare):
            return None
        folder = self._folder / bare
        if not (folder / RECORD).is_file():
            return None
        found = read_record(folder)
        version = int(match["version"]) if match else found.current
        return found.entry(version) if version in found.lineages else None


def read_record(folder: Path) -> TunedModel:
    """What is recorded in a tuned model's folder."""
    value = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return TunedModel(
        name=folder.name,
        folder=folder,
        lineages={int(number): lineage for number, lineage in value["versions"].items()},
        history=tuple(value["history"]),
    )


def write_record(model: TunedModel) -> None:
    """Replace the record whole: a reader sees the old one or the new one."""
    value = {"versions": model.lineages, "history": list(model.history)}
    partial = model.folder / f"{RECORD}.partial"
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(model.folder / RECORD)
