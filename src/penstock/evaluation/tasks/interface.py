"""What a task is: some figures of what one stage of the evaluation found out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from penstock.evaluation.choosing import Choice
from penstock.evaluation.figures import Figure
from penstock.evaluation.scoring import ScoredText
from penstock.evaluation.timing import TimedText
from penstock.evaluation.writing import WrittenText
from penstock.serving.models import ServedModel


class Stage(StrEnum):
    """What the model has to do. Tasks of one stage share what it did."""

    SCORE = "foretells texts"
    WRITE = "writes answers"
    CHOOSE = "chooses answers"
    TIME = "writes alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the stages found out; empty where none of the tasks asked for it."""

    model: ServedModel
    scored: Sequence[ScoredText] = ()
    written: Sequence[WrittenText] = ()
    chosen: Sequence[Choice] = ()
    timed: Sequence[TimedText] = ()
    peak_bytes: int | None = None  # of the process that computes, where it is known

    @property
    def answered(self) -> list[WrittenText]:
        """The answers that can be held beside references."""
        return [text for text in self.written if text.references]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing to find out about a model."""

    id: str
    description: str
    stage: Stage
    figures: Callable[[Found], list[Figure]]
