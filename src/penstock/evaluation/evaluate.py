"""A whole evaluation: stages, then the figures of each task. A function that can be stopped."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from penstock import __version__
from penstock.errors import EvaluationError, InvalidParameter
from penstock.evaluation.choosing import choose_answers
from penstock.evaluation.evaluation import Evaluation, Sample
from penstock.evaluation.examples import Examples
from penstock.evaluation.progress import IsCancelled, Watch, Watcher
from penstock.evaluation.scoring import Scoring, score_texts
from penstock.evaluation.subject import Subject
from penstock.evaluation.tasks import DEFAULT_TASKS, find_tasks
from penstock.evaluation.tasks.interface import Found, Stage
from penstock.evaluation.timing import time_texts
from penstock.evaluation.writing import Writing, write_texts

NUM_SAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be found out, and how."""

    tasks: tuple[str, ...] = DEFAULT_TASKS
    limit: int | None = None  # rows at most, from the beginning
    scoring: Scoring = field(default_factory=Scoring)
    writing: Writing = field(default_factory=Writing)

    def __post_init__(self) -> None:
        find_tasks(self.tasks)
        if self.limit is not None and self.limit < 1:
            raise EvaluationError(
                f"limit={self.limit} leaves nothing.", "Use 1 or more.", param="limit"
            )


def evaluate(
    plan: Plan,
    subject: Subject,
    examples: Examples,
    *,
    watch: Watch = lambda progress: None,
    is_cancelled: IsCancelled = lambda: False,
) -> Evaluation:
    """Find out what the plan asks for. Blocks; `watch` is told after each answer.

    Raises `EvaluationCancelled` soon after `is_cancelled` says so.
    """
    began = time.monotonic()
    tasks = find_tasks(plan.tasks)
    watcher = Watcher(watch, is_cancelled)
    found = _found(plan, subject, examples, {task.stage for task in tasks}, watcher)
    figures = tuple(figure for task in tasks for figure in task.figures(found))
    if all(figure.value is None for figure in figures):
        raise EvaluationError(
            f"{examples.name} has nothing that {', '.join(plan.tasks)} could be measured on.",
            "Give rows with `text`, with `prompt` and `references`, or with `choices`.",
            param="data",
        )
    return Evaluation(
        model=subject.model.id,
        adapter=subject.adapter,
        weights_digest=subject.model.weights_digest,
        dtype=subject.model.dtype,
        ops=subject.model.ops,
        data=examples.name,
        data_digest=examples.digest,
        num_rows=len(_limited(plan, examples).rows),
        num_bad_rows=len(examples.bad_rows),
        settings=_settings(plan) | _shortened(found),
        penstock_version=__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.monotonic() - began,
        figures=figures,
        samples=_samples(found),
    )


def _found(
    plan: Plan, subject: Subject, examples: Examples, stages: set[Stage], watcher: Watcher
) -> Found:
    rows = _limited(plan, examples).rows
    found = Found(model=subject.model, peak_bytes=None)
    steps: dict[Stage, Callable[[], Found]] = {
        Stage.SCORE: lambda: replace(
            found, scored=score_texts(subject, rows, plan.scoring, watcher)
        ),
        Stage.WRITE: lambda: replace(
            found, written=write_texts(subject, rows, plan.writing, watcher)
        ),
        Stage.CHOOSE: lambda: replace(found, chosen=choose_answers(subject, rows, watcher)),
        Stage.TIME: lambda: replace(found, timed=time_texts(subject, rows, watcher)),
    }
    for stage, step in steps.items():
        if stage in stages:
            found = _carried_out(stage, step, subject)
    return replace(found, peak_bytes=subject.peak_bytes())


def _carried_out(stage: Stage, step: Callable[[], Found], subject: Subject) -> Found:
    """What the step found; a refusal of the engine is told as one of the data."""
    try:
        return step()
    except InvalidParameter as error:
        raise EvaluationError(
            f"{subject.model.id} cannot do what is asked where it {stage.value}: {error.problem}",
            error.hint,
            param=error.param,
        ) from error


def _limited(plan: Plan, examples: Examples) -> Examples:
    return replace(examples, rows=examples.rows[: plan.limit])


def _settings(plan: Plan) -> dict[str, object]:
    """What decides the figures besides model and data, for the report."""
    writing = plan.writing
    return {
        "tasks": list(plan.tasks),
        "limit": plan.limit,
        "stride": plan.scoring.stride,
        "with_start": plan.scoring.with_start,
        "strategy": writing.strategy,
        "max_new_tokens": writing.max_new_tokens,
        "temperature": writing.params.temperature if writing.strategy != "greedy" else None,
        "top_p": writing.params.top_p if writing.strategy != "greedy" else None,
        "stop": list(writing.stop),
        "seed": writing.seed,
    }


def _shortened(found: Found) -> dict[str, object]:
    """How many prompts the model was given the end of alone, where it was any."""
    num = sum(written.is_shortened for written in found.written)
    return {"prompts_shortened": num} if num else {}


def _samples(found: Found) -> tuple[Sample, ...]:
    def cut(text: str) -> str:
        return text if len(text) <= 1000 else f"{text[:1000]}…"

    return tuple(
        Sample(
            row=t.row,
            prompt=cut(t.prompt),
            text=cut(t.text),
            reference=cut(t.references[0]) if t.references else None,
        )
        for t in found.written[:NUM_SAMPLES]
    )
