"""How much memory the weights take, and the most that the process had."""

from penstock.evaluation.figures import Figure, Kind, single, without_value
from penstock.evaluation.tasks.interface import Found, Stage, Task

MEBIBYTE = 2**20
WEIGHTS = Kind(name="weights_mib", label="Weights in memory", unit="MiB", better="lower")
PEAK = Kind(
    name="peak_process_mib",
    label="Most memory of the evaluating process",
    unit="MiB",
    better="lower",
)


def _figures(found: Found) -> list[Figure]:
    peak = found.peak_bytes
    return [
        single(WEIGHTS, found.model.num_bytes / MEBIBYTE),
        without_value(PEAK, "It is not known here.")
        if peak is None
        else single(PEAK, peak / MEBIBYTE),
    ]


TASK = Task(
    id="memory",
    description="Memory of the weights and the highest of the process.",
    stage=Stage.TIME,
    figures=_figures,
)
