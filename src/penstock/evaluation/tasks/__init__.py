"""What can be found out about a model: a task per file and line here."""

from collections.abc import Mapping, Sequence

from penstock.errors import EvaluationError
from penstock.evaluation.tasks import (
    bleu,
    chrf,
    distinct,
    exact_match,
    latency,
    memory,
    multiple_choice,
    perplexity,
    repetition,
    rouge,
)
from penstock.evaluation.tasks.interface import Task

TASKS: Mapping[str, Task] = {
    module.TASK.id: module.TASK
    for module in (
        perplexity,
        bleu,
        chrf,
        rouge,
        distinct,
        repetition,
        exact_match,
        multiple_choice,
        latency,
        memory,
    )
}
DEFAULT_TASKS = tuple(task for task in TASKS if task not in ("exact_match", "multiple_choice"))


def find_tasks(names: Sequence[str]) -> tuple[Task, ...]:
    """The tasks with these names, in the order in which they are told."""
    unknown = [name for name in names if name not in TASKS]
    if unknown or not names:
        raise EvaluationError(
            f"tasks={','.join(names)[:100]!r} cannot be done.",
            f"Use some of {', '.join(TASKS)}.",
            param="tasks",
        )
    return tuple(task for name, task in TASKS.items() if name in names)
