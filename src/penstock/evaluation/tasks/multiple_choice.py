"""Multiple choice by log-probability: as lm-evaluation-harness has it."""

from penstock.evaluation.figures import Figure, Kind, mean
from penstock.evaluation.tasks.interface import Found, Stage, Task

ACCURACY = Kind(name="accuracy", label="Accuracy", unit="%", better="higher")
PER_BYTE = Kind(name="accuracy_per_byte", label="Accuracy per byte", unit="%", better="higher")


def _figures(found: Found) -> list[Figure]:
    return [
        mean(ACCURACY, {c.row: 100.0 * (c.likeliest == c.answer) for c in found.chosen}),
        mean(PER_BYTE, {c.row: 100.0 * (c.likeliest_per_byte == c.answer) for c in found.chosen}),
    ]


TASK = Task(
    id="multiple_choice",
    description="How often the right one of several answers is the likeliest.",
    stage=Stage.CHOOSE,
    figures=_figures,
)
