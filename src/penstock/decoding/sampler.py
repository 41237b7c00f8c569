"""From logits to tokens: what all strategies ask of a step, computed for all rows at once.

Knows rows and needs, not requests, sequences or strategies. Plain numbers come out.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from penstock.decoding.greatest import check_numbers, first_greatest, greatest
from penstock.decoding.native import answer_natively
from penstock.decoding.processors import (
    PENALTIES,
    TEMPERATURE,
    UNDRAWN,
    has_quick_way,
    process,
)
from penstock.decoding.processors.interface import Row
from penstock.decoding.questions import Answer, Question
from penstock.decoding.randomness import gumbels
from penstock.decoding.reporting import with_reports
from penstock.decoding.strategies.interface import Argmax, Draw, DrawDistinct, Need, Probe, Top
from penstock.ops.choices import Chooser

NEGATIVE_INFINITY = float("-inf")
NUM_CANDIDATES = 256  # rows whose nucleus or top-k fits in as many are never sorted whole


def answer(
    logits: Tensor, questions: Sequence[Question], chooser: Chooser | None = None
) -> list[Answer]:
    """Answer each row's question from logits (num_rows, vocab_size), fp32.

    The reference answers what no native `chooser` does.
    """
    answers = {} if chooser is None else answer_natively(logits, questions, chooser)
    left = [i for i in range(len(questions)) if i not in answers]
    for kind, answer_kind in ANSWERS if left else ():
        mine = [i for i in left if _kind(questions[i]) is kind]
        if mine:
            rows = logits if len(mine) == len(questions) else logits[mine]
            answers |= zip(mine, answer_kind(rows, [questions[i] for i in mine]), strict=True)
    return with_reports(logits, questions, [answers[i] for i in range(len(questions))], chooser)


def _kind(question: Question) -> type[Need]:
    """The kind of need; a draw at temperature 0 is an argmax."""
    if isinstance(question.need, Draw) and question.row.params.temperature == 0:
        return Argmax
    return type(question.need)


def _argmax(logits: Tensor, questions: Sequence[Question]) -> list[Answer]:
    scores = process(logits, [q.row for q in questions], UNDRAWN)
    best = first_greatest(scores)
    counts = [len(q.need.streams) if isinstance(q.need, Draw) else 1 for q in questions]
    return [Answer((token_id,) * n) for token_id, n in zip(best, counts, strict=True)]


def _top(logits: Tensor, questions: Sequence[Question]) -> list[Answer]:
    """Penalties work on log-probabilities here, as they do in transformers' beam search."""
    scores = process(logits.log_softmax(dim=-1), [q.row for q in questions], UNDRAWN)
    needs = [q.need for q in questions if isinstance(q.need, Top)]
    counts = [min(need.count, scores.shape[-1]) for need in needs]
    values, token_ids = greatest(scores, max(counts))
    rows = zip(token_ids.tolist(), values.tolist(), counts, strict=True)
    best = [Answer(tuple(ids[:n]), tuple(logprobs[:n])) for ids, logprobs, n in rows]
    return _with_named(best, scores, [need.named for need in needs])


def _with_named(
    answers: list[Answer], scores: Tensor, named: Sequence[tuple[int, ...]]
) -> list[Answer]:
    """Each answer with the tokens that its row names after its own."""
    most = max(map(len, named))
    if not most:
        return answers
    padded = torch.tensor([[*ids, *[0] * (most - len(ids))] for ids in named], device=scores.device)
    rows = zip(answers, named, scores.gather(1, padded).tolist(), strict=True)
    return [
        Answer(a.token_ids + ids, a.logprobs + tuple(logprobs[: len(ids)]))
        for a, ids, logprobs in rows
    ]


def _probe(logits: Tensor, questions: Sequence[Question]) -> list[Answer]:
    """The likeliest tokens with probabilities that add up to 1 after the penalties."""
    scores = process(logits, [q.row for q in questions], UNDRAWN).log_softmax(dim=-1)
    counts = [min(q.need.count, scores.shape[-1]) for q in questions if isinstance(q.need, Probe)]
    values, token_ids = greatest(scores, max(counts))
    rows = zip(token_ids.tolist(), values.tolist(), counts, strict=True)
    return [Answer(tuple(ids[:n]), tuple(logprobs[:n])) for ids, logprobs, n in rows]


def _draw_distinct(logits: Tensor, questions: Sequence[Question]) -> list[Answer]:
    """Draw without replacement: what has the greatest score with Gumbel noise added to it.

    The chain works on log-probabilities here, as it does in transformers' beam sampling.
    """
    scores = process(logits.log_softmax(dim=-1), [q.row for q in questions])
    noise = gumbels([q.noise_key for q in questions], scores.shape[-1])
    counts = [
        min(q.need.count, scores.shape[-1]) for q in questions if isinstance(q.need, DrawDistinct)
    ]
    keys, token_ids = greatest(scores + torch.from_numpy(noise).to(scores.device), max(counts))
    logprobs = scores.gather(1, token_ids)
    rows = zip(token_ids.tolist(), logprobs.tolist(), keys.tolist(), counts, strict=True)
    answers = [Answer(tuple(i[:n]), tuple(p[:n]), tuple(k[:n])) for i, p, k, n in rows]
    return [_with_surprises(a, scores[i], questions[i]) for i, a in enumerate(answers)]


def _draw(logits: Tensor, questions: Sequence[Question]) -> list[Answer]:
    """Draw by inverting the cumulative distribution in vocabulary order."""
    answers: dict[int, Answer] = {}
    quick = [i for i, q in enumerate(questions) if _may_be_narrow(q, logits.shape[-1])]
    if quick:
        rows = [questions[i].row for i in quick]
        narrow, scores, token_ids = _candidates(process(logits[quick], rows, PENALTIES), rows)
        index = [i for i, sure in zip(quick, narrow, strict=True) if sure]
        drawn = _invert(scores[narrow], token_ids[narrow], [questions[i] for i in index])
        answers |= zip(index, drawn, strict=True)
    wide = [i for i in range(len(questions)) if i not in answers]
    if wide:
        chosen = [questions[i] for i in wide]
        scores = process(logits[wide], [q.row for q in chosen])
        answers |= zip(wide, _invert(scores, None, chosen), strict=True)
    return [answers[i] for i in range(len(questions))]


def _may_be_narrow(question: Question, vocab_size: int) -> bool:
    """Whether all that can be drawn may be found among the likeliest tokens."""
    params = question.row.params
    if params.top_k > NUM_CANDIDATES or vocab_size <= NUM_CANDIDATES or not has_quick_way(params):
        return False
    return params.top_k > 0 or params.top_p < 1


def _candidates(logits: Tensor, rows: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor]:
    """What temperature, top-k and top-p keep of each row, found without sorting it whole.

    Returns which rows this is sure for (num_rows,), and scores and token ids
    (num_rows, NUM_CANDIDATES) in vocabulary order.
    """
    tempered = process(logits, rows, [TEMPERATURE])
    best, token_ids = _in_order(*greatest(tempered, NUM_CANDIDATES))
    last_known = best[:, -1].clone()
    top_k = torch.tensor([[row.params.top_k] for row in rows], device=logits.device)
    top_p = best.new_tensor([[row.params.top_p] for row in rows])
    kth = best.gather(1, top_k.clamp_min(1) - 1)
    best = best.masked_fill((best < kth) & (top_k > 0), NEGATIVE_INFINITY)
    whole = best.logsumexp(-1, keepdim=True)
    if any(row.params.top_k == 0 for row in rows):
        whole = torch.where(top_k > 0, whole, tempered.logsumexp(-1, keepdim=True))
    probs = (best - whole).exp()
    mass = probs.cumsum(dim=-1)
    outranked = mass - probs >= top_p
    outranked[:, 0] = False
    last_kept = best.masked_fill(outranked | (best == NEGATIVE_INFINITY), float("inf")).amin(-1)
    is_sure = (top_k > 0).squeeze(1) | (mass[:, -1] > top_p.squeeze(1) + 1e-4)
    is_sure &= last_kept > last_known  # else there may be more that tie with the last
    token_ids, order = token_ids.sort(dim=-1)
    return is_sure, best.masked_fill(outranked, NEGATIVE_INFINITY).gather(1, order), token_ids


def _in_order(best: Tensor, token_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Scores, best first, and token ids, equal scores in the order of these."""
    token_ids, order = token_ids.sort(dim=-1)
    best, order = best.gather(1, order).sort(dim=-1, descending=True, stable=True)
    return best, token_ids.gather(1, order)


def _invert(
    scores: Tensor, token_ids: Tensor | None, questions: Sequence[Question]
) -> list[Answer]:
    """The tokens at which the cumulative probability passes each row's uniform numbers.

    `scores` (num_rows, num_candidates); `token_ids` names the candidates, or `None` for the
    whole vocabulary. Rows with several streams answer several times from the same scores.
    """
    best = scores.amax(dim=-1, keepdim=True)
    check_numbers(best)
    mass = (scores - best).exp().double().cumsum(dim=-1)
    row_of = [i for i, q in enumerate(questions) for _ in q.uniforms]
    uniforms = mass.new_tensor([u for q in questions for u in q.uniforms])[:, None]
    mass = mass[row_of]
    chosen = torch.searchsorted(mass, uniforms * mass[:, -1:], right=True)
    chosen = chosen.clamp_max(mass.shape[-1] - 1)
    if token_ids is not None:
        chosen = token_ids[row_of].gather(1, chosen)
    drawn = iter(chosen.squeeze(1).tolist())
    answers = [Answer(tuple(next(drawn) for _ in q.uniforms)) for q in questions]
    return [_with_surprises(a, scores[i], questions[i]) for i, a in enumerate(answers)]


def _with_surprises(answer: Answer, scores: Tensor, question: Question) -> Answer:
    """The answer, with how surprising its tokens are where Mirostat wants to know."""
    if not question.row.params.mirostat:
        return answer
    return answer._replace(surprises=_surprises(scores, answer.token_ids))


def _surprises(scores: Tensor, drawn: Sequence[int]) -> tuple[float, ...]:
    """How surprising each token drawn from scores (vocab_size,) is, in bits."""
    bits: list[float] = (scores.log_softmax(dim=-1)[list(drawn)] / -math.log(2)).tolist()
    return tuple(bits)


ANSWERS: tuple[tuple[type[Need], Callable[[Tensor, list[Question]], list[Answer]]], ...] = (
    (Argmax, _argmax),
    (Draw, _draw),
    (Top, _top),
    (DrawDistinct, _draw_distinct),
    (Probe, _probe),
)
