"""Two evaluations on the same rows: what changed from before to after, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.errors import EvaluationError
from penstock.evaluation.evaluation import Evaluation
from penstock.evaluation.figures import AGGREGATES, Figure
from penstock.evaluation.intervals import Difference, Statistics, difference

SURE = 0.05  # a p-value below it
Verdict = Literal["better", "worse", "changed", "no difference shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How one figure changed on the rows that both have."""

    name: str
    label: str
    unit: str
    before: float
    after: float
    num_rows: int
    difference: Difference
    verdict: Verdict


def compare(before: Evaluation, after: Evaluation) -> list[Change]:
    """The changes of all figures that both have. Refuses evaluations of different data."""
    if before.data_digest != after.data_digest:
        raise EvaluationError(
            f"{before.name} was evaluated on other data than {after.name}: {before.data} and "
            f"{after.data} differ.",
            "Evaluate both on the same file.",
            param="against",
        )
    theirs = {figure.name: figure for figure in after.figures}
    pairs = ((mine, theirs[mine.name]) for mine in before.figures if mine.name in theirs)
    changes = (_change(mine, other) for mine, other in pairs)
    return [change for change in changes if change is not None]


def _change(before: Figure, after: Figure) -> Change | None:
    """None where there is nothing to compare: no value, or no row that both have."""
    rows = sorted(set(before.rows) & set(after.rows))
    if not rows or before.value is None or after.value is None:
        return None
    aggregate = AGGREGATES[before.aggregate]
    mine, other = _of_rows(before, rows), _of_rows(after, rows)
    found = difference(mine, other, aggregate)
    return Change(
        name=before.name,
        label=before.label,
        unit=before.unit,
        before=aggregate(mine.sum(0)),
        after=aggregate(other.sum(0)),
        num_rows=len(rows),
        difference=found,
        verdict=_verdict(before, found),
    )


def _of_rows(figure: Figure, rows: Sequence[int]) -> Statistics:
    places = {row: place for place, row in enumerate(figure.rows)}
    return figure.sums[[places[row] for row in rows]]


def _verdict(figure: Figure, found: Difference) -> Verdict:
    if found.p_value is None or found.p_value >= SURE:
        return "no difference shown"
    if figure.better == "neither":
        return "changed"
    return "better" if (found.value < 0) == (figure.better == "lower") else "worse"
