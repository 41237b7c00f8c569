"""What came of an evaluation: figures with where they come from; to JSON and back, losslessly."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from penstock.errors import EvaluationError
from penstock.evaluation.figures import AGGREGATES, Figure

FORMAT = "penstock-evaluation-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the model wrote to one of the prompts."""

    row: int
    prompt: str
    text: str
    reference: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One model on one set of rows."""

    model: str
    adapter: str | None
    weights_digest: str
    dtype: str
    ops: str
    data: str
    data_digest: str
    num_rows: int
    num_bad_rows: int
    settings: Mapping[str, Any]
    penstock_version: str
    created_at: str  # ISO 8601, UTC
    seconds: float
    figures: tuple[Figure, ...]
    samples: tuple[Sample, ...] = ()

    @property
    def name(self) -> str:
        """The model, with its adapter if it has one."""
        return self.model if self.adapter is None else f"{self.model}+{self.adapter}"

    def figure(self, name: str) -> Figure | None:
        """The figure with this name, if it was asked for."""
        return next((figure for figure in self.figures if figure.name == name), None)


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The JSON object of a report."""
    return {"format": FORMAT, **asdict(evaluation)}


def from_json(value: object, *, name: str = "The report") -> Evaluation:
    """The evaluation that `to_json` made it of."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise _refusal(name)
    try:
        known = {f.name: value[f.name] for f in fields(Evaluation)}
        known["figures"] = tuple(_figure(figure) for figure in value["figures"])
        known["samples"] = tuple(Sample(**sample) for sample in value["samples"])
        return Evaluation(**known)
    except (KeyError, TypeError, ValueError):
        raise _refusal(name) from None


def read_evaluation(path: Path) -> Evaluation:
    """The evaluation in a report's JSON file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvaluationError(
            f"{path} cannot be read: {error.strerror}.", "Give the report.json of an evaluation."
        ) from None
    except ValueError:
        raise _refusal(str(path)) from None
    return from_json(value, name=str(path))


def _figure(value: dict[str, Any]) -> Figure:
    statistics = tuple(tuple(map(float, row)) for row in value["statistics"])
    if value["aggregate"] not in AGGREGATES or len(statistics) != len(value["rows"]):
        raise ValueError
    return Figure(**value | {"rows": tuple(value["rows"]), "statistics": statistics})


def _refusal(name: str) -> EvaluationError:
    return EvaluationError(
        f"{name} is no report of an evaluation.", "Give the report.json of one.", param="against"
    )
