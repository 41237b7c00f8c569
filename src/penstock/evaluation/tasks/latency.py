"""How long a user waits: for the first token, and for each after it, with nothing else running."""

from penstock.evaluation.figures import Figure, Kind, figure, mean
from penstock.evaluation.tasks.interface import Found, Stage, Task

PER_TOKEN = Kind(name="ms_per_token", label="Time per token", unit="ms", better="lower")
FIRST = Kind(name="first_token_ms", label="Time to the first token", unit="ms", better="lower")


def _figures(found: Found) -> list[Figure]:
    others = {t.row: (1000 * t.other_seconds, t.num_others) for t in found.timed if t.num_others}
    return [
        figure(PER_TOKEN, others),
        mean(FIRST, {t.row: 1000 * t.first_token_seconds for t in found.timed}),
    ]


TASK = Task(
    id="latency",
    description="Milliseconds to the first token and for each after it, one text at a time.",
    stage=Stage.TIME,
    figures=_figures,
)
