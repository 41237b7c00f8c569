"""What is told of a row beside its answer: the model's own log-probabilities, and every step.

Knows rows and their answers, not how these were found.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.greatest import greatest
from penstock.decoding.native import logprobs
from penstock.decoding.questions import Answer, Question, Report
from penstock.decoding.strategies.interface import Draw, DrawDistinct
from penstock.decoding.trace import TracedStage, trace_row
from penstock.ops.choices import Chooser


def with_reports(
    logits: Tensor,
    questions: Sequence[Question],
    answers: list[Answer],
    chooser: Chooser | None,
) -> list[Answer]:
    """The answers, with what their questions want to be told; the same list where none wants it."""
    reports = _reports(logits, questions, answers, chooser)
    if not reports:
        return answers
    rows = zip(answers, questions, strict=True)
    return [_with_report(answer, reports.get(i), q) for i, (answer, q) in enumerate(rows)]


def _reports(
    logits: Tensor,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    chooser: Chooser | None,
) -> dict[int, Report]:
    """The model's own log-probabilities for the rows that asked for them."""
    asked = [i for i, q in enumerate(questions) if _is_reported(q) or _is_scored(q)]
    if not asked:
        return {}
    rows = logits if len(asked) == len(logits) else logits[asked]
    wanted = [(*answers[i].token_ids, *questions[i].named) for i in asked]
    counts = [questions[i].num_logprobs or 0 for i in asked]
    of_wanted, tops = _numbers(rows, wanted, counts, chooser)
    reports = {}
    for i, token_ids, told, top in zip(asked, wanted, of_wanted, tops, strict=True):
        count = len(answers[i].token_ids)
        named = tuple(zip(token_ids[count:], told[count:], strict=True))
        reports[i] = Report(tuple(told[:count]), top, _stages(logits, i, questions[i]), named)
    return reports


def _numbers(
    rows: Tensor, wanted: Sequence[Sequence[int]], counts: Sequence[int], chooser: Chooser | None
) -> tuple[list[list[float]], list[tuple[tuple[int, float], ...]]]:
    """The log-probabilities of each row's wanted tokens, and its likeliest tokens with theirs."""
    known = None if chooser is None else logprobs(rows, wanted, counts, chooser)
    if known is not None:
        return known
    whole = rows.logsumexp(dim=-1, keepdim=True)
    return _at(rows, whole, wanted), _best_pairs(rows, whole, counts)


def _best_pairs(
    rows: Tensor, whole: Tensor, counts: Sequence[int]
) -> list[tuple[tuple[int, float], ...]]:
    """So many of each row's likeliest tokens, with their log-probabilities."""
    most = min(max(counts), rows.shape[-1])
    if not most:
        return [()] * len(counts)
    values, token_ids = greatest(rows, most)
    best = zip(token_ids.tolist(), (values - whole).tolist(), counts, strict=True)
    return [tuple(zip(ids[:count], values[:count], strict=True)) for ids, values, count in best]


def _at(rows: Tensor, whole: Tensor, wanted: Sequence[Sequence[int]]) -> list[list[float]]:
    """The log-probabilities of the tokens wanted of each row, which may be fewer or more."""
    most = max(map(len, wanted))
    padded = torch.tensor([[*ids, *[0] * (most - len(ids))] for ids in wanted], dtype=torch.int64)
    found: list[list[float]] = (rows.gather(1, padded.to(rows.device)) - whole).tolist()
    return [values[: len(ids)] for values, ids in zip(found, wanted, strict=True)]


def _is_reported(question: Question) -> bool:
    wants_numbers = question.num_logprobs is not None or bool(question.named)
    return wants_numbers or question.num_traced is not None


def _is_scored(question: Question) -> bool:
    return isinstance(question.need, Draw) and question.need.is_scored


def _stages(logits: Tensor, i: int, question: Question) -> tuple[TracedStage, ...]:
    if question.num_traced is None:
        return ()
    is_drawn = isinstance(question.need, Draw | DrawDistinct)
    return trace_row(logits[i], question.row, filters=is_drawn, num_candidates=question.num_traced)


def _with_report(answer: Answer, report: Report | None, question: Question) -> Answer:
    if report is None:
        return answer
    logprobs = report.chosen if _is_scored(question) else answer.logprobs
    told = report if _is_reported(question) else None
    return Answer(answer.token_ids, logprobs, answer.keys, answer.surprises, told)
