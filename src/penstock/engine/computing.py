"""Computes one step and gives every request its own: answers, scores of its prompt and means.

What fails is pinned on the request it fails for; for all others the step comes to the same.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from itertools import accumulate, groupby, islice

import torch
from torch import Tensor

from penstock.decoding.questions import Answer, Question
from penstock.decoding.sampler import answer
from penstock.engine.active_request import ActiveRequest
from penstock.engine.faults import Guilty, in_halves
from penstock.engine.runner import Computed, Runner
from penstock.engine.scheduler import Planned
from penstock.ops.choices import Chooser

Plan = Seq[Planned[ActiveRequest]]
Failures = dict[ActiveRequest, Exception]


@dataclass(frozen=True, slots=True)
class Share:
    """What one request wants of a step, noted before anything is computed."""

    request: ActiveRequest
    plan: Plan
    completing: Plan  # without the shadows
    scored: Seq[tuple[Planned[ActiveRequest], range]]
    pooled: Seq[tuple[Planned[ActiveRequest], range]]
    outputs: Seq[tuple[Planned[ActiveRequest], int]]  # each with how many rows of logits it has

    @property
    def num_outputs(self) -> int:
        return sum(count for _, count in self.outputs)


@dataclass(frozen=True, slots=True)
class Asking:
    """The questions of one request, for each completing sequence, to its rows of logits."""

    share: Share
    questions: Seq[Seq[Question]]
    rows: Seq[int]


def compute(plan: Plan, runner: Runner, chooser: Chooser | None = None) -> Failures:
    """Run the plan and give each request what it wants; who could not have it, and why."""
    failures: Failures = {}
    for outcome in in_halves(_shares(plan), lambda some: _run(some, runner)):
        if isinstance(outcome, Guilty):
            failures[outcome.item.request] = outcome.error
        else:
            _hand_out(outcome.items, outcome.result, failures, chooser)
    return failures


def _shares(plan: Plan) -> list[Share]:
    grouped = [list(group) for _, group in groupby(plan, key=lambda p: id(p.request))]
    return [
        Share(
            request=group[0].request,
            plan=group,
            completing=[p for p in group if p.completes and not p.sequence.is_shadow],
            scored=[(p, scored) for p in group if (scored := p.scored)],
            pooled=[(p, pooled) for p in group if (pooled := p.pooled)],
            outputs=[(p, p.num_outputs) for p in group],
        )
        for group in grouped
    ]


def _run(shares: Seq[Share], runner: Runner) -> Computed:
    return runner.run([planned for share in shares for planned in share.plan])


def _hand_out(
    shares: Seq[Share], computed: Computed, failures: Failures, chooser: Chooser | None
) -> None:
    """Give out rows in the order of `batch.build`: the outputs, then scored, then pooled."""
    ends = list(accumulate(share.num_outputs for share in shares))
    scored = _split(computed.logits[ends[-1] :], [_num_rows(share.scored) for share in shares])
    pooled = _split(computed.pooled, [_num_rows(share.pooled) for share in shares])
    asking: list[Asking] = []
    for share, end, its_scored, its_pooled in zip(shares, ends, scored, pooled, strict=True):
        with _PinnedOn(share.request, failures):
            for p, positions, rows in _shared_out(share.scored, its_scored):
                share.request.score_prompt(p.sequence, positions, rows)
            for p, positions, rows in _shared_out(share.pooled, its_pooled):
                share.request.pool_prompt(p.sequence, positions, rows)
            own_rows = _take_shadows(share, end - share.num_outputs, computed.logits)
            questions = [
                share.request.questions(p.sequence, computed.early.get(p.sequence))
                for p in share.completing
            ]
            asking.append(Asking(share, questions, own_rows))
    _answer(asking, computed, failures, chooser)


def _take_shadows(share: Share, first_row: int, logits: Tensor) -> list[int]:
    """Give the request what its shadows came to; returns the rows of its other sequences."""
    rows: list[int] = []
    for planned, count in share.outputs:
        if not planned.sequence.is_shadow:
            rows += range(first_row, first_row + count)
        elif count:
            share.request.take_shadow(planned.sequence, logits[first_row])
        first_row += count
    return rows


def _answer(
    asking: Seq[Asking], computed: Computed, failures: Failures, chooser: Chooser | None
) -> None:
    """Answer what was asked of the logits, for all requests at once."""
    asked = [asks for asks in asking if asks.questions]
    for outcome in in_halves(asked, lambda some: _answers(some, computed.logits, chooser)):
        if isinstance(outcome, Guilty):
            failures[outcome.item.share.request] = outcome.error
            continue
        answers = iter(outcome.result)
        for asks in outcome.items:
            its_answers = list(islice(answers, len(asks.rows)))
            with _PinnedOn(asks.share.request, failures):
                _receive(asks, its_answers, computed)


def _answers(asking: Seq[Asking], logits: Tensor, chooser: Chooser | None) -> list[Answer]:
    questions = [q for asks in asking for of_one in asks.questions for q in of_one]
    rows = [row for asks in asking for row in asks.rows]
    is_whole = bool(rows) and len(rows) == rows[-1] + 1 - rows[0]
    wanted = logits[rows[0] : rows[-1] + 1] if is_whole else logits[rows]
    return answer(wanted, questions, chooser)


def _receive(asks: Asking, answers: Seq[Answer], computed: Computed) -> None:
    remaining = iter(answers)
    for planned, questions in zip(asks.share.completing, asks.questions, strict=True):
        likeness = computed.likeness.get(planned.sequence)
        its_answers = list(islice(remaining, len(questions)))
        asks.share.request.receive(planned.sequence, its_answers, likeness)


class _PinnedOn:
    """Whatever fails in here is this request's failure and nobody else's.

    A class: for each request of each step, a generator would cost more than what it guards.
    """

    __slots__ = ("_failures", "_request")

    def __init__(self, request: ActiveRequest, failures: Failures) -> None:
        self._request = request
        self._failures = failures

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: object
    ) -> bool:
        if isinstance(error, Exception):
            self._failures[self._request] = error
            return True
        return False


def _split(rows: Tensor, counts: list[int]) -> Seq[Tensor]:
    """The rows in parts of these sizes; as a rule all are empty, which needs no tensors."""
    return torch.split(rows, counts) if any(counts) else [rows] * len(counts)


def _num_rows(wanted: Seq[tuple[Planned[ActiveRequest], range]]) -> int:
    return sum(len(positions) for _, positions in wanted)


def _shared_out(
    wanted: Seq[tuple[Planned[ActiveRequest], range]], rows: Tensor
) -> Iterable[tuple[Planned[ActiveRequest], range, Tensor]]:
    """To each who wants some positions, its rows of (num_positions of all, width)."""
    if not wanted:
        return ()
    its_rows = torch.split(rows, [len(positions) for _, positions in wanted])
    return [
        (planned, positions, part)
        for (planned, positions), part in zip(wanted, its_rows, strict=True)
    ]
