"""From a body to an evaluation and from that to answers. Imported when it is first asked for."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from penstock.api.evaluations.running import Record
from penstock.api.evaluations.schemas import (
    ChangeAnswer,
    EvaluationAnswer,
    EvaluationBody,
    FigureAnswer,
    ProgressAnswer,
)
from penstock.api.playground.asking import understand
from penstock.api.playground.schemas import GenerateBody
from penstock.api.problems import explain
from penstock.api.services import Defaults
from penstock.errors import EvaluationError
from penstock.evaluation.comparison import Change, compare
from penstock.evaluation.evaluate import Plan, evaluate
from penstock.evaluation.evaluation import Evaluation
from penstock.evaluation.examples import BadRow, Example, Examples, example_of, refusal
from penstock.evaluation.scoring import Scoring
from penstock.evaluation.tasks import DEFAULT_TASKS
from penstock.evaluation.writing import Writing

if TYPE_CHECKING:
    from penstock.evaluation.progress import Progress
    from penstock.evaluation.subject import Subject


def plan_of(body: EvaluationBody, defaults: Defaults) -> Plan:
    """What the body asks for, every field checked."""
    known: dict[str, Any] = {
        "prompt": "-",
        "strategy": body.strategy,
        "max_new_tokens": body.max_new_tokens,
    }
    taken = sorted(set(known) & set(body.parameters))
    if taken:
        raise EvaluationError(
            f"parameters has {taken[0]}, which is not one of a strategy's.",
            "Send it as a field of its own.",
            param=f"parameters.{taken[0]}",
        )
    try:
        asked = understand("-", GenerateBody(**known, **body.parameters), defaults)
    except ValidationError as error:
        raise explain(error.errors()[0]) from None
    return Plan(
        tasks=DEFAULT_TASKS if body.tasks is None else tuple(body.tasks),
        limit=body.limit,
        scoring=Scoring(stride=body.stride, with_start=body.with_start),
        writing=Writing(
            max_new_tokens=body.max_new_tokens,
            strategy=asked.strategy.id,
            params=asked.params,
            stop=tuple(body.stop),
            seed=body.seed,
        ),
    )


def rows_of(body: EvaluationBody) -> Examples:
    """The rows that the body holds."""
    values = [row.model_dump(exclude_none=True) for row in body.rows or ()]
    found = [example_of(number, value) for number, value in enumerate(values, 1)]
    good = tuple(row for row in found if isinstance(row, Example))
    bad = tuple(row for row in found if isinstance(row, BadRow))
    if bad and not (body.skip_bad_rows and good):
        raise refusal("rows", bad)
    content = json.dumps(values, sort_keys=True, ensure_ascii=False).encode()
    digest = hashlib.sha256(content).hexdigest()
    return Examples(name="rows", digest=digest, rows=good, bad_rows=bad)


def carry_out(record: Record, plan: Plan, subject: "Subject", examples: Examples) -> Evaluation:
    """Evaluate, and note in the record how far it is."""

    def watch(progress: "Progress") -> None:
        record.progress = progress

    return evaluate(plan, subject, examples, watch=watch, is_cancelled=record.is_cancelled.is_set)


def answer_of(record: Record) -> EvaluationAnswer:
    """An evaluation as clients see it."""
    progress = record.progress
    return EvaluationAnswer(
        id=record.id,
        state=record.state,
        model=record.model,
        adapter=record.adapter,
        tasks=list(record.tasks),
        data=record.data,
        created_at=round(record.created_at, 3),
        progress=None
        if progress is None
        else ProgressAnswer(
            stage=progress.stage,
            num_done=progress.num_done,
            num_total=progress.num_total,
            tokens_per_second=round(progress.tokens_per_second, 1),
            seconds_left=progress.seconds_left,
        ),
        error=record.error,
        figures=None if record.figures is None else _answers(record.figures),
    )


def changes_between(before: Evaluation, after: Evaluation) -> list[ChangeAnswer]:
    """What changed, figure by figure."""
    return [_change(change) for change in compare(before, after)]


def refuse_unfinished(records: Sequence[Record]) -> None:
    """Refuse while one of them has no figures."""
    for record in records:
        if record.figures is None:
            raise EvaluationError(
                f"The evaluation {record.id} has no figures: it is {record.state}.",
                "Wait until it has succeeded.",
            )


def _answers(figures: Sequence[dict[str, Any]]) -> list[FigureAnswer]:
    return [FigureAnswer.model_validate(figure) for figure in figures]


def figures_of(evaluation: Evaluation) -> list[FigureAnswer]:
    """Its figures as clients see them."""
    return [
        FigureAnswer(
            name=f.name,
            label=f.label,
            unit=f.unit,
            better=f.better,
            value=f.value,
            low=f.low,
            high=f.high,
            num_rows=len(f.rows),
            signature=f.signature,
            problem=f.problem,
        )
        for f in evaluation.figures
    ]


def _change(change: Change) -> ChangeAnswer:
    found = change.difference
    return ChangeAnswer(
        name=change.name,
        label=change.label,
        unit=change.unit,
        before=change.before,
        after=change.after,
        change=found.value,
        low=None if found.interval is None else found.interval.low,
        high=None if found.interval is None else found.interval.high,
        p_value=found.p_value,
        num_rows=change.num_rows,
        verdict=change.verdict,
    )
